"""The journal of a migration: the files copied so far, on disk, so that an interrupted migration continues."""

from __future__ import annotations

import os
import sqlite3  # noqa: TID253 - this module is only imported by a migration
from collections.abc import Iterator
from pathlib import Path

from algo_local.backups.entries import Entry, entry_of

_BATCH = 200
"""Files after which what was copied is kept."""


class Journal:
    """The files that were copied, each as it was then. `open` says from where; another origin begins anew."""

    def __init__(self, path: Path) -> None:
        self._rows = sqlite3.connect(path, isolation_level=None)
        self._rows.execute("PRAGMA journal_mode=WAL")
        self._rows.execute(
            "CREATE TABLE IF NOT EXISTS files (path BLOB PRIMARY KEY, identity TEXT, line BLOB, turn INTEGER)"
        )
        self._rows.execute("BEGIN")
        self._waiting = 0

    def knows(self, path: str, identity: str, turn: int) -> Entry | None:
        """The entry of a file that was copied in its current state; the file is noted as present in this pass."""
        key = os.fsencode(path)
        query = "SELECT line FROM files WHERE path = ? AND identity = ?"
        found = self._rows.execute(query, (key, identity)).fetchone()
        if not found:
            return None
        self._rows.execute("UPDATE files SET turn = ? WHERE path = ?", (turn, key))
        self._count()
        return entry_of(found[0])

    def put(self, entry: Entry, identity: str, turn: int) -> None:
        """Record that a file was copied."""
        values = (os.fsencode(entry.path), identity, entry.line(), turn)
        self._rows.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", values)
        self._count()

    def forget_others(self, turn: int) -> Iterator[str]:
        """Forget files that were copied before but were not present in this pass; yields their paths."""
        for (key,) in self._rows.execute("SELECT path FROM files WHERE turn != ?", (turn,)).fetchall():
            yield os.fsdecode(key)
            self._rows.execute("DELETE FROM files WHERE path = ?", (key,))

    def lines(self) -> Iterator[bytes]:
        """The entries of all files as lines."""
        for (line,) in self._rows.execute("SELECT line FROM files"):
            yield line

    def keep(self) -> None:
        """Write the journal to the disk."""
        self._rows.execute("COMMIT")
        self._rows.execute("BEGIN")
        self._waiting = 0

    def close(self) -> None:
        """Write the journal to the disk, and close it."""
        self._rows.execute("COMMIT")
        self._rows.close()

    def _count(self) -> None:
        self._waiting += 1
        if self._waiting >= _BATCH:
            self.keep()
