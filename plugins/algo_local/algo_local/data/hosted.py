"""Hosted data: the rules of the `data` connector, joined from metadata and objects (API section 4).

Another connector would offer the same methods; `Platform.connector` is where it would be found.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

from algo_core.errors import AlreadyExists, NotFoundError, PermissionDenied, RequestRefused
from algo_local.callers import DENIED, Caller
from algo_local.data.objects import BLOCK, FileInfo, Objects, Read
from algo_local.data.path_resolver import Branch, FilePlace, Place, Places, Space
from algo_local.metadata.store import EVERYBODY, OWN_ALGORITHMS, Acl, Metadata, collection_acl
from algo_local.names import check_name

PAGE_SIZE = 1000
"""Entries of one page of a listing."""

SMALL = 1 << 18
"""Bytes up to which reading a file again costs no more than looking its digest up."""


class DirectoryNotEmpty(RequestRefused):
    """A directory with files is not deleted unless that is forced; `deleted` files were (none)."""

    deleted = 0


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a directory's listing; `marker` is the last name on it, if there are more."""

    folders: list[str]
    files: list[FileInfo]
    marker: str | None
    acl: Acl | None


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that was found: its facts, its MD5 in hexadecimal digits, and the file to read it from."""

    info: FileInfo
    md5: str
    content: BinaryIO


class HostedData:
    """The operations on hosted data. Paths are given as their components, from the root on.

    All raise NotFoundError for what does not exist, PermissionDenied for what the caller may not do, RequestRefused
    for what makes no sense, AlreadyExists for what is there already, PlatformError if the disk fails.
    """

    def __init__(self, metadata: Metadata, objects: Objects, places: Places) -> None:
        self._metadata = metadata
        self._objects = objects
        self._places = places

    def find(self, caller: Caller, path: Sequence[str]) -> Place:
        """What a path means; it may be a file that does not exist. Refuses what the caller may not read."""
        place = self._places.find(caller, path)
        if not isinstance(place, Branch):
            space = place.space if isinstance(place, FilePlace) else place
            if not space.readable:
                raise PermissionDenied(DENIED)
            if space.lifetime is not None:
                self._objects.forget_older(space.path, space.lifetime, None if isinstance(place, Space) else place.name)
        return place

    def list(self, directory: Branch | Space, after: str | None = None) -> Page:
        """One page of a directory's entries in the order of their names, those behind `after`."""
        names = directory.folders() if isinstance(directory, Branch) else self._objects.names(directory.path)
        # Roots begin with the caller's own name and are never long enough to be continued.
        start = bisect_right(names, after) if after is not None else 0
        part, more = names[start : start + PAGE_SIZE], len(names) > start + PAGE_SIZE
        marker = part[-1] if more else None
        if isinstance(directory, Branch):
            return Page(part, [], marker, None)
        found = [self._objects.info(directory.path, name) for name in part]
        return Page([], [info for info in found if info], marker, directory.acl)

    def open(self, place: FilePlace) -> StoredFile:
        """Open a file for reading; the caller closes it."""
        found = self._objects.open(place.space.path, place.name)
        if not found:
            raise NotFoundError(f"File {place.uri} does not exist")
        content, info = found
        try:
            return StoredFile(info, self._digest(place, info, content), content)
        except BaseException:
            content.close()
            raise

    def create(self, caller: Caller, parent: Sequence[str], name: object, acl: Acl) -> str:
        """Make a collection in the caller's root; its URI in the form in which the parent was given."""
        place = self._places.find(caller, parent)
        if not isinstance(place, Branch) or not place.owner:
            raise RequestRefused("Collections are made directly under data://.my")
        if not caller.acts_for(place.owner):
            raise PermissionDenied(DENIED)
        name = check_name(name, "a collection")
        uri = f"data://{parent[0]}/{name}"
        with self._metadata.database.write() as rows:
            if collection_acl(rows, place.owner, name) is not None:
                raise AlreadyExists(f"Directory {uri} already exists")
            self._metadata.insert_collection(rows, place.owner, name, acl)
            self._objects.make(self._objects.collection(place.owner, name))
        return uri

    def set_acl(self, caller: Caller, path: Sequence[str], acl: Acl) -> None:
        """Change who may read a collection."""
        place = self._places.find(caller, path)
        if not isinstance(place, Space) or not place.collection:
            raise RequestRefused("Only collections have an ACL")
        self._check_writable(place)
        if not self._metadata.set_acl(*place.collection, acl):
            raise NotFoundError(f"Directory {place.uri} does not exist")

    def put(
        self, caller: Caller, path: Sequence[str], read: Read, length: int | None = None, md5: str | None = None
    ) -> tuple[str, str]:
        """Store a file; its URI, and the MD5 of what was stored, in hexadecimal digits.

        `length` in bytes and `md5` are what the sender announced, and are checked if they are given.
        """
        place = self._places.find(caller, path)
        if not isinstance(place, FilePlace):
            raise RequestRefused(f"data://{'/'.join(path)} is a directory; name a file in it")
        self._check_writable(place.space)
        # A name that cannot be stored is refused before the content is taken in.
        stored_as = self._objects.relative(place.space.path, place.name)
        with self._objects.receive(read, length, md5) as received:
            try:
                info = self._objects.place(received, place.space.path, place.name)
            except NotFoundError:
                self._restore(place.space)
                info = self._objects.place(received, place.space.path, place.name)
            if info.size > SMALL:
                self._metadata.remember_digest(stored_as, info.identity, received.md5)
        return place.uri, received.md5

    def delete(self, caller: Caller, path: Sequence[str], *, force: bool) -> int:
        """Delete a file, or a directory if it is empty or `force` is set; the number of files deleted."""
        place = self._places.find(caller, path)
        if isinstance(place, Branch):
            raise RequestRefused(f"data://{'/'.join(path)} cannot be deleted")
        if isinstance(place, FilePlace):
            self._check_writable(place.space)
            if not self._objects.remove(place.space.path, place.name):
                raise NotFoundError(f"File {place.uri} does not exist")
            return 1
        self._check_writable(place)
        return self._delete_collection(place, force) if place.collection else self._empty(place, force)

    def end_session(self, session: str) -> None:
        """Delete what was stored in `data://.session` of a request that has ended."""
        directory = self._objects.session_space(session)
        if self._objects.discard(directory):
            self._metadata.forget_digests(self._objects.relative(directory))

    def _delete_collection(self, place: Space, force: bool) -> int:
        assert place.collection
        aside = None
        with self._metadata.database.write() as rows:
            if collection_acl(rows, *place.collection) is None:
                raise NotFoundError(f"Directory {place.uri} does not exist")
            if force:
                aside = self._objects.set_aside(place.path)
            elif not self._objects.remove_empty(place.path):
                raise self._not_empty(place)
            self._metadata.delete_collection(rows, *place.collection)
        self._metadata.forget_digests(self._objects.relative(place.path))
        return self._objects.discard(aside) if aside else 0

    def _empty(self, place: Space, force: bool) -> int:
        names = self._objects.names(place.path)
        if names and not force:
            raise self._not_empty(place)
        return sum(self._objects.remove(place.path, name) for name in names)

    def _not_empty(self, place: Space) -> DirectoryNotEmpty:
        count = len(self._objects.names(place.path))
        files = "1 file" if count == 1 else f"{count} files"
        return DirectoryNotEmpty(f"{place.uri} is not empty ({files}); force deletes them as well")

    def _restore(self, space: Space) -> None:
        """Make the directory of a space that exists by its nature, or by its row; or say that it does not exist."""
        if not space.collection:
            self._objects.make(space.path)
            return
        with self._metadata.database.write() as rows:
            if collection_acl(rows, *space.collection) is None:
                raise NotFoundError(f"Directory {space.uri} does not exist")
            self._objects.make(space.path)

    def _digest(self, place: FilePlace, info: FileInfo, content: BinaryIO) -> str:
        stored_as = self._objects.relative(place.space.path, place.name)
        if info.size > SMALL and (known := self._metadata.digest(stored_as, info.identity)):
            return known
        import hashlib

        digest = hashlib.md5(usedforsecurity=False)
        while block := content.read(BLOCK):
            digest.update(block)
        content.seek(0)
        if info.size > SMALL:
            self._metadata.remember_digest(stored_as, info.identity, digest.hexdigest())
        return digest.hexdigest()

    def _check_writable(self, space: Space) -> None:
        if not space.writable:
            raise PermissionDenied(DENIED)


def parse_acl(read: object) -> Acl:
    """The ACL in its form of a list; the default for None (API sections 4.5, 4.6).

    Raises:
        RequestRefused: if it is none of the three that the platform has.
    """
    if read is None:
        return OWN_ALGORITHMS
    for known in ((), OWN_ALGORITHMS, EVERYBODY):
        if read == list(known):
            return known
    raise RequestRefused('An ACL is {"read": []}, {"read": ["algo://.my/*"]} or {"read": ["user://*"]}')
