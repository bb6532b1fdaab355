"""The public API: its page is that of the code, it changes only on purpose, and plugins import nothing else of the core."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

import pytest
from support.environments import ROOT

_SPEC = importlib.util.spec_from_file_location("algo_docs_public_api", ROOT / "docs" / "public_api.py")
assert _SPEC
assert _SPEC.loader
public_api = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(public_api)

CHANGED = """
The public API has changed. Plugins rely on it: keep what has gone or changed for one minor version with a
DeprecationWarning (algo_core/moved.py), write a news fragment, and record it: make docs
"""


def test_names_and_signatures_are_those_of_the_record() -> None:
    recorded = set(public_api.RECORD.read_text("utf-8").splitlines())
    found = set(public_api.surface().splitlines())
    assert (sorted(recorded - found), sorted(found - recorded)) == ([], []), CHANGED


def test_the_page_is_that_of_the_code() -> None:
    assert public_api.PAGE.read_text("utf-8") == public_api.page(), "run: make docs"


@pytest.mark.parametrize("name", public_api.PUBLIC)
def test_everything_public_says_what_it_is_for(name: str) -> None:
    module = importlib.import_module(name)
    silent = [
        member
        for member, value in public_api.members(module)
        if callable(value) and not (value.__doc__ or "").strip() and value.__module__ == name
    ]
    assert silent == []


PRIVATE_FOR_US = {
    "algo_plugins": "it installs, examines and records plugins, which is the core's own business",
}
"""Distributions of ours that may look behind the public API, and why."""


def imports(path: Path) -> set[str]:
    """The modules of the core that a file imports, at its beginning or later."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "algo_core":
            whole = [f"{node.module}.{name.name}" for name in node.names]
            is_package = (ROOT / node.module.replace(".", "/")).is_dir()
            modules = [name for name in whole if (ROOT / f"{name.replace('.', '/')}.py").exists()]
            found |= set(modules) if is_package and modules else {node.module}
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names if name.name.split(".")[0] == "algo_core"}
    return found


PACKAGES = sorted(
    path.parent for pattern in ("plugins/*/*/plugin.py", "examples/*/*/plugin.py") for path in ROOT.glob(pattern)
)


def private(path: Path) -> set[str]:
    """The private names that a file imports from the core."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module in public_api.PUBLIC:
            listed = getattr(importlib.import_module(node.module), "__all__", None)
            names = {name.name for name in node.names if f"{node.module}.{name.name}" not in public_api.PUBLIC}
            hidden = {name for name in names if name.startswith("_") and name != "__version__"}
            found |= {f"{node.module}.{name}" for name in (names - set(listed) if listed else set()) | hidden}
    return found


SOURCES = {
    package: [path for path in package.rglob("*.py") if "templates" not in path.parts]
    for package in PACKAGES
    if package.name not in PRIVATE_FOR_US
}


@pytest.mark.parametrize("package", SOURCES, ids=lambda path: path.name)
def test_plugins_import_public_names_only(package: Path) -> None:
    allowed = {*public_api.PUBLIC, "algo_core.storage"}
    used = {name for path in SOURCES[package] for name in imports(path)}
    assert sorted(used - allowed) == []
    assert sorted(name for path in SOURCES[package] for name in private(path)) == []
