"""What the platform asks of its database: rows by SQL that all of them understand, and one writer at a time.

Statements are plain text with `?` for values. They keep to what SQLite and PostgreSQL have in common: conflicts name
their columns, truth values are compared with 1, subqueries have names. Names that the schema declares to be
case-insensitive compare without regard to the case of ASCII letters, and texts sort by their code points.
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

    Raised when the block of the transaction is left, of which nothing remains.
    """


class Result(Protocol):
    """The rows that a statement has found, as tuples, or how many it has changed."""

    @property
    def rowcount(self) -> int:
        """The number of rows that an INSERT, UPDATE or DELETE has changed."""

    @property
    def description(self) -> Any:
        """The columns of a query, each a sequence that begins with its name."""

    def fetchone(self) -> Any:
        """The next row; None after the last."""

    def fetchall(self) -> list[Any]:
        """All rows that are left."""

    def __iter__(self) -> Iterator[Any]: ...


class Rows(Protocol):
    """A connection to the database, inside the block that has taken it.

    Texts may contain any character, integers have 64 bits, real numbers are floats, and truth values come back as
    0 and 1.
    """

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Result:
        """Run a statement with values in the places of its question marks."""

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> Result:
        """Run a statement once for each of these values."""


class Database(Protocol):
    """Rows for many threads and processes; opened on first use, created if missing.

    It can be used after a fork in both processes. Every method raises ConfigError if what is there is not this
    platform's or a newer one's, and StorageUnavailable if it cannot be used now: what was asked for was not done.
    """

    def read(self) -> AbstractContextManager[Rows]:
        """A connection for single queries, each of which sees all that was committed before it."""

    def snapshot(self) -> AbstractContextManager[Rows]:
        """A connection for queries that all see the rows of one moment, whatever others write meanwhile."""

    def write(self, *, to_disk: bool = False) -> AbstractContextManager[Rows]:
        """An exclusive write transaction; committed unless the block raises.

        No other one begins meanwhile, in any process on any machine. With `to_disk`, it outlives a power failure as
        well. It also serves as the lock under which a change of the file system is joined to that of its rows.
        """

    def now(self) -> float:
        """Seconds since the epoch by the one clock that all who share the rows go by, whatever their own say."""

    def remembered(self, what: tuple[Hashable, ...], ask: Callable[[], _T]) -> _T:
        """What `ask` gives, or what it gave since anybody changed what it depends on; nobody may change that.

        `ask` may raise, and depends on `what` and on the database only, without the record of calls.
        """

    def pinned(self) -> AbstractContextManager[None]:
        """A block in this thread whose remembered answers are at least as new as its begin; it changes none of them.

        It asks once whether the database was changed, instead of once for each answer.
        """

    def compact(self) -> None:
        """Give the space of deleted rows back, unless others are using the database."""

    def size(self) -> int:
        """The bytes that it takes."""

    def close(self) -> None:
        """Close the idle connections; the database can be used again afterwards."""
