"""The optional abilities of a storage, beyond its contract (`algo_core.storage.contract.Storage`).

A storage has an ability if it has its methods. Users of storages test with `isinstance`, and work without a missing
ability. All optional abilities are defined here.

| ability | for |
| --- | --- |
| `ForkSafe` | helper processes |
| `ObservedStorage` | telling observers of the requests of helper processes |
| `PipelinedStorage` | small files by the thousand |
| `OrderedStorage` | a page of a directory, without the pages before it |
| `RangedStorage` | large files over several connections |
| `RandomAccessStorage` | large files written in any order, and resumed |
| `ReplayableStorage` | uploads of unknown size |
| `RenamingStorage` | moving without copying |
| `CopyingStorage` | copies that the store makes itself |
| `ConditionalStorage` | writes that replace nothing unseen |
| `ConditionalCopyingStorage` | copies by the store that replace nothing unseen |
| `SharingStorage` | links that need no credential |
| `LeftoverStorage` | partial files of transfers that run or were killed |
| `PrefetchingReader` | large files that are read one byte after the other |
| `RewindableReader` | reading the same open file again |
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol, runtime_checkable

from algo_core.errors import RequestRefused
from algo_core.storage.contract import Checksum, Entry, Reader, Source, Storage
from algo_core.storage.uri import DataUri


@runtime_checkable
class ForkSafe(Protocol):
    """A storage that can also be used in a forked process."""

    def can_fork(self) -> bool:
        """Whether it can be used in a process that is forked now."""

    def after_fork(self) -> None:
        """Called in the child process: drop inherited connections, and retry nothing."""


@runtime_checkable
class ObservedStorage(Protocol):
    """A `ForkSafe` storage whose requests somebody observes, also those of a forked process."""

    def take_observed(self) -> list[tuple[Any, ...]]:
        """In the child process: the events since the last call, as plain values."""

    def pass_observed(self, happened: list[tuple[Any, ...]]) -> None:
        """In the parent process: pass a child's events to the observers."""


@runtime_checkable
class PipelinedStorage(Protocol):
    """A storage that accepts requests for small files while earlier responses are still pending.

    Each request is sent once and failures are not diagnosed: they are repeated in the ordinary way.
    """

    def start_read_small(self, uri: DataUri, limit: int) -> Callable[[], tuple[Checksum | None, bytes] | None] | None:
        """Send the request for a file of at most `limit` bytes; return a function that waits for its response.

        The function returns the file's checksum, if known, and its content; None if the file has to be read with
        `open`. None in its place means the same at once.
        """

    def start_write_small(self, uri: DataUri, content: bytes) -> Callable[[], Entry | None] | None:
        """Send a file; return a function that waits for its response.

        The function returns the entry that was written; None if the file has to be written with `write`. None in its
        place means the same at once.
        """


@runtime_checkable
class OrderedStorage(Protocol):
    """A storage that lists the files of a directory in the order of their names (as UTF-8), from any name on."""

    def list_after(self, uri: DataUri, after: str, limit: int) -> tuple[list[Entry], bool]:
        """At most `limit` (up to 1,000) files behind the name `after` in a directory, and whether there are more.

        One request. Directories count, but are left out; there are no files in a directory that does not exist.
        """


@runtime_checkable
class RangedStorage(Protocol):
    """A storage from which parts of a file can be read at the same time."""

    def open_part(self, uri: DataUri, offset: int, length: int, version: str) -> Reader:
        """Open `length` bytes of a file from a byte offset, if its content is still of this version.

        `Reader.offset` and `Reader.entry` say what happened, as for `Storage.open`. Raises what `Storage.open` raises.
        """


class TransferRecord(Protocol):
    """The progress of a partial file, stored with it, so that another process can resume."""

    def done(self) -> int:
        """Bytes written, from the beginning."""

    def write(self, done: int) -> None:
        """Record that the first `count` bytes are written."""


class PartialFile(Protocol):
    """A file that gets its name when it is complete. `descriptor` is open for reading and writing."""

    descriptor: int
    is_left_over: bool
    """Whether it was left by a killed process."""

    def record(self, source: str, version: str, size: int) -> TransferRecord:
        """The progress record for a source of `size` bytes and this version."""

    def commit(self) -> os.stat_result:
        """Give it its name; return its status."""

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
    """A storage that must know the size of a file before it sends the first byte, and may send it again."""

    def kept(self, source: Source) -> AbstractContextManager[tuple[Source, int]]:
        """Buffer a source of unknown size, so that it can be read repeatedly; returns it and its size in bytes."""


