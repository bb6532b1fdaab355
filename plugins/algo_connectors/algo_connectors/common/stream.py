"""Reads an object as one stream: what arrives goes straight into the caller's buffer."""

from __future__ import annotations

from collections.abc import Callable

from algo_connectors.common.reading import BLOCK
from algo_core.errors import NetworkError
from algo_core.http.response import Response
from algo_core.storage.contract import Entry, Reader


class StreamReader(Reader):
    """The body of a GET for `length` bytes of an object from `offset`, after `skipped` bytes that are not wanted.

    `rest` opens a reader for what follows behind them. `ahead` opens one at an offset that fetches over several
    connections (`PrefetchingReader`).
    """

    def __init__(
        self,
        response: Response,
        entry: Entry,
        offset: int,
        length: int,
        skipped: int = 0,
        ahead: Callable[[int], Reader] | None = None,
        rest: Callable[[int], Reader] | None = None,
    ) -> None:
        self.entry = entry
        self.offset = offset
        self._response = response
        self._left = length
        self._end = offset + length
        self._rest = rest
        self._ahead = ahead
        self._other: Reader | None = None
        while skipped and (count := response.readinto(memoryview(bytearray(min(skipped, 1 << 16))))):
            skipped -= count

    def readinto(self, buffer: bytearray | memoryview, /) -> int:
        """The next bytes. Raises NetworkError if the connection breaks, or ends too early."""
        if self._other:
            return self._other.readinto(buffer)
        if not self._left and self._rest:
            self._response.close()
            self._other = self._rest(self._end)
            return self._other.readinto(buffer)
        view = memoryview(buffer)[: self._left]
        filled = 0
        while filled < len(view):
            try:
                count = self._response.readinto(view[filled:])
            except NetworkError:
                if not filled:
                    raise
                break  # it is raised again by the next call
            if not count:
                if filled:
                    break
                raise NetworkError(f"{self.entry.uri} ended {self._left} bytes too early", "Try again")
            filled += count
        self._left -= filled
        return filled

    def read_ahead(self) -> None:
        """Read the rest in ranges, some of which are fetched in advance, if it is long."""
        if self._ahead and not self._other and (self._rest or self._left > BLOCK):
            self._response.close()
            self._other = self._ahead(self._end - self._left)

    def close(self) -> None:
        """Release the connection; it is used again only if the body was read to its end."""
        self._response.close()
        if self._other:
            self._other.close()
