"""The database in a SQLite file: connections for many threads and processes, transactions, and the schema's version."""

from __future__ import annotations

import os
import sqlite3  # noqa: TID253 - this module is the access to SQLite, and is only imported when that is needed
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from algo_core.errors import ConfigError, PlatformError
from algo_local.metadata.database import BUSY_SECONDS, IntegrityError, Rows
from algo_local.metadata.memory import Memory, Pinned
from algo_local.permissions import make_root
from algo_local.refusals import StorageFull, StorageUnavailable

SCHEMA_VERSION = 19
"""The schema version of this algo-local: the number of migrations."""

_T = TypeVar("_T")

_WORTHWHILE = 1 << 20
"""Free bytes from which the file is written anew without them."""


class SqliteDatabase:
    """One SQLite file, opened on first use, created if missing.

    Connections are pooled rather than tied to threads: a reader or writer takes a free one, so that there are never
    more than there are simultaneous users, and all can be closed. A fork starts with an empty pool.

    Every method raises ConfigError if the file belongs to another program or a newer version, or its directory cannot
    be created, and StorageUnavailable if SQLite fails (disk full, no permission, locked for longer than
    `BUSY_SECONDS`).
    """

    def __init__(self, path: Path, schema: int = SCHEMA_VERSION) -> None:
        """`schema` is the version of the schema to create or expect."""
        self.path = path
        self._schema = schema
        self._idle: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._checked = False
        self.guard: Callable[[Rows], None] | None = None
        self._watch = _Watch(self)
        self._memory = Memory(self._watch.version)

    def now(self) -> float:
        """See `Database.now`: the clock of the machine that has the file."""
        return time.time()

    def remembered(self, what: tuple[Hashable, ...], ask: Callable[[], _T]) -> _T:
        """See `Database.remembered`."""
        return self._memory.remembered(what, ask)

    def pinned(self) -> Pinned:
        """See `Database.pinned`."""
        return self._memory.pinned()

    def read(self) -> _Reading:
        """A connection for single queries, each of which sees all that was committed before it."""
        return _Reading(self)

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """See `Database.snapshot`."""
        with self.read() as connection:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.execute("ROLLBACK")

    @contextmanager
    def write(self, *, to_disk: bool = False, is_guarded: bool = True) -> Iterator[sqlite3.Connection]:
        """See `Database.write`."""
        with self.read() as connection:
            if to_disk:
                connection.execute("PRAGMA synchronous=FULL")
            try:
                connection.execute("BEGIN IMMEDIATE")
                try:
                    if self.guard and is_guarded:
                        self.guard(connection)
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
                # Only the last process that has the file open can leave write-ahead logging.
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
        self._watch.close()
        self._memory.clear()

    def size(self) -> int:
        """The size in bytes of the file and its companion files."""
        from algo_local.trees import disk_use

        return disk_use(self.path.with_name(self.path.name + ending) for ending in ("", "-wal", "-shm"))

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
        make_root(self.path.parent)
        self._create_private()
        connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            # Rows survive a killed process in any case; with NORMAL, only a power failure loses the latest.
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
        if version < self._schema:
            version = self._upgrade(connection)
        if version > self._schema:
            raise ConfigError(
                f"{self.path} was created by a newer algo-local (schema {version}; this one knows {SCHEMA_VERSION})",
                "Upgrade with: pip install --upgrade algo-local",
            )

    def _upgrade(self, connection: sqlite3.Connection) -> int:
        from algo_local.metadata.migrations import upgrade

        _use_wal(connection)
        # Some migrations recreate tables, which must not delete the rows that refer to them.
        connection.execute("PRAGMA foreign_keys=OFF")
        connection.execute("BEGIN IMMEDIATE")
        try:
            version = upgrade(connection, self._schema)
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


class _Watch:
    """A connection that never writes, so that its data version shows the changes of all others."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._pid = os.getpid()
        self._opened = 0

    def version(self) -> tuple[int, int]:
        """A value that differs after each change of the file."""
        with self._lock:
            if self._connection is None or self._pid != os.getpid():
                with self._database.read():  # which makes and checks the file
                    self._connection, self._pid = self._database._connect(), os.getpid()
                self._opened += 1
            try:
                (version,) = self._connection.execute("PRAGMA data_version").fetchone()
            except sqlite3.DatabaseError as error:
                raise self._database._reported(error) from error
            return self._opened, version

    def close(self) -> None:
        """Close the connection; it is opened again when it is needed."""
        with self._lock:
            connection, self._connection = self._connection, None
            if connection and self._pid == os.getpid():
                connection.close()


class _Reading:
    """A connection taken for a block. Each request has several, so that this is cheaper than a generator."""

    __slots__ = ("_connection", "_database")

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database

    def __enter__(self) -> sqlite3.Connection:
        try:
            self._connection = self._database._take()
        except sqlite3.DatabaseError as error:
            raise self._database._reported(error) from error
        return self._connection

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._database._give(self._connection)
        if isinstance(error, sqlite3.IntegrityError):
            raise IntegrityError(str(error)) from error
        if isinstance(error, sqlite3.DatabaseError):
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
