"""Every statement in the source is understood by both databases, also those that no other test executes there."""

from __future__ import annotations

import ast
import importlib
import itertools
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from support.postgresql import PostgresqlServer, database_of

import algo_local
from algo_local.metadata.postgresql.statements import translated
from algo_local.metadata.sqlite import SqliteDatabase

_PACKAGE = Path(algo_local.__file__).parent
_BEGINS = re.compile(r"\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM)\s")
_ELSEWHERE = (
    "metadata/sqlite.py",
    "metadata/migrations.py",
    "metadata/postgresql/",
    "backups/journal.py",
    "metadata/contract.py",
)
"""Modules for one of the databases, for a file of their own, and a test of both."""
_ONLY_POSTGRESQL = ("records/shared_presence.py:", "algorithms/build_leases.py:", "data/shared_repositories.py:")
_ONLY_SQLITE = "sqlite_master"
"""The table that only statements for a file ask."""
_UNTYPED = {"42P18"}
"""The server's code for a value whose type only the caller knows."""


def text_of(node: ast.expr, names: dict[str, object]) -> str | None:
    """The text of a literal, or of a formatted one whose parts are constants of its module; None for any other."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if not isinstance(node, ast.JoinedStr):
        return None
    parts = []
    for part in node.values:
        if isinstance(part, ast.Constant):
            parts.append(str(part.value))
        elif isinstance(part, ast.FormattedValue) and isinstance(part.value, ast.Name) and part.value.id in names:
            parts.append(str(names[part.value.id]))
        else:
            return None
    return "".join(parts)


def literals(node: ast.AST) -> Iterator[ast.expr]:
    """All texts as a whole; those that are put together from others are left out."""
    if isinstance(node, (ast.Constant, ast.JoinedStr)):
        yield node
    elif not isinstance(node, ast.BinOp):
        for child in ast.iter_child_nodes(node):
            yield from literals(child)


def statements() -> Iterator[tuple[str, str]]:
    """Where each statement is, and its text."""
    for path in sorted(_PACKAGE.rglob("*.py")):
        place = path.relative_to(_PACKAGE).as_posix()
        if place.startswith(_ELSEWHERE):
            continue
        source = path.read_text("utf-8")
        if not re.search(r"(SELECT|INSERT INTO|UPDATE|DELETE FROM) ", source):
            continue
        module = importlib.import_module("algo_local." + place.removesuffix(".py").replace("/", "."))
        for node in literals(ast.parse(source)):
            text = text_of(node, vars(module))
            if text and _BEGINS.match(text) and "{" not in text:
                yield f"{place}:{node.lineno}", text


STATEMENTS = list(statements())


def test_the_statements_are_found() -> None:
    assert len(STATEMENTS) > 150
    assert {"records/rows.py", "algorithms/registry.py", "metadata/keys.py"} <= {
        place.partition(":")[0] for place, _ in STATEMENTS
    }


@pytest.fixture
def administration(postgresql: PostgresqlServer) -> Iterator[psycopg.Connection]:
    url = postgresql.lend()
    with postgresql.administration(database_of(url)) as connection:
        yield connection
    postgresql.take_back(url)


def test_postgresql_understands_all(administration: psycopg.Connection) -> None:
    refused = []
    for number, (place, sql) in enumerate(STATEMENTS):
        if _ONLY_SQLITE in sql:
            continue
        numbers = itertools.count(1)
        numbered = re.sub("%s", lambda _, numbers=numbers: f"${next(numbers)}", translated(sql))  # type: ignore[misc]
        try:
            administration.execute(f"PREPARE s{number} AS {numbered.replace('%%', '%')}".encode())
        except psycopg.Error as error:
            if error.sqlstate not in _UNTYPED:
                refused.append(f"{place}: {str(error).splitlines()[0]}: {sql}")
    assert not refused, "\n".join(refused)


def test_sqlite_understands_all(tmp_path: Path) -> None:
    refused = []
    with closing(SqliteDatabase(tmp_path / "platform.sqlite3")) as database, database.read() as rows:
        for place, sql in STATEMENTS:
            if place.startswith(_ONLY_POSTGRESQL):
                continue
            try:
                rows.execute(f"EXPLAIN {sql}", (None,) * sql.count("?"))
            except sqlite3.Error as error:
                refused.append(f"{place}: {error}: {sql}")
    assert not refused, "\n".join(refused)
