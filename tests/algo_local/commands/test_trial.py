"""`algo local test` and `algo local shell`: an algorithm's own environment."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from algo_core.errors import ExitCode
from algo_core.testing import Home

CODE = "import os\ndef apply(input):\n    return input * 2 if input else 1 / 0\n"
TESTS = "from . import Hello\ndef test_it():\n    assert Hello.apply(2) == 4\n"
CASES = [
    {"case_name": "twice", "input": 2, "expected_output": 4},
    {"case_name": "nothing", "input": 0, "type": "EXCEPTION"},
]


@pytest.fixture
def hello_directory(write: Callable[..., Path]) -> Path:
    conf = {"username": "acme", "algoname": "Hello", "sample_input": "ab"}
    return write(CODE, **{"algorithmia.conf": json.dumps(conf), "TEST_CASES.json": json.dumps(CASES)})


def test_cases_and_the_sample_are_run(algo_home: Home, hello_directory: Path) -> None:
    done = algo_home.run("local", "test", hello_directory)
    assert (done.code, done.text) == (ExitCode.OK, "ok      twice\nok      nothing\nok      sample_input\n"), (
        done.stderr
    )
    (hello_directory / "TEST_CASES.json").write_text(json.dumps([{**CASES[0], "expected_output": 5}, CASES[1]]))
    failed = algo_home.run("local", "test", hello_directory)
    assert (failed.code, failed.stderr) == (ExitCode.FAILURE, "error: 1 of 3 cases failed\n")
    assert failed.text.startswith("FAILED  twice: expected 5, got 4\nok      nothing\n")
    found = algo_home.run("local", "test", hello_directory, "--json").json
    assert (found["tests"], found["cases"][0]["failure"]) == (None, "expected 5, got 4")
    assert [*(algo_home.root / "local").glob("drafts/d-*")] == []


def test_tests_are_run_by_pytest_in_an_environment_of_their_own(algo_home: Home, hello_directory: Path) -> None:
    (hello_directory / "src" / "Hello_test.py").write_text(
        TESTS + "def test_it_too():\n    assert 0\ndef test_not_me():\n    assert 0\n"
    )
    done = algo_home.run("local", "test", hello_directory, "--", "-q", "-k", "test_it")
    assert (done.code, done.stderr) == (ExitCode.FAILURE, "error: Tests failed\n")
    assert "1 failed, 1 passed, 1 deselected" in done.text
    assert done.text.endswith("ok      twice\nok      nothing\nok      sample_input\n")
    assert sorted(path.name for path in hello_directory.rglob("*") if "cache" in path.name) == []


def test_versions_and_builds_of_any_platform_are_called_on_the_cases(
    platform_home: Home, hello_directory: Path
) -> None:
    home = platform_home
    assert home.run("algorithms", "create", "jane/Hello").code == ExitCode.OK
    commit = home.run("algorithms", "compile", "jane/Hello", "--source", hello_directory).text.strip()
    done = home.run("algorithms", "test", f".my/Hello/{commit}", hello_directory)
    assert (done.code, done.text) == (ExitCode.OK, "ok      twice\nok      nothing\nok      sample_input\n"), (
        done.stderr
    )
    (hello_directory / "TEST_CASES.json").write_text(json.dumps([{**CASES[0], "expected_output": 5}]))
    failed = home.run("algorithms", "test", f"jane/Hello/{commit}", "--json", cwd=hello_directory)
    assert failed.code == ExitCode.FAILURE
    assert failed.json == {
        "tests": None,
        "cases": [
            {"case_name": "twice", "failure": "expected 5, got 4"},
            {"case_name": "sample_input", "failure": None},
        ],
    }
    assert home.run("algorithms", "test", "jane/Hello/9.9.9", hello_directory).code == ExitCode.NOT_FOUND
    for name in ("TEST_CASES.json", "algorithmia.conf"):
        (hello_directory / name).unlink()
    assert home.run("algorithms", "test", "jane/Hello", hello_directory).code == ExitCode.NOT_FOUND


def test_nothing_to_test(algo_home: Home, write: Callable[..., Path]) -> None:
    hello_directory = write(CODE, **{"algorithmia.conf": '{"username": "acme", "algoname": "Hello"}'})
    done = algo_home.run("local", "test", hello_directory)
    assert (done.code, "has no tests and no TEST_CASES.json" in done.stderr) == (ExitCode.NOT_FOUND, True)


def test_a_shell_in_the_environment(algo_home: Home, hello_directory: Path) -> None:
    program = "import os, sys, src.Hello; print(src.Hello.apply(1), os.environ['MODE'], os.getcwd()); sys.exit(42)"
    done = algo_home.run("local", "shell", hello_directory, "--env", "MODE=fast", "--", "python3", "-c", program)
    assert (done.code, done.text) == (42, f"2 fast {hello_directory.resolve()}\n"), done.stderr
    typed = algo_home.run("local", "shell", hello_directory, input="import src.Hello\nprint(src.Hello.apply(2))\n")
    assert (typed.code, typed.text) == (ExitCode.OK, "4\n")
    missing = algo_home.run("local", "shell", hello_directory, "--", "no-such-program")
    assert (missing.code, "no program no-such-program" in missing.stderr) == (ExitCode.NOT_FOUND, True)
    assert algo_home.run("local", "shell", hello_directory, "--env", "MODE").code == ExitCode.USAGE
    assert [*hello_directory.rglob("__pycache__")] == []
