"""The body of a PUT, read from a source block by block, and again when the request is repeated."""

from __future__ import annotations

import io
from collections.abc import Iterator

from algo_core.storage import Source
from algo_data.blocks import blocks

SMALL = 1 << 18
"""Bytes up to which a file is sent from memory: repeated without reading it again."""


class Body:
    """What requests and urllib3 need of a body: an iteration over blocks, and a position to return to.

    Without a length it goes out chunked.
    """

    def __init__(self, source: Source, size: int | None) -> None:
        self._source = source
        self._size = size
        self._start = source.tell() if source.seekable() else None
        self._position = 0
        self.is_spent = False
        """Whether it had to be read again and could not."""

    def __iter__(self) -> Iterator[bytes]:
        for block in blocks(self._source, self._size):
            self._position += len(block)
            yield bytes(block)

    def tell(self) -> int:
        """How many bytes were given."""
        return self._position

    def seek(self, position: int, whence: int = io.SEEK_SET) -> int:
        """Return to the beginning.

        Raises:
            OSError: if the source cannot be read again, or the end is asked for, which is how requests looks for a
                length that is not known here.
        """
        if whence != io.SEEK_SET:
            raise OSError("the length is not known")
        if position != 0 or (self._start is None and self._position):
            self.is_spent = True
            raise OSError("the source cannot be read again")
        if self._start is not None:
            self._source.seek(self._start)
        self._position = 0
        return 0


class SizedBody(Body):
    """A body whose length is known; requests takes it for `Content-Length`."""

    def __init__(self, source: Source, size: int) -> None:
        super().__init__(source, size)
        self._length = size

    def __len__(self) -> int:
        return self._length


def body_for(source: Source, size: int | None) -> bytes | Body:
    """The body that sends a source; small ones, and empty ones, are read at once."""
    if size is None:
        return Body(source, None)
    if size <= SMALL:
        return b"".join(bytes(block) for block in blocks(source, size))
    return SizedBody(source, size)
