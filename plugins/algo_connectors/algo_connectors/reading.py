"""Reading a file in ranges: the next ones are fetched while the current one is handed on."""

from __future__ import annotations

import random
import time
from collections import deque
from concurrent.futures import Future
from typing import TYPE_CHECKING

from algo_connectors.errors import Changed, Unsatisfiable, store_errors
from algo_core.errors import AlgoError, NetworkError
from algo_core.storage import Entry
from algo_core.uri import DataUri

if TYPE_CHECKING:
    from algo_connectors.remote import RemoteStorage

BLOCK = 8 << 20
"""Bytes of a range."""

TRIES = 4
"""How often a range is asked for before a broken connection counts."""


class RangeReader:
    """A file of a store; at most `parallel` ranges are held at once, whatever its size (`algo_core.storage.Reader`)."""

    def __init__(self, storage: RemoteStorage, entry: Entry, offset: int, first: bytes) -> None:
        self.entry = entry
        self.offset = offset
        self._storage = storage
        self._block = memoryview(first)
        self._next = offset + len(first)
        """Where the first range begins that was not asked for yet."""
        self._ahead: deque[Future[bytes]] = deque()

    def readinto(self, buffer: bytearray | memoryview, /) -> int:
        """The next bytes. Raises AlgoError if the file was changed since it was opened."""
        self._look_ahead()
        if not self._block and self._ahead:
            self._block = memoryview(self._ahead.popleft().result())
            self._look_ahead()
        count = min(len(buffer), len(self._block))
        memoryview(buffer)[:count] = self._block[:count]
        self._block = self._block[count:]
        return count

    def _look_ahead(self) -> None:
        size = self.entry.size or 0
        while self._next < size and len(self._ahead) < max(1, self._storage.parallel - 1):
            start, self._next = self._next, min(self._next + BLOCK, size)
            self._ahead.append(self._storage.pool.submit(self._fetch, start, self._next))

    def _fetch(self, start: int, stop: int) -> bytes:
        uri = self.entry.uri
        try:
            entry, content = fetched(self._storage, uri, start, stop, self.entry.version)
        except Changed:
            raise _changed(uri) from None
        if entry.size != self.entry.size or entry.version != self.entry.version:
            raise _changed(uri)
        if len(content) != stop - start:
            raise NetworkError(f"{uri} ended {stop - start - len(content)} bytes too early", "Try again")
        return content

    def close(self) -> None:
        """Give up what was asked for ahead."""
        for pending in self._ahead:
            pending.cancel()
        self._ahead.clear()
        self._block = memoryview(b"")


def fetched(storage: RemoteStorage, uri: DataUri, start: int, stop: int, version: str | None) -> tuple[Entry, bytes]:
    """A range, asked for again when the connection breaks; none, and the entry, behind the end of the file."""
    for attempt in range(1, TRIES + 1):
        try:
            with store_errors(uri):
                return storage.fetch(uri, start, stop, version)
        except Unsatisfiable:
            return storage.stat(uri), b""
        except NetworkError:
            if attempt == TRIES:
                raise
        time.sleep(random.uniform(0, 0.2 * 2**attempt))
    raise AssertionError("the last attempt returns or raises")


def _changed(uri: DataUri) -> AlgoError:
    return AlgoError(f"{uri} was changed while it was read", "Copy it again when nothing writes to it any more")
