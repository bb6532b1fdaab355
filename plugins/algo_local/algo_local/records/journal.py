"""Writes rows of calls to the database: deferred rows together, urgent changes at once with all deferred rows."""

from __future__ import annotations

import contextlib
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from algo_core.errors import AlgoError
from algo_local.records import rows as table
from algo_local.records.record import UNFINISHED
from algo_local.refusals import StorageUnavailable, storage_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from algo_local.metadata.database import Database, Rows
    from algo_local.records.record import Record

_STATE = table.COLUMNS.index("state")
MOST_WAITING = 10_000
"""Rows that wait while the database cannot be written to; beyond them the oldest are given up."""

MOST_CONTENT = 64 << 20
"""Bytes of inputs and outputs that wait meanwhile; beyond them the oldest are given up."""

MOST_KNOWN = 100_000
"""Calls of which it is known that their record was given up."""


class _Task:
    """A change that a thread waits for."""

    def __init__(self, change: table.Change, *, to_disk: bool) -> None:
        self.change = change
        self.to_disk = to_disk
        self.result: Any = None
        self.error: BaseException | None = None
        self.is_done = False


class _Refused(NamedTuple):
    """The result of a change that `Database.guard` has refused."""

    error: StorageUnavailable


class Journal:
    """Buffers rows. An urgent change also writes all waiting rows, so that a hundred threads need few transactions."""

    def __init__(self, database: Database, before_write: Callable[[], None], tell: Callable[[str], None]) -> None:
        """`before_write` is called before rows of calls under way are written; `tell` when writing fails, or
        works again."""
        self.problem = ""
        """Why rows wait; empty if they could be written last."""
        self.failures = 0
        """How often they could not be."""
        self.lost = 0
        """How many were given up."""
        self._gone: dict[str, None] = {}
        self._tell = tell
        self._database = database
        self._before_write = before_write
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._rows: dict[str, table.Row] = {}
        self._contents: dict[str, bytes] = {}
        self._tasks: list[_Task] = []

    @property
    def waiting(self) -> int:
        """The number of unwritten rows."""
        return len(self._rows)

    def pending(self, identifier: str) -> Record | None:
        """The unwritten record of a call, or None."""
        with self._lock:
            row = self._rows.get(identifier)
        return table.record_of(row) if row else None

    def pending_content(self, digest: str) -> bytes | None:
        """Unwritten content by its digest, or None."""
        with self._lock:
            return self._contents.get(digest)

    def is_lost(self, identifier: str) -> bool:
        """Whether a record was discarded by `give_up`."""
        return identifier in self._gone

    def unwritten(self) -> list[str]:
        """The ids of calls with unwritten records."""
        with self._lock:
            return list(self._rows)

    def give_up(self) -> None:
        """Discard unwritten records."""
        with self._lock:
            self._forget(list(self._rows))
            self._contents.clear()

    def put(self, record: Record, contents: dict[str, bytes]) -> None:
        """Queue a record in its current state."""
        row = table.row_of(record)
        with self._lock:
            self._rows[record.id] = row
            self._contents.update(contents)

    def change(self, change: table.Change, *, to_disk: bool = False, is_guarded: bool = False) -> Any:
        """Carry out a change in a transaction at once, after all waiting rows.

        With `is_guarded`, it is a change of the platform, not only of what runs now (`Database.guard`).

        Raises:
            StorageUnavailable: if the database cannot be written to, or is guarded; no change is made then.
        """
        task = _Task(partial(self._guarded, change) if is_guarded else change, to_disk=to_disk)
        with self._lock:
            self._tasks.append(task)
        while not task.is_done:
            self._write()
        if task.error:
            raise task.error
        if isinstance(task.result, _Refused):
            raise task.result.error
        return task.result

    def _guarded(self, change: table.Change, rows: Rows) -> Any:
        """Carry out a change unless the guard refuses it, which must not undo others in the same transaction."""
        try:
            if self._database.guard:
                self._database.guard(rows)
        except StorageUnavailable as error:
            return _Refused(error)
        return change(rows)

    def flush(self) -> None:
        """Write waiting rows; on failure they stay queued."""
        with contextlib.suppress(AlgoError):
            self._write()

    def _write(self) -> None:
        with self._writing:
            with self._lock:
                rows, self._rows = self._rows, {}
                contents, self._contents = self._contents, {}
                tasks, self._tasks = self._tasks, []
            if not rows and not tasks:
                return
            try:
                if tasks or any(row[_STATE] in UNFINISHED for row in rows.values()):
                    self._before_write()
                with self._database.write(to_disk=any(task.to_disk for task in tasks), is_guarded=False) as connection:
                    table.store(connection, rows.values(), contents.items())
                    for task in tasks:
                        task.result = task.change(connection)
            except Exception as raised:
                error = storage_error(raised, "Calls cannot be recorded") if isinstance(raised, OSError) else raised
                self._keep(rows, contents)
                if isinstance(error, StorageUnavailable):
                    self._failed(error)
                for task in tasks:
                    task.error = error
                if not tasks:
                    raise error from raised
                for task in tasks:
                    task.is_done = True
            except BaseException:  # this thread is interrupted; other threads still wait for their changes
                self._keep(rows, contents)
                with self._lock:
                    self._tasks = tasks + self._tasks
                raise
            else:
                self._succeeded()
                for task in tasks:
                    task.is_done = True

    def _failed(self, error: StorageUnavailable) -> None:
        self.failures += 1
        if not self.problem:
            self._tell(f"Records of calls wait in memory, since they cannot be written: {error.message}")
        self.problem = error.message

    def _succeeded(self) -> None:
        if self.problem:
            self.problem = ""
            self._tell(f"Records of calls are written again; {self.lost} were lost since the start")

    def _keep(self, rows: dict[str, table.Row], contents: dict[str, bytes]) -> None:
        """Queue rows again that could not be written, unless newer ones are queued."""
        with self._lock:
            self._rows = {**rows, **self._rows}
            self._contents = {**contents, **self._contents}
            self._forget(list(self._rows)[: max(0, len(self._rows) - MOST_WAITING)])
            size = sum(map(len, self._contents.values()))
            while size > MOST_CONTENT:
                size -= len(self._contents.pop(next(iter(self._contents))))

    def _forget(self, identifiers: list[str]) -> None:
        for identifier in identifiers:
            del self._rows[identifier]
            self._gone[identifier] = None
        self.lost += len(identifiers)
        while len(self._gone) > MOST_KNOWN:
            del self._gone[next(iter(self._gone))]

    def read(self, query: Callable[[Rows], Any]) -> Any:
        """The result of a query that sees all queued rows."""
        self.flush()
        with self._database.read() as connection:
            return query(connection)
