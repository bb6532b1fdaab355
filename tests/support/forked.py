"""`algo` in processes that begin with its modules loaded: as real as any other, without the time that importing takes.

A process that has imported what most commands need forks one for each command. What looks at the start itself, or at
another Python, starts the program (`Home.command`), and so does a home whose environment says how Python is to run.
"""

from __future__ import annotations

import functools
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from algo_core.testing.home import SECONDS, Home, Result

LOADED = (
    *("algo_core.main", "algo_core.cli", "algo_core.http.api", "algo_core.http.direct", "algo_core.http.client"),
    *("algo_core.plugins.index", "algo_core.settings.profiles", "algo_core.storage.registry", "tomllib", "json"),
    *("algo_data.commands.cp", "algo_data.commands.ls", "algo_data.commands.rm", "algo_data.commands.sync"),
    *("algo_data.hosted.storage", "algo_data.local.storage", "algo_run.commands.run", "algo_local.web.app"),
    *("algo_local.opening", "algo_local.web.transport"),
)
DECIDED_AT_THE_START = ("PYTHON", "LC_", "LANG", "MALLOC", "LD_")
"""Beginnings of variables that a process looks at before its first line of Python."""

SERVER = """
import atexit, gc, importlib, json, os, socket, sys, threading
sys.argv = ["algo"]
for name in {loaded!r}:
    importlib.import_module(name)
line = socket.socket(fileno={number})
text = [(stream.encoding, stream.errors) for stream in (sys.stdin, sys.stdout, sys.stderr)]

def run(asked, numbers):
    line.close()
    for number, target in zip(numbers, (0, 1, 2)):
        os.dup2(number, target)
        os.close(number)
    os.umask(asked["umask"])
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["environ"])
    sys.argv = asked["words"]
    sys.stdin = open(0, encoding=text[0][0], errors=text[0][1], closefd=False)
    sys.stdout = open(1, "w", encoding=text[1][0], errors=text[1][1], closefd=False)
    sys.stderr = open(2, "w", encoding=text[2][0], errors=text[2][1], closefd=False, buffering=1)
    from algo_core.main import main
    try:
        main()
    except SystemExit as ended:
        code = ended.code or 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    # What the interpreter does at its end, without taking all modules apart.
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            pass
    os._exit(code)

gc.freeze()
while True:
    head, found, _, _ = socket.recv_fds(line, 16, 3)
    if not head:
        break
    content = b""
    while len(content) < int(head):
        content += line.recv(1 << 20)
    child = os.fork()
    if not child:
        run(json.loads(content), found)
    for number in found:
        os.close(number)
    line.sendall(b"%16d" % child)
    line.sendall(b"%16d" % os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


class ForkServer:
    """The process with the modules, which lives as long as the tests."""

    def __init__(self) -> None:
        self._line, theirs = socket.socketpair()
        code = SERVER.format(loaded=LOADED, number=theirs.fileno())
        self._process = subprocess.Popen([sys.executable, "-c", code], pass_fds=[theirs.fileno()], env=_AT_FIRST)
        theirs.close()

    def close(self) -> None:
        self._line.close()
        self._process.wait()

    def run(
        self, words: list[str], content: bytes, cwd: Path, environ: Mapping[str, str], timeout: float
    ) -> tuple[int, bytes, bytes]:
        """Run a command: its exit code, and what it wrote."""
        (stdin, write), (out, stdout), (err, stderr) = os.pipe(), os.pipe(), os.pipe()
        umask = os.umask(0)
        os.umask(umask)
        asked = {"words": words, "cwd": os.path.abspath(cwd), "environ": dict(environ), "umask": umask}
        message = json.dumps(asked).encode()
        socket.send_fds(self._line, [b"%16d" % len(message)], [stdin, stdout, stderr])
        self._line.sendall(message)
        for number in (stdin, stdout, stderr):
            os.close(number)
        child = int(self._received())
        try:
            written = _exchanged(write, content, out, err, time.monotonic() + timeout)
        except TimeoutError:
            os.kill(child, signal.SIGKILL)
            self._received()
            raise subprocess.TimeoutExpired(words, timeout) from None
        return int(self._received()), written[out], written[err]

    def _received(self) -> bytes:
        content = b""
        while len(content) < 16:
            part = self._line.recv(16 - len(content))
            assert part, "the process that forks has ended"
            content += part
        return content


def _exchanged(write: int, content: bytes, out: int, err: int, until: float) -> dict[int, bytes]:
    """Write to one pipe and read from two, to the end of all."""
    parts: dict[int, list[bytes]] = {out: [], err: []}
    rest = memoryview(content)
    os.set_blocking(write, False)
    with selectors.DefaultSelector() as selector:
        selector.register(write, selectors.EVENT_WRITE)
        selector.register(out, selectors.EVENT_READ)
        selector.register(err, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(until - time.monotonic())
            for key, _ in ready:
                number = int(key.fd)
                try:
                    if number == write:
                        rest = rest[os.write(write, rest[: 1 << 16]) :]
                        is_over = not rest
                    else:
                        parts[number].append(os.read(number, 1 << 16))
                        is_over = not parts[number][-1]
                except BrokenPipeError:
                    is_over = True
                if is_over:
                    selector.unregister(number)
                    os.close(number)
            if not ready and time.monotonic() > until:
                for number in list(selector.get_map()):
                    os.close(number)
                raise TimeoutError
    return {number: b"".join(found) for number, found in parts.items()}


_AT_FIRST: dict[str, str] = {}
_started: list[ForkServer] = []
_run = Home.run


def run_commands_forked() -> None:
    """From now on homes run commands so, in the environment that there is now."""
    _AT_FIRST.update(os.environ)
    Home.run = run_forked  # type: ignore[method-assign]


def stop_forking() -> None:
    """End the process that forks; the next command starts another one."""
    while _started:
        _started.pop().close()


def _decided(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name.startswith(DECIDED_AT_THE_START)}


@functools.wraps(_run)
def run_forked(
    self: Home,
    *arguments: str | Path,
    input: bytes | str | None = None,
    cwd: Path | None = None,
    environ: Mapping[str, str] | None = None,
    timeout: float = SECONDS,
) -> Result:
    """`Home.run`, in a process that was forked where that makes no difference."""
    words, everything = self.command(*arguments), {**self.environ, **(environ or {})}
    is_ours = words[0] == str(Path(sys.executable).with_name("algo")) and (cwd or self.root).is_dir()
    if not is_ours or _decided(everything) != _decided(_AT_FIRST) or any("\0" in word for word in words):
        return _run(self, *arguments, input=input, cwd=cwd, environ=environ, timeout=timeout)
    if not _started:
        _started.append(ForkServer())
    content = input.encode() if isinstance(input, str) else input or b""
    code, stdout, stderr = _started[0].run(words, content, cwd or self.root, everything, timeout)
    return Result(code, stdout, stderr.decode("utf-8", "replace"))
