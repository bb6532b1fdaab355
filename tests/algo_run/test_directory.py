"""`algo run ./DIR`: the algorithm in a directory, as it stands."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from algo_core.errors import ExitCode
from algo_core.storage.uri import AlgorithmRef
from algo_core.testing import Home
from algo_local.platform import Platform
from algo_run.target import is_directory

CODE = """
import json
import os

def read(text):
    return json.loads(text)

def apply(input):
    print("called with", input, flush=True)
    if input == "fail":
        return read("{")
    return {name: os.environ.get(name) for name in input.split(",")}
"""


@pytest.fixture
def write(algo_home: Home) -> Callable[..., Path]:
    """Write an algorithm's directory: `write("mine", code, username="me")`."""

    def write(name: str, code: str = CODE, **members: object) -> Path:
        directory = algo_home.root / name
        (directory / "src").mkdir(parents=True)
        (directory / "src" / "__init__.py").touch()
        (directory / "src" / "Mine.py").write_text(code)
        members = {"username": "acme", "algoname": "Mine", "language": "python3", **members}
        (directory / "algorithmia.conf").write_text(json.dumps(members))
        return directory

    return write


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("./mine", True), ("./nothing", True), ("../x", True), (".", True), ("..", True), ("~/x", True), ("~", True),
        ("/nothing/at/all/here", True), ("/", True), ("mine", True), ("mine/src/deep/down", True), ("mine.conf", True),
        ("/usr/bin", True), ("/usr/Nothing", True), ("me/Hello", False), ("mine/src", False), ("algo://me/Hello", False), ("/me/Hello", False),
        (".my/Hello", False), ("/.my/Hello", False), ("nothing", False), ("me/Hello/1.0.0", False), ("", False),
        ("me/Hello/9.x.y", False),
    ],
)  # fmt: skip
def test_what_is_taken_for_a_directory(
    text: str, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine" / "src" / "deep" / "down").mkdir(parents=True)
    (tmp_path / "mine.conf").touch()
    monkeypatch.chdir(tmp_path)
    assert is_directory(text) is expected


def test_it_runs_as_it_stands_and_leaves_nothing(algo_home: Home, write: Callable[..., Path]) -> None:
    directory = write("mine")
    for code, expected in ((CODE, "null"), (CODE.replace("os.environ.get(name)", "1"), "1")):
        (directory / "src" / "Mine.py").write_text(code)
        done = algo_home.run("run", "./mine", "-d", "A_B")
        assert (done.code, done.text) == (ExitCode.OK, f'{{"A_B": {expected}}}\n'), done.stderr
        assert done.stderr == ""
    local = algo_home.root / "local"
    assert [*local.glob("drafts/d-*"), *local.glob("processes/p-*")] == []
    status = algo_home.run("local", "status", "--json").json
    assert [one["name"] for one in status["algorithms"]] == ["demo/Hello"]
    assert algo_home.run("requests", "list", "--json").json == []


def test_printed_output_and_the_authors_frames(algo_home: Home, write: Callable[..., Path]) -> None:
    write("mine")
    failed = algo_home.run("run", "mine", "-d", "fail", "-v")
    assert failed.code == ExitCode.FAILURE
    assert "Built acme/Mine\ncalled with fail\n" in failed.stderr
    files = [line.split('"')[1] for line in failed.stderr.splitlines() if line.startswith("  File ")]
    assert files == ["mine/src/Mine.py"] * 2
    assert failed.stderr.splitlines()[-2].startswith("json.decoder.JSONDecodeError: ")

    whole = algo_home.run("run", "mine", "-d", "fail", "--debug").stderr
    assert whole.count("called with fail") == 1
    assert "json/decoder.py" in whole

    told = algo_home.run("run", "mine", "-d", "A", "-v", "--json")
    assert (told.json["result"], told.json["metadata"]["stdout"], told.stderr) == ({"A": None}, "called with A\n", "")


def test_variables_of_options_and_files_and_secrets(algo_home: Home, write: Callable[..., Path]) -> None:
    directory = write("mine")
    (algo_home.root / "values").write_text("\ufeff# comment\n\nexport A=1\nB = ' two words '\nC=from file\nD=a=b\n")
    given = ("--env-file", "values", "--env", "C=option", "--env", "OWN", "--env", "EMPTY=")
    done = algo_home.run("run", "./mine", "-d", "A,B,C,D,OWN,EMPTY", *given, environ={"OWN": "mine"})
    expected = {"A": "1", "B": " two words ", "C": "option", "D": "a=b", "OWN": "mine", "EMPTY": ""}
    assert done.json == expected, done.stderr

    missing = algo_home.run("run", "./mine", "-d", "TOKEN", "--secret", "TOKEN")
    assert (missing.code, "--env TOKEN=VALUE" in missing.stderr) == (ExitCode.NOT_FOUND, True)
    published = algo_home.run("local", "publish", directory, "acme/Mine", "--version", "1.0.0")
    assert published.code == ExitCode.OK, published.stderr
    platform = Platform(algo_home.root / "local")
    algorithm = platform.registry.algorithm("acme", "Mine")
    assert algorithm
    platform.secrets.create(algorithm.id, "token", "", "TOKEN", "s3cret")
    platform.close()
    assert algo_home.run("run", "./mine", "-d", "TOKEN", "--secret", "TOKEN").json == {"TOKEN": "s3cret"}
    assert algo_home.run("run", "./mine", "-d", "TOKEN").json == {"TOKEN": None}
    close = algo_home.run("run", "./mine", "-d", "TOKEN", "--secret", "TOKNE")
    assert "Did you mean 'TOKEN'?" in close.stderr


def test_options_for_input_and_output_work(algo_home: Home, write: Callable[..., Path]) -> None:
    write("mine", "import time\ndef apply(input):\n    time.sleep(60 if input == 's' else 0)\n    return input * 2\n")
    (algo_home.root / "lines.txt").write_text("a\nb\n")
    assert algo_home.run("run", "./mine", "-d", "a", "-o", "result", "--raw").code == ExitCode.OK
    assert (algo_home.root / "result").read_text() == "aa"
    each = algo_home.run("run", "./mine", "--each-line", "lines.txt", "-o", "out.jsonl")
    assert each.code == ExitCode.OK, each.stderr
    rows = [json.loads(line) for line in (algo_home.root / "out.jsonl").read_text().splitlines()]
    assert [row.get("result") for row in rows if "result" in row] == ["aa", "bb"]
    late = algo_home.run("run", "./mine", "-t", "s", "--timeout", "1")
    assert (late.code, "--timeout SECONDS" in late.stderr) == (ExitCode.FAILURE, True)
    assert algo_home.run("bench", "./mine", "-d", "x", "--calls", "2", "--concurrency", "1").code == ExitCode.OK
    assert algo_home.complete("run", "./mi") == ["./mine/"]


def test_what_is_wrong_is_told_with_the_next_command(algo_home: Home, write: Callable[..., Path]) -> None:
    write("mine")
    write("typo", usrname="me")
    cases: dict[str, tuple[int, str, str]] = {
        "./mien": (ExitCode.NOT_FOUND, "There is no directory ./mien", "`algo run ./mine`"),
        "./mine/src/Mine.py": (ExitCode.USAGE, "is a file", "`algo run ./mine`"),
        ".": (ExitCode.USAGE, "has no algorithmia.conf", "`algo run ./mine`"),
        "./typo": (ExitCode.FAILURE, "unknown member 'usrname'", "Did you mean 'username'?"),
    }
    for directory, (code, message, hint) in cases.items():
        error = algo_home.run("run", directory, "-d", "x", "--json")
        assert (error.code, error.stdout) == (code, b""), (directory, error.stderr)
        assert message in error.error["message"], directory
        assert hint in error.error["hint"], directory
    for options in (["--void"], ["--env", "1=2"], ["--env", "UNSET_HERE"]):
        assert algo_home.run("run", "./mine", "-d", "x", *options).code == ExitCode.USAGE, options
    refused = algo_home.run("run", "./mine", "-d", "x", "--env", "LD_PRELOAD=x")
    assert (refused.code, "is reserved" in refused.stderr) == (ExitCode.FAILURE, True)
    assert "for algorithms in directories" in algo_home.run("run", "a/B", "-d", "x", "--env", "A=b").stderr
    without = algo_home.run("--no-plugin", "algo-local", "run", "./mine", "-d", "x")
    assert (without.code, "algo-local" in without.stderr) == (ExitCode.CONFIGURATION, True)


def test_the_reference_of_a_directory_is_written_as_it_was_typed() -> None:
    from algo_run.target import DirectoryRef

    reference: AlgorithmRef = DirectoryRef("./mine", "")
    assert str(reference._replace(version=None)) == "./mine"


CALLER = """
import os
import urllib.error
import urllib.request

def apply(input):
    try:
        urllib.request.urlopen(urllib.request.Request(
            os.environ["ALGORITHMIA_API"] + "/v1/algo/" + input, b"x",
            {"Authorization": "Simple " + os.environ["ALGORITHMIA_API_KEY"], "Content-Type": "text/plain"}))
    except urllib.error.HTTPError as error:
        raise Exception(f"Non-Algorithm related Failure: <Response [{error.code}]>") from None
"""


@pytest.mark.parametrize("called", ["demo/Helo", "demo/Hello/7.7.7"])
def test_what_a_client_does_not_name_is_named(algo_home: Home, write: Callable[..., Path], called: str) -> None:
    """Published clients tell of a missing nested algorithm its status alone."""
    write("mine", CALLER)
    done = algo_home.run("run", "./mine", "-d", called)
    assert done.code == ExitCode.FAILURE
    assert f"hint: It calls the algorithm {called}, which does not exist here" in done.stderr


@pytest.mark.parametrize("code", ["def apply(): return 1", "def apply(input): return object()"])
def test_no_frame_but_the_authors_is_shown(algo_home: Home, write: Callable[..., Path], code: str) -> None:
    write("mine", code)
    done = algo_home.run("run", "./mine", "-d", "x")
    assert done.code == ExitCode.FAILURE
    assert "runner.py" not in done.stderr
    assert "Traceback" not in done.stderr
    assert "runner.py" in algo_home.run("run", "./mine", "-d", "x", "--debug").stderr
