"""Pages of a connector's listings, with a marker for each page, whatever paging the store has."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from algo_core.errors import AlgoError
from algo_core.storage.contract import Entry
from algo_local.data.open_listings import OpenListings
from algo_local.error_codes import ErrorCode
from algo_local.web.http import ApiError

if TYPE_CHECKING:
    from algo_local.data.connector_data import ConnectedData

PAGE_SIZE = 1000
"""Entries of a page (API section 4.4)."""


class Listings:
    """Pages of listings: a listing stays open until its last page is requested.

    One that was given up meanwhile (too many others, too long ago, another process) is begun anew, and what the caller
    has had already is skipped by its number.
    """

    def __init__(self) -> None:
        self._open: OpenListings[Iterator[Entry]] = OpenListings()

    def page(self, data: ConnectedData, path: str, marker: str | None) -> tuple[list[Entry], str | None]:
        """A page, and the marker of the next one if there are more entries.

        Raises:
            ApiError: if the marker is none of ours.
            AlgoError: whatever the store answers.
        """
        token, had = _read(marker)
        rest = self._open.take(token)
        if rest is None:
            rest = data.list(path)
            for _ in islice(rest, had):
                pass
        entries: list[Entry] = []
        try:
            entries.extend(islice(rest, PAGE_SIZE + 1))
        except AlgoError as error:
            if not entries:
                raise
            rest = _failing(error)  # when what could be listed has been handed out
        else:
            if len(entries) <= PAGE_SIZE:
                return entries, None
            rest = _before(entries.pop(), rest)
        token = f"{secrets.token_hex(8)}"
        self._open.keep(token, rest)
        return entries, f"{token}:{had + len(entries)}"


def _failing(error: AlgoError) -> Iterator[Entry]:
    raise error
    yield


def _before(first: Entry, rest: Iterator[Entry]) -> Iterator[Entry]:
    yield first
    yield from rest


def _read(marker: str | None) -> tuple[str, int]:
    if marker is None:
        return "", 0
    token, _, had = marker.partition(":")
    if not had.isdecimal() or not had.isascii() or len(had) > 12:
        raise ApiError(400, f"Not a marker: {marker[:100]!r}", ErrorCode.INVALID_MARKER)
    return token, int(had)
