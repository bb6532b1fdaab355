"""The rows of a platform as JSON lines, and back: SQLite and PostgreSQL give the same lines."""

from __future__ import annotations

import base64
import json
import math
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from algo_local.backups.manifest import Damaged
from algo_local.metadata.write_stop import SETTING as STOP

if TYPE_CHECKING:
    from algo_local.metadata.database import Database, Rows

KEYS: dict[str, tuple[str, ...]] = {
    "settings": ("name",),
    "accounts": ("name",),
    "keys": ("id",),
    "algorithms": ("id",),
    "builds": ("id",),
    "versions": ("id",),
    "collections": ("owner", "name"),
    "connectors": ("id",),
    "organization_types": ("id",),
    "organizations": ("name",),
    "members": ("organization", "account"),
    "secrets": ("id",),
    "notifications": ("id",),
    "event_listeners": ("id",),
    "invites": ("code",),
    "reservations": ("id",),
    "features": ("name", "account"),
    "configuration": ("name",),
    "requests": ("id",),
    "request_contents": ("digest",),
    "scms": ("id",),
    "scm_tokens": ("scm", "account"),
    "algorithm_sources": ("algorithm",),
    "request_webhooks": ("request", "kind"),
    "schedules": ("id",),
    "incoming_webhooks": ("id",),
}
"""The tables of a backup with their keys, each after those that it refers to."""

DERIVED = ("digests", "media_types")
"""Tables about files, which a backup has with the files."""

PLAIN_SECRETS = {("algorithm_sources", "webhook_secret"): lambda: secrets.token_hex(20)}
"""Columns with secrets that are not encrypted: a backup without secrets has null, and a restored row a new one."""

PAGE = 500
"""Rows that are read, or written, by one statement."""


def lines_of(rows: Rows, table: str, *, with_secrets: bool = True) -> Iterator[bytes]:
    """The rows of a table, each as a JSON object on a line, in the order of the key as the database sees it."""
    key = ", ".join(KEYS[table])
    marks = ", ".join("?" * len(KEYS[table]))
    after: tuple[object, ...] | None = None
    while True:
        condition = f"WHERE ({key}) > ({marks})" if after is not None else ""
        cursor = rows.execute(f"SELECT * FROM {table} {condition} ORDER BY {key} LIMIT {PAGE}", after or ())
        names = [column[0] for column in cursor.description]
        page = cursor.fetchall()
        for row in page:
            values = dict(zip(names, row, strict=True))
            if table == "settings" and values["name"] == STOP:
                continue
            for name in values if not with_secrets else ():
                if (table, name) in PLAIN_SECRETS:
                    values[name] = None
            yield json.dumps({name: _packed(value) for name, value in values.items()}, sort_keys=True).encode() + b"\n"
        if len(page) < PAGE:
            return
        last = dict(zip(names, page[-1], strict=True))
        after = tuple(last[name] for name in KEYS[table])


_NEW = {"settings": 4, "accounts": 2, "algorithms": 1, "builds": 1, "versions": 3, "organization_types": 3}
"""The rows of a platform that nobody has used."""


def is_untouched(database: Database) -> bool:
    """Whether a platform has only the rows of every new platform."""
    with database.snapshot() as rows:
        return all(rows.execute(f"SELECT count(*) FROM {table}").fetchone()[0] <= _NEW.get(table, 0) for table in KEYS)


def clear(rows: Rows) -> None:
    """Delete all rows inside a transaction, including those of every new platform."""
    for table in (*DERIVED, *reversed(KEYS)):
        rows.execute(f"DELETE FROM {table}")


def load(rows: Rows, table: str, lines: Iterable[bytes]) -> None:
    """Insert rows from their lines inside a transaction.

    Raises:
        Damaged: if a line is not a row of this table.
    """
    names = [column[0] for column in rows.execute(f"SELECT * FROM {table} WHERE 1 = 0").description]
    statement = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
    found = iter(lines)
    while page := list(islice(found, PAGE)):
        rows.executemany(statement, [_row(table, names, line) for line in page])


def _row(table: str, names: list[str], line: bytes) -> tuple[object, ...]:
    values = values_of(table, line)
    if set(values) != set(names):
        raise Damaged(f"A row of the table {table} does not have its columns")
    for name, value in values.items():
        if value is None and (table, name) in PLAIN_SECRETS:
            values[name] = PLAIN_SECRETS[table, name]()
    return tuple(values[name] for name in names)


def values_of(table: str, line: bytes) -> dict[str, Any]:
    """A row from its line, whose paths must stay in the platform's directory.

    Raises:
        Damaged: if it is invalid, or a path leads outside.
    """
    try:
        parsed = json.loads(line)
        values = {name: _unpacked(value) for name, value in parsed.items()}
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError):
        raise Damaged(f"The table {table} has an invalid line: {line[:60]!r}") from None
    for name, is_safe in _PLACES.get(table, {}).items():
        if not isinstance(values.get(name), str) or not is_safe(values[name]):
            raise Damaged(f"The table {table} has a path outside the platform: {str(values.get(name))[:100]!r}")
    return values


def is_component(name: str) -> bool:
    """Whether a name is a single path component that stays in its directory."""
    return name not in {"", ".", ".."} and "/" not in name and "\0" not in name


_PLACES: Mapping[str, Mapping[str, Callable[[str], object]]] = {
    "accounts": {"name": is_component},
    "algorithms": {"id": is_component, "owner": is_component, "name": is_component},
    "builds": {
        "source": re.compile(r"|sources/[^/\0]*[^/\0.][^/\0]*").fullmatch,
        "python": re.compile(r"|environments/[0-9a-f]{40}/bin/[a-zA-Z][a-zA-Z0-9.]*").fullmatch,
    },
    "collections": {"owner": is_component, "name": is_component},
    "connectors": {"id": is_component},
}
"""Columns that become parts of paths."""


def _packed(value: object) -> object:
    if isinstance(value, bytes | memoryview):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    return value


def _unpacked(value: Any) -> Any:
    if not isinstance(value, dict):
        if isinstance(value, list):
            raise ValueError
        return value
    (kind, text), *others = value.items()
    if others or kind not in {"base64", "float"}:
        raise ValueError
    return base64.b64decode(text, validate=True) if kind == "base64" else float(text)
