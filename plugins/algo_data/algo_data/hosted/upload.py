"""The body of a PUT, read from a source block by block, and again when the request is repeated."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import BinaryIO, cast

from algo_core.errors import AlgoError
from algo_core.http.transport import BytesBody
from algo_core.storage.contract import Source
from algo_data.engine.io.blocks import SMALL, blocks, joined

KEPT_IN_MEMORY = 8 << 20


class Streamed:
    """A body that is read while it is sent, so that the source can still fail at its end."""

    def __init__(self, source: Source, size: int) -> None:
        self.size = size
        self._source = source
        self._start = source.tell() if source.seekable() else None
        self._sent = 0

    def __iter__(self) -> Iterator[memoryview]:
        for block in blocks(self._source, self.size - self._sent):
            self._sent += len(block)
            yield block

    def rewind(self) -> bool:
        """Return to the source's initial position."""
        if self._start is None:
            return not self._sent
        self._source.seek(self._start)
        self._sent = 0
        return True


def content_of(source: Source, size: int) -> BytesBody | Streamed:
    """The body of a source of known size; small ones are read at once."""
    return BytesBody(joined(source, size)) if size <= SMALL else Streamed(source, size)


@contextmanager
def spooled(source: Source) -> Iterator[tuple[Source, int]]:
    """Buffer a source of unknown size, so that it can be sent repeatedly; returns it and its size.

    A small one is kept in memory, a larger one in an unnamed temporary file (`TMPDIR`).

    Raises:
        AlgoError: if there is not enough space.
    """
    import tempfile

    with ExitStack() as closing:
        kept: BinaryIO = io.BytesIO()
        for block in blocks(source):
            try:
                if isinstance(kept, io.BytesIO) and kept.tell() + len(block) > KEPT_IN_MEMORY:
                    early, kept = kept, closing.enter_context(tempfile.TemporaryFile())
                    kept.write(early.getbuffer())
                kept.write(block)
            except OSError as error:
                raise AlgoError(
                    f"Not enough space to buffer the upload in {tempfile.gettempdir()}: {error.strerror}",
                    "Set TMPDIR to a directory with more space",
                ) from error
        size = kept.tell()
        kept.seek(0)
        yield cast(Source, kept), size
