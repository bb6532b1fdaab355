"""The response to a request, for all transports: status, headers, and a body that is read as it arrives."""

from __future__ import annotations

import abc
import json
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from algo_core.errors import NetworkError, PlatformError
from algo_core.http.headers import Headers, content_length

WHOLE_LIMIT = 16 << 20
"""Default limit, in bytes, of a body that is read in one piece."""

NO_BODY = frozenset({101, 204, 304})
"""Statuses of responses without a body, whatever their headers say."""

BLOCK = 1 << 16

NESTED = 900
"""Maximum nesting of JSON that is to be written again."""


class Response(abc.ABC):
    """Use it as a context manager, or close it. The connection is reused if the body was read to its end."""

    url: str
    status: int
    reason: str = ""
    """The reason phrase, if any."""
    headers: Mapping[str, str]
    """Looked up without regard to case."""
    has_body: bool = True
    """Whether a body follows; the response to a HEAD has the length of one, and none."""
    after_lost_answer: bool = False
    """True if an earlier attempt may have taken effect: its response was lost, or told of a failure on the way."""

    @abc.abstractmethod
    def readinto(self, buffer: Any, /) -> int:
        """Fill the buffer; 0 at the end, even a premature one: compare with Content-Length."""

    @abc.abstractmethod
    def close(self) -> None:
        """Release the connection."""

    @property
    def ok(self) -> bool:
        """Whether the status is one of success."""
        return 200 <= self.status < 300

    @property
    def content(self) -> bytes:
        """The whole body, read once.

        Raises:
            NetworkError: if it ends too early.
            PlatformError: if it is larger than `WHOLE_LIMIT`.
        """
        return self.read(WHOLE_LIMIT)

    def read(self, limit: int) -> bytes:
        """The whole body, read once. Raises as `content` does, with a limit in bytes of its own."""
        if not hasattr(self, "_content"):
            expected = self.body_length
            self._check_size(expected or 0, limit)
            parts, size = [], 0
            for part in self.blocks(BLOCK if expected is None else min(expected + 1, BLOCK)):
                size += len(part)
                self._check_size(size, limit)
                parts.append(part)
            self._content = b"".join(parts)
        return self._content

    def _check_size(self, size: int, limit: int) -> None:
        if size > limit:
            self.close()
            raise PlatformError(f"{self.place} sent more than {limit} bytes where less was expected")

    @property
    def text(self) -> str:
        """The whole body as text."""
        return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """The whole body as JSON. Raises ValueError if it is none."""
        return parse_json(self.content)

    def blocks(self, size: int) -> Iterator[bytes]:
        """The body in blocks of at most `size` bytes. Raises NetworkError if it ends too early."""
        buffer = memoryview(bytearray(size))
        expected = self.body_length
        seen = 0
        while count := self.readinto(buffer):
            seen += count
            yield bytes(buffer[:count])
        if expected is not None and seen < expected:
            self.close()
            raise NetworkError(f"The connection to {self.place} broke", "Try again")

    @property
    def place(self) -> str:
        """The address without its query, for messages."""
        return self.url.partition("?")[0] or "The platform"

    @property
    def body_length(self) -> int | None:
        """Bytes of the body, where headers tell."""
        return content_length(self.headers) if self.has_body and self.status not in NO_BODY else 0

    def __enter__(self) -> Response:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class BytesResponse(Response):
    """A response whose body has arrived."""

    def __init__(self, url: str, status: int, headers: Mapping[str, str], content: bytes, reason: str = "") -> None:
        self.url = url
        self.status = status
        self.reason = reason
        self.headers = headers
        self._left = memoryview(content)

    def readinto(self, buffer: Any, /) -> int:
        """The next bytes of the body; 0 at its end."""
        part = self._left[: len(buffer)]
        memoryview(buffer)[: len(part)] = part
        self._left = self._left[len(part) :]
        return len(part)

    def read(self, limit: int) -> bytes:
        """The whole body, read once. PlatformError if it is larger than `limit`."""
        if not hasattr(self, "_content"):
            self._check_size(len(self._left), limit)
            self._content, self._left = bytes(self._left), self._left[:0]
        return self._content

    def close(self) -> None:
        """Nothing is held."""


class Readable(Protocol):
    """A source of a body; a file is one."""

    def readinto(self, buffer: Any, /) -> int | None:
        """Fill the buffer; 0 at the end."""

    def close(self) -> None:
        """Release it."""


class StreamResponse(Response):
    """A response whose body is read from something, for transports that have no connection."""

    def __init__(self, url: str, status: int, headers: Mapping[str, str], body: Readable) -> None:
        self.url = url
        self.status = status
        self.headers = Headers.of(headers.items())
        self._body = body

    def readinto(self, buffer: Any, /) -> int:
        """The next bytes of the body; 0 at its end."""
        return self._body.readinto(buffer) or 0

    def close(self) -> None:
        """Close its source."""
        self._body.close()


def parse_json(data: bytes) -> Any:
    """A JSON value. Raises ValueError if it is none, or nested deeper than can be read."""
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def parse_printable_json(data: bytes) -> Any:
    """The same for a value that may be written as JSON again, which takes more room on the stack than to read it."""
    value = parse_json(data)
    level = [value] if data.count(b"[") + data.count(b"{") > NESTED else []
    for _ in range(NESTED if level else 0):
        values = [each.values() if isinstance(each, dict) else each for each in level]
        level = [inner for each in values for inner in each if isinstance(inner, (dict, list))]
    if level:
        raise ValueError("it is nested too deeply")
    return value
