"""A large file of an object store as an unbuffered Python file, readable from any position."""

from __future__ import annotations

import io
import os
from contextlib import AbstractContextManager
from typing import Any

from algo_core.errors import AlgoError, NetworkError
from algo_core.storage.contract import Entry, Reader, Storage

TRIES = 3
"""How often reading goes on after a connection that broke, with no byte in between."""


class StoreFile(io.RawIOBase):
    """One version of a file; each new position is a request for that version.

    `reader`, if given, is open at the beginning already. Reading fails if the connection breaks for good, or if the
    file is replaced before the store starts to send it; `errors` translates the errors.
    """

    def __init__(
        self, storage: Storage, errors: AbstractContextManager[None], entry: Entry, reader: Reader | None = None
    ) -> None:
        self._storage = storage
        self._errors = errors
        self._entry = entry
        self._reader = reader
        self._at = 0  # the position of the reader
        self._position = 0
        self._size = entry.size or 0

    def readable(self) -> bool:  # noqa: D102
        return True

    def seekable(self) -> bool:  # noqa: D102
        return True

    def tell(self) -> int:  # noqa: D102
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move the position; nothing is sent before something is read."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def readinto(self, buffer: Any, /) -> int:
        """The next bytes."""
        view = memoryview(buffer)[: max(0, self._size - self._position)]
        if not view:
            return 0
        with self._errors:
            count = self._read(view)
        self._position += count
        self._at = self._position
        return count

    def _read(self, view: memoryview) -> int:
        left = TRIES
        while True:
            try:
                if count := self._open().readinto(view):
                    return count
                raise NetworkError(f"{self._entry.uri} ended too early, at byte {self._position}", "Try again")
            except NetworkError:
                self._release()
                left -= 1
                if not left:
                    raise

    def _open(self) -> Reader:
        """A reader at the position."""
        if self._reader and self._at != self._position:
            self._release()
        if not self._reader:
            reader = self._storage.open(self._entry.uri, self._position, version=self._entry.version)
            if reader.offset != self._position or reader.entry.version != self._entry.version:
                reader.close()
                raise AlgoError(f"{self._entry.uri} was replaced while it was read", "Read it again")
            self._reader, self._at = reader, self._position
        return self._reader

    def _release(self) -> None:
        if self._reader:
            self._reader.close()
            self._reader = None

    def close(self) -> None:
        """Release the connection."""
        if not self.closed:
            self._release()
        super().close()
