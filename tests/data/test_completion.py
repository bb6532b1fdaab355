"""TAB on paths: asked as a shell asks, and in a real one."""

from __future__ import annotations

import shutil

import pexpect
import pytest


def complete(home, *words: str, **environ: str) -> list[str]:
    """What the completion of the last word says, one value a line."""
    asking = {
        "_ALGO_COMPLETE": "fish_complete",
        "COMP_WORDS": " ".join(["algo", *words[:-1]]),
        "COMP_CWORD": words[-1],
    }
    result = home.run(environ={**asking, **environ})
    assert result.stderr == ""
    return [line.partition(",")[2].partition("\t")[0] for line in result.text.splitlines() if line]


@pytest.fixture(autouse=True)
def content(platform):
    platform.files |= {"data/.my/c/a1": b"", "data/.my/c/a2": b"", "data/.my/c/b with space": b""}
    platform.directories.add("data/.my/d")
    platform.directories.add("data/.my/empty")


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["cat", ".my/c/a"], [".my/c/a1", ".my/c/a2"]),
        (["cat", "data://.my/c/a"], ["data://.my/c/a1", "data://.my/c/a2"]),
        (["ls", ".my/"], [".my/c/", ".my/d/", ".my/empty/"]),
        (["ls", ".my/e"], [".my/empty/"]),
        (["ls", ".my/c"], [".my/c/a1", ".my/c/a2", ".my/c/b with space"]),
        (["rm", ".my/c/a1", ".my/c/b"], [".my/c/b with space"]),
        (["ls", "j"], ["jane/"]),
        (["ls", "data://.m"], ["data://.my/c/", "data://.my/d/", "data://.my/empty/"]),
        (["cp", ".my/c/a"], [".my/c/a1", ".my/c/a2"]),
        (["cp", "./x", "data://.my/d"], ["data://.my/d/"]),
        (["sync", "./x", "data://.my/d"], ["data://.my/d/"]),
        (["mv", ".my/c/a"], [".my/c/a1", ".my/c/a2"]),
        (["stat", ".my/e"], [".my/empty/"]),
        (["acl", "get", ".my/e"], [".my/empty/"]),
        (["cp", ".m"], [".my/c/", ".my/d/", ".my/empty/"]),
        (["cat", ".my/nope/"], []),
        (["cat", "data+label://x"], []),
        (["cat", "ftp://x"], []),
    ],
)
def test_paths_of_the_platform(home, platform, words, values):
    assert complete(home, *words) == values
    assert len(platform.log) <= 2


@pytest.mark.parametrize(
    "words", [["cp", ""], ["cp", "fri"], ["mv", "fri"], ["sync", "fri"], ["cp", "./x"], ["ls", "/t"], ["cat", "../"]]
)
def test_local_paths_are_left_to_the_shell(home, platform, words):
    result = home.run(
        environ={"_ALGO_COMPLETE": "fish_complete", "COMP_WORDS": f"algo {words[0]}", "COMP_CWORD": words[1]}
    )
    assert result.text.startswith("file,")
    assert platform.log == []


def test_a_platform_that_is_away_costs_no_word(home):
    assert complete(home, "cat", ".my/", ALGORITHMIA_API="http://127.0.0.1:9") == []


def test_a_failing_one_is_asked_once(home, platform):
    platform.fail("GET", "", 503, times=9)
    assert complete(home, "cat", ".my/") == []
    assert len(platform.log) == 1


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_in_bash_a_data_uri_goes_on_behind_its_colon(home, platform):
    platform.files["data/.my/c/long-name"] = b""
    algo = home.command()[0]
    environ = {**home.environ, "PATH": f"{algo.rpartition('/')[0]}:{home.environ['PATH']}", "PS1": "> ", "TERM": "dumb"}
    child = pexpect.spawn("bash", ["--norc", "--noprofile", "-i"], env=environ, encoding="utf-8", timeout=60)
    child.expect("> ")
    child.sendline('eval "$(algo completion bash)"; echo rea""dy')
    child.expect("\r\nready\r\n.*> ")
    child.send("algo cat data://.my/c/lo\t")
    child.expect("ng-name ")
    child.send("\x01echo [\x05]\r")
    child.expect(r"\n\[algo cat data://\.my/c/long-name \]")
    child.close()
