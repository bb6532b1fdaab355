"""What a storage can do beyond its contract (`algo_core.storage.contract.Storage`): each ability is optional.

A storage has an ability by having its methods; who uses storages asks with `isinstance` and does without where it is
missing. All optional abilities stand here.

| ability | for |
| --- | --- |
| `ForkSafe` | helper processes |
| `PipelinedStorage` | small files by the thousand |
| `RangedStorage` | large files over several connections |
| `RandomAccessStorage` | large files written in any order, and resumed |
| `ReplayableStorage` | uploads of unknown size |
| `RenamingStorage` | moving without copying |
| `LeftoverStorage` | partial files of transfers that run or were killed |
| `RewindableReader` | reading the same open file again |
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol, runtime_checkable

from algo_core.storage.contract import Checksum, Entry, Reader, Source, Storage
from algo_core.storage.uri import DataUri


@runtime_checkable
class ForkSafe(Protocol):
    """A storage that can be used in a process made by `fork` as well."""

    def may_divide(self) -> bool:
        """Whether it can at this time."""

    def divided(self) -> None:
        """Called in the new process: let go of what cannot be shared, and try nothing more than once."""


@runtime_checkable
class PipelinedStorage(Protocol):
    """A storage that takes the request for a small file while the answers to others are still to come.

    Each request is sent once and explains nothing: what does not go well at once is done in the ordinary way.
    """

    def ask_small(self, uri: DataUri, limit: int) -> Callable[[], tuple[Checksum | None, bytes] | None] | None:
        """Ask for a file of at most `limit` bytes; what waits for it, or None if it has to be had in another way.

        What waits gives its checksum, where one is known, and its whole content; or None.
        """

    def send_small(self, uri: DataUri, content: bytes) -> Callable[[], Entry | None] | None:
        """Send a file; what waits and gives what was written, if it was, or None if it has to go in another way."""


@runtime_checkable
class RangedStorage(Protocol):
    """A storage from which parts of a file can be read at the same time."""

    def open_part(self, uri: DataUri, offset: int, length: int, version: str) -> Reader:
        """Open `length` bytes of a file from a byte offset, if its content is still of this version.

        `Reader.offset` and `Reader.entry` say what happened, as for `Storage.open`. Raises what `Storage.open` raises.
        """


class TransferRecord(Protocol):
    """How much of a partial file is written, kept with it, so that another process can go on."""

    def done(self) -> int:
        """Bytes from the beginning on that are written."""

    def write(self, done: int) -> None:
        """Note that so many bytes from the beginning on are written."""


class PartialFile(Protocol):
    """A file that takes its name when it is whole. `descriptor` is open for reading and writing."""

    descriptor: int
    is_left_over: bool
    """Whether it holds what a killed process has written."""

    def record(self, source: str, version: str, size: int) -> TransferRecord:
        """The record of what is written of a source, which is `size` bytes long and of this version."""

    def commit(self) -> os.stat_result:
        """Give it its name; what the file system knows of it."""

    def discard(self, *, in_use: bool = False) -> None:
        """Remove it; with `in_use` it stays open, because another thread may still write to it."""


@runtime_checkable
class RandomAccessStorage(Protocol):
    """A storage that can be written in any order."""

    def place(self, uri: DataUri, size: int) -> PartialFile | None:
        """A partial file for a path; None where only a stream can be written.

        Raises what `Storage.write` raises, also if there is no room for `size` bytes.
        """


@runtime_checkable
class ReplayableStorage(Protocol):
    """A storage that has to know the size of a file before it sends the first byte, and may send it again."""

    def kept(self, source: Source) -> AbstractContextManager[tuple[Source, int]]:
        """A source of unknown size, kept so that it can be read as often as it takes; and its size in bytes."""


@runtime_checkable
class RenamingStorage(Protocol):
    """A storage in which a file can be moved without moving its bytes."""

    def move(self, source: DataUri, target: DataUri) -> Entry | None:
        """Give a file another name, replacing what has it; what is there now.

        None if it has to be copied after all, also where that will be refused: nothing has been done then.
        """

    def taking_after(self, source: DataUri) -> Storage:
        """The same storage, to write a copy that keeps the mode and the time of the source."""


@runtime_checkable
class LeftoverStorage(Protocol):
    """A storage with partial files: of transfers that are running, and of processes that were killed."""

    def is_leftover(self, uri: DataUri) -> bool:
        """Whether it is a partial file, by its name."""

    def is_in_use(self, uri: DataUri) -> bool:
        """Whether a process is writing this partial file."""

    def in_use_below(self, uri: DataUri) -> str | None:
        """The path of a partial file that a process is writing, somewhere in a directory; None if there is none.

        Raises:
            AlgoError: if a directory cannot be listed.
        """

    def remove_leftover(self, uri: DataUri) -> bool:
        """Remove a partial file that no process is writing; False if one is, or it has gone already.

        Raises:
            AlgoError: if it cannot be removed.
        """


@runtime_checkable
class RewindableReader(Protocol):
    """A reader that can begin anew with the file that it has open."""

    def rewind(self) -> None:
        """Go back to its beginning."""
