"""Repositories in the platform's object store, of which a row in the database says which one is current.

repositories/HASH.NAME    a repository as an archive: the hash of its content, and a name that is used once

A change is stored under a name of its own, and is the repository when the row names it: in one transaction, in which
the row still names the state that the change was made to. So a change is whole or did not happen, and none is lost.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import shutil
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from algo_local.algorithms.repository_files import pack, unpack
from algo_local.data.objects import BLOCK
from algo_local.data.shared_sources import UNNAMED_SECONDS
from algo_local.error_codes import ErrorCode
from algo_local.metadata.database import IntegrityError
from algo_local.refusals import Missing, StorageUnavailable

if TYPE_CHECKING:
    from algo_local.data.objects import Objects
    from algo_local.metadata.database import Database, Rows

REPOSITORIES = "repositories"


class SharedRepositories:
    """The repositories of a platform (`algo_local.algorithms.repositories.Shared`).

    `check` raises if the platform cannot be changed now.
    """

    def __init__(self, objects: Objects, database: Database, check: Callable[[], None]) -> None:
        self._objects = objects
        self._database = database
        self._check = check

    def current(self, algorithm: str) -> str | None:
        """The name of an algorithm's repository as it is now; None if it was never stored."""
        with self._database.read() as rows:
            found = rows.execute("SELECT content FROM repositories WHERE algorithm = ?", (algorithm,)).fetchone()
        return str(found[0]) if found else None

    def keep(self, repository: Path) -> str:
        """Store a repository, and return the name that it has there. It is nobody's until `replace`."""
        return keep(self._objects, repository)

    def replace(self, algorithm: str, before: str | None, name: str, stored_at: float) -> bool:
        """Make what is stored the repository; False if another one than `before` is by now.

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

    def fetch(self, name: str, draft: Path) -> bool:
        """Make a repository of what is stored; False if that is not there.

        Raises:
            StorageUnavailable: if it is not what was stored.
        """
        found = self._objects.open(REPOSITORIES, name)
        if not found:
            return False
        content = found[0]
        with tempfile.TemporaryFile(dir=draft.parent) as archive:
            if isinstance(content, bytes):
                archive.write(content)
            else:
                with content:
                    shutil.copyfileobj(content, archive, BLOCK)
            try:
                if _hash(archive) != name.partition(".")[0]:
                    raise ValueError("it has another hash")
                unpack(archive, draft)
            except (tarfile.TarError, EOFError, OSError, ValueError) as error:
                raise StorageUnavailable(f"The stored repository {name} is damaged: {error}") from None
        return True

    def drop(self, name: str) -> None:
        """Remove what no row names; what fails is left to `algo local prune`."""
        with contextlib.suppress(StorageUnavailable):
            self._objects.remove(REPOSITORIES, name)

    def unnamed(self) -> Iterator[tuple[str, int]]:
        """What no row has named for a while: names and bytes."""
        limit = self._objects.now() - UNNAMED_SECONDS
        marker: str | None = ""
        while marker is not None:
            page = self._objects.page(REPOSITORIES, marker or None, 1000)
            old = [info for info in page.files if info.modified < limit]
            with self._database.read() as rows:  # after the listing: a name that is used later is younger
                named = {row[0] for row in rows.execute("SELECT content FROM repositories").fetchall()} if old else {}
            yield from ((info.name, info.size) for info in old if info.name not in named)
            marker = page.marker


def keep(objects: Objects, repository: Path) -> str:
    """Store a repository under a new name, which is returned."""
    with tempfile.TemporaryFile(dir=repository.parent) as archive:
        pack(repository, archive)
        size = archive.tell()
        name = f"{_hash(archive)}.{secrets.token_hex(8)}"
        objects.make(REPOSITORIES)
        with objects.receive(archive.read, size) as received:
            objects.place(received, REPOSITORIES, name)
    return name


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
