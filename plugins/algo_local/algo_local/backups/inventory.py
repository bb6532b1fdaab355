"""The files that the rows of a platform name, opened one after the other while the platform is in use."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, cast

from algo_local.algorithms.build import Build, BuildError
from algo_local.algorithms.repository_files import is_content
from algo_local.backups.entries import FILE, LINK, PROGRAM
from algo_local.names import encode_file_name
from algo_local.state import KEY_FILE

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from algo_local.metadata.database import Rows
    from algo_local.platform import Platform

_COMPILED = "__pycache__"
_PAGE = 1000
"""Files that are listed at once."""


class Opened(NamedTuple):
    """A file that was opened, with the attributes of exactly that file."""

    content: bytes | BinaryIO
    identity: str
    modified: float | None = None
    """Seconds since the epoch, of hosted data."""
    media_type: str = ""

    def closing(self) -> AbstractContextManager[object]:
        """A block at whose end it is closed."""
        return nullcontext() if isinstance(self.content, bytes) else self.content


@dataclass(frozen=True, slots=True)
class Found:
    """A file of a platform."""

    path: str
    """See `entries.Entry`."""
    kind: str
    identity: str
    """Changes whenever the content may have changed."""
    open: Callable[[], Opened | None]
    """Open it; None if it was removed meanwhile."""
    target: str = ""
    """Where a link leads."""


@dataclass(frozen=True, slots=True)
class Named:
    """The names of files and collections in a snapshot of the rows."""

    collections: list[tuple[str, str, str]]
    """Owners, names and ids."""
    names: set[tuple[str, str]]
    """Owners and names of algorithms."""
    sources: list[str]
    algorithms: list[str]
    """Ids."""

    @classmethod
    def by(cls, rows: Rows) -> Named:
        """The names in the rows of a database."""

        def column(query: str) -> list[str]:
            return sorted(row[0] for row in rows.execute(query).fetchall())

        found = rows.execute("SELECT owner, name, id FROM collections").fetchall()
        return cls(
            sorted(tuple(row) for row in found),
            {tuple(row) for row in rows.execute("SELECT owner, name FROM algorithms").fetchall()},
            column("SELECT DISTINCT source FROM builds WHERE source LIKE 'sources/%'"),
            column("SELECT id FROM algorithms"),
        )


class Inventory:
    """Iterates over the named files; afterwards, `missing` has the named files that do not exist."""

    def __init__(self, platform: Platform, named: Named, *, with_secrets: bool = True) -> None:
        self._platform = platform
        self._root = platform.root
        self._named = named
        self._with_secrets = with_secrets
        self.missing: list[str] = []

    def __iter__(self) -> Iterator[Found]:
        for prefix, directory in self._spaces():
            yield from self._hosted(prefix, directory)
        for name in self._named.sources:
            yield from self._tree(name)
        for identifier in self._named.algorithms:
            yield from self._repository(identifier)
        if self._with_secrets and (key := self._platform.secrets_key()):
            identity = hashlib.sha256(key).hexdigest()
            yield Found(KEY_FILE, FILE, identity, lambda: Opened(key, identity))

    def _spaces(self) -> Iterator[tuple[str, str]]:
        """The paths of directories of hosted data, each with its directory in the objects."""
        objects = self._platform.objects
        for owner, name, identifier in self._named.collections:
            yield f"data/{owner}/{name}", objects.collection(owner, name, identifier)
        for space in objects.algorithm_spaces():
            if (space.owner, space.name) in self._named.names:
                yield f"algorithm-data/{space.owner}/{space.name}/{space.kind}/{space.user}", space.directory

    def _hosted(self, prefix: str, directory: str) -> Iterator[Found]:
        marker: str | None = ""
        while marker is not None:
            page = self._platform.objects.page(directory, marker or None, _PAGE)
            for info in page.files:
                path = f"{prefix}/{encode_file_name(info.name)}"
                yield Found(path, FILE, info.identity, partial(self._open_hosted, directory, info.name))
            marker = page.marker

    def _open_hosted(self, directory: str, name: str) -> Opened | None:
        objects = self._platform.objects
        found = objects.open(directory, name)
        if not found:
            return None
        content, info = found
        media_type = self._platform.metadata.media_type(objects.relative(directory, name), info.identity) or ""
        return Opened(content, info.identity, round(info.modified, 3), media_type)

    def _tree(self, name: str) -> Iterator[Found]:
        """A published source tree, without compiled files."""
        source = self._root / name
        with suppress(BuildError):  # fetched if it is only in the object store
            self._platform.builder.fetch_source(Build(source.name, source, Path(), "", ""))
        if not source.is_dir():
            self.missing.append(name)
            return
        yield from self._under(name, skip=lambda path: _COMPILED in path.split("/"))

    def _repository(self, identifier: str) -> Iterator[Found]:
        with self._platform.repositories.unchanged(identifier) as path:
            if path:  # otherwise it is created on first use
                prefix = str(path.relative_to(self._root))
                yield from self._under(prefix, skip=lambda name: not is_content(name[len(prefix) + 1 :]))

    def _under(self, name: str, *, skip: Callable[[str], bool]) -> Iterator[Found]:
        pending = [name]
        while pending:
            parent = pending.pop()
            with os.scandir(self._root / parent) as found:
                entries = list(found)
            for one in entries:
                path = f"{parent}/{one.name}"
                if one.is_dir(follow_symlinks=False):
                    pending.append(path)
                elif not skip(path):
                    yield from self._plain(path)

    def _plain(self, path: str) -> Iterator[Found]:
        try:
            status = os.lstat(self._root / path)
        except FileNotFoundError:
            self.missing.append(path)
            return
        identity = f"{status.st_ino}:{status.st_size}:{status.st_mtime_ns}"
        if stat.S_ISLNK(status.st_mode):
            target = os.readlink(self._root / path)
            yield Found(path, LINK, identity, lambda: None, target)
        elif stat.S_ISREG(status.st_mode):
            kind = PROGRAM if status.st_mode & 0o111 and path.startswith("sources/") else FILE
            yield Found(path, kind, identity, partial(self._open_plain, path, identity))

    def _open_plain(self, path: str, identity: str) -> Opened | None:
        try:
            return Opened(cast("BinaryIO", open(self._root / path, "rb", buffering=0)), identity)
        except FileNotFoundError:
            self.missing.append(path)
            return None
