"""Hosted data in an object store, over the storage of a connector: the second implementation of `objects.Objects`.

Keys below the platform's place in the store:

    platform                                    the platform that it belongs to
    clock                                       written now and then, to learn the store's time
    data/OWNER.COLLECTION.ID/FILE               collections; a collection that is created again has another ID
    algorithm-data/OWNER/NAME/KIND/USER/FILE    files that accounts keep with algorithms
    sessions/SESSION/FILE                       files of calls
    trash/DIRECTORY                             a directory that is being deleted

Files are received on the disk of this machine and checked before they are sent to the store.
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

from algo_core.errors import AlgoError, AlreadyExists, NotFoundError
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
from algo_local.data.store_access import (
    CLOCK_KEY,
    OWNER_KEY,
    NotComparable,
    StoreAccess,
    file_info,
    key_name,
    modified_at,
    name_of,
)
from algo_local.data.store_file import StoreFile
from algo_local.names import encode_file_name
from algo_local.refusals import ConditionFailed

if TYPE_CHECKING:
    from algo_core.storage.uri import DataUri
    from algo_local.data.objects import Received

LEFTOVER_SECONDS = 3600
"""Seconds after which files in a missing collection are leftovers."""

PAGE = 1000
"""Files per request of a listing."""

OWN_DIRECTORIES = ("data", "algorithm-data", "sessions", "trash", "sources", "environments", "repositories")
"""The directories below the platform's place in the store."""


