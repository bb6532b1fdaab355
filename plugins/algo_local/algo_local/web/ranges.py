"""Byte ranges of requests."""

from __future__ import annotations

import re

from algo_local.web.http import Request

_SINGLE = re.compile(r"bytes=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.ASCII)


def requested_range(request: Request, size: int, etag: str, modified: str) -> range | None:
    """The requested byte range of a file of `size` bytes; None for all, an empty range if it is outside.

    Only single ranges are served; others, and malformed ones, count as not given, as HTTP allows. `If-Range` may hold
    the file's MD5, with or without quotes, or its time: if it is another file by now, all of it is sent.
    """
    wanted = request.header("Range")
    match = _SINGLE.fullmatch(wanted) if wanted else None
    if not match or request.method != "GET" or not _unchanged(request.header("If-Range"), etag, modified):
        return None
    first, last = match.groups()
    if not first:
        if not last:
            return None
        return range(max(0, size - int(last)), size) if int(last) else range(0)
    if last and int(last) < int(first):
        return None
    stop = min(size, int(last) + 1) if last else size
    return range(int(first), stop) if int(first) < size else range(0)


def _unchanged(condition: str, etag: str, modified: str) -> bool:
    return not condition or condition.strip('"') == etag or condition == modified
