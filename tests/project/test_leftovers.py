"""A run of the tests leaves nothing behind: what tests leave is named and ended, and fails a strict run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.environments import ROOT

CONFTEST = """
import os
from pathlib import Path
from support.leftovers import Leftovers, left_behind
from support.machine import take_signals

take_signals()
left_behind.__globals__["PATIENCE"] = 0.2

def pytest_configure(config):
    config.pluginmanager.register(
        Leftovers(Path(os.environ["HOME"]).parent, is_strict=config.getoption("--leave-nothing"))
    )

def pytest_addoption(parser):
    parser.addoption("--leave-nothing", action="store_true")
"""

TESTS = """
import os, subprocess, sys, tempfile

def test_that_leaves_nothing():
    tempfile.TemporaryDirectory().cleanup()
    subprocess.run(["true"], check=True)

def test_that_leaves_a_file():
    tempfile.mkstemp(prefix="forgotten-")

def test_that_leaves_a_process(tmp_path):
    sleeping = subprocess.Popen(["sleep", "600"], start_new_session=True, cwd="/", stdout=-3, stderr=-3)
    sleeping.returncode = 0  # or Python would warn
    print("number", sleeping.pid)
"""

ENDED = """
import os, signal, pytest

@pytest.fixture
def started(tmp_path):
    yield
    print("given back")

def test_that_is_ended(started):
    os.kill(os.getpid(), signal.SIGTERM)
"""


def run(place: Path, tests: str, *options: str) -> tuple[int, str, Path]:
    """Exit code and output of a run, and its directory of temporary files."""
    (place / "home").mkdir()
    (place / "conftest.py").write_text(CONFTEST)
    (place / "test_it.py").write_text(tests)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environ |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_DEBUG_TEMPROOT": str(place)}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rP", "-p", "no:cacheprovider", "-p", "xdist", "--rootdir", place, *options, place],
        env={**environ, "HOME": str(place / "home"), "PYTHONPATH": str(ROOT / "tests")}, cwd=place,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120,
    )  # fmt: skip
    return done.returncode, done.stdout, place / "temporary"


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ((), pytest.ExitCode.OK),
        (("--leave-nothing", "--numprocesses", "2"), pytest.ExitCode.TESTS_FAILED),
    ],
    ids=["one", "workers"],
)
def test_what_is_left_is_named_and_fails_a_strict_run(options: tuple[str, ...], code: int, tmp_path: Path) -> None:
    found, told, _ = run(tmp_path, TESTS, *options)
    assert (found, "3 passed" in told) == (code, True), told
    _, section = told.split("Tests have left something behind")
    process, file = (line for line in section.splitlines() if ", since " in line)
    assert "sleep 600 , since test_it.py::test_that_leaves_a_process (call)" in process
    assert "forgotten-" in file
    assert file.endswith("since test_it.py::test_that_leaves_a_file")
    number = int(process.split()[1].rstrip(":"))
    assert f"number {number}" in told
    status = Path(f"/proc/{number}/status")
    assert not status.exists() or "State:\tZ" in status.read_text()


def test_nothing_is_said_where_nothing_is_left(tmp_path: Path) -> None:
    code, told, temporary = run(tmp_path, TESTS, "--leave-nothing", "-k", "nothing")
    assert (code, "left something" in told) == (pytest.ExitCode.OK, False), told
    assert [list(path.iterdir()) for path in temporary.iterdir() if path.is_dir()] == [[]]


def test_a_run_that_is_told_to_end_gives_back_what_it_has(tmp_path: Path) -> None:
    code, told, _ = run(tmp_path, ENDED, "-s")
    assert code == pytest.ExitCode.INTERRUPTED, told
    assert "given back" in told
    assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
