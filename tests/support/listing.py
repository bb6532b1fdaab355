"""Listings of directories as the API has them (section 4.4), for platforms that tests make up."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

HEADERS = {"Content-Type": "application/json", "X-Data-Type": "directory"}
"""What a listing is answered with."""


def file_entry(name: str, size: int, modified: str = "2016-01-06T10:22:34.000Z") -> dict[str, Any]:
    """A file of a listing; the time is in whole seconds, and written so that the oldest clients can read it."""
    return {"filename": name, "last_modified": modified, "size": size}


def page(
    folders: Iterable[str] = (), files: Iterable[dict[str, Any]] = (), marker: str | None = None, **members: Any
) -> bytes:
    """One page: folders, then files, either of them possibly empty; a marker only if there is another page."""
    listing = {"folders": [{"name": name} for name in folders], "files": list(files), **members}
    return json.dumps(listing if marker is None else {**listing, "marker": marker}).encode()
