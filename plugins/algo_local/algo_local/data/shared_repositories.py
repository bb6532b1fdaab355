"""Git repositories in the platform's object store; a row in the database names the current state of each.

repositories/ID.HASH.NAME    files of the repository of the algorithm ID as an archive: the hash of its content, and a
                             name that is used once (in older platforms without the ID)

The name of a state is the names of its archives, separated by spaces: any of them has objects, only the last one has
branches. A change is stored as one more archive, with what is new, and takes effect when the row names it. The
transaction that changes the row checks that the row still names the state before, so a change takes effect as a whole
or not at all, and none is lost. An archive that a row has ceased to name is never named again.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import shutil
import tarfile
import tempfile
import time
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from algo_local.algorithms.repository_files import copy_to, objects_of, pack, unpack
from algo_local.data.objects import BLOCK
from algo_local.data.shared_sources import UNNAMED_SECONDS
from algo_local.error_codes import ErrorCode
from algo_local.metadata.database import IntegrityError
from algo_local.refusals import Missing, StorageUnavailable

if TYPE_CHECKING:
    from algo_local.algorithms.repositories import Copy
    from algo_local.data.objects import Objects
    from algo_local.metadata.database import Database, Rows

REPOSITORIES = "repositories"

MOST_ARCHIVES = 32
"""With so many archives, the next change merges the smaller half into one: each byte is sent again a few times at most,
and a machine that has nothing yet fetches no more files."""

_PAGE = 1000
_DAMAGES = (tarfile.TarError, EOFError, OSError, ValueError, zlib.error)


class SharedRepositories:
    """The repositories of a platform (`algo_local.algorithms.repositories.Shared`).

    `check` raises if the platform cannot be changed now.
    """

    def __init__(self, objects: Objects, database: Database, check: Callable[[], None]) -> None:
        self._objects = objects
        self._database = database
        self._check = check

    def current(self, algorithm: str) -> str | None:
        """The name of the state that an algorithm's repository is in now; None if it was never stored."""
        with self._database.read() as rows:
            found = rows.execute("SELECT content FROM repositories WHERE algorithm = ?", (algorithm,)).fetchone()
        return str(found[0]) if found else None

    def keep(self, algorithm: str, draft: Path, before: Copy | None = None) -> str:
        """Store what a draft has and the state `before` has not, and return the name of the draft's state.

        It is nobody's until `replace`. Everything is stored if the draft lacks objects of the state before, or the
        store does.
        """
        wanted, known = objects_of(draft), objects_of(before.path) if before else set()
        sizes = self._sizes(algorithm, before.name) if before and known <= wanted else {}
        merged = _smaller_half(sizes)
        again = self._objects_in(merged, draft.parent) if merged else set()
        if not sizes or again is None or not again <= wanted:
            return keep(self._objects, algorithm, draft)
        new = _store(self._objects, algorithm, draft, known - again)
        return " ".join([*(name for name in sizes if name not in merged), new])

    def _sizes(self, algorithm: str, state: str) -> dict[str, int]:
        """The archives of a state, with their sizes in bytes; none if one of them is not there."""
        page = self._objects.page(REPOSITORIES, f"{algorithm}.", _PAGE)
        found = {info.name: info.size for info in page.files}
        sizes: dict[str, int] = {}
        for name in state.split():
            if name not in found:
                info = self._objects.info(REPOSITORIES, name)
                if not info:
                    return {}
                found[name] = info.size
            sizes[name] = found[name]
        return sizes

    def _objects_in(self, names: Collection[str], directory: Path) -> set[str] | None:
        """The objects in archives, which are unpacked below a directory; None if one is not there, or is damaged."""
        with tempfile.TemporaryDirectory(prefix=".merged-", dir=directory) as scratch:
            path = Path(scratch, "bare")
            try:
                is_whole = all(self._unpack(name, path, objects_only=True) for name in names)
            except StorageUnavailable:
                return None
            return objects_of(path) if is_whole else None

    def replace(self, algorithm: str, before: str | None, name: str, stored_at: float) -> bool:
        """Make what is stored the repository; False if its state is another one than `before` by now.

        `stored_at` is when `keep` began: what nobody names is removed after a while.

        Raises:
            Missing: if the algorithm was deleted.
            StorageUnavailable: if the platform cannot be changed now.
        """
        try:
            with self._database.write(to_disk=True) as rows:
                self._check()
                if time.time() - stored_at > UNNAMED_SECONDS / 2:
                    return False
                if before is None:
                    statement = "INSERT INTO repositories (content, algorithm) VALUES (?, ?) ON CONFLICT DO NOTHING"
                    return rows.execute(statement, (name, algorithm)).rowcount > 0
                statement = "UPDATE repositories SET content = ? WHERE algorithm = ? AND content = ?"
                return rows.execute(statement, (name, algorithm, before)).rowcount > 0
        except IntegrityError:
            message = "The algorithm was deleted in the meantime"
            raise Missing(message, ErrorCode.ALGORITHM_ID_DOES_NOT_EXIST) from None

    def fetch(self, name: str, draft: Path, copy: Copy | None = None) -> bool:
        """Make a repository of what is stored; False if a part of that is not there.

        The `copy` of an older state saves what that has already.

        Raises:
            StorageUnavailable: if it is not what was stored.
        """
        names = name.split()
        known = set(copy.name.split()).intersection(names[:-1]) if copy else set()
        if copy and known:  # or everything was stored anew since
            copy_to(copy.path, draft, objects_only=True)
        return all(self._unpack(each, draft, objects_only=each != names[-1]) for each in names if each not in known)

    def _unpack(self, name: str, path: Path, *, objects_only: bool) -> bool:
        found = self._objects.open(REPOSITORIES, name)
        if not found:
            return False
        content = found[0]
        with tempfile.TemporaryFile(dir=path.parent) as archive:
            if isinstance(content, bytes):
                archive.write(content)
            else:
                with content:
                    shutil.copyfileobj(content, archive, BLOCK)
            try:
                if _hash(archive) != name.split(".")[-2]:
                    raise ValueError("it has another hash")
                unpack(archive, path, objects_only=objects_only)
            except _DAMAGES as error:
                raise StorageUnavailable(f"The stored repository {name} is damaged: {error}") from None
        return True

    def drop(self, name: str, kept: str | None = None) -> None:
        """Remove a state that no row names, but for what the state `kept` has as well.

        What fails is left to `algo local prune`.
        """
        self._remove(set(name.split()).difference(kept.split() if kept else ()))

    def discard(self, algorithm: str, name: str | None) -> None:
        """Remove what is stored of an algorithm that was deleted; `name` is a state that it was in."""
        names = set(name.split() if name else ())
        with contextlib.suppress(StorageUnavailable):
            page = self._objects.page(REPOSITORIES, f"{algorithm}.", _PAGE)
            names.update(info.name for info in page.files if info.name.startswith(f"{algorithm}."))
        self._remove(names)

    def _remove(self, names: Collection[str]) -> None:
        for name in sorted(names):
            with contextlib.suppress(StorageUnavailable):
                self._objects.remove(REPOSITORIES, name)

    def unnamed(self) -> Iterator[tuple[str, int]]:
        """What no row has named for a while: names and bytes."""
        limit = self._objects.now() - UNNAMED_SECONDS
        marker: str | None = ""
        while marker is not None:
            page = self._objects.page(REPOSITORIES, marker or None, _PAGE)
            old = [info for info in page.files if info.modified < limit]
            named: set[str] = set()
            if old:  # after the listing: a name that is used later is younger
                with self._database.read() as rows:
                    for row in rows.execute("SELECT content FROM repositories").fetchall():
                        named.update(row[0].split())
            yield from ((info.name, info.size) for info in old if info.name not in named)
            marker = page.marker


