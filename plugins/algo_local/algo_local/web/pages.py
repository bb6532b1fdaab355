"""Pages of collections of the management API (API section 1.6)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from algo_local.error_codes import ErrorCode
from algo_local.web.http import ApiError, decode_marker, encode_marker

if TYPE_CHECKING:
    from algo_local.records.record import Record
    from algo_local.records.rows import Question
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


def newest_page(
    context: RequestContext,
    question: Question,
    describe: Callable[[Record], dict[str, Any]],
    *,
    shows: Callable[[Record], bool] = lambda record: True,
) -> dict[str, Any]:
    """The page of calls, newest first, that a request asks for; it has fewer if not all of them are to be shown."""
    limit = page_limit(context)
    question = question._replace(before=_before(context.request.query.get("marker")))
    found = context.platform.records.listed(question, limit + 1)
    marker = link = None
    if len(found) > limit:
        last = found[limit - 1]
        marker = encode_marker(f"{last.created_at!r} {last.id}")
        link = context.url(f"{context.request.path}?{urlencode({**context.request.query, 'marker': marker})}")
    return {"marker": marker, "next_link": link, "results": [describe(each) for each in found[:limit] if shows(each)]}


def _before(marker: str | None) -> tuple[float, str] | None:
    if not marker:
        return None
    moment, _, identifier = decode_marker(marker).partition(" ")
    try:
        return float(moment), identifier
    except ValueError:
        raise ApiError(400, f"Not a marker: {marker[:100]!r}", ErrorCode.INVALID_MARKER) from None


def page_limit(context: RequestContext) -> int:
    """The requested maximum number of entries."""
    limit = context.request.query.get("limit", str(PAGE_SIZE))
    if not limit.isascii() or not limit.isdigit() or not 0 < int(limit[:9]) <= PAGE_LIMIT:
        raise ApiError(400, f"The limit must be a number from 1 to {PAGE_LIMIT}", ErrorCode.INVALID_LIMIT)
    return int(limit)
