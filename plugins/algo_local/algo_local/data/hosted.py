"""Hosted data: the operations of the `data` connector, on metadata (ACLs, digests) and objects (API section 4).

`web/handlers/data.py` calls them; `connector_data.py` has the operations of other connectors.
"""

from __future__ import annotations

import contextlib
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from algo_core.errors import AlreadyExists, NotFoundError, PermissionDenied, RequestRefused
from algo_local.callers import DENIED, Caller
from algo_local.data.digests import Digests, md5
from algo_local.data.media_types import GENERIC, by_name
from algo_local.data.objects import BLOCK, FileInfo, Objects, Read
from algo_local.data.path_resolver import Branch, FileLocation, Location, PathResolver, Space
from algo_local.metadata.store import EVERYBODY, OWN_ALGORITHMS, Acl, Metadata, collection_acl
from algo_local.names import COLLECTION_LIMIT, check_name
from algo_local.refusals import ConditionFailed

PAGE_SIZE = 1000
"""Entries of one page of a listing."""


class DirectoryNotEmpty(RequestRefused):
    """A non-empty directory is deleted only by force; `deleted` is the number of deleted files (none)."""

    deleted = 0


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a directory's listing; `marker` is its last name, if there are more pages."""

    folders: list[str]
    files: list[FileInfo]
    marker: str | None
    acl: Acl | None


class StoredFile(NamedTuple):
    """A file that was found: its facts, its MD5 in hexadecimal digits, and the file to read it from."""

    info: FileInfo
    md5: str
    content: BinaryIO | bytes
    """Bytes if it is small."""
    media_type: str = GENERIC
    """The uploaded media type, else the one by its name."""