@runtime_checkable
class RenamingStorage(Protocol):
    """A storage that can rename files."""

    def move(self, source: DataUri, target: DataUri) -> Entry | None:
        """Rename a file, replacing an existing target; return the new entry.

        None if it must be copied instead: then nothing has been done.
        """

    def taking_after(self, source: DataUri) -> Storage:
        """This storage, writing copies with the mode and time of the source."""


@runtime_checkable
class CopyingStorage(Protocol):
    """A storage that can copy its files itself, so that their content does not pass through this machine."""

    def copy_within(
        self, source: DataUri, target: DataUri, entry: Entry | None, advanced: Callable[[int], object]
    ) -> Entry | None:
        """Copy a file to a path of this storage, replacing an existing one atomically; return the new entry.

        The copy is one version of the source, and as long. `entry` is the source's from a listing, if known; it may be
        out of date. `advanced` is called with the number of bytes copied so far, and may raise.

        None if the file must be copied in the ordinary way: then nothing has been done. Raises what `Storage.open` and
        `Storage.write` raise, and then the target is unchanged.
        """


class ConditionsIgnored(RequestRefused):
    """The store does not compare conditions of writes, so that it would replace whatever there is."""


@runtime_checkable
class ConditionalStorage(Protocol):
    """A storage that compares what there is with what the writer has seen, in one step with the write."""

    def write_if(self, uri: DataUri, source: Source, size: int | None = None, *, version: str | None) -> Entry:
        """Write a file as `Storage.write` does, if it still has this version; with None, if there is no file yet.

        Of several writers at once with the same version, exactly one succeeds; the others change nothing. After a
        broken connection the error of a condition may also stem from a write of one's own that took effect.

        Raises:
            AlreadyExists: if there is a file, and `version` is None.
            VersionChanged: if the file has another version, or none is there any more.
            ConditionsIgnored: if the store cannot promise this; nothing has been read or written then.
            AlgoError: what `Storage.write` raises.
        """


@runtime_checkable
class ConditionalCopyingStorage(Protocol):
    """A `ConditionalStorage` that compares the condition in copies that it makes itself as well."""

    def copy_within_if(
        self,
        source: DataUri,
        target: DataUri,
        entry: Entry | None,
        advanced: Callable[[int], object],
        *,
        version: str | None,
    ) -> Entry | None:
        """Copy as `CopyingStorage.copy_within` does, on the condition of `ConditionalStorage.write_if`."""


class Link(NamedTuple):
    """An address with which one file can be read or written by whoever has it; `headers` must be sent with it.

    `seconds` says for how long, where it is not as long as was asked for: some stores have one duration only.
    """

    method: str
    url: str
    headers: Mapping[str, str] = {}
    seconds: int | None = None


@runtime_checkable
class SharingStorage(Protocol):
    """A storage that makes links to its files."""

    def link(self, uri: DataUri, seconds: int, *, writes: bool = False) -> Link:
        """A link that is valid for so many seconds, for reading a file that exists, or for writing one.

        Raises UsageError if it cannot be valid for so long, RequestRefused if the credential cannot make links, and
        what `Storage.stat` raises.
        """


@runtime_checkable
class LeftoverStorage(Protocol):
    """A storage with partial files, of running transfers and of killed processes."""

    def is_leftover(self, uri: DataUri) -> bool:
        """Whether it is a partial file, by its name."""

    def is_in_use(self, uri: DataUri) -> bool:
        """Whether a process is writing this partial file."""

    def in_use_below(self, uri: DataUri) -> str | None:
        """The path of a partial file below a directory that a process is writing; None if there is none.

        Raises:
            AlgoError: if a directory cannot be listed.
        """

    def remove_leftover(self, uri: DataUri) -> bool:
        """Remove a partial file; False if a process is writing it, or it no longer exists.

        Raises:
            AlgoError: if it cannot be removed.
        """


@runtime_checkable
class PrefetchingReader(Protocol):
    """A reader of one stream that can also fetch what comes next over several connections."""

    def read_ahead(self) -> None:
        """Start prefetching: for readers whose bytes are sent on to another machine in order."""


@runtime_checkable
class RewindableReader(Protocol):
    """A reader that can return to the beginning of its open file."""

    def rewind(self) -> None:
        """Go back to its beginning."""
