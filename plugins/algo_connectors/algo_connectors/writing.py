"""Writing a file: whole in one request, or in parts that become a file when the last has arrived."""

from __future__ import annotations

import abc
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from typing import TYPE_CHECKING

from algo_core.storage import Entry, SizeMismatch, Source
from algo_core.uri import DataUri

if TYPE_CHECKING:
    from algo_connectors.remote import RemoteStorage


class Upload(abc.ABC):
    """A file that is being written in parts."""

    parallel = True
    """Whether parts may be sent at once, and in any order."""

    @abc.abstractmethod
    def part(self, number: int, offset: int, content: bytearray) -> None:
        """Send a part; the first has number 0, and `offset` is where in the file it stands."""

    @abc.abstractmethod
    def finish(self, size: int) -> Entry:
        """Let the file appear, all of its `size` bytes having been sent."""

    @abc.abstractmethod
    def abort(self) -> None:
        """Leave nothing behind of what was sent."""


def send(storage: RemoteStorage, uri: DataUri, source: Source, size: int | None) -> Entry:
    """Write what a source gives to a file of a store; if anything fails, the store is as it was."""
    content = _filled(source, storage.part_size, 0, size)
    if len(content) < storage.part_size:
        _check_size(len(content), size)
        return storage.put(uri, content)
    upload = storage.begin(uri, size)
    sending: set[Future[None]] = set()
    try:
        sent = _send_parts(storage, upload, source, size, content, sending)
        return upload.finish(sent)
    except BaseException:
        for pending in sending:
            pending.cancel()
        wait(sending)
        # What made the copy fail is what has to be told; a store forgets unfinished uploads after some days at last.
        with suppress(Exception):
            upload.abort()
        raise


def _send_parts(
    storage: RemoteStorage,
    upload: Upload,
    source: Source,
    size: int | None,
    content: bytearray,
    sending: set[Future[None]],
) -> int:
    """Send parts until the source is at its end; the number of bytes."""
    number = offset = 0
    limit = storage.parallel if upload.parallel else 1
    while content:
        sending.add(storage.pool.submit(upload.part, number, offset, content))
        number, offset = number + 1, offset + len(content)
        content = _filled(source, part_size(storage.part_size, number, size), offset, size)
        while len(sending) >= limit:
            _collect(sending)
    _check_size(offset, size)
    while sending:
        _collect(sending)
    return offset


def _collect(sending: set[Future[None]]) -> None:
    done, _ = wait(sending, return_when=FIRST_COMPLETED)
    sending -= done
    for one in done:
        one.result()


def part_size(least: int, number: int, size: int | None) -> int:
    """Bytes of a part, so that 10,000 of them, which is what stores allow, are enough.

    Without a size they double after each 1,000, so that memory grows with the logarithm of what comes.
    """
    if size is None:
        return least << (number // 1000)
    return max(least, -(-size // 10_000))


def _filled(source: Source, room: int, offset: int, size: int | None) -> bytearray:
    """The next `room` bytes of a source, fewer only at its end; SizeMismatch if it has more than it should."""
    if size is not None:
        room = max(1, min(room, size - offset + 1))
    buffer = bytearray(room)
    view, filled = memoryview(buffer), 0
    while filled < room:
        count = source.readinto(view[filled:])
        if not count:
            break
        filled += count
        if size is not None and offset + filled > size:
            raise SizeMismatch(offset + filled, size)
    view.release()
    del buffer[filled:]
    return buffer


def _check_size(seen: int, size: int | None) -> None:
    if size is not None and seen != size:
        raise SizeMismatch(seen, size)
