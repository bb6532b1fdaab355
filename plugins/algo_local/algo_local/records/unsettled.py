"""Changes of which nobody knows whether they were made, since the database went away while they were committed."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from algo_local.refusals import CommonFailure

if TYPE_CHECKING:
    from algo_local.records.journal import Journal
    from algo_local.records.rows import Change


class Unsettled:
    """Takes such changes back, as those who asked for them were told that they were not made."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._lock = threading.Lock()
        self._failure = CommonFailure()
        self._undo: list[Change] = []

    def __bool__(self) -> bool:
        return bool(self._undo)

    def add(self, undo: Change) -> None:
        """Note what takes a change back if it was made, and is nothing otherwise."""
        self._undo.append(undo)

    def settle(self) -> None:
        """Take all of them back; the transactions that made them, or not, have ended once this one begins.

        Raises:
            StorageUnavailable: if that is not possible yet.
        """
        began = time.monotonic()
        with self._lock, self._failure.shared(began):
            for undo in tuple(self._undo):
                self._journal.change(undo)
                self._undo.remove(undo)