class HostedData:
    """The operations on hosted data. Paths are given as their components, from the root on.

    All raise NotFoundError for missing objects, PermissionDenied without the permission, RequestRefused for invalid
    requests, AlreadyExists for existing objects, PlatformError if the disk fails.
    """

    def __init__(
        self, metadata: Metadata, objects: Objects, resolver: PathResolver, check_writable: Callable[[], None]
    ) -> None:
        """`check_writable` raises an error while files must not be changed."""
        self._metadata = metadata
        self._check_platform = check_writable
        self._objects = objects
        self._resolver = resolver
        self._digests = Digests()

    def find(self, caller: Caller, path: Sequence[str]) -> Location:
        """The location of a path; a file need not exist. Refuses paths that the caller may not read."""
        location = self._resolver.find(caller, path)
        if not isinstance(location, Branch):
            space = location.space if isinstance(location, FileLocation) else location
            if not space.readable:
                raise PermissionDenied(DENIED)
            if isinstance(location, FileLocation) and space.lifetime is not None:
                self._objects.forget_older(space.path, space.lifetime, location.name)
        return location

    def list(self, directory: Branch | Space, after: str | None = None) -> Page:
        """One page of a directory's entries, those behind `after`; for their order see `Objects.page`."""
        if isinstance(directory, Branch):
            # Roots begin with the caller's own name and are never long enough to be continued.
            folders = directory.folders()
            folders = folders[bisect_right(folders, after) if after is not None else 0 :]
            marker = folders[PAGE_SIZE - 1] if len(folders) > PAGE_SIZE else None
            return Page(folders[:PAGE_SIZE], [], marker, None)
        if directory.lifetime is not None and after is None:
            self._objects.forget_older(directory.path, directory.lifetime)
        found = self._objects.page(directory.path, after, PAGE_SIZE)
        return Page([], found.files, found.marker, directory.acl)

    def open(self, location: FileLocation, *, whole: bool = True) -> StoredFile:
        """Open a file for reading, unless `whole` for reading parts of it or none; the caller closes it."""
        found = self._objects.open(location.space.path, location.name, whole=whole)
        if not found:
            raise NotFoundError(f"File {location.uri} does not exist")
        content, info = found
        try:
            stored_as = self._objects.relative(location.space.path, location.name)
            media_type = self._metadata.media_type(stored_as, info.identity) or by_name(location.name)
            if isinstance(content, bytes):
                return StoredFile(info, self._digests.of(stored_as, info, content), content, media_type)
            return StoredFile(info, self._digest(stored_as, info, content), content, media_type)
        except BaseException:
            if not isinstance(content, bytes):
                content.close()
            raise

    def create(self, caller: Caller, parent: Sequence[str], name: object, acl: Acl) -> str:
        """Make a collection in the caller's root; its URI in the form in which the parent was given."""
        location = self._resolver.find(caller, parent)
        if not isinstance(location, Branch) or not location.owner:
            raise RequestRefused("Collections are made directly under data://.my")
        if not caller.acts_for(location.owner):
            raise PermissionDenied(DENIED)
        name = check_name(name, "a collection", COLLECTION_LIMIT)
        uri = f"data://{parent[0]}/{name}"
        with self._metadata.database.write() as rows:
            if collection_acl(rows, location.owner, name) is not None:
                raise AlreadyExists(f"Directory {uri} already exists")
            identifier = self._metadata.insert_collection(rows, location.owner, name, acl)
            self._objects.make(self._objects.collection(location.owner, name, identifier))
        return uri

    def set_acl(self, caller: Caller, path: Sequence[str], acl: Acl) -> None:
        """Change who may read a collection."""
        location = self._resolver.find(caller, path)
        if not isinstance(location, Space) or not location.collection:
            raise RequestRefused("Only collections have an ACL")
        self._check_writable(location)
        if not self._metadata.set_acl(*location.collection, acl):
            raise NotFoundError(f"Directory {location.uri} does not exist")

    def put(
        self,
        caller: Caller,
        path: Sequence[str],
        read: Read,
        length: int | None = None,
        md5: str | None = None,
        *,
        media_type: str = "",
        replaces: frozenset[str] | None = None,
    ) -> tuple[str, str]:
        """Store a file; return its URI and the MD5 of the content, in hexadecimal digits.

        `length` in bytes and `md5` are the sender's announcements, and are checked if given. `media_type` is kept
        unless it says nothing. With `replaces`, the file is stored only if the one that it replaces has one of these
        MD5s (`*` for any), or if there is none and `replaces` is empty; else ConditionFailed is raised.
        """
        location = self._resolver.find(caller, path)
        if not isinstance(location, FileLocation):
            raise RequestRefused(f"data://{'/'.join(path)} is a directory; name a file in it")
        self._check_writable(location.space)
        # A name that cannot be stored is refused before the content is taken in.
        stored_as = self._objects.relative(location.space.path, location.name)
        identity = None if replaces is None else self._identity(location, replaces)
        with self._objects.receive(read, length, md5) as received:
            with self._while_writable():
                try:
                    info = self._objects.place(received, location.space.path, location.name, replaces=identity)
                except NotFoundError:
                    self._restore(location.space)
                    info = self._objects.place(received, location.space.path, location.name, replaces=identity)
            if not self._objects.keeps_empty:
                self._check_existing(location.space)
            if info.size > self._objects.hashed_again:
                self._metadata.remember_digest(stored_as, info.identity, received.md5)
            self._keep_media_type(stored_as, info, media_type)
        return location.uri, received.md5

    def _identity(self, location: FileLocation, wanted: frozenset[str]) -> str:
        """The identity of the file that is to be replaced; empty if there is to be none."""
        if not wanted:
            return ""
        try:
            found = self.open(location, whole=False)
        except NotFoundError:
            raise ConditionFailed(f"There is no file {location.uri} to be replaced") from None
        if not isinstance(found.content, bytes):
            found.content.close()
        if not wanted & {"*", found.md5}:
            raise ConditionFailed(f"{location.uri} is not the file that was to be replaced: its ETag is {found.md5}")
        return found.info.identity

    def delete(self, caller: Caller, path: Sequence[str], *, force: bool) -> int:
        """Delete a file, or a directory if it is empty or `force` is set; the number of files deleted."""
        location = self._resolver.find(caller, path)
        if isinstance(location, Branch):
            raise RequestRefused(f"data://{'/'.join(path)} cannot be deleted")
        with self._while_writable():
            if isinstance(location, FileLocation):
                self._check_writable(location.space)
                if not self._objects.remove(location.space.path, location.name):
                    raise NotFoundError(f"File {location.uri} does not exist")
                return 1
            self._check_writable(location)
            return self._delete_collection(location, force) if location.collection else self._empty(location, force)

    @contextlib.contextmanager
    def _while_writable(self) -> Iterator[None]:
        """Files may be changed in the block.

        Raises:
            StorageUnavailable: if the platform is being moved, before the block or at its end: whether the change was
                moved as well is not known then.
        """
        self._check_platform()
        yield
        self._check_platform()

    def end_session(self, session: str) -> None:
        """Delete the `data://.session` of a request that has ended."""
        if not self._resolver.forget_session(session):
            return
        directory = self._objects.session_space(session)
        if self._objects.discard(directory):
            self._metadata.forget_files(self._objects.relative(directory))

    def _keep_media_type(self, stored_as: str, info: FileInfo, media_type: str) -> None:
        named = by_name(info.name)
        if media_type and media_type != named:
            self._metadata.remember_media_type(stored_as, info.identity, media_type)
        elif not self._objects.keeps_empty and self._metadata.media_type(stored_as, info.identity):
            # The same content came before, with another type.
            self._metadata.remember_media_type(stored_as, info.identity, named)

    def _delete_collection(self, location: Space, force: bool) -> int:
        assert location.collection
        assert location.acl is not None
        aside = None
        with self._metadata.database.write() as rows:
            if collection_acl(rows, *location.collection, location.identifier) is None:
                raise _missing(location)
            if force:
                aside = self._objects.set_aside(location.path)
            elif not self._objects.remove_empty(location.path):
                raise self._not_empty(location)
            self._metadata.delete_collection(rows, *location.collection)
        if not force and not self._objects.keeps_empty and self._objects.exists(location.path):
            # A file came after it was found empty, and before its sender could know that it was deleted.
            with self._metadata.database.write() as rows:
                if collection_acl(rows, *location.collection) is None:
                    owner, name = location.collection
                    self._metadata.insert_collection(rows, owner, name, location.acl, location.identifier)
            raise self._not_empty(location)
        self._metadata.forget_files(self._objects.relative(location.path))
        return self._objects.discard(aside) if aside else 0

    def _empty(self, location: Space, force: bool) -> int:
        if not force and self._objects.page(location.path, None, 1).files:
            raise self._not_empty(location)
        return self._objects.clear(location.path)

    def _not_empty(self, location: Space) -> DirectoryNotEmpty:
        found = self._objects.page(location.path, None, PAGE_SIZE)
        count = f"over {PAGE_SIZE}" if found.marker is not None else str(len(found.files))
        files = "1 file" if count == "1" else f"{count} files"
        return DirectoryNotEmpty(f"{location.uri} is not empty ({files}); force deletes them as well")

    def _restore(self, space: Space) -> None:
        """Make the directory of a space that exists by its nature, or by its row; or say that it does not exist."""
        if not space.collection:
            self._objects.make(space.path)
            return
        with self._metadata.database.write() as rows:
            if collection_acl(rows, *space.collection) is None:
                raise _missing(space)
            self._objects.make(space.path)

    def _check_existing(self, space: Space) -> None:
        """Raise NotFoundError if a collection was deleted while a file for it was received."""
        if space.collection:
            found = self._metadata.collection_named(*space.collection)
            if not found or found.id != space.identifier:
                raise _missing(space)

    def _digest(self, stored_as: str, info: FileInfo, content: BinaryIO) -> str:
        if info.size > self._objects.hashed_again and (known := self._metadata.digest(stored_as, info.identity)):
            return known
        digest = md5()
        while block := content.read(BLOCK):
            digest.update(block)
        content.seek(0)
        if info.size > self._objects.hashed_again:
            self._metadata.remember_digest(stored_as, info.identity, digest.hexdigest())
        return digest.hexdigest()

    def _check_writable(self, space: Space) -> None:
        if not space.writable:
            raise PermissionDenied(DENIED)


def _missing(space: Space) -> NotFoundError:
    return NotFoundError(f"Directory {space.uri} does not exist")


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
