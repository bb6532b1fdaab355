"""Loads plugins in a separate process, so that a plugin that ends its process is identified and does no harm.

The other process writes a line before and after each plugin. If it ends in between, that plugin is broken, and the rest
is examined in another process.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from algo_core.errors import ExitCode
from algo_core.plugins.examination import LOAD_SECONDS, examine, source_files
from algo_core.plugins.index import PluginRecord
from algo_core.terminal.output import Output

START_SECONDS = 60.0
"""Time limit in seconds for starting the other process."""

STUCK_SECONDS = 2 * LOAD_SECONDS + 1
"""How long a plugin may hold up the other process, which interrupts it after `LOAD_SECONDS` where that is possible."""

_PROGRAM = """
import sys
if sys.path[:1] == [""]:
    del sys.path[0]  # never what lies in the current directory
import json
request = json.loads(sys.argv[1])
sys.path[:] = request["path"]
from algo_core.plugins.separate import answer
answer(request["plugins"], request["output"])
"""


def examine_all(records: Sequence[PluginRecord], output: Output | None = None) -> list[str]:
    """Load plugins and fill their records; return the loaded files of their packages.

    Remarks of their hooks are written as `output` writes. If no process can be started, they are loaded in this one.
    """
    files: list[str] = []
    left = list(records)
    output = output or Output()
    while left:
        try:
            done, found = _in_another_process(left, output)
        except OSError:
            done, found = 0, []
        if not done:
            return files + [file for record in left for file in examine(record, output)]
        files += found
        left = left[done:]
    return files


def _in_another_process(records: Sequence[PluginRecord], output: Output) -> tuple[int, list[str]]:
    """Ask one process for the records in turn: how many it has dealt with, and the files that it loaded."""
    plugins = [[record.entry, record.module, record.dist, record.version] for record in records]
    options = {"is_json": output.is_json, "quiet": output.quiet}
    request = json.dumps({"path": sys.path, "plugins": plugins, "output": options})
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, request],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL if os.environ.get("_ALGO_COMPLETE") else None,  # TAB says nothing
    )
    assert process.stdout
    files: list[str] = []
    begun, done = 0, 0
    try:
        for message in _answers(process):
            if "begin" in message:
                begun = message["begin"] + 1
            else:
                records[done].take(message["record"])
                files += message["files"]
                done += 1
            if done == len(records):
                return done, files
        if begun > done:
            records[done].error = _how_it_ended(process)
            files += source_files(records[done].module)
            done = begun
        return done, files
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def _answers(process: subprocess.Popen[bytes]) -> Iterator[dict[str, Any]]:
    """The messages of the other process until it ends, or does not go on.

    A pipe that somebody else keeps open is no reason to wait: a plugin may have started something that stays.
    """
    assert process.stdout
    descriptor = process.stdout.fileno()
    pending = b""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        has_ended = process.poll() is not None
        if not select.select([descriptor], [], [], 0 if has_ended else 0.05)[0]:
            if has_ended:
                return
            continue
        received = os.read(descriptor, 1 << 16)
        if not received:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=STUCK_SECONDS)
            return
        *lines, pending = (pending + received).split(b"\n")
        for line in lines:
            yield json.loads(line)
        deadline = time.monotonic() + STUCK_SECONDS


def _how_it_ended(process: subprocess.Popen[bytes]) -> str:
    code = process.poll()
    if code is None:
        return f"it was not ready after {STUCK_SECONDS:g} s, and could not be interrupted"
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        return f"it ended the process that loaded it ({name})"
    return f"it ended the process that loaded it (exit code {code})"


def answer(plugins: Sequence[Sequence[str]], options: Mapping[str, Any]) -> None:
    """Examine plugins, and tell each on what was standard output. The process ends here, whatever they have started.

    `options` are those of the `Output` that takes their remarks.
    """
    import click  # noqa: F401 - loaded by then whenever algo runs, so that it does not count as the plugin's time
    import pluggy  # noqa: F401 - as above

    told = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # output of plugins is not part of the protocol

    asked = os.getpid()

    def tell(message: dict[str, Any]) -> None:
        if os.getpid() != asked:
            os._exit(0)  # a plugin has forked, and this is the other one
        content = json.dumps(message).encode() + b"\n"
        while content:
            content = content[os.write(told, content) :]

    code, output = ExitCode.OK, Output(**options)
    try:
        for number, members in enumerate(plugins):
            tell({"begin": number})
            record = PluginRecord(*members)
            files = examine(record, output)
            tell({"record": record.dump(), "files": files})
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    os._exit(code)
