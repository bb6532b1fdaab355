"""TAB on paths: asked as a shell asks, and in a real one."""

from __future__ import annotations

import pexpect
import pytest
from support.programs import needs
from support.shells import SHELLS


@pytest.fixture(autouse=True)
def completed_files(data_platform):
    data_platform.files |= {"data/.my/c/a1": b"", "data/.my/c/a2": b"", "data/.my/c/b with space": b""}
    data_platform.directories.add("data/.my/d")
    data_platform.directories.add("data/.my/empty")


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
def test_paths_of_the_platform(home, data_platform, words, values):
    assert home.complete(*words) == values
    assert len(data_platform.log) <= 2


@pytest.mark.parametrize(
    "words", [["cp", ""], ["cp", "fri"], ["mv", "fri"], ["sync", "fri"], ["cp", "./x"], ["ls", "/t"], ["cat", "../"]]
)
def test_local_paths_are_left_to_the_shell(home, data_platform, words):
    result = home.run(words[0], "", words[1], environ={"_ALGO_COMPLETE": "zsh"})
    assert result.text.startswith("file\0")
    assert data_platform.log == []


def test_a_platform_that_is_away_costs_no_word(home):
    home.environ["ALGORITHMIA_API"] = "http://127.0.0.1:9"
    assert home.complete("cat", ".my/") == []


def test_a_failing_one_is_asked_once(home, data_platform):
    data_platform.fail("GET", "", 503, times=9)
    assert home.complete("cat", ".my/") == []
    assert len(data_platform.log) == 1


@pytest.mark.parametrize("shell", sorted(SHELLS))
@pytest.mark.parametrize("name", ["long-name", "q$(touch X)", "rep ort.txt", "a,b", "it's"])
def test_a_hosted_name_is_completed_and_run_as_one_word(home, data_platform, tmp_path, shell, name):
    """What `algo completion` prints, in the shell itself, against the platform."""
    needs(shell)
    data_platform.files = {f"data/.my/c/{name}": b"content of " + name.encode()}
    asked = len(data_platform.log)
    (tmp_path / "script").write_bytes(home.run("completion", shell).stdout)
    command, *rest = SHELLS[shell].command
    setup = {"zsh": "autoload -U compinit; compinit -D;"}.get(shell, "") + "source ./script; printf 'rea%s' dy\n"
    environ = {
        **home.environ,
        "PATH": f"{home.program.parent}:{home.environ['PATH']}",
        "PS1": "> ",
        "TERM": "dumb" if shell != "fish" else "xterm",
        "XDG_RUNTIME_DIR": str(tmp_path),  # fish would leave a pipe in /tmp
    }
    child = pexpect.spawn(command, rest, env=environ, cwd=str(tmp_path), encoding="utf-8", timeout=60)
    child.sendline(setup)
    child.expect("ready")
    child.send("algo cat data://.my/c/\t")
    while len(data_platform.log) == asked:  # it is typed when the platform has been asked
        child.expect([pexpect.TIMEOUT, "\\n"], timeout=0.05)
    child.send("\r")
    child.expect_exact(f"content of {name}")
    child.close(force=True)
    assert not (tmp_path / "X").exists()


def test_names_that_would_be_options_are_named_by_their_scheme(home, data_platform):
    data_platform.directories |= {"data/-rf", "data/~x"}
    assert {"data://-rf/", "data://~x/"} <= set(home.complete("ls", ""))
