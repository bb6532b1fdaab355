"""The contract of the platform's database: SQL that SQLite and PostgreSQL share, and one writer at a time.

Statements are text with `?` for values, in the common subset of both: conflicts name their columns, truth values are
compared with 1, subqueries have names. Columns that the schema declares case-insensitive ignore the case of ASCII
letters, and texts sort by code points. `sqlite.py` and `postgresql/database.py` implement it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

BUSY_SECONDS = 30.0
"""Seconds that a transaction waits for another one."""

_T = TypeVar("_T")


class IntegrityError(Exception):
    """A statement contradicts a constraint: a name that exists already, or a reference to nothing.

    Raised at the end of the transaction's block; the transaction is rolled back.
    """


class Result(Protocol):
    """The result of a statement: rows as tuples, or the number of changed rows."""

    @property
    def rowcount(self) -> int:
        """The number of rows that an INSERT, UPDATE or DELETE has changed."""

    @property
    def description(self) -> Any:
        """The columns of a query, each a sequence that begins with its name."""

    def fetchone(self) -> Any:
        """The next row; None after the last."""

    def fetchall(self) -> list[Any]:
        """All remaining rows."""

    def __iter__(self) -> Iterator[Any]: ...


class Rows(Protocol):
    """A connection to the database, inside a block of `Database.read`, `snapshot` or `write`.

    Texts may contain any character, integers have 64 bits, real numbers are floats, and truth values come back as
    0 and 1.
    """

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Result:
        """Run a statement with values for its question marks."""

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> Result:
        """Run a statement once for each sequence of values."""


class Database(Protocol):
    """Rows for many threads and processes; opened on first use, created if missing.

    It can be used in both processes after a fork. Every method raises ConfigError if the database belongs to another
    program or a newer version, and StorageUnavailable if it cannot be used now; nothing was changed then.
    """

    guard: Callable[[Rows], None] | None
    """Called at the beginning of each change of the platform, in its transaction; raises an error to refuse it."""

    def read(self) -> AbstractContextManager[Rows]:
        """A connection for single queries, each of which sees all that was committed before it."""

    def snapshot(self) -> AbstractContextManager[Rows]:
        """A connection for queries that all see the rows of one moment, whatever others write meanwhile."""

    def write(self, *, to_disk: bool = False, is_guarded: bool = True) -> AbstractContextManager[Rows]:
        """An exclusive write transaction; committed unless the block raises.

        No other write transaction runs meanwhile, in any process on any machine. With `to_disk`, it survives a power
        failure. It also serves as the lock for a change of files together with their rows. Without `is_guarded`, it is
        no change of the platform, but about what runs now, and `guard` is not called.
        """

    def now(self) -> float:
        """Seconds since the epoch by the database's clock, which all processes share."""

    def remembered(self, what: tuple[Hashable, ...], ask: Callable[[], _T]) -> _T:
        """The result of `ask`, cached under `what` until the database changes; the caller must not modify it.

        `ask` may raise. It may depend only on `what` and on the database, without the tables of calls.
        """

    def pinned(self) -> AbstractContextManager[None]:
        """A block in which this thread checks only once, at its start, whether cached answers are still valid.

        The block must not change the answers that it uses.
        """

    def compact(self) -> None:
        """Free the space of deleted rows, unless other processes use the database."""

    def size(self) -> int:
        """The size of the database in bytes."""

    def close(self) -> None:
        """Close the idle connections; the database can be used again afterwards."""
