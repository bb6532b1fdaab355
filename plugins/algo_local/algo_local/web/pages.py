"""Pages of collections of the management API (API section 1.6)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from algo_local.error_codes import ErrorCode
from algo_local.web.http import ApiError, Request, Response, decode_marker, encode_marker, json_response

PAGE_SIZE = 50
PAGE_LIMIT = 1000


def page(request: Request, entries: list[dict[str, Any]]) -> Response:
    """One page of a collection of the management API."""
    limit = request.query.get("limit", str(PAGE_SIZE))
    if not limit.isascii() or not limit.isdigit() or not 0 < int(limit) <= PAGE_LIMIT:
        raise ApiError(400, f"The limit must be a number from 1 to {PAGE_LIMIT}", ErrorCode.INVALID_LIMIT)
    marker = request.query.get("marker")
    start = decode_marker(marker) if marker else "0"
    if not start.isascii() or not start.isdigit():
        raise ApiError(400, f"Not a marker: {marker!r}", ErrorCode.INVALID_MARKER)
    stop = int(start) + int(limit)
    following = encode_marker(str(stop)) if stop < len(entries) else None
    link = f"{request.path}?{urlencode({'limit': limit, 'marker': following})}" if following else None
    return json_response({"marker": following, "next_link": link, "results": entries[int(start) : stop]})
