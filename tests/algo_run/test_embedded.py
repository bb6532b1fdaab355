"""`algo run` against the embedded platform: real algorithms in processes of their own."""

from __future__ import annotations

import json

import pytest

from algo_core.errors import ExitCode

MIRROR = """
import base64

def apply(input):
    print("called with", type(input).__name__)
    if isinstance(input, (bytes, bytearray)):
        return bytearray(reversed(input))
    if input == "fail":
        raise ValueError("asked to fail")
    return {"type": type(input).__name__, "value": input}
"""


def test_the_first_command_after_an_install(algo_home) -> None:
    done = algo_home.run("run", "demo/Hello", "-d", "HAL 9000")
    assert (done.code, done.stdout) == (ExitCode.OK, b"Hello HAL 9000\n")
    assert "embedded platform" in done.stderr


def test_the_guides_options(algo_home) -> None:
    done = algo_home.run("run", "demo/Hello", "-d", "HAL 9000", "--timeout", "60", "--output", "results.txt")
    assert (done.code, done.stdout) == (ExitCode.OK, b"")
    assert (algo_home.root / "results.txt").read_text() == "Hello HAL 9000\n"


def test_what_goes_in_and_comes_out(algo_home, publish) -> None:
    publish("demo/Mirror", MIRROR)

    def run(*arguments: str, **options: bytes) -> bytes:
        done = algo_home.run("--quiet", "run", "demo/Mirror", *arguments, **options)
        assert done.code == ExitCode.OK, done.stderr
        return bytes(done.stdout)

    assert json.loads(run("-j", '{"a": [1.5, null]}')) == {"type": "dict", "value": {"a": [1.5, None]}}
    assert json.loads(run("-t", "[1]")) == {"type": "str", "value": "[1]"}
    assert run("-B", "-", input=b"\x00\x01\xff") == b"\xff\x01\x00"
    assert run("-D", "-", "--raw", input=b"\x00\x01\xff") == b"\xff\x01\x00"

    failed = algo_home.run("--quiet", "run", "demo/Mirror", "-t", "fail", "--debug", "--sudo")
    assert failed.code == ExitCode.FAILURE
    assert "called with str\n" in failed.stderr
    assert "ValueError: asked to fail" in failed.stderr
    assert failed.stderr.endswith("error: asked to fail\n")

    whole = algo_home.run("run", "demo/Mirror/1.0.0", "-d", "1", "--json", "--debug", "--sudo").json
    assert whole["result"] == {"type": "int", "value": 1}
    assert whole["metadata"]["stdout"] == "called with int\n"
    started = algo_home.run("run", "demo/Mirror", "-d", "1", "--void")
    assert started.code == ExitCode.OK
    assert started.text.startswith("req-")


def test_an_algorithm_that_takes_too_long(algo_home, publish) -> None:
    publish("demo/Sleep", "import time\ndef apply(input):\n    time.sleep(60)\n")
    done = algo_home.run("run", "demo/Sleep", "-d", "x", "--timeout", "1")
    assert done.code == ExitCode.FAILURE
    assert "timed-out" in done.stderr
    assert "--timeout SECONDS" in done.stderr


def test_an_unknown_algorithm_or_version(algo_home) -> None:
    for name in ("demo/Nothing", "demo/Hello/9.9.9"):
        done = algo_home.run("run", name, "-d", "x")
        assert done.code == ExitCode.NOT_FOUND
        assert f"algo://{name} not found" in done.stderr


def test_tab_completes_algorithms_and_is_silent_when_it_cannot(algo_home) -> None:
    def complete(*words: str) -> tuple[str, str]:
        environ = {"_ALGO_COMPLETE": "bash_complete", "COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
        done = algo_home.run(environ=environ)
        return done.text.strip(), done.stderr

    assert complete("algo", "run", "demo/he") == ("plain,demo/Hello", "")
    assert complete("algo", "run", "nobody/x") == ("", "")
    algo_home.write_config('[profiles.default]\naddress = "http://127.0.0.1:9"\n')
    assert complete("algo", "run", "demo/he") == ("", "")
    algo_home.write_config("not toml")
    assert complete("algo", "run", "demo/he")[0] == ""


@pytest.mark.parametrize(
    "setting", ["ALGO_LOCAL_WORKERS=2G", "ALGO_LOCAL_MEMORY=x", "ALGO_LOCAL_QUEUE=-1", "ALGO_LOCAL_SANDBOX=maybe"]
)
def test_a_call_with_a_wrong_setting_is_not_on_record(algo_home, setting: str) -> None:
    name, _, value = setting.partition("=")
    done = algo_home.run("run", "demo/Hello", "-d", "x", environ={name: value})
    assert (done.code, done.stdout) == (ExitCode.CONFIGURATION, b"")
    assert f"{name} must be" in done.stderr
    assert algo_home.run("requests", "list", "--json").json == []
