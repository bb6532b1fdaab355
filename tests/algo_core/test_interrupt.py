"""Ctrl-C at any moment after the first line of our code: exit code 130, and no traceback.

The moments are counted in calls, not in seconds; the first call is that of our first module.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from algo_core.errors import ExitCode
from algo_core.testing import Home, Result

TAB = {"_ALGO_COMPLETE": "bash_complete", "COMP_WORDS": "algo ls .my/", "COMP_CWORD": "2"}
COMMANDS: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "version": (("--version",), {}),
    "help": (("--help",), {}),
    "wrong": (("ls", "--nope"), {}),
    "ls": (("ls", ".my/c"), {}),
    "run": (("run", "demo/Hello", "-d", "x"), {}),
    "cp": (("cp", "f", "data://.my/c/f"), {}),
    "TAB": ((), TAB),
}
each_command = pytest.mark.parametrize(("words", "environ"), COMMANDS.values(), ids=COMMANDS)

Stop = Callable[..., Result | None]


@pytest.fixture
def stop(algo_home: Home, tmp_path: Path) -> Stop:
    """Runs a command that is stopped at a moment; None if it never came to it."""
    assert algo_home.run("mkdir", ".my/c").code == ExitCode.OK
    (algo_home.root / "f").write_text("content")
    sent = tmp_path / "sent"

    def stop(words: tuple[str, ...], environ: dict[str, str], **moment: object) -> Result | None:
        sent.unlink(missing_ok=True)
        how = {"PYTHONPATH": str(Path(__file__).with_name("stop")), "STOPPED": str(sent)}
        result = algo_home.run(*words, environ={**environ, **how, **{k: str(v) for k, v in moment.items()}})
        return result if sent.exists() else None

    return stop


def assert_interrupted(result: Result, moment: object) -> None:
    assert result.code == ExitCode.INTERRUPTED, (moment, result)
    assert "Traceback" not in result.stderr, (moment, result.stderr)
    assert "ignored" not in result.stderr, (moment, result.stderr)


@each_command
def test_at_any_moment(stop: Stop, words: tuple[str, ...], environ: dict[str, str]) -> None:
    moment, count = 2, 0
    while result := stop(words, environ, STOP_AT=moment):
        assert_interrupted(result, moment)
        moment += 1 + moment * 2 // 5
        count += 1
    assert count > 10


ODD_PLACES = {
    "a callback whose exceptions are dropped": "cb",
    "while a class is made, which makes another exception of it": "__set_name__",
    "where connections and files are closed": "close",
    "before the process ends": "_shutdown",
    "where threads are waited for": "join",
    "where an error is told": "report",
}


@pytest.mark.parametrize("place", ODD_PLACES.values(), ids=ODD_PLACES)
def test_in_odd_places(stop: Stop, place: str) -> None:
    results = [(name, stop(words, environ, STOP_IN=place)) for name, (words, environ) in COMMANDS.items()]
    assert any(result for _, result in results)
    for name, result in results:
        if result:
            assert_interrupted(result, name)


def test_programs_that_import_the_core_keep_their_own_ways(algo_home: Home) -> None:

    code = "import sys, algo_core; assert sys.excepthook is sys.__excepthook__; raise KeyboardInterrupt"
    done = subprocess.run([sys.executable, "-c", code], env=algo_home.environ, capture_output=True, text=True)
    assert "KeyboardInterrupt" in done.stderr
    assert done.returncode == -2
