"""What the headers of an answer say about a file or directory (API sections 4.7 and 2.2)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

from algo_core.errors import PlatformError
from algo_core.storage import Checksum, Entry, Kind
from algo_core.uri import HOSTED, DataUri

_MD5 = re.compile(r"[0-9a-f]{32}")
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_KINDS = {"file": Kind.FILE, "directory": Kind.DIRECTORY}


def kind_of(headers: Mapping[str, str]) -> Kind | None:
    """The kind that `X-Data-Type` names, or None if it names none."""
    return _KINDS.get(headers.get("X-Data-Type", "").strip().lower())


def entry_of(uri: DataUri, headers: Mapping[str, str]) -> Entry:
    """The entry that the headers of a HEAD or GET describe.

    Raises:
        PlatformError: if they do not say which kind it is, as every answer of the data API does: then something else
            has answered, a log-in page for example, and its body is not the file.
    """
    kind = kind_of(headers)
    if kind is None:
        raise PlatformError(
            f"What answered for {uri} is not the data API: it sent no X-Data-Type",
            "Check that the profile's address is that of the API: algo profile show",
        )
    if kind is Kind.DIRECTORY:
        return Entry(uri, kind)
    whole = content_range(headers)
    return Entry(
        uri,
        kind,
        size=whole[2] if whole else _size_of(headers),
        modified=_modified(headers),
        checksum=_checksum(uri, headers, is_part=whole is not None),
        version=_version(headers),
    )


def content_range(headers: Mapping[str, str]) -> tuple[int, int, int] | None:
    """First byte, last byte and size of the whole file, from `Content-Range`."""
    match = _RANGE.fullmatch(headers.get("Content-Range", "").strip())
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def is_encoded(headers: Mapping[str, str]) -> bool:
    """Whether the body is compressed although that was not asked for: its length says nothing about the file then."""
    return headers.get("Content-Encoding", "identity").strip().lower() not in {"", "identity"}


def _size_of(headers: Mapping[str, str]) -> int | None:
    text = headers.get("Content-Length", "").strip()
    return int(text) if text.isdecimal() and not is_encoded(headers) else None


def _modified(headers: Mapping[str, str]) -> datetime | None:
    """`Last-Modified`, else `Date`: in which the platform gives the file's time (API section 4.7)."""
    for name in ("Last-Modified", "Date"):
        try:
            found = parsedate_to_datetime(headers[name])
        except (KeyError, TypeError, ValueError):
            continue
        return found.astimezone(timezone.utc)
    return None


def _version(headers: Mapping[str, str]) -> str | None:
    """The ETag exactly as it came, so that it can be sent back in `If-Range`, which allows no weak ones."""
    tag = headers.get("ETag", "").strip()
    return None if not tag or tag.startswith("W/") or is_encoded(headers) else tag


def _checksum(uri: DataUri, headers: Mapping[str, str], *, is_part: bool) -> Checksum | None:
    """The MD5 of the whole file: `Content-MD5` of a whole body, or the ETag of hosted data.

    The ETag of an object store can have the form of an MD5 without being one (encrypted or multi-part objects).
    """
    if is_encoded(headers):
        return None
    try:
        given = base64.b64decode(headers.get("Content-MD5", ""), validate=True).hex()
    except (binascii.Error, ValueError):
        given = ""
    tag = headers.get("ETag", "").strip().strip('"').lower()
    if _MD5.fullmatch(given) and not is_part:
        return Checksum("md5", given)
    if uri.scheme == HOSTED and _MD5.fullmatch(tag):
        return Checksum("md5", tag)
    return None
