"""Listings of any length in the order of their names, with memory that does not grow."""

from __future__ import annotations

import heapq
import itertools
import marshal
import operator
import os
import tempfile
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from algo_core.errors import AlgoError
from algo_data.engine.comparison import Facts

HELD = 20_000
"""Entries that are held at a time; a longer listing goes through a temporary file."""

CHUNK = 100
"""Entries that are read back at a time from each run."""

_order = operator.itemgetter(0, 1)
_Chunk = tuple[int, int]
"""Where a chunk stands in the file: offset and length in bytes."""


def in_order(entries: Iterable[Facts], held: int = HELD) -> Iterator[Facts]:
    """The entries by name, a file before a directory of the same name; the order is that of code points.

    A listing that comes in this order already is only written and read back; any other is merged from sorted runs.

    Raises:
        AlgoError: if there is no room for the temporary file.
    """
    rest = iter(entries)
    first = sorted(itertools.islice(rest, held), key=_order)
    if len(first) < held:
        yield from first
        return
    with tempfile.TemporaryFile(buffering=0) as file:
        runs: list[list[_Chunk]] = []
        last: tuple[str, bool] | None = None
        while first:
            if last is None or _order(first[0]) < last:
                runs.append([])
            last = _order(first[-1])
            runs[-1].extend(_written(file, first))
            first = sorted(itertools.islice(rest, held), key=_order)
        yield from heapq.merge(*(_read(file, run) for run in runs), key=_order)


def _written(file: BinaryIO, entries: list[Facts]) -> Iterator[_Chunk]:
    for start in range(0, len(entries), CHUNK):
        data = marshal.dumps([tuple(entry) for entry in entries[start : start + CHUNK]])
        offset = file.tell()
        try:
            if file.write(data) != len(data):
                raise OSError(28, os.strerror(28))
        except OSError as error:
            raise AlgoError(
                f"No room to sort a long listing in {tempfile.gettempdir()}: {error.strerror}",
                "Name a directory with more room: export TMPDIR=...",
            ) from error
        yield offset, len(data)


def _read(file: BinaryIO, run: list[_Chunk]) -> Iterator[Facts]:
    for offset, length in run:
        yield from map(Facts._make, marshal.loads(os.pread(file.fileno(), length, offset)))
