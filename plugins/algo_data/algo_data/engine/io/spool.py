"""A list of any length: in memory while it is short, else in a temporary file."""

from __future__ import annotations

import errno
import marshal
import os
from collections.abc import Iterator
from types import TracebackType
from typing import Any, BinaryIO

from algo_core.errors import AlgoError

HELD = 1000
"""Rows that are held at a time."""


class Spool:
    """Rows of texts, numbers and the like, in insertion order."""

    def __init__(self) -> None:
        self._held: list[tuple[Any, ...]] = []
        self._file: BinaryIO | None = None
        self._chunks = 0
        self.count = 0

    def add(self, *row: Any) -> None:
        """Append a row.

        Raises:
            AlgoError: if there is no space for the temporary file.
        """
        self._held.append(row)
        self.count += 1
        if len(self._held) >= HELD:
            self._put_away()

    def _put_away(self) -> None:
        data = marshal.dumps(self._held)
        try:
            if self._file is None:
                import tempfile

                self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - `__exit__` closes it
            write_whole(self._file, data)
        except OSError as error:
            raise no_room("remember a long list", error) from error
        self._chunks += 1
        self._held.clear()

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        if self._file:
            self._file.seek(0)
            for _ in range(self._chunks):
                yield from marshal.load(self._file)
        yield from self._held

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file:
            self._file.close()


def write_whole(file: BinaryIO, data: bytes) -> None:
    """Write to a file without a buffer. Raises OSError, also if there is room for a part only."""
    if file.write(data) != len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def no_room(purpose: str, error: OSError) -> AlgoError:
    """Why a temporary file could not be written."""
    import tempfile

    return AlgoError(
        f"Not enough space to {purpose} in {tempfile.gettempdir()}: {error.strerror}",
        "Set TMPDIR to a directory with more space: export TMPDIR=...",
    )
