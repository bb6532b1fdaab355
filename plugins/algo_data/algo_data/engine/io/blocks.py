"""Moves bytes in blocks, with constant memory; the last block is passed on only after the source ended well."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from algo_core.storage.contract import SizeMismatch

if TYPE_CHECKING:
    from algo_core.storage.contract import Source

BLOCK = 1 << 20
"""Block size in bytes."""

SMALL = 1 << 18
"""Maximum size, in bytes, of a file that is moved in memory."""


def joined(source: Source, size: int) -> bytes:
    """The content of a small source. Raises SizeMismatch if it has more or fewer than `size` bytes."""
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
    """The content of a source from its position; each block is valid until the next one is requested.

    A block is yielded only when the source has another one, or has reported its end: so errors at the end (a wrong
    checksum, a changed file) are raised before the receiver has all announced bytes.

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
