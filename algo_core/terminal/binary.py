"""Bytes on a terminal: decoded, and escaped like other text."""

from __future__ import annotations

import codecs
import io
from collections.abc import Callable
from typing import Any


class TerminalBytes(io.RawIOBase):
    """Replaces the buffer of a standard stream that is a terminal.

    What is no UTF-8 becomes an escape like `\\\\xff`. A character that is not whole yet waits for its other bytes, and
    for `end` at the latest, which also writes a carriage return that no newline has followed.
    """

    def __init__(self, write: Callable[[str], object], flush: Callable[[], None]) -> None:
        self._write = write
        self._flush = flush
        self._decoder = io.IncrementalNewlineDecoder(
            codecs.getincrementaldecoder("utf-8")("surrogateescape"), translate=False
        )

    def writable(self) -> bool:  # noqa: D102
        return True

    def isatty(self) -> bool:  # noqa: D102
        return True

    def write(self, data: Any, /) -> int:
        """Write all bytes; return their number."""
        data = bytes(data)
        self._write(self._decoder.decode(data))
        return len(data)

    def flush(self) -> None:
        """Flush complete characters."""
        self._flush()

    def end(self) -> None:
        """Write an incomplete character at the end."""
        if rest := self._decoder.decode(b"", final=True):
            self._write(rest)
