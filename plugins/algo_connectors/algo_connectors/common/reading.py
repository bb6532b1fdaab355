"""Reads a file in ranges: the next ones are fetched in advance."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Executor, Future
from typing import Protocol

from algo_connectors.common.allowance import Allowance
from algo_connectors.common.errors import Changed, Unsatisfiable, store_errors
from algo_core.errors import NetworkError
from algo_core.http.retry import Tries
from algo_core.storage.contract import Entry
from algo_core.storage.uri import DataUri

BLOCK = 8 << 20
"""Bytes of a range."""

LEAST = 1 << 20
"""Minimum size of a range in bytes when the allowance is used up, so that no file waits for another."""

RETRIES = 3
"""How often a range is asked for again after a broken connection."""


class RangeSource(Protocol):
    """The interface of a storage for reading in ranges."""

    @property
    def readable(self) -> Allowance:
        """The memory allowance of all files that are read."""

    @property
    def pool(self) -> Executor:
        """Threads for the ranges that are fetched ahead."""

    def fetch(self, uri: DataUri, start: int, stop: int, version: str | None) -> tuple[Entry, bytes | bytearray]:
        """The bytes of a range, and the entry of the whole file."""

    def stat(self, uri: DataUri) -> Entry:
        """The entry of a file."""


class RangeReader:
    """A file of a store from a byte offset to `stop` or its end (`algo_core.storage.contract.Reader`).

    While one range is read, up to `ahead` further ones are fetched, within the storage's allowance `readable`.

    Raises:
        Changed: if a version is given and the file has changed.
    """

    def __init__(
        self,
        storage: RangeSource,
        uri: DataUri,
        offset: int,
        *,
        version: str | None = None,
        stop: int | None = None,
        ahead: int = 0,
    ) -> None:
        self.offset = offset
        self._storage = storage
        self._most_ahead = ahead
        self._ahead: deque[Future[bytes | bytearray]] = deque()
        self._reserved = 0
        """The current range's part of the allowance."""
        length = self._length(BLOCK if stop is None else stop - offset)
        try:
            self.entry, first = fetched(storage, uri, offset, offset + length, version)
        except BaseException:
            self._let_go()
            raise
        self._block = memoryview(first)
        if len(first) <= LEAST:
            self._let_go()
        size = self.entry.size or 0
        self._stop = size if stop is None else min(stop, size)
        self._next = offset + len(first)
        """The start of the next range to request."""

    def _length(self, wanted: int) -> int:
        """The length of the next range; more than the minimum is reserved."""
        if wanted <= LEAST or not self._storage.readable.take_at_once(BLOCK):
            return min(wanted, LEAST)
        self._reserved = BLOCK
        return min(wanted, BLOCK)

    def _let_go(self) -> None:
        if self._reserved:
            self._storage.readable.give_back(self._reserved)
            self._reserved = 0

    def readinto(self, buffer: bytearray | memoryview, /) -> int:
        """The next bytes. Raises NetworkError if the file was changed since it was opened."""
        self._look_ahead()
        if not self._block and self._next_block():
            self._look_ahead()
        count = min(len(buffer), len(self._block))
        memoryview(buffer)[:count] = self._block[:count]
        self._block = self._block[count:]
        return count

    def _next_block(self) -> bool:
        """Get the next range; False at the end."""
        self._block = memoryview(b"")
        self._let_go()
        if self._ahead:
            self._reserved = BLOCK
            self._block = memoryview(self._ahead.popleft().result())
        elif self._next < self._stop:
            start, length = self._next, self._length(self._stop - self._next)
            self._block = memoryview(self._fetch(start, start + length))
            self._next = start + length
        else:
            return False
        return True

    def _look_ahead(self) -> None:
        while self._next < self._stop and len(self._ahead) < self._most_ahead:
            if not self._storage.readable.take_at_once(BLOCK):
                return
            start, self._next = self._next, min(self._next + BLOCK, self._stop)
            self._ahead.append(self._storage.pool.submit(self._fetch, start, self._next))

    def _fetch(self, start: int, stop: int) -> bytes | bytearray:
        uri = self.entry.uri
        try:
            entry, content = fetched(self._storage, uri, start, stop, self.entry.version)
        except Changed:
            raise changed(uri) from None
        if entry.size != self.entry.size or entry.version != self.entry.version:
            raise changed(uri)
        if len(content) != stop - start:
            raise NetworkError(f"{uri} ended {stop - start - len(content)} bytes too early", "Try again")
        return content

    def close(self) -> None:
        """Cancel the ranges fetched in advance."""
        for pending in self._ahead:
            pending.add_done_callback(lambda _: self._storage.readable.give_back(BLOCK))
            pending.cancel()
        self._ahead.clear()
        self._block = memoryview(b"")
        self._stop = self._next
        self._let_go()


def fetched(
    storage: RangeSource, uri: DataUri, start: int, stop: int, version: str | None
) -> tuple[Entry, bytes | bytearray]:
    """Fetch a range, with retries; beyond the end of the file, no bytes and the entry."""
    tries = Tries(RETRIES)
    while True:
        try:
            with store_errors(uri):
                return storage.fetch(uri, start, stop, version)
        except Unsatisfiable:
            return storage.stat(uri), b""
        except NetworkError as error:
            tries.spend_on(error)


def changed(uri: DataUri) -> NetworkError:
    """The error for a file of which two versions would be mixed."""
    return NetworkError(f"{uri} was changed while it was read", "Copy it again when no other program writes to it")
