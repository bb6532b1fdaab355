"""The download of a file from the platform."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from algo_core.errors import NetworkError
from algo_core.http.headers import is_encoded
from algo_core.storage.contract import Entry

if TYPE_CHECKING:
    from algo_core.http.response import Response

WAIT = 0.2
"""Seconds after which a partly filled buffer is returned."""


class HostedReader:
    """Reads the body of a GET (API section 4.7) as it arrives, and checks that it is complete, up to `end`.

    Bytes that arrived before a broken connection are returned before the error is raised, so that they need not be sent
    again. The platform is asked for plain bytes; if a proxy compresses them anyway, they are decompressed, and their
    length cannot be checked.
    """

    def __init__(self, response: Response, entry: Entry, offset: int, end: int | None, address: str) -> None:
        self.entry = entry
        self.offset = offset
        self._response = response
        self._address = address
        self._left = None if end is None or is_encoded(response.headers) else end - offset
        self._broken: NetworkError | None = None

    def readinto(self, buffer: bytearray | memoryview, /) -> int:
        """The next bytes. Raises NetworkError if the connection breaks, or ends too early."""
        if self._broken:
            raise self._broken
        view = memoryview(buffer)
        if self._left is not None:
            view = view[: self._left]
        wanted, filled, until = len(view), 0, 0.0
        receive = self._response.readinto
        while filled < wanted:
            try:
                count = receive(view[filled:])
            except NetworkError as error:
                self._broken = error
                break
            if not count:
                if self._left is not None:
                    missing = self._left - filled
                    self._broken = NetworkError(
                        f"The connection to {self._address} ended {missing} bytes too early", "Try again"
                    )
                break
            filled += count
            if filled < wanted:
                now = time.monotonic()
                until = until or now + WAIT
                if now >= until:
                    break
        if self._left is not None:
            self._left -= filled
        if not filled and self._broken:
            raise self._broken
        return filled

    def close(self) -> None:
        """Release the connection; it is reused only if the body was read to its end."""
        self._response.close()
