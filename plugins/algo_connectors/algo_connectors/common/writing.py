"""Writes a file: in one request, or in parts that become a file when the last one has arrived."""

from __future__ import annotations

import abc
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import suppress
from typing import NamedTuple, Protocol

from algo_connectors.common.allowance import Allowance
from algo_core.storage.contract import Entry, SizeMismatch, Source
from algo_core.storage.uri import DataUri


class Upload(abc.ABC):
    """A multi-part upload."""

    parallel = True
    """Whether parts may be sent concurrently, in any order."""

    @abc.abstractmethod
    def part(self, number: int, offset: int, content: bytes) -> None:
        """Send a part; the first has number 0, `offset` is its position in the file."""

    @abc.abstractmethod
    def finish(self, size: int) -> Entry:
        """Complete the file after all of its `size` bytes were sent."""

    @abc.abstractmethod
    def abort(self) -> None:
        """Discard the sent parts."""


class Condition(NamedTuple):
    """What has to hold when a file is written: its version; None: that there is none."""

    version: str | None

    def headers(self) -> dict[str, str]:
        """The header of HTTP that says so, where versions are ETags."""
        return {"if-none-match": "*"} if self.version is None else {"if-match": self.version}


class PartTarget(Protocol):
    """The interface of a storage for writing in parts."""

    part_size: int
    """Size of a part in bytes, and maximum size of a file that is sent in one request."""
    parallel: int
    """Number of concurrent parts of one file."""

    @property
    def writable(self) -> Allowance:
        """The memory allowance of all files that are written."""

    @property
    def pool(self) -> Executor:
        """Threads for sending parts."""

    def put(self, uri: DataUri, content: bytes) -> Entry:
        """Create or replace a file in one request."""

    def begin(self, uri: DataUri, size: int | None) -> Upload:
        """Begin a file that needs several requests."""


class ConditionalTarget(PartTarget, Protocol):
    """A target that can write on a condition."""

    def put(self, uri: DataUri, content: bytes, condition: Condition | None = None) -> Entry:
        """Create or replace a file in one request."""

    def begin(self, uri: DataUri, size: int | None, condition: Condition | None = None) -> Upload:
        """Begin a file that needs several requests."""


class OnCondition:
    """A target whose files are written only if a condition holds when they become visible."""

    def __init__(self, target: ConditionalTarget, condition: Condition) -> None:
        self._target = target
        self._condition = condition
        self.part_size = target.part_size
        self.parallel = target.parallel
        self.writable = target.writable

    @property
    def pool(self) -> Executor:  # noqa: D102 - as all here: see PartTarget
        return self._target.pool

    def put(self, uri: DataUri, content: bytes) -> Entry:  # noqa: D102
        return self._target.put(uri, content, self._condition)

    def begin(self, uri: DataUri, size: int | None) -> Upload:  # noqa: D102
        return self._target.begin(uri, size, self._condition)


def send(storage: PartTarget, uri: DataUri, source: Source, size: int | None) -> Entry:
    """Write the content of a source to a file of a store; if it fails, the store is unchanged."""
    with _Sender(storage, source, size) as sender:
        if sender.fill(storage.part_size) < storage.part_size:
            sender.check_size()
            return storage.put(uri, sender.content)
        upload = storage.begin(uri, size)
        try:
            return upload.finish(sender.send(upload))
        except BaseException:
            sender.give_up()
            # What made the copy fail is what has to be told; stores forget unfinished uploads after some days.
            with suppress(Exception):
                upload.abort()
            raise


class _Sender:
    """Takes parts from a source; a sent part is not kept, so that the allowance counts all memory."""

    def __init__(self, storage: PartTarget, source: Source, size: int | None) -> None:
        self.content = b""
        """The part that was read last, unless it is being sent."""
        self._storage = storage
        self._source = source
        self._size = size
        self._offset = 0  # of what is read next
        self._filling = 0
        self._sending: set[Future[None]] = set()

    def __enter__(self) -> _Sender:
        return self

    def __exit__(self, *_: object) -> None:
        self._storage.writable.give_back(self._filling)

    def fill(self, room: int) -> int:
        """Read a part, shorter than `room` bytes only at the end; return its length.

        Raises:
            SizeMismatch: if the source has more than it should.
        """
        if self._size is not None:
            room = max(1, min(room, self._size - self._offset + 1))
        self._storage.writable.take(room)
        self._filling = room
        buffer = bytearray(room)
        view, filled = memoryview(buffer), 0
        while filled < room:
            count = self._source.readinto(view[filled:])
            if not count:
                break
            filled += count
            if self._size is not None and self._offset + filled > self._size:
                raise SizeMismatch(self._offset + filled, self._size)
        self.content = bytes(view[:filled])  # of which packages take slices without copying them
        self._offset += filled
        return filled

    def send(self, upload: Upload) -> int:
        """Send parts until the source ends; return the number of bytes."""
        number = 0
        limit = self._storage.parallel if upload.parallel else 1
        while self.content:
            self._submit(upload, number)
            number += 1
            self.fill(part_size(self._storage.part_size, number, self._size))
            self._wait(limit - 1)
        self.check_size()
        self._wait(0)
        return self._offset

    def _submit(self, upload: Upload, number: int) -> None:
        content, taken = self.content, self._filling
        self.content, self._filling = b"", 0
        sending = self._storage.pool.submit(upload.part, number, self._offset - len(content), content)
        self._sending.add(sending)
        sending.add_done_callback(lambda _: self._storage.writable.give_back(taken))

    def _wait(self, most: int) -> None:
        """Wait until at most `most` parts are being sent. Raises their exceptions."""
        while len(self._sending) > most:
            done, self._sending = wait(self._sending, return_when=FIRST_COMPLETED)
            for one in done:
                one.result()

    def check_size(self) -> None:
        """Raises SizeMismatch if the source returned more or fewer bytes than announced."""
        if self._size is not None and self._offset != self._size:
            raise SizeMismatch(self._offset, self._size)

    def give_up(self) -> None:
        """Send nothing more, and wait for running requests."""
        for pending in self._sending:
            pending.cancel()
        wait(self._sending)


def part_size(least: int, number: int, size: int | None) -> int:
    """Size of a part in bytes, so that the 10,000 parts that stores allow are enough.

    Without a known size, parts double in size after each 1,000, so that memory grows logarithmically.
    """
    if size is None:
        return least << (number // 1000)
    return max(least, -(-size // 10_000))
