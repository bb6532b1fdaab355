"""Requests and responses of the routes."""

from __future__ import annotations

import base64
import binascii
import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from io import RawIOBase
from typing import Any, BinaryIO, NoReturn, Protocol
from urllib.parse import parse_qsl, unquote_to_bytes

from algo_local.error_codes import ErrorCode

BLOCK = 1 << 20
"""Bytes of a body that are read at a time."""

NO_CONTENT = 204
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?]*")
_COMPACT = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False)
_TRUE = frozenset({"true", "1", "yes", "t"})


class ApiError(Exception):
    """An answer other than success, with one of the platform's error codes if there is one (API section 2.4).

    `bare` says that the body has the message alone as its `error` (API section 2.1, E3).
    """

    def __init__(
        self,
        status: int,
        message: str,
        code: int | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        bare: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.headers = dict(headers or {})
        self.bare = bare


class Body(Protocol):
    """The source of a request's body."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""


class Request:
    """One request, with its target as it came: nothing is decoded before the route that knows the rules.

    `headers` has their names in lower case. `length` is in bytes; None if it is not known before the body has been
    read (a chunked upload).
    """

    def __init__(
        self, method: str, target: str, headers: Mapping[str, str], body: Body | None = None, length: int | None = 0
    ) -> None:
        self.method = method
        self.target = target
        if target[:1] != "/" and (absolute := _ABSOLUTE.match(target)):
            target = target[absolute.end() :]
        self.path, _, query = target.partition("?")
        """The undecoded path."""
        self.query = dict(parse_qsl(query, keep_blank_values=True)) if query else {}
        self.length = length
        self.headers = headers
        self._body = body

    @property
    def stream(self) -> Body | None:
        """The body as it arrives, for another request that is made of this one."""
        return self._body

    def header(self, name: str) -> str:
        """A header's value; empty if it is missing."""
        return self.headers.get(name.lower(), "").strip()

    def flag(self, name: str) -> bool:
        """A boolean query parameter in any of the spellings that clients use (API section 3.3)."""
        return self.query.get(name, "").lower() in _TRUE

    @property
    def content_type(self) -> str:
        """The body's media type without parameters, in lower case."""
        return self.header("Content-Type").partition(";")[0].strip().lower()

    def read(self, size: int) -> bytes:
        """At most `size` bytes of the body; none at its end. ApiError if it cannot be read, whatever the reason."""
        try:
            return self._body.read(size) if self._body else b""
        except TimeoutError:
            raise ApiError(408, "The request's body took too long to arrive", 2015) from None
        except Exception as error:
            raise ApiError(400, f"The request's body is broken: {error}", ErrorCode.INVALID_REQUEST) from None

    def body(self, limit: int) -> bytes | None:
        """The whole body; None if it is larger than `limit` bytes."""
        length = self.length
        if length is not None and length > limit:
            return None
        parts, size = [], 0
        while length is None or size < length:
            block = self.read(BLOCK if length is None else min(BLOCK, length - size))
            if not block:
                break
            size += len(block)
            if size > limit:
                return None
            parts.append(block)
        if length is not None and size < length:
            raise ApiError(400, f"The request's body ended after {size} of {length} bytes", ErrorCode.INVALID_REQUEST)
        return b"".join(parts)

    def json(self, limit: int = 1 << 20) -> Any:
        """The body as JSON. ApiError if it is none, or larger than `limit` bytes."""
        body = self.body(limit)
        if body is None:
            raise ApiError(413, f"The request's body is larger than {limit} bytes", ErrorCode.INVALID_REQUEST)
        try:
            return json.loads(body, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise ApiError(400, f"The request's body is not JSON: {error}", ErrorCode.MALFORMED_JSON) from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


class FileBody:
    """A part of an open file as a response's body: read by a client in the same process, or sent by a server."""

    def __init__(self, file: BinaryIO | RawIOBase, length: int) -> None:
        self._file: Any = file  # unbuffered ones read into a buffer, which their common type does not say
        self.left = length
        """Bytes that are still to come."""

    @property
    def descriptor(self) -> int | None:
        """The file's descriptor, at the position of the next byte; None if it is not a file of the system."""
        try:
            descriptor: int = self._file.fileno()
        except OSError:
            return None
        return descriptor

    def read(self, size: int | None = -1) -> bytes:
        """At most `size` bytes; all that is left if it is negative or None."""
        wanted = self.left if size is None or size < 0 else min(size, self.left)
        data: bytes = self._file.read(wanted)
        self.left -= len(data)
        if len(data) < wanted and data and (size is None or size < 0):
            return data + self.read(-1)
        return data

    def readinto(self, buffer: memoryview | bytearray) -> int:
        """Fill as much of the buffer as one read does; the number of bytes."""
        view = memoryview(buffer)[: self.left]
        count: int = self._file.readinto(view)
        self.left -= count
        return count

    def __iter__(self) -> Iterator[bytes]:
        while block := self.read(BLOCK):
            yield block

    @property
    def closed(self) -> bool:
        """Whether the file is closed."""
        closed: bool = self._file.closed
        return closed

    def close(self) -> None:
        """Close the file."""
        self._file.close()


@dataclass
class Response:
    """An answer; `body` is bytes or a `FileBody` whose length is given."""

    status: int = 200
    body: bytes | FileBody = b""
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None
    """Bytes of the body, if it is a `FileBody`, or if a HEAD request leaves it out."""

    def all_headers(self) -> dict[str, str]:
        """Its headers, with those that every response has."""
        size = self.length if self.length is not None else len(self.body) if isinstance(self.body, bytes) else 0
        headers = {"Content-Length": str(size), "Date": http_date(), **self.headers}
        if self.status == NO_CONTENT:
            del headers["Content-Length"]
        return headers


def http_date(seconds: float | None = None) -> str:
    """A time in seconds since the epoch (default: now) in the format of headers, in any locale."""
    return _http_date(int(time.time() if seconds is None else seconds))


@lru_cache(maxsize=64)
def _http_date(seconds: int) -> str:
    year, month, day, hour, minute, second, weekday, *_ = time.gmtime(seconds)
    clock = f"{hour:02}:{minute:02}:{second:02} GMT"
    return f"{_DAYS[weekday]}, {day:02} {_MONTHS[month - 1]} {year:04} {clock}"


def json_bytes(value: object) -> bytes:
    """Compact JSON, as some clients compare it (API section 4.7). ValueError for NaN and infinities."""
    try:
        return _COMPACT.encode(value).encode("utf-8")
    except UnicodeEncodeError:  # half of a surrogate pair, which only the escaped form can express
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode("ascii")


def json_response(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer with a JSON body."""
    return Response(status, json_bytes(value), {"Content-Type": "application/json", **(headers or {})})


def decode(text: str) -> str:
    """Percent-decode a piece of a path. ApiError if that is not UTF-8, or holds a NUL."""
    if "%" not in text and text.isascii() and "\0" not in text:
        return text
    try:
        decoded = unquote_to_bytes(text.encode("latin-1")).decode("utf-8")
    except UnicodeError:
        raise ApiError(400, "The path is not UTF-8", ErrorCode.INVALID_REQUEST) from None
    if "\0" in decoded:
        raise ApiError(400, "A path cannot hold a NUL", ErrorCode.INVALID_REQUEST)
    return decoded


def components(path: str) -> list[str]:
    """The decoded components of an undecoded path, without empty ones."""
    return [decode(part) for part in path.split("/") if part]


def encode_marker(name: str) -> str:
    """An opaque marker that needs no quoting in an address, since some clients do not quote it (API section 4.4)."""
    return base64.urlsafe_b64encode(name.encode("utf-8", "surrogatepass")).decode("ascii").rstrip("=")


def decode_marker(marker: str) -> str:
    """The name in a marker. ApiError for an unknown marker."""
    try:
        padded = marker + "=" * (-len(marker) % 4)
        return base64.b64decode(padded, altchars=b"-_", validate=True).decode("utf-8", "surrogatepass")
    except (binascii.Error, UnicodeError, ValueError):
        raise ApiError(400, f"Not a marker: {marker[:100]!r}", ErrorCode.INVALID_MARKER) from None
