"""Client of the keeper, a process that holds loaded workers between commands.

A command takes a loaded worker from the keeper, uses it as its own, and gives back idle ones at its end. The keeper
(`keeper_process.py`) is started when a command first has a worker to give.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import resource
import socket
import stat
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import algo_core
import algo_local
from algo_core.locks import locked_if_free
from algo_local.algorithms.build import Build
from algo_local.algorithms.installation.environments import interpreter_of
from algo_local.algorithms.languages.interpreters import base_interpreter
from algo_local.execution.limits import Limits, seconds_of
from algo_local.execution.workers import handover
from algo_local.execution.workers.handover import Message
from algo_local.execution.workers.launch import base_environment, leave
from algo_local.execution.workers.sandbox import Sandbox

DIRECTORY = "keeper"
"""Its directory below the platform's."""

VARIABLE = "ALGO_LOCAL_KEEP_SECONDS"
DEFAULT_SECONDS = 60.0

ANSWER_SECONDS, STOP_SECONDS = 1.0, 15.0
"""How long it may take to answer, and to end."""

_TRIES, _TRY_SECONDS = 20, 0.01
_BACKLOG = 64
_MAIN = "import sys; sys.path += sys.argv[3:]; from algo_local.execution.workers.keeper_process import main; main()"
_NAMESPACES = ("mnt", "pid", "net", "user")


def keep_seconds(environ: Mapping[str, str] = os.environ) -> float:
    """Seconds that workers are kept between commands; 0 for never, the default if `CI` is set.

    Raises:
        ConfigError: if the variable is no number of seconds.
    """
    return seconds_of(environ, VARIABLE, 0.0 if environ.get("CI") else DEFAULT_SECONDS)


def keeper_of(root: Path, seconds: float = DEFAULT_SECONDS) -> Keeper | None:
    """The keeper of the platform in `root`; None on systems that cannot hand over processes (all but Linux)."""
    is_possible = all((hasattr(socket, "SO_PEERCRED"), hasattr(os, "pidfd_open"), os.path.exists("/proc/self/fd")))
    return Keeper(root, seconds) if is_possible else None


class Keeper:
    """The keeper of a platform. Its methods never raise: a failure means that there is no keeper."""

    def __init__(self, root: Path, seconds: float) -> None:
        self.seconds = seconds
        self._directory = root / DIRECTORY

    def take(self, key: str) -> Message | None:
        """Take the worker kept under a key; None without one."""
        with self._connected() as channel:
            if channel and (answer := _ask(channel, {"take": key})):
                if answer.content.get("key") == key:
                    return answer
                answer.close()
        return None

    @contextlib.contextmanager
    def open(self) -> Iterator[socket.socket | None]:
        """A connection to the keeper for `give`; starts the keeper if there is none."""
        with self._connected(start=True) as channel:
            yield channel

    def give(self, channel: socket.socket, content: dict[str, Any], descriptors: list[int]) -> bool:
        """Give a worker to the keeper; False if that failed."""
        try:
            return handover.send(channel, {"give": content, "seconds": self.seconds}, descriptors)
        except OSError:
            return False

    def status(self) -> dict[str, Any] | None:
        """The kept workers; None without a keeper."""
        with self._connected() as channel:
            answer = _ask(channel, {"status": True}) if channel else None
        return answer.content if answer else None

    def drop(self, label: str | None) -> None:
        """End the workers of an algorithm, by the label of its calls; None for all."""
        with self._connected() as channel:
            if channel:
                _ask(channel, {"drop": label})

    def stop(self) -> bool:
        """Stop the keeper with all its workers; False if there was none."""
        with self._connected() as channel:
            if not channel:
                return False
            channel.settimeout(STOP_SECONDS)
            _ask(channel, {"stop": True})
            return True

    @contextlib.contextmanager
    def _connected(self, *, start: bool = False) -> Iterator[socket.socket | None]:
        with contextlib.ExitStack() as closing:
            directory = self._open_directory(make=start)
            if directory is None:
                yield None
                return
            closing.callback(os.close, directory)
            channel = _connect(directory)
            if not channel and start:
                channel = self._start(directory)
            yield closing.enter_context(channel) if channel else None

    def _open_directory(self, *, make: bool) -> int | None:
        """Open the keeper's directory if this user owns it; the socket's full path may be too long for an address."""
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            if make:
                self._directory.mkdir(mode=0o700, exist_ok=True)
            directory = os.open(self._directory, flags)
        except OSError:
            return None
        found = os.fstat(directory)
        if found.st_uid == os.geteuid() and not stat.S_IMODE(found.st_mode) & 0o077:
            return directory
        os.close(directory)
        return None

    def _start(self, directory: int) -> socket.socket | None:
        """Start a keeper, unless another command does so meanwhile, and connect to it."""
        with contextlib.suppress(OSError):
            for _ in range(_TRIES):
                with locked_if_free(self._directory / "lock") as is_ours:
                    if channel := _connect(directory):
                        return channel
                    if is_ours:
                        _run(_listen(directory), self._directory)
                        return _connect(directory)
                time.sleep(_TRY_SECONDS)
        return None


