"""`TEST_CASES.json`: inputs of an algorithm and expected results, in the format of the platform's CI action."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from algo_core.text import decoded
from algo_local.algorithms.build import BuildError
from algo_local.algorithms.configuration import meant, read_configuration

if TYPE_CHECKING:
    from algo_local.execution.payload import Outcome

NAME = "TEST_CASES.json"

EXACT, GREATER, LESS, NO_EXCEPTION, EXCEPTION = KINDS = (
    *("EXACT_MATCH", "GREATER_OR_EQUAL", "LESS_OR_EQUAL"),
    *("NO_EXCEPTION", "EXCEPTION"),
)
"""What can be expected of a result: that it equals something, that it is a number at least or at most as large, that
there is one, that there is none."""

_MEMBERS = ("case_name", "input", "expected_output", "type", "tree")
LIKE = '{"case_name": "a", "input": 1, "expected_output": 2}'
_SHOWN = 200
"""Characters of a value in a message."""


@dataclass(frozen=True, slots=True)
class Case:
    """An input, and what is expected of its result."""

    name: str
    input: Any
    kind: str = NO_EXCEPTION
    expected: Any = None
    tree: tuple[str | int, ...] = ()
    """Keys and indexes that lead from the result to the value that is compared."""

    def failure(self, outcome: Outcome) -> str | None:
        """What is wrong with what came of the call; None if that is what was expected."""
        if outcome.failure or not outcome.result:
            message = outcome.failure.message if outcome.failure else "no result"
            return None if self.kind == EXCEPTION else f"it failed: {message}"
        if self.kind == EXCEPTION:
            return f"it should have failed, and gave {_shown(outcome.result.data)}"
        return None if self.kind == NO_EXCEPTION else self._difference(outcome.result.data)

    def _difference(self, value: Any) -> str | None:
        for step in self.tree:
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                return f"the result has no {step!r} at {list(self.tree)}: {_shown(value)}"
        where = f" at {list(self.tree)}" if self.tree else ""
        if self.kind == EXACT:
            return None if value == self.expected else f"expected {_shown(self.expected)}{where}, got {_shown(value)}"
        if not isinstance(value, (int, float)):
            return f"expected a number{where}, got {_shown(value)}"
        is_met = value >= self.expected if self.kind == GREATER else value <= self.expected
        word = "least" if self.kind == GREATER else "most"
        return None if is_met else f"expected at {word} {self.expected}{where}, got {value}"


def read_cases(directory: Path) -> list[Case]:
    """The cases of a directory; none if it has no such file.

    Raises:
        BuildError: if the file cannot be read, or a case is none.
    """
    path = directory / NAME
    try:
        found = json.loads(decoded(path.read_bytes()))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise BuildError(f"Cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise BuildError(f"{path} is not JSON: {error}", "Correct it") from error
    if not isinstance(found, list):
        raise BuildError(f"{path} does not hold a list of cases", "Each is an object with case_name, input, ...")
    return [_case(path, number, members) for number, members in enumerate(found, start=1)]


def _case(path: Path, number: int, members: Any) -> Case:
    where = f"{path}, case {number}"
    for name in members if isinstance(members, dict) else ():
        if name not in _MEMBERS and (close := meant(name, _MEMBERS)):
            raise BuildError(f"{where} has an unknown member {name!r}", f"Did you mean {close!r}?")
    if not isinstance(members, dict) or "input" not in members:
        raise BuildError(
            f"{where} has no input", 'A case looks like {"case_name": "a", "input": 1, "expected_output": 2}'
        )
    kind, tree = members.get("type", EXACT), members.get("tree") or []
    if kind not in KINDS:
        close = meant(str(kind), KINDS)
        hint = f"Did you mean {close!r}?" if close else f"There are {', '.join(KINDS)}"
        raise BuildError(f"{where} has an unknown type {kind!r}", hint)
    if kind in {EXACT, GREATER, LESS} and "expected_output" not in members:
        raise BuildError(f"{where} has no expected_output", f"Add it, or set its type to {NO_EXCEPTION}")
    expected = members.get("expected_output")
    if kind in {GREATER, LESS} and (isinstance(expected, bool) or not isinstance(expected, (int, float))):
        raise BuildError(f"{where}: expected_output must be a number for {kind}", "Correct it")
    if not isinstance(tree, list) or not all(isinstance(step, (str, int)) for step in tree):
        raise BuildError(f"{where}: tree must be a list of keys and indexes", "Correct it")
    return Case(str(members.get("case_name") or f"case {number}"), members["input"], kind, expected, tuple(tree))


def cases_of(directory: Path) -> list[Case]:
    """The cases of a directory, and its sample input, which must not fail. BuildError as for `read_cases`."""
    sample = read_configuration(directory).sample_input
    return [*read_cases(directory), *([Case("sample_input", json.loads(sample))] if sample else [])]


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False) if not isinstance(value, (bytes, bytearray)) else f"{len(value)} bytes"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
