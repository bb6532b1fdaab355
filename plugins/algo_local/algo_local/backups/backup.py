"""Makes a backup of a platform while it is used: its rows of one moment, and every file that they name."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO

from algo_core.locks import locked
from algo_local.backups.archive import Sink
from algo_local.backups.entries import FILE, GIT_FILES, LINK, PROGRAM, Entry, entry_of
from algo_local.backups.manifest import Manifest, Part
from algo_local.backups.sorting import in_order
from algo_local.backups.tables import KEYS, lines_of
from algo_local.metadata.sqlite import SCHEMA_VERSION
from algo_local.names import encode_file_name
from algo_local.vault import KEY_FILE

if TYPE_CHECKING:
    from algo_local.metadata.database import Rows
    from algo_local.platform import Platform

_COMPILED = "__pycache__"
_PASSES = 5
"""How often rows are read anew because files that they name were removed meanwhile."""

Report = Callable[[int, str], None]
"""Is told the bytes of each file, and its path."""


class Backup:
    """One backup of a platform."""

    def __init__(self, platform: Platform, sink: Sink, *, with_secrets: bool = True, report: Report) -> None:
        self._platform = platform
        self._sink = sink
        self._with_secrets = with_secrets
        self._report = report
        self._missing: list[str] = []
        self._digest = hashlib.sha256()
        self._size = 0

    def run(self) -> Manifest:
        """Store all contents and the manifest.

        Raises:
            AlgoError: if the platform cannot be read.
            OSError: if the backup cannot be written.
        """
        platform = self._platform
        account = platform.account
        before: list[str] | None = None
        with platform.builder.building():  # nothing that rows name is pruned
            for _ in range(_PASSES):
                self._missing, self._digest, self._size = [], hashlib.sha256(), 0
                with platform.database.snapshot() as rows:
                    tables = {table: self._table(rows, table) for table in KEYS}
                    named = _Named(rows)
                files = self._files(named)
                if not self._missing or self._missing == before:
                    break
                before = self._missing  # removed since the rows were read, perhaps
        manifest = Manifest(
            SCHEMA_VERSION,
            account,
            self._with_secrets,
            tables,
            files,
            self._size,
            self._digest.hexdigest(),
            self._missing,
        )
        self._sink.finish(manifest)
        return manifest

    def _table(self, rows: Rows, table: str) -> Part:
        lines = lines_of(rows, table, with_secrets=self._with_secrets)
        part = self._lines(in_order(lines, self._sink.scratch()))
        self._digest.update(f"{table} {part.lines} {part.sha256}\n".encode())
        return part

    def _files(self, named: _Named) -> Part:
        def lines() -> Iterator[bytes]:
            for line in in_order((entry.line() for entry in self._entries(named)), self._sink.scratch()):
                self._digest.update(entry_of(line).line(with_time=False))
                yield line

        return self._lines(lines())

    def _lines(self, lines: Iterator[bytes]) -> Part:
        reader = _Lines(lines)
        stored = self._sink.add(reader)  # type: ignore[arg-type]  # it is read from, and nothing else
        return Part(reader.count, stored.sha256)

    def _entries(self, named: _Named) -> Iterator[Entry]:
        for entry in self._all_entries(named):
            self._size += entry.size
            self._report(entry.size, entry.path)
            yield entry

    def _all_entries(self, named: _Named) -> Iterator[Entry]:
        root = self._platform.root
        for prefix, directory in self._spaces(named):
            yield from self._hosted(prefix, directory)
        for name in named.sources:
            yield from self._tree(root, name)
        for identifier in named.algorithms:
            yield from self._repository(root, f"repositories/{identifier}")
        if self._with_secrets:
            for identifier in named.connectors:
                yield from self._plain(root, f"connectors/{identifier}.json", is_needed=True)
            yield from self._plain(root, KEY_FILE, is_needed=False)

    def _spaces(self, named: _Named) -> Iterator[tuple[str, str]]:
        """The paths of directories of hosted data, and where the objects have them."""
        objects = self._platform.objects
        for owner, name, identifier in named.collections:
            yield f"data/{owner}/{name}", objects.collection(owner, name, identifier)
        for space in objects.algorithm_spaces():
            if (space.owner, space.name) in named.names:
                yield f"algorithm-data/{space.owner}/{space.name}/{space.kind}/{space.user}", space.directory

    def _hosted(self, prefix: str, directory: str) -> Iterator[Entry]:
        objects, metadata = self._platform.objects, self._platform.metadata
        for name in objects.names(directory):
            if found := objects.open(directory, name):  # else it was removed meanwhile
                content, info = found
                with contextlib.nullcontext() if isinstance(content, bytes) else content:
                    stored = self._sink.add(content)
                media_type = metadata.media_type(objects.relative(directory, name), info.identity) or ""
                yield Entry(f"{prefix}/{encode_file_name(name)}", FILE, *stored, round(info.modified, 3), media_type)

    def _tree(self, root: Path, name: str) -> Iterator[Entry]:
        """A published source tree, without what was compiled of it."""
        try:
            yield from self._under(root, name, skip=lambda path: _COMPILED in path.split("/"))
        except FileNotFoundError:
            self._missing.append(name)

    def _repository(self, root: Path, name: str) -> Iterator[Entry]:
        if not (root / f"{name}.git").is_dir():
            return  # it is made when it is first asked for
        with locked(root / f"{name}.lock"):
            prefix = f"{name}.git/"
            yield from self._under(root, f"{name}.git", skip=lambda path: not GIT_FILES.fullmatch(path[len(prefix) :]))

    def _under(self, root: Path, name: str, *, skip: Callable[[str], bool]) -> Iterator[Entry]:
        pending = [name]
        while pending:
            parent = pending.pop()
            with os.scandir(root / parent) as found:
                entries = list(found)
            for one in entries:
                path = f"{parent}/{one.name}"
                if one.is_dir(follow_symlinks=False):
                    pending.append(path)
                elif not skip(path):
                    yield from self._one(root, path)

    def _one(self, root: Path, path: str) -> Iterator[Entry]:
        status = os.lstat(root / path)
        if stat.S_ISLNK(status.st_mode):
            yield Entry(path, LINK, target=os.readlink(root / path))
        elif stat.S_ISREG(status.st_mode):
            kind = PROGRAM if status.st_mode & 0o111 and path.startswith("sources/") else FILE
            for entry in self._plain(root, path, is_needed=True):
                yield replace(entry, kind=kind)

    def _plain(self, root: Path, path: str, *, is_needed: bool) -> Iterator[Entry]:
        try:
            with open(root / path, "rb", buffering=0) as file:
                size, sha256, _ = self._sink.add(_binary(file))
        except FileNotFoundError:
            if is_needed:
                self._missing.append(path)
            return
        yield Entry(path, FILE, size, sha256)


class _Named:
    """What rows of one moment name."""

    def __init__(self, rows: Rows) -> None:
        def column(query: str) -> list[str]:
            return sorted(row[0] for row in rows.execute(query).fetchall())

        found = rows.execute("SELECT owner, name, id FROM collections").fetchall()
        self.collections: list[tuple[str, str, str]] = sorted(tuple(row) for row in found)
        self.names = {tuple(row) for row in rows.execute("SELECT owner, name FROM algorithms").fetchall()}
        self.sources = column("SELECT DISTINCT source FROM builds WHERE source LIKE 'sources/%'")
        self.algorithms = column("SELECT id FROM algorithms")
        self.connectors = column("SELECT id FROM connectors")


class _Lines:
    """Lines as a file to read from."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        self._lines = lines
        self.count = 0

    def read(self, size: int) -> bytes:
        """Whole lines, about so many bytes; none at the end."""
        held: list[bytes] = []
        length = 0
        for line in self._lines:
            self.count += 1
            held.append(line)
            length += len(line)
            if length >= size:
                break
        return b"".join(held)


def _binary(file: IO[bytes]) -> BinaryIO:
    return file  # type: ignore[return-value]  # an unbuffered file is one
