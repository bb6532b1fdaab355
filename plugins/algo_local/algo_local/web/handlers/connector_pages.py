"""Pages of listings whose stores have markers of their own, or none."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from algo_core.errors import AlgoError
from algo_core.storage.contract import Entry
from algo_local.error_codes import ErrorCode
from algo_local.web.http import ApiError

if TYPE_CHECKING:
    from algo_local.data.connector_data import ConnectedData

PAGE_SIZE = 1000
"""Entries of a page (API section 4.4)."""

OPEN_LISTINGS = 64
"""Listings that are kept open for their next page."""

IDLE_SECONDS = 600.0


class Listings:
    """Hands out listings in pages: a listing stays open until its last page was asked for.

    One that was given up meanwhile (too many others, too long ago, another process) is begun anew, and what the caller
    has had already is skipped by its number.
    """

    def __init__(self) -> None:
        self._open: OrderedDict[str, tuple[float, Iterator[Entry]]] = OrderedDict()
        self._lock = threading.Lock()

    def page(self, data: ConnectedData, path: str, marker: str | None) -> tuple[list[Entry], str | None]:
        """A page, and the marker of the next one if there are more entries.

        Raises:
            ApiError: if the marker is none of ours.
            AlgoError: whatever the store answers.
        """
        token, had = _read(marker)
        rest = self._take(token)
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
        self._keep(token, rest)
        return entries, f"{token}:{had + len(entries)}"

    def _take(self, token: str) -> Iterator[Entry] | None:
        with self._lock:
            found = self._open.pop(token, None)
        return found[1] if found else None

    def _keep(self, token: str, rest: Iterator[Entry]) -> None:
        with self._lock:
            self._open[token] = (time.monotonic(), rest)
            limit = time.monotonic() - IDLE_SECONDS
            while len(self._open) > OPEN_LISTINGS or next(iter(self._open.values()))[0] < limit:
                self._open.popitem(last=False)


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
