"""Plugins written for earlier versions work unchanged, and pass their own tests (`tests/frozen`)."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from support.environments import ROOT, own_tests, wheels_of

from algo_core.testing import Home

FROZEN = ROOT / "tests" / "frozen"
PROJECTS = sorted(file.parent.relative_to(FROZEN).as_posix() for file in FROZEN.glob("*/*/pyproject.toml"))
TOGETHER = [project for project in PROJECTS if project.startswith("v1.1/")]
"""Projects that can be installed at once: one run tests them all."""

CHOSEN = {"v1.0/acme_bundle": ("-k", "not fails_at_its_very_end")}
"""It deletes what a failed upload left once, which its server may only begin to write afterwards; today's tries again."""


@pytest.mark.parametrize(
    "projects", [*([project] for project in PROJECTS if project not in TOGETHER), TOGETHER], ids=" ".join
)
def test_they_pass_their_own_tests(
    projects: list[str], tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    installed = tmp_path / "site"
    for wheel in wheels_of(tmp_path_factory, *(f"tests/frozen/{project}" for project in projects)).glob("*.whl"):
        zipfile.ZipFile(wheel).extractall(installed)
    home = Home(tmp_path / "home")
    done = subprocess.run(
        [sys.executable, "-m", *own_tests(tmp_path), "-c", FROZEN / projects[0] / "pyproject.toml",
         *(FROZEN / project / "tests" for project in projects), *CHOSEN.get(projects[0], ())],
        cwd=tmp_path,
        env={**home.environ, "PYTHONPATH": str(installed), "ALGO_CACHE_DIR": str(tmp_path / "cache"),
             "PATH": f"{Path(sys.executable).parent}{os.pathsep}{home.environ['PATH']}"},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


def test_there_is_one_of_each_kind() -> None:
    assert {Path(project).name for project in PROJECTS} >= {
        *("algo_reports", "acme_bundle", "acme-greet"),
        *("acme-archive", "acme-company", "acme-cluster"),
    }
