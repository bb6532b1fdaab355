"""Fixtures of one name are one kind of object, wherever they are: who has read one knows the others."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.environments import ROOT

YIELDED = ("Iterator", "Generator")


def modules() -> Iterator[Path]:
    """Every module that may define fixtures."""
    yield ROOT / "algo_core" / "testing" / "plugin.py"
    for path in sorted((ROOT / "tests").rglob("*.py")):
        if "frozen" not in path.parts:
            yield path


def whole_names(tree: ast.Module, module: str) -> dict[str, str]:
    """The names of a module, and what they are called where they are defined."""
    defined = (node.name for node in tree.body if isinstance(node, ast.ClassDef))
    names = {name: f"{module}.{name}" for name in defined}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            names |= {found.asname or found.name: f"{node.module}.{found.name}" for found in node.names}
    return names


def kind_of(function: ast.FunctionDef, names: dict[str, str]) -> str:
    """The type of a fixture, with whole names; what is yielded, if it is a generator."""
    returns = function.returns
    if isinstance(returns, ast.Subscript) and isinstance(returns.value, ast.Name) and returns.value.id in YIELDED:
        returns = returns.slice.elts[0] if isinstance(returns.slice, ast.Tuple) else returns.slice
    if returns is None:
        return "not annotated"
    for node in ast.walk(returns):
        if isinstance(node, ast.Name):
            node.id = names.get(node.id, node.id)
    return ast.unparse(returns)


def is_fixture(function: ast.FunctionDef) -> bool:
    """Whether one of the decorators is that of fixtures."""
    calls = (found.func if isinstance(found, ast.Call) else found for found in function.decorator_list)
    return any(ast.unparse(found) in {"pytest.fixture", "fixture"} for found in calls)


def fixtures(source: str, module: str) -> Iterator[tuple[str, str]]:
    """The fixtures of a module: names and types."""
    tree = ast.parse(source)
    names = whole_names(tree, module)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and is_fixture(node):
            yield node.name, kind_of(node, names)


def disagreeing(sources: dict[str, str]) -> list[str]:
    """The names that mean several things, and where."""
    kinds: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    count: dict[str, int] = defaultdict(int)
    for module, source in sources.items():
        for name, kind in fixtures(source, module) if "fixture" in source else ():
            kinds[name][kind].add(module)
            count[name] += 1
    return [
        f"{name}: {kind} in {', '.join(sorted(where))}: give one of them another name"
        for name, found in sorted(kinds.items())
        for kind, where in sorted(found.items())
        if len(found) > 1 or (count[name] > 1 and kind == "not annotated")
    ]


def test_fixtures_of_one_name_are_of_one_type() -> None:
    sources = {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in modules()}
    assert len(sources) > 100
    assert disagreeing(sources) == []


FIXTURE = "import pytest\n{head}\n@pytest.fixture{call}\ndef home(tmp_path){returns}: ...\n"


@pytest.mark.parametrize(
    ("head", "call", "returns", "is_another"),
    [
        ("from algo_core.testing import Home", "", " -> Home", False),
        ("from algo_core.testing import Home", "(scope='module')", " -> Iterator[Home]", False),
        ("from algo_core.testing import Home as House", "", " -> Generator[House, None, None]", False),
        ("from pathlib import Path", "", " -> Path", True),
        ("class Home: ...", "", " -> Home", True),
        ("", "", " -> None", True),
        ("", "", "", True),
        ("from algo_core.testing import Home", "", " -> list[Home]", True),
    ],
)
def test_a_second_meaning_is_told(head: str, call: str, returns: str, is_another: bool) -> None:
    first = FIXTURE.format(head="from algo_core.testing import Home", call="", returns=" -> Home")
    second = FIXTURE.format(head=head, call=call, returns=returns)
    assert bool(disagreeing({"one": first, "two": second})) is is_another


def test_two_fixtures_without_types_are_told() -> None:
    source = FIXTURE.format(head="", call="", returns="")
    assert disagreeing({"one": source, "two": source})


def test_generated_examples_are_the_same_in_every_run() -> None:
    """Hypothesis' own settings choose other examples each time, and fail where a machine is slow."""
    choosing = [path for path in modules() if re.search(r"from hypothesis import .*\bsettings\b", path.read_text())]
    assert [path.name for path in choosing] == ["chance.py"]
