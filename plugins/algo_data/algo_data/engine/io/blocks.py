"""Moving bytes in blocks: constant memory, and the last block only when the source has ended well."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from algo_core.storage.contract import SizeMismatch

if TYPE_CHECKING:
    from algo_core.storage.contract import Source

BLOCK = 1 << 20
"""Bytes that are moved at a time."""

SMALL = 1 << 18
"""Bytes up to which a file is kept in memory as a whole while it is moved."""


def joined(source: Source, size: int) -> bytes:
    """The content of a small source at once. Raises SizeMismatch if there are more or fewer than `size` bytes."""
    buffer = bytearray(size + 1)
    view, filled = memoryview(buffer), 0
    while count := source.readinto(view[filled:] if filled <= size else bytearray(1)):
        filled += count
        if filled > size:
            raise SizeMismatch(filled, size)
    if filled < size:
        raise SizeMismatch(filled, size)
    return bytes(view[:size])


def blocks(source: Source, size: int | None = None) -> Iterator[memoryview]:
    """The content of a source from its position; each block is valid until the next one is asked for.

    A block is given when the source has shown that it has another one, or that it is at its end: what a source raises
    at its end (a wrong checksum, a file that was changed) comes before the receiver has got all that was announced.

    Raises:
        SizeMismatch: if there are more or fewer than `size` bytes.
    """
    room = BLOCK if size is None else min(BLOCK, size + 1)
    filling, held = bytearray(room), bytearray(room)
    ready = seen = 0
    while count := source.readinto(filling):
        seen += count
        if size is not None and seen > size:
            raise SizeMismatch(seen, size)
        if ready:
            yield memoryview(held)[:ready]
        filling, held, ready = held, filling, count
    if size is not None and seen < size:
        raise SizeMismatch(seen, size)
    if ready:
        yield memoryview(held)[:ready]
