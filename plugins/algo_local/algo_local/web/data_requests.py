"""Headers, bodies and listings that the data routes of hosted data and of connectors share (API section 4)."""

from __future__ import annotations

import base64
import binascii
from functools import lru_cache
from time import gmtime, strftime
from typing import Any

from algo_core.errors import RequestRefused
from algo_local.data.hosted import parse_acl
from algo_local.error_codes import ErrorCode
from algo_local.metadata.store import OWN_ALGORITHMS, Acl
from algo_local.web.http import ApiError, Request


def file_entry(name: str, modified: float, size: int) -> dict[str, Any]:
    """A file in a listing; `modified` in seconds since the epoch, `size` in bytes (API section 4.4)."""
    # Some clients read the fraction literally as ".000Z", so the time is cut to whole seconds.
    return {
        "filename": name,
        "last_modified": _listed_time(int(modified)),
        "size": size,
    }


@lru_cache(maxsize=64)
def _listed_time(seconds: int) -> str:
    return strftime("%Y-%m-%dT%H:%M:%S.000Z", gmtime(seconds))


def announced_md5(request: Request) -> str | None:
    """The MD5 in hexadecimal digits that `Content-MD5` gives for the body, if it does.

    Raises:
        ApiError: if it is not one.
    """
    announced = request.header("Content-MD5")
    if not announced:
        return None
    try:
        digest = base64.b64decode(announced, validate=True)
    except binascii.Error:
        digest = b""
    if len(digest) != 16:
        raise ApiError(400, f"Not a Content-MD5: {announced[:100]!r}", ErrorCode.INVALID_REQUEST)
    return digest.hex()


def to_replace(request: Request) -> frozenset[str] | None:
    """The ETags of `If-Match`, one of which the file to be replaced has; empty for `If-None-Match: *`; None without.

    Raises:
        ApiError: if there are other conditions.
    """
    match, none_match = request.header("If-Match"), request.header("If-None-Match")
    if not match and not none_match:
        return None
    if match and not none_match:
        return frozenset(tag.strip().strip('"') for tag in match.split(","))
    if none_match != "*" or match:
        message = "A file is stored with If-Match and the ETag of the one before, or with If-None-Match: *"
        raise ApiError(400, message, ErrorCode.INVALID_REQUEST)
    return frozenset()


def new_directory(request: Request) -> tuple[Any, Acl]:
    """Name and ACL in a body that is a JSON object, or the bare name as text (API section 4.5)."""
    if request.content_type in {"text/plain", "application/text"}:
        body = request.body(1 << 16)
        return (body or b"").decode("utf-8", "replace").strip(), OWN_ALGORITHMS
    value = request.json()
    if isinstance(value, str):
        return value, OWN_ALGORITHMS
    if not isinstance(value, dict) or "name" not in value:
        raise ApiError(400, 'A directory is made with a body such as {"name": "robots"}', ErrorCode.MALFORMED_JSON)
    return value["name"], acl_in(value)


def acl_in(value: dict[str, Any]) -> Acl:
    """The ACL that a body gives, or the default.

    Raises:
        RequestRefused: if it is not one.
    """
    acl = value.get("acl")
    if acl is not None and not isinstance(acl, dict):
        raise RequestRefused('An ACL is an object such as {"read": []}')
    return parse_acl(acl.get("read") if acl else None)
