"""The head of a response in the one plain form that is accepted here; other forms are not guessed at.

One status line of HTTP/1.1, and lines of a name, a colon and a value of printable characters. Exactly one
Content-Length, or the Transfer-Encoding `chunked`, determines the end of the body.
"""

from __future__ import annotations

from algo_core.errors import NetworkError, PlatformError
from algo_core.http.errors import TLS_ALERT, speaks_tls
from algo_core.http.headers import Headers, is_length, is_token

HEAD_LIMIT = 1 << 16
"""Bytes that the head of a response may have, all heads that come before it included."""

_VERSION = "HTTP/1.1 "


class Head:
    """Status and headers of a response, and the part of its body that arrived with them (`rest`).

    `length` is the length of the body, None without Content-Length; `keeps_open` says whether the connection can be
    reused.
    """

    __slots__ = ("headers", "is_chunked", "keeps_open", "length", "reason", "rest", "status")

    def __init__(self, status: int, reason: str, values: dict[str, str], rest: bytes) -> None:
        self.status = status
        self.reason = reason
        self.headers = Headers(values)
        self.rest = rest
        length, coding = values.get("content-length"), values.get("transfer-encoding")
        is_plain = length is not None and coding is None and is_length(length)
        self.length = int(length) if is_plain and length is not None else None
        self.is_chunked = length is None and coding is not None and coding.lower() == "chunked"
        self.keeps_open = "close" not in values.get("connection", "").lower()


def parse_head(received: bytes, end: int) -> Head | None:
    """The head that ends before the position `end`; None if it is not of the plain form."""
    text = received[:end].decode("latin-1")
    first, *lines = text.split("\r\n")
    code = first[9:12]
    if first[:9] != _VERSION or len(code) != 3 or not code.isdecimal() or code[0] == "0":
        return None
    if first[12:13] not in {"", " "} or not text.replace("\r\n", "").isprintable():
        return None
    is_ascii = text.isascii()
    values: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        # Most names are plain, which takes few steps to see.
        if not colon or not ((is_ascii and name.replace("-", "a").isalnum()) or is_token(name)):
            return None
        name, value = name.lower(), value.strip()
        values[name] = f"{values[name]}, {value}" if name in values else value
    return Head(int(code), first[13:], values, received[end + 4 :])


def check_beginning(received: bytes, address: str) -> None:
    """Check the first bytes of a response.

    Raises:
        NetworkError: if it is no HTTP.
        PlatformError: if a line of the head ends in a line feed alone, so that its end would not be found.
    """
    if not b"HTTP/".startswith(received[:5]):
        raise no_http(address, received)
    head = received.partition(b"\r\n\r\n")[0]
    if head.count(b"\n") != head.count(b"\r\n"):
        raise PlatformError(f"{address} sent a malformed response: a line of its head does not end in CR LF")


def endless(address: str) -> NetworkError:
    """The error for heads that are too large."""
    return NetworkError(f"{address} sends too many headers")


def no_http(address: str, received: bytes) -> NetworkError:
    """The error for a response that is not HTTP."""
    if received.startswith(TLS_ALERT):
        return speaks_tls(address)
    said = f"{received[:40].decode('latin-1')!r}"
    error = NetworkError(f"The server at {address} does not speak HTTP: {said}", "Check the address")
    error.concerns_address = True
    return error


def chunk_size(line: bytes) -> int:
    """The size in the line that a chunk begins with, without the line's end. Raises ValueError if there is none."""
    size = line.partition(b";")[0].rstrip(b" \t")
    if not size or len(size) > 15 or size.strip(b"0123456789abcdefABCDEF"):
        raise ValueError(f"a chunk has no size: {line[:20]!r}")
    return int(size, 16)
