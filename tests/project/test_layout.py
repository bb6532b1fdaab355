"""Where tests are: in the folder of the package that they test, so that who knows one finds the other."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.environments import ROOT

CROSSING = {
    "documentation": "what pages and docstrings say",
    "enterprise": "the example bundle of a company",
    "examples": "the other examples",
    "faults": "what goes wrong between a command and the platform",
    "journeys": "what a person does from the installation on",
    "project": "the tests themselves, the capacity model, and files for deployment",
    "teams": "what people who write plugins are promised",
}
"""Folders of tests that no single package could pass or fail."""


def packages() -> set[str]:
    """The wings: every package of every distribution, as a path."""
    roots = [ROOT / "algo_core", *(path.parent / path.parent.name for path in ROOT.glob("plugins/*/pyproject.toml"))]
    found = (file.parent.relative_to(root.parent) for root in roots for file in root.rglob("__init__.py"))
    return {path.as_posix() for path in found}


def misplaced(tests: Path, wings: set[str]) -> list[str]:
    """The folders that hold tests and have no wing of their name, and where their tests go."""
    folders = {file.parent.relative_to(tests) for file in tests.rglob("test_*.py") if "frozen" not in file.parts}
    return [
        f"tests/{folder.as_posix()} is the name of no package: a test goes to tests/PACKAGE/WING, such as "
        f"tests/algo_core/http for algo_core/http, or to one of {', '.join(sorted(CROSSING))}"
        for folder in sorted(folders)
        if folder.as_posix() not in wings and folder.as_posix() not in CROSSING
    ]


def test_every_folder_of_tests_has_the_name_of_a_package() -> None:
    assert misplaced(ROOT / "tests", packages()) == []


@pytest.mark.parametrize("folder", ["data", "algo_core/web", "algo_data/engine/plans", "journeys/more", "."])
def test_a_folder_of_another_name_is_told(folder: str, tmp_path: Path) -> None:
    for name in (folder, "algo_core/http", "journeys", "frozen/v1/tests"):
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / name / "test_it.py").touch()
    (told,) = misplaced(tmp_path, packages())
    assert Path(told.split()[0]) == Path("tests") / folder
