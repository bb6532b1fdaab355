"""The body of a PUT, read from a source block by block, and again when the request is repeated."""

from __future__ import annotations

from collections.abc import Iterator

from algo_core.errors import AlgoError
from algo_core.storage import Source

BLOCK = 1 << 18
"""Bytes that are read at a time. What is smaller is read before anything is sent, so that nothing has to be undone."""


def body_of(source: Source, size: int | None) -> bytes | Body:
    """What requests sends for a source of `size` bytes, or of unknown size.

    Raises:
        AlgoError: if a small source gives more or fewer bytes; whatever it raises.
    """
    start = source.tell() if source.seekable() else None
    head = b"".join(_blocks(source, BLOCK + 1))
    if len(head) <= BLOCK:
        if size is not None and size != len(head):
            raise _wrong_size(size)
        return head
    return Body(source, head, start, None) if size is None else SizedBody(source, head, start, size)


class Body:
    """An iteration over blocks that can start again, as requests and urllib3 want it; it goes out chunked."""

    def __init__(self, source: Source, head: bytes, start: int | None, size: int | None) -> None:
        self._source = source
        self._head = head
        self._start = start
        self._size = size
        self.sent = 0

    def __iter__(self) -> Iterator[bytes]:
        if self.sent:
            raise AlgoError("What is uploaded cannot be read again", "Write it to a file first, and copy that")
        yield from self._counted(self._head)
        for block in _blocks(self._source):
            yield from self._counted(block)
        if self._size is not None and self.sent != self._size:
            raise _wrong_size(self._size)

    def _counted(self, block: bytes) -> Iterator[bytes]:
        self.sent += len(block)
        if self._size is not None and self.sent > self._size:
            raise _wrong_size(self._size)
        yield block

    def tell(self) -> int:
        """How many bytes were given."""
        return self.sent

    def seek(self, position: int, whence: int = 0) -> int:
        """Return to the beginning. Raises OSError if the source cannot, or for any other position."""
        if position or whence or (self.sent and self._start is None):
            raise OSError("the source cannot be read again")
        if self.sent and self._start is not None:
            self._source.seek(self._start + len(self._head))
        self.sent = 0
        return 0


class SizedBody(Body):
    """A body whose length is known."""

    def __len__(self) -> int:
        assert self._size is not None
        return self._size


def _blocks(source: Source, limit: int | None = None) -> Iterator[bytes]:
    buffer = bytearray(BLOCK if limit is None else limit)
    left = limit
    while left is None or left:
        count = source.readinto(memoryview(buffer)[:left])
        if not count:
            return
        yield bytes(buffer[:count])
        left = None if left is None else left - count


def _wrong_size(size: int) -> AlgoError:
    return AlgoError(f"What is uploaded has not the {size} bytes that it should have", "Was it changed meanwhile?")
