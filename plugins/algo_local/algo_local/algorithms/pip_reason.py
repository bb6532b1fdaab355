"""Why pip could not install something: the package, the line that says why, and what mends it."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import NamedTuple

_CONFLICT = re.compile(r"ERROR: (Cannot install .+? because these package versions have conflicting dependencies)")
_INVALID = re.compile(r"ERROR: (Invalid requirement: .+?)(?: \(from line (\d+) of .*\))?$")
_MISSING = re.compile(r"ERROR: (No matching distribution found for ([^\s(]+.*?))(?: \(from .*\))?$")
_VERSIONS = re.compile(r"\(from versions: (.+)\)")
_UNBUILT = (
    re.compile(r"\s*ERROR: Failed building wheel for (\S+)"),
    re.compile(r"ERROR: Failed to build '([^']+)'"),
    re.compile(r"ERROR: (?:Could not build wheels|Failed to build installable wheels) for ([^\s,]+)"),
)
_COLLECTING = re.compile(r"(?:Collecting|Processing) ([^\s(]+)")
_STOPPED = re.compile(r"error: (?:metadata-generation-failed|subprocess-exited-with-error)|.*did not run successfully")
_SAID = re.compile(r"\s*(?:╰─>|\\->) \[\d+ lines? of output\]")
_UNREACHABLE = re.compile(r"Failed to establish a new connection|Name or service not known|name resolution|timed out")
_FATAL = re.compile(r"fatal error:|command .* not found|: not found")
_RAISED = re.compile(r"(?:\w+\.)*\w*(?:Error|Exception|Exit)\b(?::.*)?|error: .*", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SHOWN = 3
"""Versions, or lines of a conflict, that are shown."""


class Reason(NamedTuple):
    """Why it failed, as a part of a sentence, and what to do."""

    message: str
    hint: str = ""


def reason_of(lines: Sequence[str], requirements: Sequence[str], file: str) -> Reason | None:
    """The reason in pip's output; None if it gives none. `requirements` are the lines of `file`."""
    where = _Where(requirements, file)
    for line in lines:
        if match := _CONFLICT.match(line):
            causes = [one.strip() for one in _after(lines, "The conflict is caused by:")][:_SHOWN]
            return Reason(match[1], "; ".join([*causes, f"loosen one of the versions in {file}"]))
        if match := _INVALID.match(line):
            line_number = f"line {match[2]} of {file}" if match[2] else file
            return Reason(match[1], f"Correct {line_number}")
        if match := _MISSING.match(line):
            return Reason(match[1], _versions(lines, where, match[2]))
    return _unbuilt(lines, where) or _unreachable(lines) or _last(lines)


class _Where:
    """Where a package is required."""

    def __init__(self, requirements: Sequence[str], file: str) -> None:
        self.file = file
        self._lines = {_plain(line): number for number, line in reversed(list(enumerate(requirements, start=1)))}

    def of(self, package: str) -> str:
        number = self._lines.get(_plain(package))
        return f"line {number} of {self.file}" if number else f"{self.file}, where something requires it"


def _plain(requirement: str) -> str:
    """The name of a package in the form in which names are compared."""
    match = _NAME.match(requirement.strip())
    return re.sub(r"[-_.]+", "-", match[0]).lower().rstrip("-") if match else ""


def _after(lines: Sequence[str], start: str) -> list[str]:
    """The lines after one, up to an empty one."""
    found: list[str] = []
    is_inside = False
    for line in lines:
        if is_inside and not line.strip():
            break
        if is_inside:
            found.append(line)
        is_inside = is_inside or line.strip() == start
    return found


def _versions(lines: Sequence[str], where: _Where, package: str) -> str:
    """What can be installed of a package instead."""
    name = match[0] if (match := _NAME.match(package)) else package
    offered = next((match[1] for line in lines if (match := _VERSIONS.search(line))), "none")
    if any("Could not fetch URL" in line or _UNREACHABLE.search(line) for line in lines):
        return "The package index cannot be reached; check the network, then try again"
    if offered == "none":
        return f"Check the name {name!r} in {where.of(name)}"
    newest = ", ".join(offered.split(", ")[-_SHOWN:])
    python = f"Python {sys.version_info.major}.{sys.version_info.minor}"
    return f"Change {where.of(name)}; versions of {name} for {python} are, among others, {newest}"


def _unbuilt(lines: Sequence[str], where: _Where) -> Reason | None:
    """A package without a wheel, whose own code failed."""
    package = next((match[1] for line in lines for pattern in _UNBUILT if (match := pattern.match(line))), "")
    if not package:
        stopped = next((number for number, line in enumerate(lines) if _STOPPED.match(line.strip(" ×"))), None)
        if stopped is None:
            return None
        package = next((m[1] for line in reversed(lines[:stopped]) if (m := _COLLECTING.match(line.strip()))), "")
        if not package:
            return None
    python = f"Python {sys.version_info.major}.{sys.version_info.minor}"
    hint = f"Change {where.of(package)} to a version that has a wheel for {python}"
    return Reason(f"{package} could not be built: {_cause(lines)}", hint)


def _cause(lines: Sequence[str]) -> str:
    """The line that tells most of what a package's own code has said."""
    begins = [number for number, line in enumerate(lines) if _SAID.match(line)]
    said = [line.strip() for line in lines[begins[-1] + 1 if begins else 0 :] if line.strip()]
    said = said[: said.index("[end of output]")] if "[end of output]" in said else said
    fatal = next((line for line in said if _FATAL.search(line)), None)
    raised = next((line for line in reversed(said) if _RAISED.fullmatch(line)), None)
    return (fatal or raised or (said[-1] if said else "it does not say why"))[:300]


def _unreachable(lines: Sequence[str]) -> Reason | None:
    if any(_UNREACHABLE.search(line) for line in lines):
        return Reason("the package index cannot be reached", "Check the network, then try again")
    return None


def _last(lines: Sequence[str]) -> Reason | None:
    found = next((line for line in reversed(lines) if line.startswith("ERROR: ")), None)
    return Reason(found.removeprefix("ERROR: ")) if found else None
