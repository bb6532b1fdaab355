"""Completion scripts that click generated for version 1.0, and that somebody has installed: what they insert is safe."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.programs import needs
from support.shells import SHELLS, completing
from support.stub import KEY, StubPlatform

from algo_core.testing import Home

NAMES = ["plain", "q$(touch X)", "rep ort.txt", "a,b", "it's", "new\nline", "tab\tname", "*", "esc\x1b[2J"]


@pytest.fixture
def home(algo_home: Home, stub: StubPlatform) -> Home:
    page = {"files": [{"filename": name, "size": 1} for name in NAMES]}
    stub.on("GET", "/v1/data/.my/c", stub.json_answer(page, **{"X-Data-Type": "directory"}))
    algo_home.write_config(f'[profiles.default]\naddress = "{stub.address}"\napi_key = "{KEY}"\n')
    return algo_home


@pytest.mark.parametrize(
    ("shell", "asked", "lines"),
    [
        ("bash", {"COMP_WORDS": "algo cat .my/c/", "COMP_CWORD": "2"}, ["plain,.my/c/plain", "plain,.my/c/a,b"]),
        ("bash", {"COMP_WORDS": "algo cat data : //.my/c/p", "COMP_CWORD": "4"}, ["plain,//.my/c/plain"]),
        ("fish", {"COMP_WORDS": "algo cat .my/c/", "COMP_CWORD": ".my/c/"},
         ["plain,.my/c/plain", "plain,.my/c/q$(touch X)", "plain,.my/c/rep ort.txt", "plain,.my/c/it's", "plain,.my/c/*"]),
        ("zsh", {"COMP_WORDS": "algo cat .my/c/p", "COMP_CWORD": "2"}, ["plain", ".my/c/plain", "_"]),
    ],
)  # fmt: skip
def test_it_is_answered_with_the_names_that_it_inserts_whole(
    home: Home, shell: str, asked: dict[str, str], lines: list[str]
) -> None:
    result = home.run(environ={"_ALGO_COMPLETE": f"{shell}_complete", **asked})
    assert result.text.splitlines() == lines
    left_out = 0 if asked["COMP_WORDS"].endswith("p") else len(NAMES) - len(lines)
    if left_out:
        assert f"warning: {left_out} names cannot be completed" in result.stderr
        assert "algo completion --help" in result.stderr
    else:
        assert result.stderr == ""


@pytest.mark.parametrize("shell", [*SHELLS, "powershell"])
def test_asking_click_for_a_script_gives_ours(algo_home: Home, shell: str) -> None:
    """As `eval "$(_ALGO_COMPLETE=bash_source algo)"` in somebody's start-up file does."""
    assert algo_home.run(environ={"_ALGO_COMPLETE": f"{shell}_source"}).text == algo_home.run("completion", shell).text


@pytest.mark.parametrize("instruction", ["bash", "nonsense", "bash_nonsense", "ksh_complete", "_", "powershell"])
def test_what_cannot_be_answered_is_no_traceback(algo_home: Home, instruction: str) -> None:
    result = algo_home.run(environ={"_ALGO_COMPLETE": instruction})
    assert "Traceback" not in result.stderr


def test_the_script_of_bash_still_works_and_runs_nothing(tmp_path: Path) -> None:
    """Click's own template, asked as bash asks: in a file sourced by a shell, not typed."""
    needs("bash")
    from click.shell_completion import get_completion_class

    kind = get_completion_class("bash")
    assert kind
    script = tmp_path / "script"
    script.write_text(kind(completing([]), {}, "algo", "_ALGO_COMPLETE").source())
    program: Any = (
        f"source {script}; COMP_WORDS=(algo conf); COMP_CWORD=1; _algo_completion algo; echo ${{COMPREPLY[@]}}"
    )
    home = Home(tmp_path / "home")
    environ = {**home.environ, "PATH": f"{home.program.parent}:{home.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", program], env=environ, cwd=tmp_path, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("config\n", "")
