"""`docs/plugins.md`: followed to the letter."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.environments import ROOT, Environment
from support.pages import Session

from algo_core.testing import Home


def test_the_teams_page_is_true(team_environment: Environment, tmp_path: Path) -> None:
    home = Home(tmp_path / "home", program=team_environment.bin / "algo")
    environ = {
        **home.environ,
        **team_environment.pip_settings,
        **team_environment.mypy_settings,
        "PATH": f"{team_environment.bin}:{home.environ['PATH']}",
        "PIP_NO_BUILD_ISOLATION": "0",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    work = tmp_path / "work"
    work.mkdir()
    assert Session(work, environ, {}).follow(ROOT / "docs" / "plugins.md") > 10


@pytest.mark.parametrize(
    "page",
    [
        "$ echo right\nwrong\n",
        "$ false\n",
        "$ false\n...\n",
        "$ echo error: no\nerror: no\n",
        "$ printf 'one\\ntwo\\nthree\\n'\none\n...\ntwo\n",
    ],
)
def test_a_page_that_is_wrong_is_noticed(tmp_path: Path, page: str) -> None:
    (tmp_path / "page.md").write_text(f"```console\n{page}```\n")
    with pytest.raises(AssertionError):
        Session(tmp_path, dict(os.environ), {}).follow(tmp_path / "page.md")
