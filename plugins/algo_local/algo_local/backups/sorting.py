"""Sorts any number of lines with bounded memory, so that their order depends on no database or store."""

from __future__ import annotations

import heapq
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

RUN_BYTES = 16 << 20
"""Bytes of lines that are sorted in memory."""


def in_order(lines: Iterable[bytes], scratch: Path) -> Iterator[bytes]:
    """The lines in the order of their bytes; lines beyond the memory limit are kept in files in `scratch`."""
    with ExitStack() as files:
        runs: list[BinaryIO] = []
        held: list[bytes] = []
        size = 0
        for line in lines:
            held.append(line)
            size += len(line)
            if size > RUN_BYTES:
                runs.append(files.enter_context(_sorted_run(held, scratch)))
                held, size = [], 0
        held.sort()
        yield from heapq.merge(held, *runs)


def _sorted_run(held: list[bytes], scratch: Path) -> BinaryIO:
    held.sort()
    file = tempfile.TemporaryFile(dir=scratch)  # noqa: SIM115 - handed to the caller
    file.writelines(held)
    file.seek(0)
    return file
