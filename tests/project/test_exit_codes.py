"""Exit codes are named, in tests as in the code: `ExitCode.NOT_FOUND` says what 5 does not."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest
from support.environments import ROOT

from algo_core.errors import EXIT_CODES, AlgoError, ExitCode

NAMES = {"code", "exit_code", "exitstatus", "returncode"}
"""What exit codes are called, as an attribute, a variable, an argument or a parameter of a test."""

OTHERS = {"returncode"}
"""What those of other programs are called, too: 0 needs no name there."""


def called(node: ast.expr) -> str:
    """The last part of a name."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def numbers(node: ast.expr, name: str) -> Iterator[ast.Constant]:
    """The exit codes that are written as numbers where one called `name` is meant: alone, in a choice or in a set."""
    if isinstance(node, ast.Constant):
        if type(node.value) is int and node.value in list(ExitCode) and not (name in OTHERS and node.value == 0):
            yield node
    elif isinstance(node, (ast.Tuple, ast.List, ast.Set)):
        for element in node.elts:
            yield from numbers(element, name)
    elif isinstance(node, ast.IfExp):
        yield from numbers(node.body, name)
        yield from numbers(node.orelse, name)


def compared(meant: ast.expr, value: ast.expr) -> Iterator[ast.Constant]:
    """The numbers in `value` that stand where `meant` has an exit code; several values may be to choose from."""
    if called(meant) in NAMES:
        yield from numbers(value, called(meant))
    elif isinstance(meant, ast.Tuple) and isinstance(value, ast.Tuple) and len(meant.elts) == len(value.elts):
        for one, other in zip(meant.elts, value.elts, strict=True):
            yield from compared(one, other)
    elif isinstance(meant, ast.Tuple) and isinstance(value, (ast.Tuple, ast.List, ast.Set)):
        for element in value.elts:
            yield from compared(meant, element)


def parametrized(call: ast.Call) -> Iterator[ast.Constant]:
    """The numbers in the rows of a test whose parameter is an exit code."""
    if called(call.func) != "parametrize" or len(call.args) < 2:
        return
    names = ast.literal_eval(call.args[0])
    meant = [ast.Name(name) for name in (names.replace(",", " ").split() if isinstance(names, str) else names)]
    for row in getattr(call.args[1], "elts", ()):
        cells = ast.Tuple(row.args) if isinstance(row, ast.Call) else row
        yield from compared(ast.Tuple(meant), cells) if len(meant) > 1 else compared(meant[0], cells)


def unnamed(source: str) -> list[int]:
    """The lines on which an exit code is a number."""
    found: list[ast.Constant] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare):
            left = node.left
            for operator, right in zip(node.ops, node.comparators, strict=True):
                if isinstance(operator, (ast.Eq, ast.NotEq, ast.In, ast.NotIn)):
                    found += [*compared(left, right), *compared(right, left)]
                left = right
        elif isinstance(node, ast.Call):
            found += parametrized(node)
        elif isinstance(node, ast.keyword) and node.arg in NAMES - OTHERS:
            found += numbers(node.value, node.arg)
        elif isinstance(node, ast.For):
            for element in getattr(node.iter, "elts", ()):
                found += compared(node.target, element)
    return sorted({number.lineno for number in found})


def test_exit_codes_are_named() -> None:
    files = [path for path in (ROOT / "tests").rglob("*.py") if "frozen" not in path.parts]
    files += [path for top in ("algo_core", "plugins") for path in (ROOT / top).rglob("*.py")]
    assert len(files) > 300
    found = {str(path.relative_to(ROOT)): unnamed(path.read_text("utf-8")) for path in files}
    assert {path: lines for path, lines in found.items() if lines} == {}, "use algo_core.errors.ExitCode"


@pytest.mark.parametrize(
    "source",
    [
        "assert result.code == 5",
        "assert 0 == result.code",
        "assert one.code == other.code == 0",
        "assert result.code in {6, 7}",
        "assert result.code != 0, result.stderr",
        "assert (result.code, result.text) == (0, '')",
        "assert (result.code, result.text) in [(0, ''), (6, '')]",
        "assert (result.text, process.returncode) == ('', 141)",
        "assert result.code == (2 if how == 'all' else ExitCode.OK)",
        "code, shown = run()\nassert code == 3",
        "assert child.exitstatus == 130",
        "run('cp', code=1)",
        "@pytest.mark.parametrize(('words', 'code'), [(['ls'], 5)])\ndef test(words, code): ...",
        "@pytest.mark.parametrize('words, code', [pytest.param(['ls'], 5, id='x')])\ndef test(words, code): ...",
        "@pytest.mark.parametrize('code', [4, 5])\ndef test(code): ...",
        "for words, code in ((['ls'], 5), (['rm'], 1)): ...",
        "if error.exit_code == 4: ...",
    ],
)
def test_a_number_is_found(source: str) -> None:
    assert unnamed(source)


@pytest.mark.parametrize(
    "source",
    [
        "assert result.code == ExitCode.NOT_FOUND",
        "assert done.returncode == 0",
        "assert error['code'] == 5",
        "assert process.returncode < 1",
        "assert response.status == 5",
        "assert (result.code, len(found)) == (ExitCode.OK, 4)",
        "@pytest.mark.parametrize(('count', 'code'), [(5, ExitCode.OK)])\ndef test(count, code): ...",
    ],
)
def test_nothing_else_is(source: str) -> None:
    assert unnamed(source) == []


def test_every_code_has_a_name_and_every_failure_one_of_them() -> None:
    assert set(EXIT_CODES) == set(ExitCode) - {ExitCode.HUNG_UP}
    own = [kind for kind in AlgoError.__subclasses__() if kind.__module__.startswith("algo_")]
    kinds = [AlgoError, *own]
    assert {type(kind.exit_code) for kind in kinds} == {ExitCode}
    assert [f"{code} {code:>3} {code!s}" for code in (ExitCode.OK, ExitCode.TERMINATED)] == ["0   0 0", "143 143 143"]
