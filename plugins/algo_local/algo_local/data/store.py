"""Hosted data in an object store, over whatever storage a plugin opens: the second implementation of the contract.

Keys below the platform's place in the store:

    platform                                    which platform it belongs to
    clock                                       written now and then, to learn the store's time
    data/OWNER.COLLECTION.ID/FILE               collections; one that is made again has another ID
    algorithm-data/OWNER/NAME/KIND/USER/FILE    what accounts keep with algorithms
    sessions/SESSION/FILE                       what calls keep
    trash/DIRECTORY                             a directory that is being deleted

Files are received on the disk of this machine and checked before the store sees anything of them.
"""

from __future__ import annotations

import contextlib
import io
import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, BinaryIO, cast
from urllib.parse import quote, unquote

from algo_core.errors import (
    AlgoError,
    AlreadyExists,
    ConfigError,
    ExitCode,
    NetworkError,
    NotFoundError,
    RequestRefused,
)
from algo_core.storage.capabilities import ConditionalStorage, ConditionsIgnored, OrderedStorage
from algo_core.storage.contract import Entry, IsADirectory, Kind, NotADirectory, Storage, VersionChanged
from algo_local.data.incoming import DiskErrors, Incoming, ReceivedFile
from algo_local.data.objects import (
    IN_MEMORY,
    SESSION_SECONDS,
    SPACES,
    SWEEP_SECONDS,
    TEMP_SECONDS,
    AlgorithmSpace,
    FileInfo,
    Listing,
    Read,
)
from algo_local.data.store_file import StoreFile
from algo_local.names import decode_file_name, encode_file_name
from algo_local.refusals import ConditionFailed, StorageUnavailable

if TYPE_CHECKING:
    from algo_core.storage.uri import DataUri
    from algo_local.data.objects import Received

LEFTOVER_SECONDS = 3600
"""Age in seconds from which files in a collection that does not exist are leftovers."""

PAGE = 1000
"""Files that are asked for at once."""

OWN_DIRECTORIES = ("data", "algorithm-data", "sessions", "trash", "sources", "environments", "repositories")
"""The directories below the platform's place."""

_OWNER_KEY = "platform"
_CLOCK_KEY = "clock"


