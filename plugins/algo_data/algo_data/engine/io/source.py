"""A file of any storage as one stream that resumes after interruptions and verifies at its end."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from algo_core.errors import AlgoError, NetworkError, cause
from algo_core.http.retry import Tries
from algo_core.storage.capabilities import PrefetchingReader, RewindableReader
from algo_core.storage.contract import Entry, Reader, Storage
from algo_core.storage.uri import DataUri
from algo_data.engine.io.blocks import BLOCK
from algo_data.engine.io.digest import Digest, compare

Advanced = Callable[[int, "int | None"], None]
"""Called with the position in bytes, and the size if known."""


class CannotResume(NetworkError):
    """The transfer cannot be resumed: the storage cannot, or the file has changed."""


class ReaderFailed(Exception):
    """A reader let an error of the system pass, which the contract of storages does not allow."""


class FileSource(io.RawIOBase):
    """Reads a file of any storage.

    When the connection breaks, the file is opened again at the same position, if the storage can tell that it is the
    same version; `tries` is the number of retries without progress. Length and checksum (if the storage has one) are
    compared at the end: `readinto` returns 0 only if both are right.
    """

    def __init__(
        self,
        storage: Storage,
        uri: DataUri,
        tries: int,
        advanced: Advanced | None = None,
        *,
        check: bool = True,
        block: int = BLOCK,
    ) -> None:
        super().__init__()
        self._is_checked = check
        self._block = block
        self._storage = storage
        self._uri = uri
        self._advanced = advanced
        self._retries = Tries(tries)
        self._position = 0
        self._skip = 0
        self._reader: Reader | None = None
        self._reader = storage.open(uri)
        self.entry: Entry = self._reader.entry
        self._digest: Digest | None = None
        self._renew_digest()

    def readinto(self, buffer: Any, /) -> int:
        """The next bytes; 0 at the end.

        Raises:
            CannotResume: if it was cut off and must be read from the beginning, by a new source.
            NetworkError: if it was cut off too often.
            Corrupted: at the end, if the checksum differs.
            AlgoError: at the end, if the file was changed in the meantime, or its length is not the announced one.
        """
        view = memoryview(buffer)[: self._block]
        if self._digest:
            self._digest.wait_for(buffer)
        while True:
            if self._reader is None:
                self._open_again()  # which has tried as often as it may, when it raises
            try:
                count = self._read_at_position(view)
                break
            except OSError as error:
                # The target, which this is read for, would take it for an error of its own file.
                raise ReaderFailed(cause(error)).with_traceback(error.__traceback__) from error
            except NetworkError as error:
                self._let_go()
                if isinstance(error, CannotResume):
                    raise
                if self._position and self.entry.version is None:
                    raise CannotResume(error.message, error.hint) from error
                self._retries.spend_on(error)
        if not count:
            self._check()
            return 0
        if self._digest:
            self._digest.update(buffer, view[:count])
        self._position += count
        self._retries.renew()
        if self._advanced:
            self._advanced(self._position, self.entry.size)
        return count

    def hand_over(self) -> None:
        """Leave checksum and progress to the reader."""
        self._is_checked = False
        self._advanced = None
        self._renew_digest()

    def read_ahead(self) -> None:
        """Fetch the next bytes in advance, if the storage can."""
        if isinstance(self._reader, PrefetchingReader):
            self._reader.read_ahead()

    def leave_out(self, count: int) -> None:
        """Continue after the first `count` bytes, which the reader already has."""
        self._let_go()
        self._position = count

    def _read_at_position(self, view: memoryview) -> int:
        reader = self._reader
        assert reader
        while self._skip:
            skipped = reader.readinto(view[: min(len(view), self._skip)])
            if not skipped:
                raise CannotResume(f"{self._uri} shrank while it was read")
            self._skip -= skipped
        return reader.readinto(view)

    def _open_again(self) -> None:
        reader = self._storage.open(self._uri, self._position, version=self.entry.version)
        self._reader = reader
        if reader.entry.version != self.entry.version:
            raise CannotResume(f"{self._uri} was changed while it was read", "Try again")
        self._skip = self._position - reader.offset

    def _renew_digest(self) -> None:
        if self._digest:
            self._digest.close()
        self._digest = Digest.of(self.entry) if self._is_checked else None

    def _check(self) -> None:
        size, checksum = self.entry.size, self.entry.checksum
        if size is not None and self._position != size:
            raise AlgoError(f"{self._uri} should have {size} bytes, but ended after {self._position}", "Copy it again")
        if checksum and self._digest:
            compare(self._uri, checksum, self._digest.hexdigest())

    def readable(self) -> bool:  # noqa: D102
        return True

    def seekable(self) -> bool:
        """Whether it can be read again: if the storage can identify the version."""
        return self.entry.version is not None

    def tell(self) -> int:
        """The position of the next byte."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Return to the beginning, for a retry of the write."""
        if offset != 0 or whence != io.SEEK_SET:
            raise io.UnsupportedOperation("it can only be rewound to its beginning")
        if self._position:
            self._let_go()
            self._position = 0
            self._renew_digest()
        return 0

    def again(self) -> bool:
        """Return to the beginning of the open file; False if that is not possible."""
        if not isinstance(self._reader, RewindableReader):
            return False
        self._reader.rewind()
        self._position = 0
        return True

    def _let_go(self) -> None:
        reader, self._reader, self._skip = self._reader, None, 0
        if reader:
            reader.close()

    def close(self) -> None:
        """Release the file or the connection."""
        if not self.closed:
            self._let_go()
            if self._digest:
                self._digest.close()
        super().close()
