"""Access to the platform's part of an object store: whose it is, its clock, and reading and walking its files."""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, BinaryIO, cast

from algo_core.errors import (
    AlgoError,
    AlreadyExists,
    ConfigError,
    ExitCode,
    NetworkError,
    NotFoundError,
    RequestRefused,
)
from algo_core.storage.capabilities import ConditionalStorage, ConditionsIgnored
from algo_core.storage.contract import Entry, IsADirectory, NotADirectory, Storage
from algo_local.data.objects import IN_MEMORY, SWEEP_SECONDS, FileInfo
from algo_local.data.store_file import StoreFile
from algo_local.names import decode_file_name, encode_file_name
from algo_local.refusals import ConditionFailed, StorageUnavailable

if TYPE_CHECKING:
    from algo_core.storage.uri import DataUri

OWNER_KEY = "platform"
CLOCK_KEY = "clock"


class StoreAccess:
    """The files of one platform below `place` in a storage. `StoreObjects` adds the contract of objects."""

    def __init__(self, storage: Storage, place: DataUri, shown: str, owner: Callable[[], str]) -> None:
        """`shown` is the name of the store in messages; `owner` returns a text that identifies the platform."""
        self._storage = storage
        self._place = place
        self._owner = owner
        self._errors = StoreErrors(shown)
        self._shown = shown
        self._is_ours = False
        self._clock: tuple[float, float] | None = None
        """The monotonic time at which the store was asked for its time, and its answer."""

    def check(self) -> None:
        """Check that the store can be used, and belongs to this platform.

        Raises:
            StorageUnavailable: if it cannot be used.
            ConfigError: if it belongs to another platform.
        """
        key, owner = self._place.child(OWNER_KEY), self._owner().encode()
        with self._errors:
            found = self._read_note(key)
            if found is None:
                self._claim(key, owner)
                found = self._read_note(key)
        self._is_ours = found == owner
        if not self._is_ours:
            raise ConfigError(
                f"The object store {self._shown} belongs to another platform",
                "Name another prefix, or the database of the platform that it belongs to",
            )

    def _claim(self, key: DataUri, owner: bytes) -> None:
        """Claim the store for this platform; by a conditional write, if possible, so that only one platform can."""
        if isinstance(self._storage, ConditionalStorage):
            with contextlib.suppress(ConditionsIgnored):
                with contextlib.suppress(AlreadyExists):
                    self._storage.write_if(key, io.BytesIO(owner), len(owner), version=None)
                return
        self._write_note(key, owner)

    def now(self) -> float:
        """The time of the store's own clock, which dates its files: two requests, once an hour."""
        asked = self._clock
        if asked is None or time.monotonic() - asked[0] > SWEEP_SECONDS:
            key = self._place.child(CLOCK_KEY)
            with self._errors:
                self._write_note(key, b"")
                asked = self._clock = time.monotonic(), modified_at(self._storage.stat(key))
        return asked[1] + time.monotonic() - asked[0]

    def _files(self, directory: str) -> Iterator[Entry]:
        """The entries of a directory's files; none if it does not exist."""
        for entry in self._entries(directory):
            if not entry.is_directory:
                yield entry

    def _entries(self, directory: str) -> Iterator[Entry]:
        try:
            with self._errors:
                yield from self._storage.list(self._place.child(directory))
        except (NotFoundError, NotADirectory):
            return

    def _walk(self, directory: str) -> Iterator[tuple[str, Entry]]:
        """The files in and below a directory, each with its parent directory."""
        for entry in self._entries(directory):
            if entry.is_directory:
                yield from self._walk(f"{directory}/{entry.name}")
            else:
                yield directory, entry

    def _folders(self, directory: str, depth: int) -> Iterator[tuple[str, ...]]:
        """The paths, as their components, of the directories `depth` levels below a directory."""
        for entry in self._entries(directory):
            if not entry.is_directory:
                continue
            if depth == 1:
                yield (entry.name,)
            else:
                yield from ((entry.name, *rest) for rest in self._folders(f"{directory}/{entry.name}", depth - 1))

    def _open(self, uri: DataUri, name: str) -> tuple[BinaryIO | bytes, FileInfo]:
        reader = self._storage.open(uri)
        try:
            entry, size = reader.entry, reader.entry.size or 0
            if size > IN_MEMORY:
                return cast("BinaryIO", StoreFile(self._storage, self._errors, entry, reader)), file_info(name, entry)
            content = bytearray(size)
            view = memoryview(content)
            while view:
                count = reader.readinto(view)
                if not count:
                    raise NetworkError(f"{uri} ended too early", "Try again")
                view = view[count:]
        except BaseException:
            reader.close()
            raise
        reader.close()
        return bytes(content), file_info(name, entry)

    def _make_directory(self, uri: DataUri) -> None:
        """Create a directory and its parents, for storages that need directories."""
        if uri.path and uri != uri.parent and not self._storage.exists(uri):
            self._make_directory(uri.parent)
            with contextlib.suppress(AlreadyExists):
                self._storage.mkdir(uri)

    def _write_note(self, uri: DataUri, content: bytes) -> None:
        try:
            self._storage.write_small(uri, content)
        except NotFoundError:
            if not self._storage.needs_directories:
                raise
            self._make_directory(uri.parent)
            self._storage.write_small(uri, content)

    def _read_note(self, uri: DataUri) -> bytes | None:
        try:
            content, _ = self._open(uri, "")
        except (NotFoundError, IsADirectory, NotADirectory):
            return None
        return content if isinstance(content, bytes) else b""

    def _remove(self, path: str) -> bool:
        try:
            with self._errors:
                self._storage.remove(self._place.child(path))
        except (NotFoundError, IsADirectory, NotADirectory):
            return False
        return True


def key_name(name: str) -> str:
    """A file's name in a key: some stores change a backslash into a slash, or drop a dot at the end."""
    key = encode_file_name(name).replace("\\", "%5C")
    return f"{key[:-1]}%2E" if key.endswith(".") else key


def name_of(key: str) -> str | None:
    """The file's name for a key; None if the platform does not write such keys."""
    if key.endswith("%2E") and key != "%2E":
        key = f"{key[:-3]}."
    return decode_file_name(key.replace("%5C", "\\"))


def file_info(name: str, entry: Entry) -> FileInfo:
    """The attributes of a file from its entry; its identity is the version, else size and time."""
    modified = modified_at(entry)
    return FileInfo(name, entry.size or 0, modified, entry.version or f"{entry.size}:{modified}")


def modified_at(entry: Entry) -> float:
    """The modification time of an entry in seconds since the epoch; now if the store gives none."""
    return entry.modified.timestamp() if entry.modified else time.time()


class NotComparable(RequestRefused):
    """The store cannot replace a file on a condition."""


class StoreErrors:
    """A context that reports errors of the store as StorageUnavailable, except for missing files. Thread-safe."""

    def __init__(self, shown: str) -> None:
        self._shown = shown

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, AlgoError) or isinstance(error, (StorageUnavailable, ConditionFailed, NotComparable)):
            return
        # A missing bucket is a subclass of these errors, a missing file is not.
        if type(error) in {NotFoundError, IsADirectory, NotADirectory}:
            return
        failed = StorageUnavailable(f"The object store {self._shown} cannot be used: {error.message}", error.hint)
        is_missing = isinstance(error, NotFoundError)
        failed.exit_code = ExitCode.CONFIGURATION if is_missing else ExitCode(error.exit_code)
        raise failed from error
