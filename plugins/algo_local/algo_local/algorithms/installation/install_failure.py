"""Diagnoses failures of pip and uv: the package, the reason, and the remedy."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import NamedTuple

_CONFLICT = re.compile(r"ERROR: (Cannot install .+? because these package versions have conflicting dependencies)")
_INVALID = re.compile(r"ERROR: (Invalid requirement: .+?)(?: \(from line \d+ of .*\))?$")
_MISSING = re.compile(r"ERROR: (No matching distribution found for ([^\s(]+.*?))(?: \(from .*\))?$")
_VERSIONS = re.compile(r"\(from versions: (.+)\)")
_UNBUILT = (
    re.compile(r"\s*ERROR: Failed building wheel for (\S+)"),
    re.compile(r"ERROR: Failed to build '([^']+)'"),
    re.compile(r".*Failed to (?:build|download and build) `([^`@]+)(?: @ [^`]*)?`"),
    re.compile(r"ERROR: (?:Could not build wheels|Failed to build installable wheels) for ([^\s,]+)"),
)
_COLLECTING = re.compile(r"(?:Collecting|Processing) ([^\s(]+)")
_STOPPED = re.compile(r"error: (?:metadata-generation-failed|subprocess-exited-with-error)|.*did not run successfully")
_SAID = re.compile(r"\s*(?:(?:╰─>|\\->) \[\d+ lines? of output\]|\[std(?:out|err)\]:?$)")
_HINTS = re.compile(r"\s*(?:hint:|\[end of output\]|note:)")
_UNREACHABLE = re.compile(r"Failed to establish a new connection|Name or service not known|name resolution|timed out")
_FATAL = re.compile(r":\d+: (?:fatal )?error: |fatal error:|: not found$")
_RAISED = re.compile(r"(?:\w+\.)*\w*(?:Error|Exception|Exit)\b(?::.*)?|error: .*", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SHOWN = 3
"""Versions, or lines of a conflict, that are shown."""


_FAILURES = ("ERROR: ", "error: ", "  \N{MULTIPLICATION SIGN} ")
_CAUSES = ("  cause: ", "  ├─▶ ", "  ╰─▶ ", "  Caused by: ")
"""How the lines begin in which pip and uv, of any version, say why they fail; uv goes on with causes."""

_LONGEST = 300
"""Characters of a reason."""


class Reason(NamedTuple):
    """A reason as a clause, and the remedy."""

    message: str
    hint: str = ""


def reason_of(lines: Sequence[str], requirements: Sequence[str], file: str) -> Reason | None:
    """The reason in an installer's output; None if it gives none. `requirements` are the lines of `file`."""
    where = _Where(requirements, file)
    for line in lines:
        if match := _CONFLICT.match(line):
            causes = [one.strip() for one in _after(lines, "The conflict is caused by:")][:_SHOWN]
            return Reason(_cut(match[1]), "; ".join([*causes, f"loosen one of the versions in {file}"]))
        if match := _INVALID.match(line):
            return Reason(match[1], f"Correct it in {file}")
        if match := _MISSING.match(line):
            return Reason(match[1], _versions(lines, where, match[2]))
    return _unbuilt(lines, where) or _unreachable(lines) or _chain(lines, where)


class _Where:
    """Where a package is required."""

    def __init__(self, requirements: Sequence[str], file: str) -> None:
        self.file = file
        self.lines = {_plain(line): line.strip() for line in reversed(requirements) if _plain(line)}

    def of(self, package: str) -> str:
        """The requirement, and what has it."""
        line = self.lines.get(_plain(package))
        return f"{line!r} in {self.file}" if line else f"{self.file}, where something requires {package}"


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
    """The versions of a package that can be installed instead."""
    name = match[0] if (match := _NAME.match(package)) else package
    offered = next((match[1] for line in lines if (match := _VERSIONS.search(line))), "none")
    if any("Could not fetch URL" in line or _UNREACHABLE.search(line) for line in lines):
        return "The package index cannot be reached; check the network, then try again"
    if offered == "none":
        return f"Check the name: {where.of(name)}"
    newest = ", ".join(offered.split(", ")[-_SHOWN:])
    python = f"Python {sys.version_info.major}.{sys.version_info.minor}"
    return f"Change {where.of(name)}; versions of {name} for {python} are, among others, {newest}"


def _unbuilt(lines: Sequence[str], where: _Where) -> Reason | None:
    """The reason for a package without a wheel whose build failed."""
    package = next((match[1] for line in lines for pattern in _UNBUILT if (match := pattern.match(line))), "")
    if not package:
        stopped = next(
            (number for number, line in enumerate(lines) if _STOPPED.match(line.strip(" \N{MULTIPLICATION SIGN}"))),
            None,
        )
        if stopped is None:
            return None
        package = next((m[1] for line in reversed(lines[:stopped]) if (m := _COLLECTING.match(line.strip()))), "")
        if not package:
            return None
    python = f"Python {sys.version_info.major}.{sys.version_info.minor}"
    hint = f"Change {where.of(package)} to a version that has a wheel for {python}"
    return Reason(f"{package} could not be built: {_cause(lines)}", hint)


def _cause(lines: Sequence[str]) -> str:
    """The most telling line of a package's own output."""
    begins = [number for number, line in enumerate(lines) if _SAID.match(line)]
    after = lines[begins[-1] + 1 if begins else 0 :]
    ends = next((number for number, line in enumerate(after) if _HINTS.match(line)), len(after))
    said = [line.strip() for line in after[:ends] if line.strip()]
    fatal = next((line for line in said if _FATAL.search(line)), None)
    raised = next((line for line in reversed(said) if _RAISED.fullmatch(line)), None)
    return _cut(fatal or raised or (said[-1] if said else "it does not say why"))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _unreachable(lines: Sequence[str]) -> Reason | None:
    if any(_UNREACHABLE.search(line) for line in lines):
        return Reason("the package index cannot be reached", "Check the network, then try again")
    return None


def _chain(lines: Sequence[str], where: _Where) -> Reason | None:
    """Pip's last error, uv's chain of causes."""
    chain: list[str] = []
    for line in lines:
        if mark := next(filter(line.startswith, _FAILURES), ""):
            chain = [line[len(mark) :]]
        elif chain and (mark := next(filter(line.startswith, _CAUSES), "")):
            chain.append(line[len(mark) :])
    if not chain:
        return None
    message = ": ".join(part.rstrip(":") for part in chain)
    words = {_plain(word) for word in re.findall(r"[\w.-]+", message)}
    named = [where.of(name) for name in where.lines if name in words]
    return Reason(message, f"Change {' or '.join(named)}" if named else f"Correct {where.file}")