class StoreObjects(StoreAccess):
    """Hosted data below a place in an object store; see `algo_local.data.objects.Objects`."""

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
        """Set up the objects; nothing is sent yet.

        Args:
            storage: the opened store.
            place: where in it the platform's keys are.
            shown: the name of the store in messages.
            incoming: receives files on the disk of this machine.
            collections: returns the directories of all existing collections.
            owner: returns a text that identifies the platform.
        """
        super().__init__(storage, place, shown, owner)
        self._incoming = incoming
        self._collections = collections
        self._swept: float | None = None
        self._lock = threading.Lock()

    def collection(self, owner: str, name: str, identifier: str) -> str:
        """The directory of a collection."""
        return f"data/{owner}.{name}.{identifier}"

    def algorithm_space(self, owner: str, name: str, kind: str, user: str) -> str:
        """The directory for the files of one account with an algorithm."""
        return f"{self.algorithm_data(owner, name)}/{kind}/{user}"

    def algorithm_data(self, owner: str, name: str) -> str:
        """The directory for the files of all accounts with an algorithm."""
        return f"algorithm-data/{owner}/{name}"

    def session_space(self, session: str) -> str:
        """The directory of a session."""
        return f"sessions/{session}"

    def relative(self, directory: str, name: str | None = None) -> str:
        """The part of the key below the platform's place."""
        return directory if name is None else f"{directory}/{encode_file_name(name)}"

    def page(self, directory: str, after: str | None, limit: int) -> Listing:
        """A page of files in the order of their keys; one request if the store can list from any key on."""
        with self._errors:
            found, is_more = self._after(directory, key_name(after) if after else "", limit)
            files = [info for entry in found if (info := _listed(entry))]
            while not files and found and is_more:  # none of them is a file of the platform
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
        return None if entry.is_directory else file_info(name, entry)

    def open(self, directory: str, name: str, *, whole: bool = True) -> tuple[BinaryIO | bytes, FileInfo] | None:
        """Open a file: one request for all of it; unless `whole`, a large file is only looked up."""
        uri = self._file(directory, name)
        try:
            with self._errors:
                return self._open(uri, name) if whole else self._look(uri, name)
        except (NotFoundError, IsADirectory, NotADirectory):
            return None

    def _look(self, uri: DataUri, name: str) -> tuple[BinaryIO | bytes, FileInfo]:
        if small := self._storage.read_small(uri, IN_MEMORY):
            return small[1], file_info(name, small[0])
        entry = self._storage.stat(uri)
        if entry.is_directory:
            raise IsADirectory(f"{uri} is a directory")
        if (entry.size or 0) <= IN_MEMORY:  # replaced by a smaller file, or the store has no `read_small`
            return self._open(uri, name)
        return cast("BinaryIO", StoreFile(self._storage, self._errors, entry)), file_info(name, entry)

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
            ConditionFailed: if the existing file is not the one that it `replaces`.
            RequestRefused: if the store cannot replace on a condition.
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
        return file_info(name, entry)

    def _written(self, uri: DataUri, file: io.FileIO, size: int) -> Entry:
        if not self._storage.needs_directories:
            return self._storage.write(uri, file, size)
        try:
            return self._storage.write(uri, file, size)
        except NotFoundError:
            self._make_directory(uri.parent)
            file.seek(0)
            return self._storage.write(uri, file, size)

    def _replaced(self, uri: DataUri, file: io.FileIO, size: int, replaces: str) -> Entry:
        if not isinstance(self._storage, ConditionalStorage):
            raise NotComparable(f"The object store {self._shown} cannot replace a file on a condition")
        try:
            return self._storage.write_if(uri, file, size, version=replaces or None)
        except (AlreadyExists, VersionChanged):
            name = name_of(uri.name)
            raise ConditionFailed(f"The file {name!r} is not the one to be replaced") from None
        except ConditionsIgnored as error:
            raise NotComparable(f"The object store {self._shown} cannot do this: {error.message}") from None

    def make(self, directory: str) -> None:
        """Do nothing: in an object store, directories exist by their files."""

    def exists(self, directory: str) -> bool:
        """Whether there is a file in a directory, or below it."""
        with self._errors:
            return any(True for _ in self._walk(directory))

    def size(self, directory: str) -> int:
        """The bytes of the files in a directory, and below it."""
        with self._errors:
            return sum(entry.size or 0 for _, entry in self._walk(directory))

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
        """Whether a directory has no files, and so does not exist any more."""
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

    def delete_everything(self) -> None:
        """Delete all files of the platform, and at last the mark that the store is its own.

        Raises:
            ConfigError: if the store belongs to another platform.
            StorageUnavailable: if it cannot be used; a repetition continues.
        """
        self.check()
        for directory in OWN_DIRECTORIES:
            self.clear(directory)
        for key in (CLOCK_KEY, OWNER_KEY):
            self._remove(key)

    def discard(self, directory: str) -> int:
        """Delete a directory's files; the note of `set_aside` goes last."""
        if not directory.startswith("trash/"):
            return self.clear(directory)
        count = self.clear(unquote(directory.removeprefix("trash/")))
        self._remove(directory)
        return count

    def forget_older(self, directory: str, seconds: float, name: str | None = None) -> None:
        """Delete the files of a directory, or only `name`, that were written more than `seconds` ago."""
        limit = self.now() - seconds
        if name is None:
            infos = [info for entry in list(self._files(directory)) if (info := _listed(entry))]
        else:
            infos = [info] if (info := self.info(directory, name)) else []
        for found in infos:
            if found.modified < limit:
                self.remove(directory, found.name)

    def algorithm_spaces(self) -> Iterator[AlgorithmSpace]:
        """The spaces of algorithms that have files."""
        for owner, name, kind, user in self._folders("algorithm-data", 4):
            directory = self.algorithm_space(owner, name, kind, user)
            if kind in SPACES and self.exists(directory):  # some stores list deleted directories for a while
                yield AlgorithmSpace(owner, name, kind, user, directory)

    def leftovers(self) -> Iterator[tuple[str, int]]:
        """Incomplete files on this machine; in the store, interrupted deletions and expired files."""
        for path in self._incoming.leftovers():
            yield f"incoming/{path.name}", path.stat().st_size
        self.check()
        for entry in self._files("trash"):
            yield f"trash/{entry.name}", self.size(unquote(entry.name))
        yield from self._expired()
        # Listed before the collections: a collection created meanwhile is in neither list.
        folders = [f"data/{name}" for (name,) in self._folders("data", 1)]
        existing = self._collections()
        for directory in folders:
            if directory not in existing and self._is_old(directory):
                yield directory, self.size(directory)

    def _is_old(self, directory: str) -> bool:
        limit = self.now() - LEFTOVER_SECONDS
        return all(modified_at(entry) < limit for _, entry in self._walk(directory))

    def _expired(self) -> Iterator[tuple[str, int]]:
        spaces = [space.directory for space in self.algorithm_spaces() if space.kind == "temp"]
        for seconds, directories in ((SESSION_SECONDS, ["sessions"]), (TEMP_SECONDS, spaces)):
            limit = self.now() - seconds
            for directory in directories:
                for parent, entry in self._walk(directory):
                    if modified_at(entry) < limit:
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
        """Complete a deletion, except for files written after its start, by the store's clock."""
        directory = unquote(noted.removeprefix("trash/"))
        try:
            with self._errors:
                since = modified_at(self._storage.stat(self._place.child(noted)))
        except NotFoundError:
            return False
        if directory not in self._collections():
            found = list(self._walk(directory))
            if all(modified_at(entry) <= since for _, entry in found):
                self.clear(directory)
            else:
                for parent, entry in found:
                    if modified_at(entry) <= since:
                        self._remove(f"{parent}/{entry.name}")
        return self._remove(noted)

    def _begin(self) -> None:
        """Before the first file of this process, check the store's owner; regularly start the removal of leftovers."""
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
        return self._place.child(f"{directory}/{key_name(name)}")


def _listed(entry: Entry) -> FileInfo | None:
    """The attributes of a listed file; None if the platform does not write such names."""
    name = name_of(entry.name) if entry.kind is Kind.FILE else None
    return None if name is None else file_info(name, entry)
