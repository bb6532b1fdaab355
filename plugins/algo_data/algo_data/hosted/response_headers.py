"""The metadata of files and directories in response headers (API sections 4.7 and 2.2)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timezone
from urllib.parse import unquote

from algo_core.errors import PlatformError
from algo_core.http.headers import is_encoded, is_length
from algo_core.storage.contract import Checksum, Entry, Kind
from algo_core.storage.uri import HOSTED, DataUri, is_only_key

MD5_BYTES = 16
_HEXADECIMAL = "0123456789abcdefABCDEF"
_MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"
_RANGE = r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})"
_KINDS = {"file": Kind.FILE, "directory": Kind.DIRECTORY}


def is_taken_as_written(uri: DataUri, headers: Mapping[str, str]) -> bool:
    """Whether a path behind a connector was served as sent; for paths that only keys can have, the platform says so."""
    if uri.scheme == HOSTED or not is_only_key(uri.path):
        return True
    return unquote(headers.get("X-Data-Path", "")) == uri.path


def kind_of(headers: Mapping[str, str]) -> Kind | None:
    """The kind that `X-Data-Type` names, or None if it names none."""
    return _KINDS.get(headers.get("X-Data-Type", "").strip().lower())


def entry_of(uri: DataUri, headers: Mapping[str, str]) -> Entry:
    """The entry that the headers of a HEAD or GET describe.

    Raises:
        PlatformError: if they do not state the kind, as every response of the data API does: then the response is from
            something else, such as a login page.
    """
    kind = kind_of(headers)
    if kind is None:
        raise PlatformError(
            f"The response for {uri} is not from the data API: it has no X-Data-Type header",
            "Check that the profile's address is that of the API: algo profile show",
        )
    if kind is Kind.DIRECTORY:
        return Entry(uri, kind)
    whole = content_range(headers)
    if is_encoded(headers):
        return Entry(uri, kind, whole[2] if whole else None, _modified(headers))
    tag = headers.get("ETag", "").strip()
    return Entry(
        uri,
        kind,
        size=whole[2] if whole else _length(headers),
        modified=_modified(headers),
        checksum=checksum_of(uri, headers, is_part=whole is not None),
        version=None if not tag or tag.startswith("W/") else tag,  # as it came: weak ones `If-Range` does not allow
    )


def stored_checksum(uri: DataUri, headers: Mapping[str, str], body: bytes) -> Checksum | None:
    """The MD5 of a file in the response to its PUT."""
    found = checksum_of(uri, headers)
    if found and "Content-MD5" in headers:
        import hashlib

        # Strictly that is the one of the message that it stands in (RFC 1864).
        if found.digest == hashlib.md5(body, usedforsecurity=False).hexdigest():
            return checksum_of(uri, headers, is_part=True)
    return found


def content_range(headers: Mapping[str, str]) -> tuple[int, int, int] | None:
    """First byte, last byte and size of the whole file, from `Content-Range`."""
    text = headers.get("Content-Range")
    match = re.fullmatch(_RANGE, text.strip()) if text else None
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def _length(headers: Mapping[str, str]) -> int | None:
    text = headers.get("Content-Length", "").strip()
    return int(text) if is_length(text) else None


def _modified(headers: Mapping[str, str]) -> datetime | None:
    """`Last-Modified`, else `Date`, in which the platform sends the file's time (API section 4.7)."""
    for name in ("Last-Modified", "Date"):
        if (text := headers.get(name)) is None:
            continue
        try:
            return _http_date(text) or _older_date(text)
        except (TypeError, ValueError, OverflowError):
            continue
    return None


def _http_date(text: str) -> datetime | None:
    """A time in HTTP's current format, `Sun, 06 Nov 1994 08:49:37 GMT`; None for another format."""
    if len(text) != 29 or not text.endswith(" GMT") or (month := _MONTHS.find(text[8:11])) < 0 or month % 3:
        return None
    clock = int(text[17:19]), int(text[20:22]), int(text[23:25])
    return datetime(int(text[12:16]), month // 3 + 1, int(text[5:7]), *clock, tzinfo=timezone.utc)


def _older_date(text: str) -> datetime:
    """A time in one of HTTP's obsolete formats."""
    from email.utils import parsedate_to_datetime

    return parsedate_to_datetime(text).astimezone(timezone.utc)


def checksum_of(uri: DataUri, headers: Mapping[str, str], *, is_part: bool = False) -> Checksum | None:
    """The MD5 of the whole file: `Content-MD5` of a whole body, or the ETag of hosted data.

    The ETag of an object store can have the form of an MD5 without being one (encrypted or multi-part objects).
    """
    given = headers.get("Content-MD5")
    if given and not is_part:
        from base64 import b64decode

        try:
            digest = b64decode(given, validate=True)
        except ValueError:
            digest = b""
        if len(digest) == MD5_BYTES:
            return Checksum("md5", digest.hex())
    if uri.scheme == HOSTED:
        tag = headers.get("ETag", "").strip()
        text = tag[1:-1] if tag[:1] == tag[-1:] == '"' else tag
        if len(text) == 2 * MD5_BYTES and not text.strip(_HEXADECIMAL):
            return Checksum("md5", text.lower())
    return None