class StoreObjects:
    """Hosted data below `place` in a storage (`algo_local.data.objects.Objects`).

    `collections` gives the directories of all collections that exist, `owner` a text that identifies the platform.
    `shown` is the name of the store in messages.
    """

    hashed_again = IN_MEMORY
    keeps_empty = False

    def __init__(
        self,
        storage: Storage,
        place: DataUri,
        shown: str,
        incoming: Incoming,
        collections: Callable[[], set[str]],
        owner: Callable[[], str],
    ) -> None:
        self._storage = storage
        self._place = place
        self._incoming = incoming
        self._collections = collections
        self._owner = owner
        self._errors = _StoreErrors(shown)
        self._shown = shown
        self._is_ours = False
        self._swept: float | None = None
        self._clock: tuple[float, float] | None = None
        """When the store was asked for its time, by the clock that only runs, and what it said."""
        self._lock = threading.Lock()

    def check(self) -> None:
        """Make sure that the store can be used, and is that of this platform.

        Raises:
            StorageUnavailable: if it cannot be used.
            ConfigError: if it belongs to another platform.
        """
        key, owner = self._place.child(_OWNER_KEY), self._owner().encode()
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
        """Write whose store it is, unless another platform does so at the same moment, where the store can tell."""
        if isinstance(self._storage, ConditionalStorage):
            with contextlib.suppress(ConditionsIgnored):
                with contextlib.suppress(AlreadyExists):
                    self._storage.write_if(key, io.BytesIO(owner), len(owner), version=None)
                return
        self._write_note(key, owner)

    def now(self) -> float:
        """The time by the store's own clock, which has dated the files: two requests, once an hour."""
        asked = self._clock
        if asked is None or time.monotonic() - asked[0] > SWEEP_SECONDS:
            key = self._place.child(_CLOCK_KEY)
            with self._errors:
                self._write_note(key, b"")
                asked = self._clock = time.monotonic(), _modified(self._storage.stat(key))
        return asked[1] + time.monotonic() - asked[0]

    def collection(self, owner: str, name: str, identifier: str) -> str:
        """The directory of a collection."""
        return f"data/{owner}.{name}.{identifier}"

    def algorithm_space(self, owner: str, name: str, kind: str, user: str) -> str:
        """The directory of what one account keeps with an algorithm."""
        return f"{self.algorithm_data(owner, name)}/{kind}/{user}"

    def algorithm_data(self, owner: str, name: str) -> str:
        """The directory of what all accounts keep with an algorithm."""
        return f"algorithm-data/{owner}/{name}"

    def session_space(self, session: str) -> str:
        """The directory of a session."""
        return f"sessions/{session}"

    def relative(self, directory: str, name: str | None = None) -> str:
        """The part of the key below the platform's place."""
        return directory if name is None else f"{directory}/{encode_file_name(name)}"

    def page(self, directory: str, after: str | None, limit: int) -> Listing:
        """A page of files in the order of their keys; one request where the store lists from any key on."""
        with self._errors:
            found, is_more = self._after(directory, _key_name(after) if after else "", limit)
            files = [info for entry in found if (info := _listed(entry))]
            while not files and found and is_more:  # none of them are files of the platform
                found, is_more = self._after(directory, found[-1].name, limit)
                files = [info for entry in found if (info := _listed(entry))]
        return Listing(files, files[-1].name if files and is_more else None)

    def _after(self, directory: str, after: str, limit: int) -> tuple[list[Entry], bool]:
        uri = self._place.child(directory)
        if isinstance(self._storage, OrderedStorage):
            return self._storage.list_after(uri, after, limit)
        found = sorted(self._files(directory), key=lambda entry: entry.name.encode())
        start = bisect_right(found, after.encode(), key=lambda entry: entry.name.encode())
        return found[start : start + limit], start + limit < len(found)

    def _files(self, directory: str) -> Iterator[Entry]:
        """The entries of all files; none of a directory that does not exist."""
        for entry in self._entries(directory):
            if not entry.is_directory:
                yield entry

    def _entries(self, directory: str) -> Iterator[Entry]:
        try:
            with self._errors:
                yield from self._storage.list(self._place.child(directory))
        except (NotFoundError, NotADirectory):
            return

    def names(self, directory: str) -> list[str]:
        """The names of all files, in the order of their keys."""
        found: list[str] = []
        marker: str | None = ""
        while marker is not None:
            page = self.page(directory, marker, PAGE)
            found += [info.name for info in page.files]
            marker = page.marker
        return found

    def info(self, directory: str, name: str) -> FileInfo | None:
        """A file's attributes: one request."""
        try:
            with self._errors:
                entry = self._storage.stat(self._file(directory, name))
        except (NotFoundError, NotADirectory):
            return None
        return None if entry.is_directory else _info(name, entry)

    def open(self, directory: str, name: str, *, whole: bool = True) -> tuple[BinaryIO | bytes, FileInfo] | None:
        """A file to read from: one request, that for all of it. Unless `whole`, a large one is only asked about."""
        uri = self._file(directory, name)
        try:
            with self._errors:
                return self._open(uri, name) if whole else self._look(uri, name)
        except (NotFoundError, IsADirectory, NotADirectory):
            return None

    def _open(self, uri: DataUri, name: str) -> tuple[BinaryIO | bytes, FileInfo]:
        reader = self._storage.open(uri)
        try:
            entry, size = reader.entry, reader.entry.size or 0
            if size > IN_MEMORY:
                return cast("BinaryIO", StoreFile(self._storage, self._errors, entry, reader)), _info(name, entry)
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
        return bytes(content), _info(name, entry)

    def _look(self, uri: DataUri, name: str) -> tuple[BinaryIO | bytes, FileInfo]:
        if small := self._storage.read_small(uri, IN_MEMORY):
            return small[1], _info(name, small[0])
        entry = self._storage.stat(uri)
        if entry.is_directory:
            raise IsADirectory(f"{uri} is a directory")
        if (entry.size or 0) <= IN_MEMORY:  # replaced by a smaller one, or the store has no such reading
            return self._open(uri, name)
        return cast("BinaryIO", StoreFile(self._storage, self._errors, entry)), _info(name, entry)

    def receive(
        self, read: Read, length: int | None = None, md5: str | None = None
    ) -> AbstractContextManager[ReceivedFile]:
        """Receive a file of any size, on the disk of this machine."""
        self._begin()
        return self._incoming.receive(read, length, md5)

    def place(
        self,
        received: Received,
        directory: str,
        name: str,
        modified: float | None = None,
        *,
        replaces: str | None = None,
    ) -> FileInfo:
        """Send a received file: one request, or parts that become a file with the last one.

        Raises:
            ConditionFailed: if the file that it `replaces` is another one.
            RequestRefused: if the store cannot compare that.
        """
        assert isinstance(received, ReceivedFile)
        uri = self._file(directory, name)
        with DiskErrors("read"):
            file = io.FileIO(received.path)
        with file, self._errors:
            if replaces is None:
                entry = self._written(uri, file, received.size)
            else:
                entry = self._replaced(uri, file, received.size, replaces)
            if entry.version is None or entry.size is None:
                entry = self._storage.stat(uri)
        return _info(name, entry)

    def _written(self, uri: DataUri, file: io.FileIO, size: int) -> Entry:
        if not self._storage.needs_directories:
            return self._storage.write(uri, file, size)
        try:
            return self._storage.write(uri, file, size)
        except NotFoundError:
            self._make(uri.parent)
            file.seek(0)
            return self._storage.write(uri, file, size)

    def _replaced(self, uri: DataUri, file: io.FileIO, size: int, replaces: str) -> Entry:
        if not isinstance(self._storage, ConditionalStorage):
            raise _Incomparable(f"The object store {self._shown} cannot replace a file on a condition")
        try:
            return self._storage.write_if(uri, file, size, version=replaces or None)
        except (AlreadyExists, VersionChanged):
            name = _name_of(uri.name)
            raise ConditionFailed(f"The file {name!r} is another one than the one to be replaced") from None
        except ConditionsIgnored as error:
            raise _Incomparable(f"The object store {self._shown} cannot do this: {error.message}") from None

    def make(self, directory: str) -> None:
        """Nothing: in a store, a directory is what has files."""

    def _make(self, uri: DataUri) -> None:
        """A directory with its parents, for storages that need them."""
        if uri.path and uri != uri.parent and not self._storage.exists(uri):
            self._make(uri.parent)
            with contextlib.suppress(AlreadyExists):
                self._storage.mkdir(uri)

    def exists(self, directory: str) -> bool:
        """Whether there is a file in a directory, or below it."""
        with self._errors:
            return any(True for _ in self._walk(directory))

    def size(self, directory: str) -> int:
        """The bytes of the files in a directory, and below it."""
        with self._errors:
            return sum(entry.size or 0 for _, entry in self._walk(directory))

    def _walk(self, directory: str) -> Iterator[tuple[str, Entry]]:
        """The files in and below a directory, each with its own directory."""
        for entry in self._entries(directory):
            if entry.is_directory:
                yield from self._walk(f"{directory}/{entry.name}")
            else:
                yield directory, entry

    def remove(self, directory: str, name: str) -> bool:
        """Delete a file; whether there was one."""
        try:
            with self._errors:
                self._storage.remove(self._file(directory, name))
        except (NotFoundError, IsADirectory, NotADirectory):
            return False
        return True

    def clear(self, directory: str) -> int:
        """Delete all files of a directory, and below it, a thousand with one request; return their number."""
        try:
            with self._errors:
                return self._storage.rmdir(self._place.child(directory), force=True)
        except (NotFoundError, NotADirectory):
            return 0

    def remove_empty(self, directory: str) -> bool:
        """Whether a directory has no files: then it does not exist any more."""
        if self.exists(directory):
            return False
        if self._storage.needs_directories:
            self.clear(directory)
        return True

    def set_aside(self, directory: str) -> str:
        """Note in the store that a directory is to be deleted."""
        noted = f"trash/{quote(directory, safe='')}"
        with self._errors:
            self._write_note(self._place.child(noted), directory.encode())
        return noted

    def _write_note(self, uri: DataUri, content: bytes) -> None:
        try:
            self._storage.write_small(uri, content)
        except NotFoundError:
            if not self._storage.needs_directories:
                raise
            self._make(uri.parent)
            self._storage.write_small(uri, content)

    def _read_note(self, uri: DataUri) -> bytes | None:
        try:
            content, _ = self._open(uri, "")
        except (NotFoundError, IsADirectory, NotADirectory):
            return None
        return content if isinstance(content, bytes) else b""

    def delete_everything(self) -> None:
        """Delete all that platforms store here, and last of all whose store it is.

        Raises:
            ConfigError: if it belongs to another platform.
            StorageUnavailable: if it cannot be used; a repetition goes on.
        """
        self.check()
        for directory in OWN_DIRECTORIES:
            self.clear(directory)
        for key in (_CLOCK_KEY, _OWNER_KEY):
            self._remove(key)

    def discard(self, directory: str) -> int:
        """Delete a directory's files; the note of `set_aside` goes last."""
        if not directory.startswith("trash/"):
            return self.clear(directory)
        count = self.clear(unquote(directory.removeprefix("trash/")))
        self._remove(directory)
        return count

    def _remove(self, path: str) -> bool:
        try:
            with self._errors:
                self._storage.remove(self._place.child(path))
        except (NotFoundError, IsADirectory, NotADirectory):
            return False
        return True

    def forget_older(self, directory: str, seconds: float, name: str | None = None) -> None:
        """Delete the files of a directory, or just one of them, that were written longer ago than that."""
        limit = self.now() - seconds
        if name is None:
            infos = [info for entry in list(self._files(directory)) if (info := _listed(entry))]
        else:
            infos = [info] if (info := self.info(directory, name)) else []
        for found in infos:
            if found.modified < limit:
                self.remove(directory, found.name)

    def algorithm_spaces(self) -> Iterator[AlgorithmSpace]:
        """The spaces that have files."""
        for owner, name, kind, user in self._folders("algorithm-data", 4):
            directory = self.algorithm_space(owner, name, kind, user)
            if kind in SPACES and self.exists(directory):  # some stores list for a while what has no files any more
                yield AlgorithmSpace(owner, name, kind, user, directory)

    def _folders(self, directory: str, depth: int) -> Iterator[tuple[str, ...]]:
        """The directories so many levels below one."""
        for entry in self._entries(directory):
            if not entry.is_directory:
                continue
            if depth == 1:
                yield (entry.name,)
            else:
                yield from ((entry.name, *rest) for rest in self._folders(f"{directory}/{entry.name}", depth - 1))

    def leftovers(self) -> Iterator[tuple[str, int]]:
        """Half of files on this machine; in the store deletions that were interrupted, and files whose time is over."""
        for path in self._incoming.leftovers():
            yield f"incoming/{path.name}", path.stat().st_size
        self.check()
        for entry in self._files("trash"):
            yield f"trash/{entry.name}", self.size(unquote(entry.name))
        yield from self._expired()
        # Listed before the collections are: one that is made meanwhile is not listed.
        folders = [f"data/{name}" for (name,) in self._folders("data", 1)]
        existing = self._collections()
        for directory in folders:
            if directory not in existing and self._is_old(directory):
                yield directory, self.size(directory)

    def _is_old(self, directory: str) -> bool:
        limit = self.now() - LEFTOVER_SECONDS
        return all(_modified(entry) < limit for _, entry in self._walk(directory))

    def _expired(self) -> Iterator[tuple[str, int]]:
        spaces = [space.directory for space in self.algorithm_spaces() if space.kind == "temp"]
        for seconds, directories in ((SESSION_SECONDS, ["sessions"]), (TEMP_SECONDS, spaces)):
            limit = self.now() - seconds
            for directory in directories:
                for parent, entry in self._walk(directory):
                    if _modified(entry) < limit:
                        yield f"{parent}/{entry.name}", entry.size or 0

    def remove_leftover(self, name: str) -> bool:
        """Delete a leftover, or complete a deletion."""
        if name.startswith("incoming/"):
            return self._incoming.remove(self._incoming.path(name.removeprefix("incoming/")))
        if name.startswith("trash/"):
            return self._complete(name)
        if name.startswith("data/"):
            self.clear(name)
            return True
        return self._remove(name)

    def _complete(self, noted: str) -> bool:
        """Complete a deletion, without what was written since, as far as the store's clock tells."""
        directory = unquote(noted.removeprefix("trash/"))
        try:
            with self._errors:
                since = _modified(self._storage.stat(self._place.child(noted)))
        except NotFoundError:
            return False
        if directory not in self._collections():
            found = list(self._walk(directory))
            if all(_modified(entry) <= since for _, entry in found):
                self.clear(directory)
            else:
                for parent, entry in found:
                    if _modified(entry) <= since:
                        self._remove(f"{parent}/{entry.name}")
        return self._remove(noted)

    def _begin(self) -> None:
        """Before the first file of this process: check whose store it is; now and then have leftovers removed."""
        now = time.monotonic()
        if self._swept is not None and now - self._swept < SWEEP_SECONDS:
            return
        if not self._is_ours:
            self.check()
        with self._lock:
            if self._swept is not None and now - self._swept < SWEEP_SECONDS:
                return
            self._swept = now
        threading.Thread(target=self._sweep, name="algo-objects", daemon=True).start()

    def _sweep(self) -> None:
        with contextlib.suppress(AlgoError):
            for path in self._incoming.leftovers():
                self._incoming.remove(path)
            for entry in list(self._files("trash")):
                self._complete(f"trash/{entry.name}")
            for name, _ in list(self._expired()):
                self._remove(name)

    def _file(self, directory: str, name: str) -> DataUri:
        return self._place.child(f"{directory}/{_key_name(name)}")


