"""Writes files of a backup or another platform to their places: hosted data through objects, other files on disk."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import BinaryIO

from algo_core.errors import NotFoundError
from algo_local.algorithms.repository_files import make_bare
from algo_local.backups.archive import Hashing, Stored, copied
from algo_local.backups.entries import PROGRAM, Entry
from algo_local.backups.inventory import Named
from algo_local.backups.manifest import Damaged
from algo_local.data.objects import Objects
from algo_local.data.shared_repositories import keep
from algo_local.metadata.store import Metadata
from algo_local.names import decode_file_name


class Placement:
    """Places files by their paths; `named` has the existing collections.

    Incomplete files are in `scratch` on the same file system: a leftover in a published source tree would change the
    tree.
    """

    def __init__(self, objects: Objects, root: Path, named: Named, scratch: Path) -> None:
        self.named = named
        self._scratch = scratch
        self._objects = objects
        self._root = root
        self._collections = {(owner, name): identifier for owner, name, identifier in named.collections}

    def make_collections(self) -> None:
        """Create the directories of all collections."""
        for owner, name, identifier in self.named.collections:
            self._objects.make(self._objects.collection(owner, name, identifier))

    def link(self, path: str, target: str) -> None:
        """Create a symbolic link."""
        place = self._root / path
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with suppress(FileNotFoundError):
            place.unlink()
        os.symlink(target, place)

    def put(
        self,
        path: str,
        kind: str,
        content: bytes | BinaryIO,
        modified: float | None = None,
        expected: Entry | None = None,
    ) -> Stored:
        """Place a file, unless its content differs from the expected one.

        Raises:
            Damaged: if the content differs, the collection does not exist, or a directory has this name.
        """
        try:
            if _is_hosted(path):
                return self._put_hosted(path, content, modified, expected)
            return self._put_plain(path, kind, content, expected)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            raise Damaged(f"There is a file and a directory of one name: {path[:100]!r}") from None

    def has(self, path: str, sha256: str) -> bool:
        """Whether a file exists with this content."""
        found = self.read(path)
        return found is not None and found.sha256 == sha256

    def read(self, path: str) -> Stored | None:
        """The size and digests of a placed file; None if it does not exist."""
        if _is_hosted(path):
            found = self._objects.open(*self._location(path))
            if not found:
                return None
            content = found[0]
            with nullcontext() if isinstance(content, bytes) else content:
                return copied(content, _nowhere)
        try:
            with open(self._root / path, "rb", buffering=0) as file:
                return copied(file, _nowhere)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None

    def remove(self, path: str) -> None:
        """Remove a file, if it exists."""
        if _is_hosted(path):
            with suppress(Damaged):  # with its collection
                self._objects.remove(*self._location(path))
        else:
            with suppress(FileNotFoundError):
                os.unlink(self._root / path)

    def keep_repository(self, algorithm: str) -> dict[str, str]:
        """Store an algorithm's repository in the objects, if it has one; returns its name by the algorithm's id."""
        path = self._root / "repositories" / f"{algorithm}.git"
        return {algorithm: keep(self._objects, algorithm, path)} if path.is_dir() else {}

    def describe(self, metadata: Metadata, entries: Iterable[Entry]) -> None:
        """Record digests and media types of files, as for uploads."""
        for entry in entries:
            if not entry.is_hosted or not (entry.media_type or entry.size > self._objects.hashed_again):
                continue
            directory, name = self._location(entry.path)
            found = self._objects.info(directory, name)
            path = self._objects.relative(directory, name)
            if found and entry.size > self._objects.hashed_again:
                metadata.remember_digest(path, found.identity, entry.md5)
            if found and entry.media_type:
                metadata.remember_media_type(path, found.identity, entry.media_type)

    def _put_hosted(
        self, path: str, content: bytes | BinaryIO, modified: float | None, expected: Entry | None
    ) -> Stored:
        directory, name = self._location(path)
        if path.startswith("algorithm-data/"):
            self._objects.make(directory)
        hashing = Hashing()
        held = [content] if isinstance(content, bytes) else []

        def read(size: int) -> bytes:
            block = (held.pop() if held else b"") if isinstance(content, bytes) else content.read(size)
            hashing.update(block)
            return block

        with self._objects.receive(read) as received:
            stored = hashing.stored()
            check_content(stored, expected)
            try:
                self._objects.place(received, directory, name, modified)
            except NotFoundError:
                raise Damaged(f"There is no row for the collection of {path[:100]!r}") from None
        return stored

    def _put_plain(self, path: str, kind: str, content: bytes | BinaryIO, expected: Entry | None) -> Stored:
        place = self._root / path
        if path.startswith("repositories/"):
            make_bare(self._root.joinpath(*path.split("/")[:2]))
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        mode = 0o600
        if path.startswith("sources/"):
            mode = 0o555 if kind == PROGRAM else 0o444
        descriptor, partial = tempfile.mkstemp(prefix=".part-", dir=self._scratch)
        try:
            with open(descriptor, "wb") as file:
                stored = copied(content, file.write)
            check_content(stored, expected)
            os.chmod(partial, mode)
            os.replace(partial, place)
        except BaseException:
            os.unlink(partial)
            raise
        return stored

    def _location(self, path: str) -> tuple[str, str]:
        kind, owner, name, *rest = path.split("/")
        decoded = decode_file_name(rest[-1])
        assert decoded is not None  # or it would be no path
        if kind != "data":
            return self._objects.algorithm_space(owner, name, rest[0], rest[1]), decoded
        if (owner, name) not in self._collections:
            raise Damaged(f"There is no row for the collection of {path[:100]!r}")
        return self._objects.collection(owner, name, self._collections[owner, name]), decoded


def check_content(found: Stored, expected: Entry | None) -> None:
    """Raise Damaged if a content differs from the expected one."""
    if expected and (
        (found.size, found.sha256) != (expected.size, expected.sha256) or expected.md5 not in ("", found.md5)
    ):
        raise Damaged(f"The backup is damaged: {expected.path[:200]} does not match its digest")


def _is_hosted(path: str) -> bool:
    return path.startswith(("data/", "algorithm-data/"))


def _nowhere(block: bytes) -> None:
    pass
