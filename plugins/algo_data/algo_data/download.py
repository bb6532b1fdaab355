"""A file of the platform while it is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from algo_core.errors import NetworkError
from algo_core.storage import Entry
from algo_data.facts import is_encoded

if TYPE_CHECKING:
    import requests


class HostedReader:
    """Reads the body of a GET (API section 4.7) as it arrives, and checks that all of it does.

    The platform is asked for plain bytes; where something on the way compresses them anyway, they are unpacked and the
    length cannot be checked.
    """

    def __init__(self, response: requests.Response, entry: Entry, offset: int, address: str) -> None:
        self.entry = entry
        self.offset = offset
        self._response = response
        self._address = address
        self._unpack = is_encoded(response.headers)
        self._left = None if entry.size is None else entry.size - offset

    def readinto(self, buffer: bytearray | memoryview, /) -> int:
        """The next bytes. Raises NetworkError if the connection breaks, or ends too early."""
        from algo_core.http import network_errors

        with network_errors(self._address):
            data = self._response.raw.read(len(buffer), decode_content=self._unpack)
        count = len(data)
        buffer[:count] = data
        if self._left is not None:
            self._left -= count
            if not count and self._left:
                raise NetworkError(f"The connection to {self._address} ended {self._left} bytes too early", "Try again")
        return count

    def close(self) -> None:
        """Let go of the connection; it is used again only if the body was read to its end."""
        self._response.close()