def _address(directory: int) -> str:
    return f"/proc/self/fd/{directory}/{handover.SOCKET}"


def _connect(directory: int) -> socket.socket | None:
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    channel.settimeout(ANSWER_SECONDS)
    try:
        channel.connect(_address(directory))
        if handover.is_own(channel):
            return channel
    except OSError:
        pass  # the keeper has ended, or is overloaded
    channel.close()
    return None


def _ask(channel: socket.socket, question: dict[str, Any]) -> Message | None:
    try:
        handover.send(channel, question)
        return handover.receive(channel)
    except OSError:
        return None


def _listen(directory: int) -> socket.socket:
    """The keeper's listening socket, which replaces a stale one."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(handover.SOCKET, dir_fd=directory)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        listener.bind(_address(directory))
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def _run(listener: socket.socket, directory: Path) -> None:
    """Start the keeper's process; connections made before it is ready wait in the socket's backlog."""
    packages = dict.fromkeys(str(Path(file).parents[1]) for file in (algo_core.__file__, algo_local.__file__))
    options = ("-S", "-I", "-B", "-c", _MAIN)
    command = [base_interpreter(), *options, str(listener.fileno()), str(directory), *packages]
    libraries = {name: value for name, value in os.environ.items() if name == "LD_LIBRARY_PATH"}
    with listener:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env=libraries,
            pass_fds=[listener.fileno()],
            start_new_session=True,
        )
    leave(process)


def key_of(build: Build, account: str, limits: Limits, sandbox: Sandbox | None) -> str:
    """The key of a kept worker: a digest of everything that determines its code and its rights.

    A build's tree is named by the hash of its content, its environment by that of its requirements.

    Raises:
        OSError: if its interpreter is gone.
    """
    interpreter = interpreter_of(build.python)
    code = Path(__file__).parents[1] / "inside"
    files: list[Path | str] = [
        interpreter.program,
        *(code / name for name in ("runner.py", "runner.js", "runner.R", "supervisor.py")),
        Path(__file__).with_name("worker.py"),
    ]
    if interpreter.environment:
        files += [interpreter.environment, *interpreter.environment.glob("lib/python*/site-packages")]
    if interpreter.runtime:
        files.append(interpreter.runtime)
    parts = (
        *(account, build.source.name, build.python, build.module, build.network_access, build.secrets),
        *(limits, sandbox, sorted(base_environment(os.environ).items())),
        [_identity(file) for file in files],
        [os.readlink(f"/proc/self/ns/{name}") for name in _NAMESPACES],
        [resource.getrlimit(getattr(resource, name)) for name in dir(resource) if name.startswith("RLIMIT_")],
        *(os.getpriority(os.PRIO_PROCESS, 0), sorted(os.sched_getaffinity(0)), os.getuid(), os.getgroups()),
    )
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _identity(file: Path | str) -> tuple[str, int, int, int]:
    found = os.stat(file)
    return str(file), found.st_dev, found.st_ino, found.st_mtime_ns
