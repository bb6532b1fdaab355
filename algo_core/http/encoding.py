"""Bodies that are compressed although compression was not requested; some proxies do that."""

from __future__ import annotations

import zlib
from typing import Any

from algo_core.errors import NetworkError, PlatformError
from algo_core.http.response import BLOCK, Response

_CODINGS = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
"""The window bits of zlib for each encoding."""


class DecodedResponse(Response):
    """A response whose body is decompressed while it is read, at most a buffer at a time."""

    def __init__(self, response: Response) -> None:
        """Raises PlatformError if the encoding is not known."""
        coding = response.headers["Content-Encoding"].strip().lower()
        if coding not in _CODINGS:
            response.close()
            raise PlatformError(
                f"{response.place} sent a body that is encoded as {coding!r:.40}, which was not requested"
            )
        self.url, self.status, self.reason = response.url, response.status, response.reason
        self.headers = response.headers
        self.has_body = response.has_body
        self.after_lost_answer = response.after_lost_answer
        self._response = response
        self._wbits = _CODINGS[coding]
        self._packed = response.blocks(BLOCK)
        self._waiting = b""
        self._decoder: Any = None

    @property
    def body_length(self) -> int | None:
        """Not known before it is read."""
        return None

    def readinto(self, buffer: Any, /) -> int:
        """The next bytes of the body; 0 at its end.

        Raises:
            PlatformError: if it does not match its Content-Encoding.
            NetworkError: if it ends too early.
        """
        while len(buffer):
            if not self._waiting:
                self._waiting = next(self._packed, b"")
            if not self._waiting and (self._decoder is None or self._decoder.eof):
                return 0
            if data := self._decoded(len(buffer)):
                buffer[: len(data)] = data
                return len(data)
        return 0

    def _decoded(self, size: int) -> bytes:
        """At most `size` bytes; none if more must be received first."""
        if self._decoder is None or self._decoder.eof:  # some send several compressed pieces, one behind the other
            self._decoder = zlib.decompressobj(self._wbits)
        packed = self._waiting
        try:
            data: bytes = self._decoder.decompress(packed, size)
        except zlib.error as error:
            raise PlatformError(f"{self.place} sent a body that does not match its Content-Encoding: {error}") from None
        self._waiting = self._decoder.unconsumed_tail or self._decoder.unused_data
        if not data and not packed:
            raise NetworkError(f"The connection to {self.place} broke", "Try again")
        return data

    def close(self) -> None:
        """Release the connection."""
        self._response.close()
