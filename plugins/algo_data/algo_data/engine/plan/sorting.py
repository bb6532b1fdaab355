"""Sorted listings of any length with bounded memory: as they arrive if in order, else through a temporary file."""

from __future__ import annotations

import heapq
import itertools
import marshal
import os
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from algo_core.storage.contract import IncompleteListing
from algo_data.engine.attributes import Attributes
from algo_data.engine.io.spool import no_room, write_whole
from algo_data.engine.plan.comparison import unseen

HELD = 20_000
"""Maximum number of entries in memory; a longer listing uses a temporary file."""

CHUNK = 100
"""Entries that are read back at a time from each run."""

_Chunk = tuple[int, int]
"""The position of a chunk in the file: offset and length in bytes."""


def order(attributes: Attributes) -> tuple[bool, str]:
    """The sort key of listings: directories first (API section 4.4), names by code points."""
    return not attributes.is_directory, attributes.name


class OutOfOrder(Exception):
    """A listing is not sorted."""

    def __init__(self, listing: Listing) -> None:
        super().__init__()
        self.listing = listing


class Listing:
    """A cursor on a listing as it arrives; consecutive duplicates count once.

    `head` is the current entry, None before the first `advance` and at the end.
    """

    def __init__(self, entries: Iterable[Attributes]) -> None:
        self._failed: list[IncompleteListing] = []
        self._entries = _until_incomplete(entries, self._failed)
        self.head: Attributes | None = None

    def advance(self) -> None:
        """Advance to the next entry.

        Raises:
            OutOfOrder: if the entry is out of order; then there is no head.
        """
        before, self.head = self.head, None
        for attributes in self._entries:
            if before is None or order(before) < order(attributes):
                self.head = attributes
                return
            if order(attributes) < order(before):
                self._entries = itertools.chain([attributes], self._entries)
                raise OutOfOrder(self)

    def check(self) -> None:
        """Raises IncompleteListing if it has ended so."""
        if self._failed:
            raise self._failed[0]

    def rest(self) -> Iterator[Attributes]:
        """The remaining entries from the head on, in any order."""
        return itertools.chain([self.head] if self.head else [], self._entries)


def side_by_side(
    ours: Listing, theirs: Listing
) -> Iterator[tuple[Attributes, Attributes] | tuple[Attributes, None] | tuple[None, Attributes]]:
    """Two sorted listings as pairs of the same name and kind.

    Raises:
        OutOfOrder: if one listing is not sorted; the pairs so far are right.
        IncompleteListing: when both have ended.
    """
    ours.advance()
    theirs.advance()
    while True:
        one, other = ours.head, theirs.head
        if one and (not other or order(one) < order(other)):
            yield one, None
            ours.advance()
        elif other and (not one or order(other) < order(one)):
            yield None, other
            theirs.advance()
        elif one and other:
            yield one, other
            ours.advance()
            theirs.advance()
        else:
            break
    ours.check()
    theirs.check()


def in_order(entries: Iterable[Attributes], held: int = HELD) -> Iterator[Attributes]:
    """The entries sorted.

    A listing that comes in this order already is only written and read back; any other is merged from sorted runs.

    Raises:
        IncompleteListing: after all others, with unreadable ones as `unseen` among them.
        AlgoError: if there is no space for the temporary file.
    """
    failed: list[IncompleteListing] = []
    yield from _sorted(_with_unseen(entries, failed), held)
    if failed:
        raise failed[0]


def _with_unseen(entries: Iterable[Attributes], failed: list[IncompleteListing]) -> Iterator[Attributes]:
    yield from _until_incomplete(entries, failed)
    for error in failed:
        yield from map(unseen, error.names)


def _until_incomplete(entries: Iterable[Attributes], failed: list[IncompleteListing]) -> Iterator[Attributes]:
    try:
        yield from entries
    except IncompleteListing as error:
        failed.append(error)


def _sorted(rest: Iterator[Attributes], held: int) -> Iterator[Attributes]:
    first = sorted(itertools.islice(rest, held), key=order)
    if len(first) < held:
        yield from first
        return
    import tempfile

    with tempfile.TemporaryFile(buffering=0) as file:
        runs: list[list[_Chunk]] = []
        last: tuple[bool, str] | None = None
        while first:
            if last is None or order(first[0]) < last:
                runs.append([])
            last = order(first[-1])
            runs[-1].extend(_written(file, first))
            first = sorted(itertools.islice(rest, held), key=order)
        yield from heapq.merge(*(_read(file, run) for run in runs), key=order)


def _written(file: BinaryIO, entries: list[Attributes]) -> Iterator[_Chunk]:
    for start in range(0, len(entries), CHUNK):
        data = marshal.dumps([tuple(entry) for entry in entries[start : start + CHUNK]])
        offset = file.tell()
        try:
            write_whole(file, data)
        except OSError as error:
            raise no_room("sort a long listing", error) from error
        yield offset, len(data)


def _read(file: BinaryIO, run: list[_Chunk]) -> Iterator[Attributes]:
    for offset, length in run:
        yield from map(Attributes._make, marshal.loads(os.pread(file.fileno(), length, offset)))
