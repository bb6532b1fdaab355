"""Matches the path of a request against the table's templates (API sections 3.1, 4.1)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from algo_local.web.http import decode
from algo_local.web.operations import OPERATIONS, Access, Operation

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_COMPONENT = re.compile(r"([^/]+)/*")
_VERSION = re.compile(r"/+v1(?:/+|$)")


class Route(NamedTuple):
    """The route of a path: its operations by method, and the values of the template's names."""

    operations: Mapping[str, Operation]
    parameters: Mapping[str, str]
    """Decoded, except for those whose name ends in `*`."""

    def operation(self, method: str) -> Operation | None:
        """The operation of a method; HEAD uses that of GET."""
        return self.operations.get(method) or (self.operations.get("GET") if method == "HEAD" else None)

    @property
    def for_pages(self) -> bool:
        """Whether scripts in web pages may read all responses, including errors (API section 1.1)."""
        return "OPTIONS" in self.operations

    @property
    def least(self) -> Access:
        """The least demanding access of the path's operations, without OPTIONS."""
        found = [operation.access for operation in self.operations.values() if operation.method != "OPTIONS"]
        return min(found, key=lambda access: access.who)

    @property
    def allowed(self) -> str:
        """The value of `Allow`."""
        methods = list(self.operations)
        if "GET" in methods and "HEAD" not in methods:
            methods.insert(methods.index("GET") + 1, "HEAD")
        return ", ".join(methods)


def find(path: str) -> Route | None:
    """The route of an undecoded path, doubled and trailing slashes ignored; None if there is none.

    Raises:
        ApiError: if the path is no text.
    """
    version = _VERSION.match(path)
    if not version:
        return None
    rest = path[version.end() :]
    first, _, others = rest.partition("/")
    word = decode(first)
    given: list[str] | None = None
    for template in _templates().get(word, ()):
        if template.tail:
            parameters = template.match_tail(rest)
        elif template.is_word:
            parameters = None if others.strip("/") else dict(template.values)
        else:
            if given is None:
                given = [word, *[decode(part) for part in others.split("/") if part]]
            parameters = template.match(given)
        if parameters is not None:
            return Route(template.operations, parameters)
    return None


class _Template:
    """A path of the table, and its operations."""

    def __init__(self, path: str) -> None:
        *self.parts, last = path.split("/")
        self.tail = last[1:-1] if last.endswith("*}") else ""
        """The name of the undecoded rest, if it ends in one."""
        if not self.tail:
            self.parts.append(last)
        self.is_word = not self.tail and len(self.parts) == 1
        """Whether it is the first word alone."""
        self.operations: dict[str, Operation] = {}
        self.values: dict[str, str] = {}
        """The values of names that no component gives."""

    def be_root_of(self, template: _Template) -> None:
        """Also serve the operations of `template` with an empty rest, unless this path has its own."""
        self.operations = {**template.operations, **self.operations}
        self.values = {template.tail: ""}

    def match(self, given: list[str]) -> dict[str, str] | None:
        """The values of its names; None if it does not match."""
        parameters = dict(self.values)
        at = 0
        for part in self.parts:
            if at >= len(given):
                return None
            if part == "{algorithm}":
                width = 1 if _ID.fullmatch(given[at]) else 2
                if at + width > len(given):
                    return None
                parameters["algorithm"] = "/".join(given[at : at + width]).lower()
                at += width
                continue
            if part[0] == "{":
                parameters[part[1:-1]] = given[at]
            elif given[at] not in part.split("|"):
                return None
            at += 1
        return parameters if at == len(given) else None

    def match_tail(self, rest: str) -> dict[str, str] | None:
        """As `match`, from the undecoded path: what follows the first components is not looked into."""
        for part in self.parts:
            component = _COMPONENT.match(rest)
            if not component or decode(component[1]) != part:
                return None
            rest = rest[component.end() :]
        return {self.tail: rest} if rest else None


@cache
def _templates() -> dict[str, list[_Template]]:
    """The templates of the table by their first word, in the order in which they are tried."""
    by_path: dict[str, _Template] = {}
    found: dict[str, list[_Template]] = {}
    for operation in OPERATIONS:
        template = by_path.get(operation.path)
        if template is None:
            template = by_path[operation.path] = _Template(operation.path)
            for word in operation.path.partition("/")[0].split("|"):
                found.setdefault(word, []).append(template)
        template.operations[operation.method] = operation
    for template in by_path.values():
        if template.tail and (root := by_path.get("/".join(template.parts))):
            root.be_root_of(template)
    return found
