"""The SQLite file: connections for many threads and processes, transactions, the schema and its version."""

from __future__ import annotations

import os
import sqlite3  # noqa: TID253 - this module is the access to SQLite, and is only imported when that is needed
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar, cast

from algo_core.errors import ConfigError, PlatformError
from algo_local.refusals import StorageFull, StorageUnavailable

BUSY_SECONDS = 30.0
"""Seconds that a transaction waits for another one."""

SCHEMA_VERSION = 13
"""The schema version of this algo-local: the number of migrations."""

WORTH_REMEMBERING = 32
"""Questions after which answers are remembered."""

REMEMBERED = 2000
"""Answers that are remembered until the database is changed."""

_T = TypeVar("_T")

_WORTHWHILE = 1 << 20
"""Free bytes from which the file is written anew without them."""


class Database:
    """One SQLite file, opened on first use, created if missing.

    Connections are pooled rather than tied to threads: a reader or writer takes a free one, so that there are never
    more than there are simultaneous users, and all can be closed. A fork starts with an empty pool.

    Every method raises ConfigError if the file is not this platform's, or a newer one's, or its directory cannot be
    made, and StorageUnavailable if SQLite fails (disk full, no permission, locked for longer than `BUSY_SECONDS`).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._idle: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._checked = False
        self._asked = 0
        self._memory = _Memory()

    def remembered(self, what: tuple[Hashable, ...], ask: Callable[[], _T]) -> _T:
        """What `ask` gives, or what it gave since anybody changed the database; nobody may change that.

        `ask` may raise, and depends on the database and on `what` only.
        """
        self._asked += 1
        if self._asked < WORTH_REMEMBERING:  # a command ends before that pays
            return ask()
        memory = self._memory
        found = getattr(memory.pinned, "found", None)
        if found is None:
            found = memory.valid(self)
        if what not in found:
            answer = ask()
            if len(found) >= REMEMBERED:
                memory.clear()
            found[what] = answer
            return answer
        return cast("_T", found[what])

    def pinned(self) -> _Pinned:
        """A block in this thread whose remembered answers are at least as new as its begin; it changes none of them.

        It asks once whether the database was changed, instead of once for each answer.
        """
        return _Pinned(self)

    def read(self) -> _Reading:
        """A connection for single queries."""
        return _Reading(self)

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """A connection for queries that all see the rows of one moment, whatever others write meanwhile."""
        with self.read() as connection:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.execute("ROLLBACK")

    @contextmanager
    def write(self, *, to_disk: bool = False) -> Iterator[sqlite3.Connection]:
        """An exclusive write transaction; committed unless the block raises.

        With `to_disk`, it outlives a power failure as well. It also serves as the lock under which a change of the file
        system is joined to that of its rows.
        """
        with self.read() as connection:
            if to_disk:
                connection.execute("PRAGMA synchronous=FULL")
            try:
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                except BaseException:
                    connection.execute("ROLLBACK")
                    raise
                connection.execute("COMMIT")
            finally:
                if to_disk:
                    connection.execute("PRAGMA synchronous=NORMAL")

    def compact(self) -> None:
        """Give the pages of deleted rows back to the file system, unless others are using the database."""
        with suppress(PlatformError), self.read() as connection:
            pages = connection.execute("PRAGMA freelist_count").fetchone()[0]
            if pages * connection.execute("PRAGMA page_size").fetchone()[0] > _WORTHWHILE:
                connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def is_open_elsewhere(self) -> bool:
        """Whether others have this file open, in this process or another one."""
        self.close()
        try:
            with closing(sqlite3.connect(self.path, timeout=1.0, isolation_level=None)) as connection:
                # Write-ahead logging can only be left by the last one who has the file open.
                is_alone = connection.execute("PRAGMA journal_mode=DELETE").fetchone()[0] == "delete"
                if is_alone:
                    connection.execute("PRAGMA journal_mode=WAL")
                return not is_alone
        except sqlite3.OperationalError:
            return True

    def close(self) -> None:
        """Close the idle connections; the database can be used again afterwards."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
        self._memory.close()

    def _take(self) -> sqlite3.Connection:
        with self._lock:
            if self._pid != os.getpid():
                # A connection must not be used, nor closed, in another process than the one that opened it.
                self._idle, self._pid = [], os.getpid()
            if self._idle:
                return self._idle.pop()
        return self._connect()

    def _give(self, connection: sqlite3.Connection) -> None:
        with self._lock:
            self._idle.append(connection)

    def _connect(self) -> sqlite3.Connection:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise ConfigError(
                f"Cannot make the embedded platform's directory {self.path.parent}: {error.strerror}",
                "Choose another with ALGO_LOCAL_ROOT",
            ) from error
        self._create_private()
        connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            # Rows outlive a killed process in any case; NORMAL gives up only the last ones at a power failure.
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute("PRAGMA foreign_keys=ON")
            if not self._checked:
                self._check_schema(connection)
                self._checked = True
        except BaseException:
            connection.close()
            raise
        return connection

    def _create_private(self) -> None:
        """Create the file with the mode that SQLite then also gives its companion files."""
        if not self._checked:
            with suppress(OSError):  # it exists, or SQLite says why it cannot
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))

    def _check_schema(self, connection: sqlite3.Connection) -> None:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version < SCHEMA_VERSION:
            version = self._upgrade(connection)
        if version > SCHEMA_VERSION:
            raise ConfigError(
                f"{self.path} was created by a newer algo-local (schema {version}; this one knows {SCHEMA_VERSION})",
                "Upgrade with: pip install --upgrade algo-local",
            )

    def _upgrade(self, connection: sqlite3.Connection) -> int:
        from algo_local.metadata.migrations import upgrade

        _use_wal(connection)
        # Tables are made anew by some migrations, which must not count as removing what others refer to.
        connection.execute("PRAGMA foreign_keys=OFF")
        connection.execute("BEGIN IMMEDIATE")
        try:
            version = upgrade(connection)
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
        connection.execute("PRAGMA foreign_keys=ON")
        return version

    def _reported(self, error: sqlite3.Error) -> Exception:
        if isinstance(error, sqlite3.OperationalError):
            kind = StorageFull if "full" in str(error) else StorageUnavailable
            return kind(
                f"The embedded platform's database {self.path} cannot be used: {error}",
                "Check whether the disk is full or read-only: algo local status",
            )
        return ConfigError(
            f"{self.path} is not the embedded platform's database: {error}",
            "Move it away, or start over with: algo local reset",
        )


