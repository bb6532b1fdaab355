"""A file of the platform while it is read."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from algo_core.errors import NetworkError
from algo_core.storage import Entry
from algo_data.facts import is_encoded

if TYPE_CHECKING:
    import requests

PIECE = 1 << 18
"""Bytes that are asked for at a time."""

WAIT = 0.2
"""Seconds after which what has arrived is handed on, though the buffer is not full."""


class HostedReader:
    """Reads the body of a GET (API section 4.7) as it arrives, and checks that all of it does.

    What had arrived when the connection broke is handed on before the error is raised, so that none of it has to be
    sent again. The platform is asked for plain bytes; where something on the way compresses them anyway, they are
    unpacked, and their length cannot be checked.
    """

    def __init__(self, response: requests.Response, entry: Entry, offset: int, address: str) -> None:
        self.entry = entry
        self.offset = offset
        self._response = response
        self._address = address
        self._unpack = is_encoded(response.headers)
        self._left = None if entry.size is None else entry.size - offset
        self._broken: NetworkError | None = None
        raw = response.raw
        self._read: Callable[..., bytes] = getattr(raw, "read1", raw.read)

    def readinto(self, buffer: bytearray | memoryview, /) -> int:
        """The next bytes. Raises NetworkError if the connection breaks, or ends too early."""
        if self._broken:
            raise self._broken
        view, filled, end = memoryview(buffer), 0, time.monotonic() + WAIT
        while filled < len(view) and (not filled or time.monotonic() < end):
            try:
                piece = self._piece(min(PIECE, len(view) - filled))
            except NetworkError as error:
                if not filled:
                    raise
                self._broken = error
                break
            if not piece:
                break
            view[filled : filled + len(piece)] = piece
            filled += len(piece)
        return filled

    def _piece(self, size: int) -> bytes:
        from algo_core.http import network_errors

        with network_errors(self._address):
            try:
                piece = self._read(size, decode_content=self._unpack)
            except AttributeError:  # an answer that comes from no connection need not have read1
                self._read = self._response.raw.read
                piece = self._read(size, decode_content=self._unpack)
        if self._left is not None:
            self._left -= len(piece)
            if not piece and self._left:
                raise NetworkError(f"The connection to {self._address} ended {self._left} bytes too early", "Try again")
        return piece

    def close(self) -> None:
        """Let go of the connection; it is used again only if the body was read to its end."""
        self._response.close()
