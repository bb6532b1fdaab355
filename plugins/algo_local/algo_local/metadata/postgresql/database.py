"""The database on a PostgreSQL server; see `algo_local.metadata.database.Database`."""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import psycopg

from algo_core.errors import AlgoError
from algo_local.metadata.database import BUSY_SECONDS, Rows
from algo_local.metadata.memory import Memory, Pinned
from algo_local.metadata.postgresql import schema
from algo_local.metadata.postgresql.connections import RETRY_SECONDS, Connection, Connections, Taken
from algo_local.metadata.postgresql.failures import commit_unknown
from algo_local.metadata.postgresql.statements import found, stored, translated
from algo_local.refusals import StorageUnavailable
from algo_local.state import place

WRITE_LOCK = 0x616C676F_00000002
"""Key of the advisory lock of the one writer: "algo", 2."""

_FORGOTTEN_SECONDS = 24 * 3600.0
"""Age at which the rows of processes are removed that have not written since."""

_T = TypeVar("_T")


class PostgresqlDatabase:
    """The platform's rows in a database of a server, for any number of processes on any machines.

    A write transaction holds an advisory lock, so that there is one writer at a time as with SQLite, while readers are
    not held up. It is durable when it is committed, unless the server is configured otherwise.

    A connection that was lost is made again for `RETRY_SECONDS` where nothing can have been done by it: before a
    query, and at the begin of a transaction. If it is lost while a transaction is committed, the server is asked
    whether it was.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.guard: Callable[[Rows], None] | None = None
        self._connections = Connections(url)
        self._memory = Memory(self._version)
        self._reading = threading.local()
        self._writing = threading.Lock()
        self._name = secrets.token_hex(8)
        self._written = 0

    def now(self) -> float:
        """See `Database.now`: the clock of the server, one round trip."""
        with self.read() as rows:
            return float(rows.execute("SELECT extract(epoch FROM clock_timestamp())").fetchone()[0])

    def remembered(self, what: tuple[Hashable, ...], ask: Callable[[], _T]) -> _T:
        """See `Database.remembered`."""
        return self._memory.remembered(what, ask)

    def pinned(self) -> Pinned:
        """See `Database.pinned`."""
        return self._memory.pinned()

    @contextmanager
    def read(self) -> Iterator[_Rows]:
        """A connection for single queries; inside another such block of this thread, the same one."""
        outer = getattr(self._reading, "rows", None)
        if outer is not None:
            yield outer
            return
        with self._connections.taken() as taken:
            self._reading.rows = _Rows(taken, may_retry=True)
            try:
                yield self._reading.rows
            finally:
                self._reading.rows = None

    @contextmanager
    def snapshot(self) -> Iterator[_Rows]:
        """See `Database.snapshot`."""
        with self._connections.taken() as taken:
            # No limit between two queries, however slow the reader is: this transaction holds no lock that others need.
            begin = "SET LOCAL idle_in_transaction_session_timeout = 0"
            taken.connection().execute(f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {begin}")
            try:
                yield _Rows(taken, may_retry=False)
            finally:
                if not taken.is_lost:
                    taken.connection().execute("ROLLBACK")

    @contextmanager
    def write(self, *, to_disk: bool = False, is_guarded: bool = True) -> Iterator[_Rows]:
        """See `Database.write`."""
        # One thread of a process waits on the server: the others would take all its connections meanwhile.
        if not self._writing.acquire(timeout=BUSY_SECONDS):
            raise StorageUnavailable(
                f"Another transaction of this process on {place(self.url)} takes more than {BUSY_SECONDS:g} s",
                "Try again in a moment",
            )
        try:
            with self._connections.taken() as taken:
                token = self._begin(taken, to_disk=to_disk)
                try:
                    rows = _Rows(taken, may_retry=False)
                    if self.guard and is_guarded:
                        self.guard(rows)
                    yield rows
                except BaseException:
                    with contextlib.suppress(psycopg.Error):
                        if not taken.is_lost:
                            taken.connection().execute("ROLLBACK")
                    raise
                self._commit(taken, token)
        finally:
            self._writing.release()

    def compact(self) -> None:
        """Nothing: the server reuses the space of deleted rows by itself (autovacuum)."""

    def size(self) -> int:
        """The bytes of its tables and indexes."""
        with self.read() as rows:
            query = (
                "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0) FROM pg_class c"
                " WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace"
            )
            return int(rows.execute(query).fetchone()[0])

    def check_alone(self) -> None:
        """Raise PlatformError if others are connected with the database."""
        self.close()
        with self._connections.taken() as taken:
            schema.check_alone(taken.connection(), self.url)

    def delete_tables(self, tables: Iterable[str]) -> None:
        """Delete these tables of the platform, and those that only a server has, all or none; others stay.

        Raises:
            ConfigError: if the database belongs to something else.
            PlatformError: if others are connected with it.
        """
        self.close()
        with self._connections.taken() as taken:
            schema.drop(taken.connection(), self.url, tables)
        self.close()

    def close(self) -> None:
        """Close the idle connections; the database can be used again afterwards."""
        self._connections.close()
        self._memory.clear()

    def _version(self) -> int:
        """The last transaction that changed what answers depend on: one row, which triggers keep.

        This query costs each request a round trip, and is exact: a change is seen as soon as it is committed.
        Notifications (LISTEN) would save the round trip, but come a moment late.
        """
        with self.read() as rows:
            return int(rows.execute("SELECT number FROM changes").fetchone()[0])

    def _begin(self, taken: Taken, *, to_disk: bool) -> _Token:
        """Begin a transaction as the only writer; the token is in the database once the transaction is committed.

        Each statement after the lock sees what the writer before has committed.
        """
        self._written += 1
        token = _Token(f"{self._name}-{os.getpid()}", self._written)
        begin = (
            "BEGIN ISOLATION LEVEL READ COMMITTED;"
            f"{' SET LOCAL synchronous_commit = on;' if to_disk else ''}"
            f" SELECT pg_advisory_xact_lock({WRITE_LOCK});"
            f" INSERT INTO writers VALUES ('{token.name}', {token.number}, extract(epoch FROM clock_timestamp()))"
            " ON CONFLICT (name) DO UPDATE SET number = excluded.number, at = excluded.at"
        )
        if token.number == 1:  # processes leave their rows behind when they end, commands as well
            begin += f"; DELETE FROM writers WHERE at < extract(epoch FROM clock_timestamp()) - {_FORGOTTEN_SECONDS}"
        deadline = time.monotonic() + RETRY_SECONDS
        while True:
            try:
                taken.connection().execute(begin)
                return token
            except psycopg.OperationalError:
                if not taken.is_lost or time.monotonic() > deadline:
                    raise

    def _commit(self, taken: Taken, token: _Token) -> None:
        if taken.is_lost:
            raise psycopg.OperationalError("the connection was lost inside a transaction")
        try:
            ended = taken.connection().execute("COMMIT").statusmessage
        except psycopg.OperationalError:
            if not taken.is_lost:
                raise
            try:
                was_committed = self._was_committed(taken, token)
            except (psycopg.Error, AlgoError):
                raise commit_unknown(self.url) from None
            if not was_committed:
                raise
        else:
            if ended != "COMMIT":
                raise psycopg.InternalError("a statement of the transaction failed, so that nothing of it was done")

    def _was_committed(self, taken: Taken, token: _Token) -> bool:
        """Whether a transaction was committed whose connection was lost meanwhile.

        The writers' lock is free once the server has noticed; the number of the transaction is then there, or not. That
        of the server would not do: after a crash it may give the same one to another transaction.
        """
        connection = taken.connection(BUSY_SECONDS)
        connection.execute(f"SELECT pg_advisory_lock({WRITE_LOCK})")
        try:
            query = "SELECT 1 FROM writers WHERE name = %s AND number = %s"
            return connection.execute(query, tuple(token)).fetchone() is not None
        finally:
            connection.execute(f"SELECT pg_advisory_unlock({WRITE_LOCK})")


class _Token(NamedTuple):
    """What the row of this process says after a transaction was committed."""

    name: str
    number: int


class _Rows:
    """See `algo_local.metadata.database.Rows`."""

    __slots__ = ("_may_retry", "_taken")

    def __init__(self, taken: Taken, *, may_retry: bool) -> None:
        self._taken = taken
        self._may_retry = may_retry

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> _Result:
        """Run a statement with values in the places of its question marks."""
        statement, values = translated(sql), stored(parameters)
        deadline = 0.0
        while True:
            connection = self._connection()
            try:
                return _Result(connection.execute(statement, values))
            except psycopg.OperationalError:
                now = time.monotonic()
                deadline = deadline or now + RETRY_SECONDS
                # A query outside of a transaction; a statement that changes something is never sent twice.
                if not (self._may_retry and connection.closed and _is_query(sql)) or now > deadline:
                    raise

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> _Result:
        """Run a statement once for each of these values."""
        cursor = self._connection().cursor()
        cursor.executemany(translated(sql), [stored(values) for values in parameters])
        return _Result(cursor)

    def _connection(self) -> Connection:
        if not self._may_retry and self._taken.is_lost:
            raise psycopg.OperationalError("the connection was lost inside a transaction")
        return self._taken.connection()


class _Result:
    """See `algo_local.metadata.database.Result`."""

    __slots__ = ("_cursor",)

    def __init__(self, cursor: psycopg.Cursor[Any]) -> None:
        self._cursor = cursor

    @property
    def rowcount(self) -> int:
        """The number of rows that were changed."""
        return self._cursor.rowcount

    @property
    def description(self) -> Any:
        """The columns of a query, each a sequence that begins with its name."""
        return self._cursor.description

    def fetchone(self) -> Any:
        """The next row; None after the last."""
        return found(self._cursor.fetchone())

    def fetchall(self) -> list[Any]:
        """All rows that are left."""
        return [found(row) for row in self._cursor.fetchall()]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.fetchall())


def _is_query(sql: str) -> bool:
    return sql.lstrip()[:6].upper() == "SELECT"
