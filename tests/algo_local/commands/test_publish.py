"""`algo local publish DIR`: names, the next version, content that is the same, and the call with the sample input."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from algo_core.errors import AlgorithmFailed, AlreadyExists, ExitCode, UsageError
from algo_core.testing import Home
from algo_local.algorithms.directory_publication import Wish
from algo_local.platform import Platform
from algo_local.sample_runs import payload_of, sample_call

ECHO = "def apply(input):\n    return input\n"
FAILS = "def apply(input):\n    print('called')\n    raise ValueError(input)\n"


def publish(platform: Platform, directory: Path, *, sample: bool = False, name: str = "Hello", **wish: object) -> str:
    """The version's number, with `=` before it if that is not new."""
    try_it = sample_call(platform, directory, "acme", name) if sample else None
    version, is_new = platform.publish_directory(directory, "acme", name, Wish(**wish), try_it=try_it)  # type: ignore[arg-type]
    return f"{'' if is_new else '='}{version.text}"


def test_the_next_version_and_content_that_is_the_same(platform: Platform, write: Callable[..., Path]) -> None:
    contents = iter(range(100))

    def published(**wish: object) -> str:
        return publish(platform, write(f"{ECHO}# {next(contents)}\n"), **wish)

    def again(**wish: object) -> str:
        return publish(platform, write(f"{ECHO}# last\n"), **wish)

    assert [published(kind=kind) for kind in ("revision", "revision", "minor", "major", "revision")] == [
        *("0.1.0", "0.1.1", "0.2.0", "1.0.0", "1.0.1")
    ]
    assert [again(), again(kind="major"), again(public=False), again(public=False), again()] == [
        *("1.0.2", "=1.0.2", "1.0.3", "=1.0.3", "1.0.4")
    ]
    assert again(network_access="isolated") == "1.0.5"
    assert again(network_access="isolated") == "=1.0.5"
    with pytest.raises(AlreadyExists):
        again(version="1.0.5")
    with pytest.raises(UsageError):
        again(version="1.0")
    assert again(version="3.0.0") == "3.0.0"
    algorithm = platform.registry.algorithm("acme", "Hello")
    assert algorithm
    from algo_local.algorithms.lifecycle import unpublish

    unpublish(platform.registry, platform.registry.versions(algorithm)[0])
    assert again() == "=1.0.5"
    assert published() == "3.0.1"
    assert [publish(platform, write(ECHO, "A"), name="A", kind=kind) for kind in ("major", "minor")] == [
        "1.0.0",
        "=1.0.0",
    ]


@pytest.mark.parametrize("owner", ["conf", "algorithm"])
def test_a_sample_call_that_fails_publishes_nothing(platform: Platform, write: Callable[..., Path], owner: str) -> None:
    directory = write(ECHO)
    assert publish(platform, directory) == "0.1.0"
    algorithm = platform.registry.algorithm("acme", "Hello")
    assert algorithm
    if owner == "algorithm":
        from algo_local.algorithms.lifecycle import update

        update(platform.registry, algorithm, {"sample_input": '{"a": "\u00e4"}'})
    else:
        (directory / "algorithmia.conf").write_text('{"sample_input": {"a": "\u00e4"}}')
    (directory / "src" / "Hello.py").write_text(FAILS)
    with pytest.raises(AlgorithmFailed) as caught:
        publish(platform, directory, sample=True)
    assert caught.value.message == "The call with the sample input failed: {'a': '\u00e4'}"
    assert caught.value.stacktrace is not None
    assert caught.value.stacktrace.count("File") == 1
    assert f'File "{directory}/src/Hello.py", line 3, in apply' in caught.value.stacktrace
    assert [version.text for version in platform.registry.versions(algorithm)] == ["0.1.0"]
    (directory / "src" / "Hello.py").write_text(f"{ECHO}# mended\n")
    assert publish(platform, directory, sample=True) == "0.1.1"
    newest = platform.registry.versions(algorithm)[0]
    assert (json.loads(newest.sample_input), newest.sample_output) == ({"a": "\u00e4"}, '{"a": "\u00e4"}')
    calls = platform.records.read(lambda rows: rows.execute("SELECT count(*) FROM requests").fetchone())
    assert calls == (0,)


def test_a_sample_is_json_or_text() -> None:
    assert (payload_of('"x"').data, payload_of("[1]").data, payload_of("x y").data) == ("x", [1], "x y")


def test_a_directory_alone_suffices(algo_home: Home, write: Callable[..., Path]) -> None:
    directory = write(ECHO, "Echo", "echo", **{"algorithmia.conf": '{"username": "acme", "algoname": "Echo"}'})
    run = algo_home.run
    done = run("local", "publish", directory)
    assert (done.code, done.text, done.stderr) == (ExitCode.OK, "Published acme/Echo/0.1.0\n", "")
    assert run("local", "publish", ".", cwd=directory).text == (
        "Unchanged since acme/Echo/0.1.0: nothing was published\n"
    )
    assert run("local", "publish", directory, "--json").json["new"] is False
    account = run("local", "status", "--json").json["account"]
    assert run("local", "publish", directory, ".my/Mine", "--minor").text == f"Published {account}/Mine/0.1.0\n"
    assert run("run", ".my/Mine", "-d", "x").text == "x\n"
    wrong = run("local", "publish", directory / "src")
    assert (wrong.code, f"`algo local publish {directory}`" in wrong.stderr) == (ExitCode.USAGE, True)


def test_the_failing_sample_is_shown_with_what_to_do(algo_home: Home, write: Callable[..., Path]) -> None:
    conf = '{"username": "acme", "algoname": "Bad", "sample_input": "x"}'
    directory = write(FAILS, "Bad", "bad", **{"algorithmia.conf": conf})
    failed = algo_home.run("local", "publish", directory)
    assert (failed.code, failed.text) == (ExitCode.FAILURE, "")
    assert f'File "{directory}/src/Bad.py", line 3, in apply' in failed.stderr
    assert f"algo run {directory} -d INPUT" in failed.stderr
    assert algo_home.run("local", "status", "--json").json["algorithms"][0]["name"] == "demo/Hello"
    assert algo_home.run("local", "publish", directory, "--no-sample").text == "Published acme/Bad/0.1.0\n"


def test_a_failed_build_stays_on_record_with_its_log(algo_home: Home, write: Callable[..., Path]) -> None:
    conf = '{"username": "acme", "algoname": "Bad"}'
    directory = write(ECHO, "Bad", "bad", **{"algorithmia.conf": conf, "src/deep/util.py": "def f(:\n"})
    failed = algo_home.run("local", "publish", directory)
    assert failed.code == ExitCode.FAILURE
    assert "src/deep/util.py, line 1: invalid syntax\nhint: Correct it: def f(:\n" in failed.stderr
    assert "algo builds logs acme/Bad --sudo" in failed.stderr
    log = algo_home.run("builds", "logs", "acme/Bad", "--sudo")
    assert (log.code, "src/deep/util.py, line 1: invalid syntax" in log.text) == (ExitCode.OK, True)
    (directory / "src" / "deep" / "util.py").unlink()
    assert algo_home.run("local", "publish", directory).text == "Published acme/Bad/0.1.0\n"
