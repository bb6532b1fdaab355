"""Parses the heads of requests strictly: whatever RFC 9112 allows a server to refuse is refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from algo_local.serving.http.connection_limits import FIELDS, HEAD_BYTES, LINE_BYTES

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_REQUEST_LINE = re.compile(rf"({_TOKEN}) ([!-~]+) (HTTP/[0-9]\.[0-9])")
_FIELD = re.compile(rf"({_TOKEN}):([^\x00-\x08\x0a-\x1f\x7f]*)")
_AUTHORITY = r"(?:[A-Za-z0-9._~!$&'()*+,;=%-]*|\[[0-9A-Za-z.:%_~-]+\])(?::[0-9]{0,5})?"
_HOST = re.compile(_AUTHORITY)
_TARGET = re.compile(rf"(?:https?://(?!:|/|\?|$){_AUTHORITY}(?=/|\?|$)|/)[^#]*", re.IGNORECASE)
_FIRST_BYTES = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]|\r(?:\n|\Z)|\Z")
_HOPELESS = re.compile(rb"(?<!\r)\n|\r[^\n]|\0")

VERSIONS = ("HTTP/1.0", "HTTP/1.1")


class BadRequest(Exception):
    """A request with an ambiguous end, or that exceeds a limit before authentication.

    The connection ends with the response, since the start of the next request is unknown.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass(slots=True)
class Head:
    """A request without its body."""

    method: str
    target: str
    """In origin form or absolute form (RFC 9112 section 3.2), not decoded."""
    version: str
    section: bytes
    """The lines of its fields, as they came."""
    fields: Mapping[str, str]
    """By names in lower case; the values of repeated ones are joined with commas."""
    length: int | None
    """Bytes of the body; None if it comes in chunks."""
    keep_alive: bool
    """Whether the client may send another request on this connection."""
    expects_continue: bool
    """Whether the client waits for `100 Continue` before it sends the body."""


def parse_head(raw: bytes, known: Head | None = None) -> Head:
    """Parse the bytes before the empty line. `known` is a head of the same client, whose fields are often the same.

    Raises:
        BadRequest: if it is not a head that RFC 9112 requires a server to accept, or exceeds the limits.
    """
    if len(raw) > HEAD_BYTES:
        raise BadRequest(431, f"The head of a request has at most {HEAD_BYTES} bytes")
    first, _, section = raw.partition(b"\r\n")
    method, target, version = _request_line(first.decode("latin-1"))
    if known and known.section == section and known.version == version:
        same = (known.fields, known.length, known.keep_alive, known.expects_continue)
        return Head(method, target, version, section, *same)
    fields = parse_fields(section.decode("latin-1").split("\r\n") if section else [])
    _check_host(fields.get("host"), version)
    expected = fields.get("expect", "").lower() if version != "HTTP/1.0" else ""
    if expected not in {"", "100-continue"}:
        raise BadRequest(417, "Only 100-continue can be expected")
    options = {option.strip() for option in fields.get("connection", "").lower().split(",")}
    return Head(
        method,
        target,
        version,
        section,
        fields,
        _length(fields, version),
        "close" not in options and version != "HTTP/1.0",
        bool(expected),
    )


def parse_fields(lines: list[str]) -> dict[str, str]:
    """Parse the lines of a header or trailer section. BadRequest if one is malformed, too long, or one too many."""
    if len(lines) > FIELDS:
        raise BadRequest(431, f"A request has at most {FIELDS} header fields")
    fields: dict[str, str] = {}
    for line in lines:
        match = _FIELD.fullmatch(line)
        if not match:
            raise BadRequest(400, "A header field is malformed")
        if len(line) > LINE_BYTES:
            raise BadRequest(431, f"A header field has at most {LINE_BYTES} bytes")
        name, value = match[1].lower(), match[2].strip(" \t")
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    return fields


def check_beginning(raw: bytes, start: int = 0) -> None:
    """Refuse the beginning of a head that no further bytes can make valid; bytes before `start` were checked already.

    Raises:
        BadRequest: at once, so that a client of another protocol is not left waiting.
    """
    if not _FIRST_BYTES.match(raw) or _HOPELESS.search(raw, max(0, start - 1)):
        raise BadRequest(400, "This is not a request in HTTP/1.1")
    if len(raw) > LINE_BYTES and raw.find(b"\r\n", 0, LINE_BYTES + 2) < 0:
        raise BadRequest(414, f"The first line of a request has at most {LINE_BYTES} bytes")
    if len(raw) > HEAD_BYTES:
        raise BadRequest(431, f"The head of a request has at most {HEAD_BYTES} bytes")


def _request_line(line: str) -> tuple[str, str, str]:
    if len(line) > LINE_BYTES:
        raise BadRequest(414, f"The first line of a request has at most {LINE_BYTES} bytes")
    match = _REQUEST_LINE.fullmatch(line)
    if not match:
        raise BadRequest(400, "The first line of the request is malformed; is its target percent-encoded?")
    method, target, version = match.groups()
    if version not in VERSIONS:
        raise BadRequest(505, "This platform speaks HTTP/1.1")
    if not _TARGET.fullmatch(target) and (method, target) != ("OPTIONS", "*"):
        raise BadRequest(400, "The target of a request is an absolute path")
    return method, target, version


def _check_host(host: str | None, version: str) -> None:
    """RFC 9112 section 3.2: exactly one, and a valid one."""
    if host is None:
        if version != "HTTP/1.0":
            raise BadRequest(400, "The header field Host is missing")
    elif not _HOST.fullmatch(host):
        raise BadRequest(400, "The header field Host is invalid")


def _length(fields: dict[str, str], version: str) -> int | None:
    """The end of the body (RFC 9112 section 6.3), if it is unambiguous."""
    coding, length = fields.get("transfer-encoding"), fields.get("content-length")
    if coding is not None:
        if length is not None:
            raise BadRequest(400, "A request has either Content-Length or Transfer-Encoding")
        if version == "HTTP/1.0":
            raise BadRequest(400, "HTTP/1.0 knows no Transfer-Encoding")
        if coding.lower() != "chunked":
            raise BadRequest(400, "The only Transfer-Encoding is chunked")
        return None
    if length is None:
        return 0
    if not (length.isascii() and length.isdigit() and len(length) <= 18):
        raise BadRequest(400, "The header field Content-Length is invalid")
    return int(length)
