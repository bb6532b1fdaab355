"""Downloads a large file to this machine over an adaptive number of connections, and resumes after a kill.

It begins as one stream. While the processor is idle and more connections raise the rate, more are opened, each for a
part of the file; otherwise, or without ranges in the storage, it stays one stream.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

from algo_core.errors import AlgoError, NetworkError
from algo_core.http.retry import Tries
from algo_core.storage.capabilities import PartialFile, RangedStorage
from algo_data.engine.io.digest import compare
from algo_data.engine.io.source import CannotResume, FileSource
from algo_data.engine.io.verifier import Verifier
from algo_data.engine.options import CopyOptions
from algo_data.engine.run.budget import ConnectionBudget
from algo_data.engine.run.concurrency import AdaptiveConcurrency
from algo_data.engine.transfer import Transfer

PART = 16 << 20
"""Size of a part in bytes, with several connections."""

PART_BLOCK = 1 << 18
"""Block size in bytes of each connection. It bounds their total memory; a block has to stay in the processor's cache
from the socket to the file, which one of 1 MiB does not, at four times the processor time."""

NOTED = 32 << 20
"""Bytes after which the progress is recorded."""

MOST_PARTS = 16
LAST_WORDS = 0.5
"""Seconds for the other connections to notice the end of the transfer."""


class LargeDownload:
    """One file, from any storage that has versions, into a file of this machine."""

    def __init__(
        self,
        transfer: Transfer,
        source: FileSource,
        partial: PartialFile,
        options: CopyOptions,
        advanced: Callable[[int, int | None], None],
        budget: ConnectionBudget,
    ) -> None:
        assert source.entry.size is not None
        assert source.entry.version is not None
        self._transfer = transfer
        self._source = source
        self._partial = partial
        self._options = options
        self._advanced = advanced
        self._budget = budget
        self._size: int = source.entry.size
        self._version: str = source.entry.version
        self._record = partial.record(str(transfer.source), self._version, self._size)
        self._verifier = Verifier(partial.descriptor, source.entry.checksum if options.check else None)
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._error: BaseException | None = None
        self._is_over = False
        self._first = transfer.source.storage.connections
        self._limit = self._size  # where the first stream ends
        self._next = self._size  # where the next part begins
        self._pace: AdaptiveConcurrency | None = None
        self._found = 0  # bytes that were there at the start
        self._done = 0  # bytes that are there, in whatever order
        self._whole = self._noted = 0  # bytes that are there from the beginning on, and how many are noted
        self._reached: dict[int, int] = {}  # stretches by where they begin: up to where they are there
        self._front = 0  # where the first stretch begins that is not all there

    def run(self) -> os.stat_result:
        """Download and verify the file, and give it its name.

        Raises:
            CannotResume: if the file was changed in the meantime.
            NetworkError: if it was cut off too often.
            Corrupted: if the checksum differs.
            AlgoError, OSError: for any other failure; the partial file is removed.
        """
        in_use = False
        try:
            self._begin()
            self._read_stream()
            self._read_parts(self._watch_pace)
            self._wait()
            self._check()
            os.ftruncate(self._partial.descriptor, self._size)
            return self._partial.commit()
        except BaseException:
            self._is_over = True
            self._verifier.abandon()
            in_use = not self._joined(LAST_WORDS)
            self._partial.discard(in_use=in_use)
            raise

    def _begin(self) -> None:
        done = self._record.done() if self._partial.is_left_over else 0
        os.ftruncate(self._partial.descriptor, self._size)
        self._source.hand_over()
        if done:
            self._source.leave_out(done)
            self._found = self._done = self._whole = self._noted = self._front = done
            self._verifier.reached(done)
        self._record.write(done)

    def _read_stream(self) -> None:
        """Read from the beginning, up to where parts begin."""
        buffer, start = memoryview(bytearray(PART_BLOCK)), self._front
        self._pace = AdaptiveConcurrency(most=MOST_PARTS, start=self._first) if self._may_part() else None
        while self._source.tell() < self._limit:
            position = self._source.tell()
            count = self._source.readinto(buffer[: min(PART_BLOCK, self._limit - position)])
            if not count:
                return
            self._write(buffer[:count], position, start)
            self._raise()
            self._watch_pace()
        if self._limit < self._size:
            self._source.close()
        else:
            self._source.readinto(buffer)  # its end, at which it says if something was wrong

    def _may_part(self) -> bool:
        return isinstance(self._transfer.source.storage, RangedStorage) and self._options.bwlimit is None

    def _watch_pace(self) -> None:
        """Check from time to time whether more connections would help."""
        if self._pace and not self._more(self._pace):
            self._pace = None

    def _more(self, concurrency: AdaptiveConcurrency) -> bool:
        """Adapt the number of connections; False if the storage has no ranges."""
        wanted = concurrency.wanted(self._done - self._found, 1 + len(self._threads))
        while 1 + len(self._threads) < wanted and self._has_parts() and self._budget.take():
            if not self._threads:
                limit = self._source.tell() // PART * PART + PART
                if self._first == 1 and not self._gives_parts(limit):
                    self._budget.give_back()
                    return False
                self._limit = self._next = limit
            thread = threading.Thread(target=self._read_more_parts, name="algo-part", daemon=True)
            self._threads.append(thread)
            thread.start()
        return True

    def _has_parts(self) -> bool:
        """Whether enough is left for one connection more."""
        return self._size - (self._next if self._threads else self._source.tell() + PART) > PART

    def _gives_parts(self, position: int) -> bool:
        storage = self._transfer.source.storage
        assert isinstance(storage, RangedStorage)
        try:
            reader = storage.open_part(self._transfer.source.uri, position, 1, self._version)
        except AlgoError:
            return False
        try:
            return reader.offset == position and reader.entry.version == self._version
        finally:
            reader.close()

    def _read_more_parts(self) -> None:
        try:
            self._read_parts(lambda: None)
        except BaseException as error:
            with self._lock:
                self._error = self._error or error
        finally:
            self._budget.give_back()

    def _read_parts(self, after_each: Callable[[], None]) -> None:
        """Read parts until none is left; call `after_each` block."""
        buffer = memoryview(bytearray(PART_BLOCK))
        while not self._is_over and self._error is None:
            with self._lock:
                start = self._next
                self._next = end = min(self._size, start + PART)
            if start >= self._size:
                return
            self._read_part(start, end, buffer, after_each)

    def _read_part(self, start: int, end: int, buffer: memoryview, after_each: Callable[[], None]) -> None:
        storage, uri = self._transfer.source.storage, self._transfer.source.uri
        assert isinstance(storage, RangedStorage)
        retries, position = Tries(self._options.tries), start
        while position < end:
            reader = storage.open_part(uri, position, end - position, self._version)
            try:
                if reader.entry.version != self._version or reader.offset != position:
                    raise CannotResume(f"{uri} was changed while it was read", "Try again")
                while position < end:
                    count = reader.readinto(buffer[: min(PART_BLOCK, end - position)])
                    if not count:
                        raise NetworkError(f"A part of {uri} ended too early", "Try again")
                    self._write(buffer[:count], position, start)
                    position += count
                    retries.renew()
                    self._raise()
                    after_each()
            except CannotResume:
                raise
            except NetworkError as error:
                retries.spend_on(error)
            finally:
                reader.close()

    def _write(self, block: memoryview, position: int, start: int) -> None:
        """Write a block of the stretch that begins at `start` and is complete up to `position`."""
        end, count = position + len(block), len(block)
        while block and not self._is_over:
            written = os.pwrite(self._partial.descriptor, block, position)
            block, position = block[written:], position + written
        with self._lock:
            self._done += count
            done = self._done
            self._reached[start] = end
            while (following := self._reached.get(self._front, self._front)) in self._reached:
                if following == self._front:
                    break
                self._front = following
            self._whole = following
            if self._whole - self._noted >= NOTED:
                self._noted = self._whole
                self._record.write(self._whole)
        self._verifier.reached(self._whole)
        self._advanced(done, self._size)

    def _raise(self) -> None:
        if self._error:
            raise self._error

    def _wait(self) -> None:
        for thread in self._threads:
            while thread.is_alive():
                thread.join(1)
        self._raise()

    def _joined(self, seconds: float) -> bool:
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _check(self) -> None:
        if self._whole != self._size:
            raise AlgoError(f"{self._transfer.source} should have {self._size} bytes, but ended after {self._whole}")
        checksum = self._source.entry.checksum
        found = self._verifier.hexdigest()
        if checksum and found:
            compare(self._source.entry.uri, checksum, found)
