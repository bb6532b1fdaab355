"""The contents of a backup: unpacks archives, verifies rows and files, and converts rows of older schemas.

`restore.py` places them.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from algo_core.files import replacing
from algo_local.backups.archive import DirectoryStore, copied, members, object_name
from algo_local.backups.entries import LINK, Entry, entry_of
from algo_local.backups.inventory import Named
from algo_local.backups.manifest import HEADER, LARGEST, MANIFEST, Damaged, Manifest, check_header, read_manifest
from algo_local.backups.placement import check_content
from algo_local.backups.tables import DERIVED, KEYS, clear, lines_of, load, values_of
from algo_local.data.shared_repositories import name_all
from algo_local.metadata.database import Database, IntegrityError
from algo_local.metadata.sqlite import SCHEMA_VERSION, SqliteDatabase
from algo_local.metadata.store import PLATFORM_ID
from algo_local.platform import DATABASE_FILES
from algo_local.state import DATABASE

Report = Callable[[int, str], None]
"""Called with the size and path of each file."""


@contextlib.contextmanager
def unpacked(source: Path | BinaryIO, scratch: Path, report: Report) -> Iterator[DirectoryStore]:
    """The contents of a backup: of a directory, or of an archive unpacked into `scratch`.

    Raises:
        Damaged: if it is not a backup.
        ConfigError: if a newer algo-local made it.
    """
    if isinstance(source, Path) and source.is_dir():
        yield DirectoryStore(source)
        return
    with open(source, "rb") if isinstance(source, Path) else contextlib.nullcontext(source) as file:
        store = DirectoryStore(scratch / "unpacked")
        store.begin()
        manifest = _unpack(file, store, report)
    with replacing(store.path / MANIFEST, mode=0o600) as copy:
        copy.write(manifest)
    yield store


def _unpack(file: BinaryIO, store: DirectoryStore, report: Report) -> bytes:
    found = members(file)
    name, content = next(found, ("", None))
    if content is None or name != HEADER:
        raise Damaged("This is not a backup of a platform", "Make one with: algo local backup TARGET")
    check_header(content.read(LARGEST), SCHEMA_VERSION)
    manifest = b""
    for name, content in found:
        digest = name.rpartition("/")[2]
        if manifest:
            raise Damaged(f"The archive has a file after its manifest: {name[:100]!r}")
        if name == MANIFEST:
            manifest = content.read(LARGEST)
        elif name == object_name(digest) and len(digest) == 64 and set(digest) <= set("0123456789abcdef"):
            report(store.add(content, digest).size, name)
        else:
            raise Damaged(f"The archive is not a backup: it contains {name[:100]!r}")
    if not manifest:
        raise Damaged("The archive is incomplete: it has no manifest")
    return manifest


class Contents:
    """The contents of a backup, verified when they are read."""

    def __init__(self, store: DirectoryStore, digest: str = "") -> None:
        """`digest`, if given, is the expected digest of the backup."""
        self._store = store
        self.manifest: Manifest = read_manifest(store.manifest(), SCHEMA_VERSION)
        self._is_older = self.manifest.schema < SCHEMA_VERSION
        self._converted: Database | None = None
        if not self._is_older:
            self.refuse_tables(set(KEYS))
        if digest and digest != self.manifest.digest:
            raise Damaged(f"This is not the expected backup: its digest is {self.manifest.digest}")

    def refuse_tables(self, known: set[str]) -> None:
        """Raise Damaged if it has other tables than these."""
        if unknown := set(self.manifest.tables) ^ known:
            names = ", ".join(sorted(unknown))[:200]
            raise Damaged(f"The manifest of the backup has other tables than a platform: {names}")

    @contextlib.contextmanager
    def current(self, scratch: Path) -> Iterator[None]:
        """Within the block, provide the rows in the current schema, even if an older algo-local made the backup.

        Raises:
            Damaged: if its rows contradict each other.
        """
        if not self._is_older:
            yield
            return
        with converted(self, scratch) as database:
            self._converted = database
            try:
                yield
            finally:
                self._converted = None

    def check(self) -> None:
        """Check all rows and the list of files. Damaged if one is invalid."""
        digest = hashlib.sha256()
        for table in self.manifest.tables if self._is_older else KEYS:
            for line in self.rows(table):
                values_of(table, line)
            part = self.manifest.tables[table]
            digest.update(f"{table} {part.lines} {part.sha256}\n".encode())
        last, size = b"", 0
        paths = _Paths()
        for line in self._files():
            entry = entry_of(line)
            paths.add(entry, is_in_order=line > last)
            last = line
            digest.update(entry.line(with_time=False))
            size += entry.size
        if digest.hexdigest() != self.manifest.digest or size != self.manifest.size:
            raise Damaged("The backup is damaged: its content is not that of its manifest")

    def check_files(self, report: Report) -> None:
        """Read and verify all files. Damaged if one does not match its digest."""
        for entry in self.entries():
            if entry.kind != LINK:
                with self.open(entry) as file:
                    check_content(copied(file, _nowhere), entry)
            report(entry.size, entry.path)

    def named(self) -> Named:
        """The names of files and collections in the rows."""

        def column(table: str, name: str) -> list[Any]:
            return [values_of(table, line)[name] for line in self.rows(table)]

        rows = [values_of("collections", line) for line in self.rows("collections")]
        collections = [(row["owner"], row["name"], str(row["id"])) for row in rows]
        return Named(collections, set(), [], column("algorithms", "id"))

    def platform_id(self) -> str:
        """The text that identifies the platform."""
        settings = [values_of("settings", line) for line in self.rows("settings")]
        return str({row["name"]: row["value"] for row in settings}.get(PLATFORM_ID, ""))

    def rows(self, table: str) -> Iterator[bytes]:
        """The lines of a table; inside `current`, those of the current schema."""
        if self._converted:
            return _lines_of(self._converted, table)
        part = self.manifest.tables[table]
        return self._lines(part.sha256, part.lines, f"the table {table}")

    def entries(self) -> Iterator[Entry]:
        """The files."""
        return map(entry_of, self._files())

    def _files(self) -> Iterator[bytes]:
        return self._lines(self.manifest.files.sha256, self.manifest.files.lines, "the list of files")

    def open(self, entry: Entry) -> BinaryIO:
        """The content of a file."""
        return self._store.open(entry.sha256)

    def _lines(self, sha256: str, count: int, what: str) -> Iterator[bytes]:
        digest = hashlib.sha256()
        found = 0
        with self._store.open(sha256) as raw, open(raw.fileno(), "rb", closefd=False) as file:
            for line in file:
                digest.update(line)
                found += 1
                yield line
        if digest.hexdigest() != sha256 or found != count:
            raise Damaged(f"The backup is damaged: {what} does not match its digest")


class _Paths:
    """Checks that the paths of files are sorted and unique, and that none leads through a link."""

    def __init__(self) -> None:
        self._last = ""
        self._links: set[str] = set()

    def add(self, entry: Entry, *, is_in_order: bool) -> None:
        """Check the next path. Raises Damaged."""
        parts = entry.parts
        leads_through = any("/".join(parts[:end]) in self._links for end in range(1, len(parts)))
        if not is_in_order or entry.path == self._last or leads_through:
            raise Damaged(f"The list of files is not in order, or leads through a link: {entry.path[:100]!r}")
        self._last = entry.path
        if entry.kind == LINK:
            self._links.add(entry.path)


@contextlib.contextmanager
def converted(contents: Contents, scratch: Path) -> Iterator[Database]:
    """A database with the rows of an older backup, migrated to the current schema."""
    path = scratch / "older.sqlite3"
    for name in DATABASE_FILES:  # of an interrupted restore
        path.with_name(name.replace(DATABASE, path.name)).unlink(missing_ok=True)
    with contextlib.closing(SqliteDatabase(path, contents.manifest.schema)) as older:
        with older.read() as rows:
            tables = {name for (name,) in rows.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        contents.refuse_tables({name for name in tables - set(DERIVED) if not name.startswith("sqlite_")})
        try:
            with older.write() as rows:
                rows.execute("PRAGMA defer_foreign_keys=ON")
                for table in contents.manifest.tables:
                    rows.execute(f"DELETE FROM {table}")
                for table in contents.manifest.tables:
                    load(rows, table, contents.rows(table))
        except (IntegrityError, OverflowError, UnicodeEncodeError) as error:
            raise Damaged(f"The rows of the backup contradict each other: {error}") from None
    with contextlib.closing(SqliteDatabase(path)) as database:
        with database.read():
            pass  # opening migrates it
        yield database


def _lines_of(database: Database, table: str) -> Iterator[bytes]:
    with database.snapshot() as rows:
        yield from lines_of(rows, table)


def insert_rows(contents: Contents, database: Database, repositories: Mapping[str, str] | None = None) -> None:
    """Replace all rows of a database in one transaction. Damaged if they contradict each other.

    `repositories` are names of repositories in the object store by the ids of algorithms.
    """
    try:
        with database.write(to_disk=True) as rows:
            clear(rows)
            for table in KEYS:
                load(rows, table, contents.rows(table))
            if repositories:
                name_all(rows, repositories)
    except (IntegrityError, OverflowError, UnicodeEncodeError) as error:
        raise Damaged(f"The rows of the backup contradict each other: {error}") from None


def _nowhere(block: bytes) -> None:
    pass