class _Memory:
    """Answers of a database, and the connection that tells whether they are still valid."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._pid = os.getpid()
        self._version = -1
        self._found: dict[Hashable, Any] = {}
        self.pinned = threading.local()

    def valid(self, database: Database) -> dict[Hashable, Any]:
        """The answers since the last change; more may be added, as long as they are no older than this call."""
        with self._lock:
            if self._connection is None or self._pid != os.getpid():
                with database.read():  # which makes and checks the file
                    self._connection, self._pid = database._connect(), os.getpid()
                self._found = {}
            try:
                # It never writes itself, so that the version tells of the changes of all others.
                (version,) = self._connection.execute("PRAGMA data_version").fetchone()
            except sqlite3.DatabaseError as error:
                raise database._reported(error) from error
            if version != self._version:
                self._version, self._found = version, {}
            return self._found

    def clear(self) -> None:
        """Forget all answers."""
        with self._lock:
            self._found = {}

    def close(self) -> None:
        """Close the connection; it is opened again when it is needed."""
        with self._lock:
            connection, self._connection, self._found = self._connection, None, {}
            if connection and self._pid == os.getpid():
                connection.close()


class _Pinned:
    """See `Database.pinned`."""

    __slots__ = ("_database",)

    def __init__(self, database: Database) -> None:
        self._database = database

    def __enter__(self) -> None:
        if self._database._asked >= WORTH_REMEMBERING:
            memory = self._database._memory
            memory.pinned.found = memory.valid(self._database)

    def __exit__(self, *_: object) -> None:
        self._database._memory.pinned.found = None


class _Reading:
    """A connection taken for a block. Each request has several, so that this is cheaper than a generator."""

    __slots__ = ("_connection", "_database")

    def __init__(self, database: Database) -> None:
        self._database = database

    def __enter__(self) -> sqlite3.Connection:
        try:
            self._connection = self._database._take()
        except sqlite3.DatabaseError as error:
            raise self._database._reported(error) from error
        return self._connection

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._database._give(self._connection)
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.IntegrityError):
            raise self._database._reported(error) from error


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to write-ahead logging; SQLite's own waiting does not cover this when two processes do it at once."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").fetchone()
            return
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
