"""Restores a backup: checked as a whole before anything of it becomes the platform's, and resumable."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from algo_core.errors import AlgoError, AlreadyExists, UsageError
from algo_core.files import replacing
from algo_core.locks import is_held
from algo_core.scratch import scratch_directory
from algo_local.backups.archive import DirectoryStore, copied, exclusively, members, object_name
from algo_local.backups.entries import LINK, Entry, entry_of
from algo_local.backups.inventory import Named
from algo_local.backups.manifest import HEADER, LARGEST, MANIFEST, Damaged, Manifest, check_header, read_manifest
from algo_local.backups.placement import Placement, check_content
from algo_local.backups.tables import DERIVED, KEYS, clear, is_untouched, lines_of, load, values_of
from algo_local.data.directory import DirectoryObjects
from algo_local.data.opening import open_objects
from algo_local.data.shared_repositories import name_all
from algo_local.execution.workers.keeper import keeper_of
from algo_local.metadata.database import Database, IntegrityError
from algo_local.metadata.opening import open_database
from algo_local.metadata.sqlite import SCHEMA_VERSION, SqliteDatabase
from algo_local.metadata.store import PLATFORM_ID, Metadata
from algo_local.platform import DATABASE_FILES, OWN_PARTS
from algo_local.records.presence import DIRECTORY as RUNNING
from algo_local.replacement import DIRECTORY, finish_replacement, new_content, replace_content
from algo_local.state import DATABASE, KEY_FILE
from algo_local.trees import remove_tree

if TYPE_CHECKING:
    from algo_local.data.store_objects import StoreObjects
    from algo_local.state import State

Report = Callable[[int, str], None]
"""Is told the bytes of each file, and its path."""

_FOR = "backup"
"""The file in the directory of a restoration with the digest of the manifest that it is for."""


@contextlib.contextmanager
def unpacked(source: Path | BinaryIO, scratch: Path, report: Report) -> Iterator[DirectoryStore]:
    """The contents of a backup, which may be a directory, or an archive that is unpacked into `scratch`.

    Raises:
        Damaged: if it is no backup.
        ConfigError: if a newer algo-local has made it.
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
        raise Damaged("This is no backup of a platform", "Make one with: algo local backup TARGET")
    check_header(content.read(LARGEST), SCHEMA_VERSION)
    manifest = b""
    for name, content in found:
        digest = name.rpartition("/")[2]
        if manifest:
            raise Damaged(f"The archive goes on after its manifest, with {name[:100]!r}")
        if name == MANIFEST:
            manifest = content.read(LARGEST)
        elif name == object_name(digest) and len(digest) == 64 and set(digest) <= set("0123456789abcdef"):
            report(store.add(content, digest).size, name)
        else:
            raise Damaged(f"The archive holds what no backup holds: {name[:100]!r}")
    if not manifest:
        raise Damaged("The archive is not whole: it has no manifest")
    return manifest


