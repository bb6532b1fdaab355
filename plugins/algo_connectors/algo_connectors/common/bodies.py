"""Bodies of responses that hold an object, or a range of one."""

from __future__ import annotations

from algo_core.errors import NetworkError, PlatformError
from algo_core.http.response import Response

Content = bytes | bytearray
"""Bytes that nobody changes any more."""

COPIED = 1 << 20
"""Bytes of a body up to which a copy more does not matter."""


def whole_size(content_range: str) -> int:
    """The size of the whole object, of which a part was sent. Raises PlatformError if it is not told."""
    size = content_range.rpartition("/")[2]
    if not (size.isascii() and size.isdecimal()):
        raise PlatformError(f"The store answered with an invalid Content-Range: {content_range[:100]!r}")
    return int(size)


def content_of(response: Response, limit: int) -> Content:
    """The body up to `limit` bytes; NetworkError if it ends too early."""
    length = response.body_length or 0
    if length > limit:
        return b"".join(_first(response, limit))
    if length <= COPIED:
        return response.read(limit)
    buffer, filled = bytearray(length), 0
    with memoryview(buffer) as view:
        while filled < length and (count := response.readinto(view[filled:])):
            filled += count
    if filled < length:
        response.close()
        raise NetworkError(f"The connection to {response.place} broke", "Try again")
    return buffer


def _first(response: Response, limit: int) -> list[bytes]:
    buffer, parts = memoryview(bytearray(1 << 16)), []
    while limit and (count := response.readinto(buffer[: min(limit, len(buffer))])):
        parts.append(bytes(buffer[:count]))
        limit -= count
    return parts
