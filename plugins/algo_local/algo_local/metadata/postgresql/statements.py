"""Statements and values in PostgreSQL's form: placeholders, truth values, and texts with any character."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from psycopg.adapt import Dumper, Loader
from psycopg.postgres import types

if TYPE_CHECKING:
    import psycopg

_PART = re.compile(r"('(?:[^']|'')*')|([?%])")
_ESCAPE = "\uffff"
"""A code point that is no character and that PostgreSQL stores; it stands before what it does not store."""

_ESCAPED = re.compile(f"{_ESCAPE}(.)")
_NUL, _ITSELF = "0", "1"


@lru_cache(maxsize=4000)
def translated(sql: str) -> str:
    """A statement with psycopg's placeholders instead of question marks, except in quoted texts."""

    def written(found: re.Match[str]) -> str:
        if found[1]:
            return found[1].replace("%", "%%")
        return "%s" if found[2] == "?" else "%%"

    return _PART.sub(written, sql)


def stored(values: Sequence[Any]) -> Sequence[Any]:
    """Values as they are sent: in texts, NUL is written as what PostgreSQL accepts."""
    for value in values:
        if type(value) is str and ("\0" in value or _ESCAPE in value):
            return [_escaped(each) if isinstance(each, str) else each for each in values]
    return values


def found(row: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
    """A row as it was given to `stored`."""
    if row is not None:
        for value in row:
            if type(value) is str and _ESCAPE in value:
                return tuple(_unescaped(each) if isinstance(each, str) else each for each in row)
    return row


def _escaped(text: str) -> str:
    return text.replace(_ESCAPE, _ESCAPE + _ITSELF).replace("\0", _ESCAPE + _NUL)


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda match: "\0" if match[1] == _NUL else _ESCAPE, text)


class _TruthValue(Dumper):
    """Truth values are integers in the schema."""

    oid = types["int2"].oid

    def dump(self, obj: bool) -> bytes:
        """0 or 1."""
        return b"1" if obj else b"0"


class _TruthLoader(Loader):
    """Conditions that a query returns are 0 or 1, as the truth values of the schema."""

    def load(self, data: Any) -> int:
        """0 or 1."""
        return int(bytes(data) == b"t")


class _NumberLoader(Loader):
    """Sums of integers are numbers of any size to PostgreSQL."""

    def load(self, data: Any) -> int | float:
        """An integer, if it is one."""
        text = bytes(data)
        return int(text) if text.lstrip(b"-").isdigit() else float(text)


def adapt(connection: psycopg.Connection[Any]) -> None:
    """Have a connection take and return values of the contract's types."""
    connection.adapters.register_dumper(bool, _TruthValue)
    connection.adapters.register_loader("bool", _TruthLoader)
    connection.adapters.register_loader("numeric", _NumberLoader)