class Contents:
    """The contents of a backup, all of which are checked when they are read."""

    def __init__(self, store: DirectoryStore, digest: str = "") -> None:
        """`digest` is the one that the backup must have, if it is given."""
        self._store = store
        self.manifest: Manifest = read_manifest(store.manifest(), SCHEMA_VERSION)
        self._is_older = self.manifest.schema < SCHEMA_VERSION
        self._converted: Database | None = None
        if not self._is_older:
            self.refuse_tables(set(KEYS))
        if digest and digest != self.manifest.digest:
            raise Damaged(f"The backup is another one: its digest is {self.manifest.digest}")

    def refuse_tables(self, known: set[str]) -> None:
        """Raise Damaged if it has others than these tables."""
        if unknown := set(self.manifest.tables) ^ known:
            names = ", ".join(sorted(unknown))[:200]
            raise Damaged(f"The manifest of the backup has other tables than a platform: {names}")

    @contextlib.contextmanager
    def current(self, scratch: Path) -> Iterator[None]:
        """Have the rows be those of the present schema in a block, also if an older algo-local has made the backup.

        Raises:
            Damaged: if its rows do not fit together.
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
        """Check all rows and the list of files. Damaged if something is wrong."""
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
        """Read all files. Damaged if one is not what it was."""
        for entry in self.entries():
            if entry.kind != LINK:
                with self.open(entry) as file:
                    check_content(copied(file, _nowhere), entry)
            report(entry.size, entry.path)

    def named(self) -> Named:
        """What the rows name."""

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
        """The lines of a table; those of an older schema as they are, but inside of `current`."""
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
            raise Damaged(f"The backup is damaged: {what} is not what it was")


class _Paths:
    """The paths of files in order: none occurs twice, and none leads through a link."""

    def __init__(self) -> None:
        self._last = ""
        self._links: set[str] = set()

    def add(self, entry: Entry, *, is_in_order: bool) -> None:
        """Check the next one. Damaged if it cannot come."""
        parts = entry.parts
        leads_through = any("/".join(parts[:end]) in self._links for end in range(1, len(parts)))
        if not is_in_order or entry.path == self._last or leads_through:
            raise Damaged(f"The list of files is not in order, or leads through a link: {entry.path[:100]!r}")
        self._last = entry.path
        if entry.kind == LINK:
            self._links.add(entry.path)


class Restoration:
    """Puts the content of a backup in the place of a platform."""

    def __init__(self, state: State, *, replace: bool, report: Report) -> None:
        self._state = state
        self._root = state.root.resolve()
        self._is_directory = not (state.metadata or state.objects)
        self._replace = replace
        self._report = report

    def run(self, source: Path | BinaryIO, digest: str = "") -> Manifest:
        """Restore a backup; `digest` is the one that it must have, if it is given.

        Raises:
            AlreadyExists: if there is a platform with content, which is not to be replaced.
            Damaged: if the backup is not whole, or none; nothing has changed then.
            ConfigError: if a newer algo-local has made it.
            AlgoError: if the platform is in use.
            OSError: if it cannot be written.
        """
        finish_replacement(self._root)
        self._check_target()
        is_new = not self._root.exists()
        with contextlib.ExitStack() as done:
            scratch = self._root / DIRECTORY
            for directory in (self._root, scratch):
                directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not done.enter_context(exclusively(scratch)):
                raise AlgoError(f"Another process restores a backup into {self._state}", "Wait until it has ended")
            try:
                store = done.enter_context(unpacked(source, scratch, self._report))
                contents = Contents(store, digest)
                contents.check()
                done.enter_context(contents.current(scratch))
                if self._is_directory:
                    self._fill_beside(contents)
                else:
                    self._fill(contents)
            except Exception:
                remove_tree(scratch)
                if is_new:
                    with contextlib.suppress(OSError):
                        self._root.rmdir()
                raise
        remove_tree(scratch)
        return contents.manifest

    def _check_target(self) -> None:
        if self._replace and not self._is_directory:
            wanted = {"ALGO_LOCAL_METADATA": self._state.metadata, "ALGO_LOCAL_OBJECTS": self._state.objects}
            names = " and ".join(name for name, url in wanted.items() if url)
            raise UsageError(
                f"Only a platform in a directory can be replaced, and this one is in {self._state}",
                f"Restore beside it, and serve that: name another database (createdb NAME) and prefix in {names},"
                " and run the same command without --replace",
            )
        if self._state.exists and not self._replace:
            with contextlib.closing(open_database(self._state)) as database:
                if not is_untouched(database):
                    raise AlreadyExists(
                        f"There is a platform with content in {self._state} already",
                        "Restore into another directory with ALGO_LOCAL_ROOT, or replace it with --replace",
                    )

    def _fill_beside(self, contents: Contents) -> None:
        """Complete the new directory, then have it take the place of the old one."""
        new = new_content(self._root)
        _begin(new, contents)
        placement = Placement(DirectoryObjects(new), new, contents.named(), new)
        placement.make_collections()
        self._place(contents, placement)
        for name in DATABASE_FILES:  # of what was interrupted
            (new / name).unlink(missing_ok=True)
        with contextlib.closing(SqliteDatabase(new / DATABASE)) as database:
            insert_rows(contents, database)
            placement.describe(Metadata(database), contents.entries())
        self._carry_over(contents)
        self._take_place()

    def _fill(self, contents: Contents) -> None:
        """Fill an empty platform on servers, which its rows complete."""
        named = contents.named()
        objects = open_objects(self._state, lambda: set(), contents.platform_id)
        if self._state.objects:
            cast("StoreObjects", objects).check()
        placement = Placement(objects, self._root, named, self._root / DIRECTORY)
        placement.make_collections()
        self._place(contents, placement)
        names: dict[str, str] = {}
        for identifier in named.algorithms if self._state.is_shared else ():
            names |= placement.keep_repository(identifier)
        with contextlib.closing(open_database(self._state)) as database:
            insert_rows(contents, database, names)
            placement.describe(Metadata(database), contents.entries())

    def _place(self, contents: Contents, placement: Placement) -> None:
        """Place all files; those that are there already, after an interruption, stay."""
        for entry in contents.entries():
            if entry.kind == LINK:
                placement.link(entry.path, entry.target)
            elif not placement.has(entry.path, entry.sha256):
                with contents.open(entry) as content:
                    placement.put(entry.path, entry.kind, content, entry.modified, expected=entry)
            self._report(entry.size, entry.path)

    def _carry_over(self, contents: Contents) -> None:
        """Take the key that a backup without secrets lacks from the platform that is replaced, if that has it."""
        if contents.manifest.has_secrets:
            return
        key = self._root / KEY_FILE
        if key.is_file():
            with replacing(new_content(self._root) / KEY_FILE, mode=0o600) as file:
                file.write(key.read_bytes())

    def _take_place(self) -> None:
        if self._state.exists:
            if keeper := keeper_of(self._root):
                keeper.stop()
            running = any(is_held(path) for path in (self._root / RUNNING).glob("*.lock"))
            if running or SqliteDatabase(self._root / DATABASE).is_open_elsewhere():
                raise AlgoError(
                    f"A process uses the platform in {self._root}",
                    "End it (algo local serve, or a command that runs), then restore again",
                )
        os.sync()
        replace_content(self._root, [*DATABASE_FILES, KEY_FILE, *(part for part in OWN_PARTS if part != DIRECTORY)])


def check(source: Path | BinaryIO, digest: str, report: Report) -> Manifest:
    """Read all of a backup. Damaged if it is not whole; ConfigError if a newer algo-local has made it."""
    with (
        scratch_directory() as scratch,
        unpacked(source, Path(scratch), report) as store,
    ):
        contents = Contents(store, digest)
        contents.check()
        with contents.current(Path(scratch)):
            contents.check_files(report)
    return contents.manifest


def _begin(new: Path, contents: Contents) -> None:
    """Make the directory of a new platform, unless it was begun with this backup."""
    marker = new / _FOR
    wanted = contents.manifest.written()
    if not marker.exists() or marker.read_bytes() != wanted:
        remove_tree(new)
        new.mkdir(mode=0o700)
        with replacing(marker, mode=0o600) as file:
            file.write(wanted)


@contextlib.contextmanager
def converted(contents: Contents, scratch: Path) -> Iterator[Database]:
    """The rows of a backup of an older schema in a database of the present one: they go through its migrations."""
    path = scratch / "older.sqlite3"
    for name in DATABASE_FILES:  # of what was interrupted
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
            raise Damaged(f"The rows of the backup do not fit together: {error}") from None
    with contextlib.closing(SqliteDatabase(path)) as database:
        with database.read():
            pass  # which migrates it
        yield database


def _lines_of(database: Database, table: str) -> Iterator[bytes]:
    with database.snapshot() as rows:
        yield from lines_of(rows, table)


def insert_rows(contents: Contents, database: Database, repositories: Mapping[str, str] | None = None) -> None:
    """Replace all rows of a database, in one transaction. Damaged if they do not fit together.

    `repositories` are the names of those in an object store, by the ids of algorithms.
    """
    try:
        with database.write(to_disk=True) as rows:
            clear(rows)
            for table in KEYS:
                load(rows, table, contents.rows(table))
            if repositories:
                name_all(rows, repositories)
    except (IntegrityError, OverflowError, UnicodeEncodeError) as error:
        raise Damaged(f"The rows of the backup do not fit together: {error}") from None


def _nowhere(block: bytes) -> None:
    pass