def keep(objects: Objects, algorithm: str, repository: Path) -> str:
    """Store all of an algorithm's repository, and return the name of its state."""
    return _store(objects, algorithm, repository, ())


def _store(objects: Objects, algorithm: str, repository: Path, without: Collection[str]) -> str:
    """Store a repository, `without` some files, as an archive with a new name, which is returned."""
    with tempfile.TemporaryFile(dir=repository.parent) as archive:
        pack(repository, archive, without)
        size = archive.tell()
        name = f"{algorithm}.{_hash(archive)}.{secrets.token_hex(8)}"
        objects.make(REPOSITORIES)
        with objects.receive(archive.read, size) as received:
            objects.place(received, REPOSITORIES, name)
    return name


def _smaller_half(sizes: Mapping[str, int]) -> list[str]:
    """Which archives are to become one; none while there are few."""
    return sorted(sizes, key=lambda name: sizes[name])[: len(sizes) // 2] if len(sizes) >= MOST_ARCHIVES else []


def name_all(rows: Rows, names: Mapping[str, str]) -> None:
    """Make what is stored the repositories of all algorithms, given their ids, inside a transaction."""
    rows.execute("DELETE FROM repositories")
    rows.executemany("INSERT INTO repositories (algorithm, content) VALUES (?, ?)", list(names.items()))


def _hash(file: BinaryIO) -> str:
    """The hash of a file, which is at its beginning then."""
    file.seek(0)
    digest = hashlib.sha256()
    while block := file.read(BLOCK):
        digest.update(block)
    file.seek(0)
    return digest.hexdigest()
