"""Pages of collections of the management API (API section 1.6)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from algo_local.error_codes import ErrorCode
from algo_local.web.http import ApiError, decode_marker, encode_marker

if TYPE_CHECKING:
    from algo_local.web.authorization import RequestContext

PAGE_SIZE = 50
PAGE_LIMIT = 1000


def page(context: RequestContext, entries: Sequence[Any]) -> dict[str, Any]:
    """The page of a collection that a request asks for."""
    query = context.request.query
    limit = page_limit(context)
    marker = query.get("marker")
    start = decode_marker(marker) if marker else "0"
    if not start.isascii() or not start.isdigit() or len(start) > 12:
        raise ApiError(400, f"Not a marker: {str(marker)[:100]!r}", ErrorCode.INVALID_MARKER)
    stop = int(start) + limit
    following = encode_marker(str(stop)) if stop < len(entries) else None
    link = None
    if following:
        link = context.url(f"{context.request.path}?{urlencode({**query, 'limit': str(limit), 'marker': following})}")
    return {"marker": following, "next_link": link, "results": list(entries[int(start) : stop])}


def page_limit(context: RequestContext) -> int:
    """The requested maximum number of entries."""
    limit = context.request.query.get("limit", str(PAGE_SIZE))
    if not limit.isascii() or not limit.isdigit() or not 0 < int(limit[:9]) <= PAGE_LIMIT:
        raise ApiError(400, f"The limit must be a number from 1 to {PAGE_LIMIT}", ErrorCode.INVALID_LIMIT)
    return int(limit)
