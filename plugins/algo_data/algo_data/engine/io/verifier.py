"""Hashes a large file in order, behind its writer, in a separate thread."""

from __future__ import annotations

import os
import threading

from algo_core.storage.contract import Checksum
from algo_data.engine.io.blocks import BLOCK
from algo_data.engine.io.digest import hasher


class Verifier:
    """Reads back the complete beginning of the file as it grows.

    The pages are still in memory, so this costs little more than the hashing, in any order of the parts.
    """

    def __init__(self, descriptor: int, checksum: Checksum | None) -> None:
        self._descriptor = descriptor
        self._hash = hasher(checksum)
        self._reached = 0
        self._is_over = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def reached(self, position: int) -> None:
        """Report that the first `position` bytes are complete."""
        if self._hash is None:
            return
        with self._changed:
            self._reached = position
            self._changed.notify()
        if self._thread is None:
            self._thread = threading.Thread(target=self._follow, name="algo-verifier", daemon=True)
            self._thread.start()

    def hexdigest(self) -> str | None:
        """The checksum of the complete part; None if there is nothing to compare it with."""
        self.stop()
        return self._hash.hexdigest() if self._hash is not None else None

    def stop(self) -> None:
        """Hash the complete part, and end."""
        with self._changed:
            self._is_over = True
            self._changed.notify()
        if self._thread:
            self._thread.join()

    def abandon(self) -> None:
        """End without having hashed the rest."""
        with self._changed:
            self._reached = 0
        self.stop()

    def _follow(self) -> None:
        buffer, position = bytearray(BLOCK), 0
        view = memoryview(buffer)
        while True:
            with self._changed:
                while position >= self._reached and not self._is_over:
                    self._changed.wait()
                left = self._reached - position
            if left <= 0:
                return
            count = os.preadv(self._descriptor, [view[: min(BLOCK, left)]], position)
            if not count:
                return  # shorter than it should be: the checksum will not match
            self._hash.update(view[:count])
            position += count