def _listed(entry: Entry) -> FileInfo | None:
    """The attributes of a listed file; None if it has no name that the platform writes."""
    name = _name_of(entry.name) if entry.kind is Kind.FILE else None
    return None if name is None else _info(name, entry)


def _key_name(name: str) -> str:
    """A file's name in a key: some stores take a backslash for a slash, or leave out a dot at the end."""
    key = encode_file_name(name).replace("\\", "%5C")
    return f"{key[:-1]}%2E" if key.endswith(".") else key


def _name_of(key: str) -> str | None:
    """The file's name in a key; None if it is none that the platform writes."""
    if key.endswith("%2E") and key != "%2E":
        key = f"{key[:-3]}."
    return decode_file_name(key.replace("%5C", "\\"))


def _info(name: str, entry: Entry) -> FileInfo:
    modified = _modified(entry)
    return FileInfo(name, entry.size or 0, modified, entry.version or f"{entry.size}:{modified}")


def _modified(entry: Entry) -> float:
    return entry.modified.timestamp() if entry.modified else time.time()


class _Incomparable(RequestRefused):
    """The store does not compare what is to be replaced."""


class _StoreErrors:
    """Reports errors of the store as such; that a file does not exist is none. Any number of threads may use it."""

    def __init__(self, shown: str) -> None:
        self._shown = shown

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, AlgoError) or isinstance(error, (StorageUnavailable, ConditionFailed, _Incomparable)):
            return
        # A bucket that does not exist is told by a more special error than a file.
        if type(error) in {NotFoundError, IsADirectory, NotADirectory}:
            return
        failed = StorageUnavailable(f"The object store {self._shown} cannot be used: {error.message}", error.hint)
        is_missing = isinstance(error, NotFoundError)
        failed.exit_code = ExitCode.CONFIGURATION if is_missing else ExitCode(error.exit_code)
        raise failed from error
