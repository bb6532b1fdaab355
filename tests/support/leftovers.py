"""Processes and temporary files that tests have left behind: the run names the tests that began them, and may fail.

Every worker has a temporary directory of its own, and all that a test starts inherits paths of its run.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import tempfile
import time
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

PATIENCE = 20.0
"""Seconds in which what was told to end may do so."""

KEPT = re.compile(r"uv-.*\.lock")
"""Files that other programs keep: uv locks a source while it builds it, and leaves the lock."""


class Leftovers:
    """A plugin of pytest: looks after each test, in every process of a run, and once all of them are over."""

    def __init__(self, run: Path, *, is_strict: bool) -> None:
        """Have this process, and all that it starts, make temporary files in a new directory below that of the run.

        If this is strict, a run that leaves something has failed.
        """
        self._run, self._is_strict = run, is_strict
        self._found: list[str] = []
        (run / "temporary").mkdir(exist_ok=True)
        self._directory = Path(tempfile.mkdtemp(prefix="t", dir=run / "temporary"))
        for directory in (run, run / "temporary"):
            directory.chmod(0o711)  # tests are other people, too
        self._directory.chmod(0o1777)
        os.environ["TMPDIR"] = tempfile.tempdir = str(self._directory)
        self._known: set[str] = set()

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Note the test after which a file was there first."""
        found = set(os.listdir(self._directory))
        if new := found - self._known:
            with notes_of(self._directory).open("a") as notes:
                notes.writelines(f"{name}\t{nodeid}\n" for name in sorted(new))
        self._known = found

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        """Look for what is left once the workers have ended, and so has what they started for all of their tests."""
        result = yield
        if "PYTEST_XDIST_WORKER" not in os.environ:
            self._found = left_behind(self._run)
            if self._found and self._is_strict and session.exitstatus == pytest.ExitCode.OK:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
        return result

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what was left."""
        if self._found:
            terminalreporter.section("Tests have left something behind", red=True)
            for line in self._found:
                terminalreporter.line(line)


def left_behind(run: Path) -> list[str]:
    """What a run has left. Processes are ended; files are removed with the run's directory."""
    ends = time.monotonic() + PATIENCE
    while (processes := processes_left(run)) and time.monotonic() < ends:
        time.sleep(0.05)
    for number in processes:
        with contextlib.suppress(OSError):
            os.kill(number, signal.SIGKILL)
    return [*processes.values(), *files_left(run)]


def files_left(run: Path) -> list[str]:
    """What is in the temporary directories of a run, and after which test it was there."""
    found = []
    for directory in sorted(path for path in (run / "temporary").iterdir() if path.is_dir()):
        notes = notes_of(directory)
        begun = dict(line.split("\t", 1) for line in notes.read_text().splitlines()) if notes.exists() else {}
        left = sorted(path for path in directory.iterdir() if not KEPT.fullmatch(path.name))
        found += [f"{path}, since {begun.get(path.name, 'no test')}" for path in left]
    return found


def notes_of(directory: Path) -> Path:
    """The file that says which test has begun what is in the directory."""
    return directory.with_name(f"{directory.name}.notes")


def processes_left(run: Path) -> dict[int, str]:
    """The processes, apart from this one and those above it, that have inherited a path of the run: what they are."""
    above, mark = set(_and_above(os.getpid())), os.fsencode(run)
    found = {}
    for number in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
        with contextlib.suppress(OSError):
            if number not in above and (about := _about(Path(f"/proc/{number}"), mark)):
                found[number] = about
    return found


def _about(process: Path, mark: bytes) -> str:
    environ, words = ((process / name).read_bytes() for name in ("environ", "cmdline"))
    if not words or mark not in b"\0".join([environ, words, os.fsencode(os.readlink(process / "cwd"))]):
        return ""  # one that has ended has no words
    tests = [text.partition(b"=")[2] for text in environ.split(b"\0") if text.startswith(b"PYTEST_CURRENT_TEST=")]
    told = b"%s, since %s" % (words.replace(b"\0", b" ")[:200], b", ".join(tests) or b"no test")
    return f"process {process.name}: {told.decode(errors='replace')}"


def _and_above(number: int) -> Iterator[int]:
    while number:
        yield number
        number = int(Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[1])
