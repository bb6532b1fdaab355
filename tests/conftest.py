"""Fixtures for all areas: a stub platform, and `algo` on a terminal."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

import pexpect
import pytest
from support.stub import StubPlatform

from algo_core.testing import Home

# A shell that starts the tests in the background has them ignore Ctrl-C, and `nohup` a hang-up; their children would
# inherit that. A handler they do not.
signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda number, frame: None)

# What `algo` does must not depend on these, which some machines set: it would flush what users see buffered, and compile
# itself whenever it starts.
for name in ("PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"):
    os.environ.pop(name, None)


@pytest.fixture
def platform() -> Iterator[StubPlatform]:
    """A platform whose answers the test chooses."""
    stub = StubPlatform()
    stub.start()
    yield stub
    stub.stop()


@pytest.fixture
def spawn() -> Iterator[Callable[..., pexpect.spawn]]:
    """Starts `algo` on a terminal of its own: `spawn(home, "auth")`."""
    started = []

    def start(home: Home, *arguments: str, **environ: str) -> pexpect.spawn:
        command, *rest = home.command(*arguments)
        child = pexpect.spawn(
            command,
            rest,
            env={**home.environ, "TERM": "dumb", "COLUMNS": "200", **environ},
            cwd=str(home.root),
            encoding="utf-8",
            timeout=60,
            dimensions=(50, 200),
        )
        started.append(child)
        return child

    yield start
    for child in started:
        child.close(force=True)


@pytest.fixture
def on_terminal(spawn: Callable[..., pexpect.spawn]) -> Callable[..., tuple[int, str]]:
    """Runs `algo` on a terminal of its own to its end: exit code, and all that was shown."""

    def run(home: Home, *arguments: str, **environ: str) -> tuple[int, str]:
        child = spawn(home, *arguments, **environ)
        child.expect(pexpect.EOF)
        child.wait()
        return child.exitstatus, child.before.replace("\r\n", "\n")

    return run
