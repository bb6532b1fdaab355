"""Restores a backup: checked as a whole before anything of it becomes the platform's, and resumable."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from algo_core.errors import AlgoError, AlreadyExists, NotFoundError, UsageError
from algo_core.files import replacing
from algo_core.locks import is_held
from algo_local.backups.archive import DirectoryStore, Hashing, Stored, copied, exclusively, members, object_name
from algo_local.backups.entries import LINK, PROGRAM, Entry, entry_of
from algo_local.backups.manifest import HEADER, LARGEST, MANIFEST, Damaged, Manifest, check_header, read_manifest
from algo_local.backups.tables import KEYS, clear, load, values_of
from algo_local.data.directory import DirectoryObjects
from algo_local.execution.keeper import keeper_of
from algo_local.metadata.database import Database, IntegrityError
from algo_local.metadata.sqlite import SCHEMA_VERSION, SqliteDatabase
from algo_local.metadata.store import Metadata
from algo_local.names import decode_file_name
from algo_local.platform import DATABASE_FILES, OWN_PARTS, Platform
from algo_local.records.presence import DIRECTORY as RUNNING
from algo_local.replacement import DIRECTORY, finish_replacement, new_content, replace_content
from algo_local.state import DATABASE
from algo_local.trees import remove_tree
from algo_local.vault import KEY_FILE

if TYPE_CHECKING:
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
        if unknown := set(self.manifest.tables) ^ set(KEYS):
            raise Damaged(f"The manifest of the backup has other tables than a platform: {', '.join(sorted(unknown))}")
        if digest and digest != self.manifest.digest:
            raise Damaged(f"The backup is another one: its digest is {self.manifest.digest}")

    def check(self) -> None:
        """Check all rows and the list of files. Damaged if something is wrong."""
        digest = hashlib.sha256()
        for table in KEYS:
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
                    _check(copied(file, _nowhere), entry)
            report(entry.size, entry.path)

    def rows(self, table: str) -> Iterator[bytes]:
        """The lines of a table."""
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
        if self._state.metadata or self._state.objects:
            raise UsageError(
                "A backup is restored into a directory",
                "Restore it there, then move the platform with: algo local migrate",
            )
        finish_replacement(self._root)
        self._check_target()
        is_new = not self._root.exists()
        with contextlib.ExitStack() as done:
            scratch = self._root / DIRECTORY
            for directory in (self._root, scratch):
                directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not done.enter_context(exclusively(scratch)):
                raise AlgoError(f"Another process restores a backup into {self._root}", "Wait until it has ended")
            try:
                store = done.enter_context(unpacked(source, scratch, self._report))
                contents = Contents(store, digest)
                contents.check()
                Filling(contents, new_content(self._root)).run(self._report)
                self._carry_over(contents)
                self._take_place()
            except Exception:
                remove_tree(scratch)
                if is_new:
                    with contextlib.suppress(OSError):
                        self._root.rmdir()
                raise
        return contents.manifest

    def _check_target(self) -> None:
        if self._state.exists and not self._replace:
            with contextlib.closing(Platform(self._state)) as platform:
                if not is_untouched(platform):
                    raise AlreadyExists(
                        f"There is a platform with content in {self._root} already",
                        "Restore into another directory with ALGO_LOCAL_ROOT, or replace it with --replace",
                    )

    def _carry_over(self, contents: Contents) -> None:
        """Take what a backup without secrets lacks from the platform that is replaced, if that has it."""
        if contents.manifest.has_secrets:
            return
        new = new_content(self._root)
        names = [f"connectors/{values_of('connectors', line)['id']}.json" for line in contents.rows("connectors")]
        for name in [KEY_FILE, *names]:
            if (self._root / name).is_file():
                (new / name).parent.mkdir(exist_ok=True, mode=0o700)
                with replacing(new / name, mode=0o600) as file, open(self._root / name, "rb") as old:
                    shutil.copyfileobj(old, file)

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
        tempfile.TemporaryDirectory(prefix="algo-backup-") as scratch,
        unpacked(source, Path(scratch), report) as store,
    ):
        contents = Contents(store, digest)
        contents.check()
        contents.check_files(report)
    return contents.manifest


class Filling:
    """Makes the directory of a new platform with the content of a backup, continuing what was interrupted."""

    def __init__(self, contents: Contents, new: Path) -> None:
        self._contents = contents
        self._new = new
        self._objects = DirectoryObjects(new)

    def run(self, report: Report) -> None:
        """Place all files, then insert all rows.

        Raises:
            Damaged: if a content or a row is not as it should be.
            OSError: if something cannot be written.
        """
        self._begin()
        for line in self._contents.rows("collections"):
            values = values_of("collections", line)
            directory = self._objects.collection(values["owner"], values["name"], str(values["id"]))
            self._objects.make(directory)
        for entry in self._contents.entries():
            self._place(entry)
            report(entry.size, entry.path)
        for name in DATABASE_FILES:  # of what was interrupted
            (self._new / name).unlink(missing_ok=True)
        with contextlib.closing(SqliteDatabase(self._new / DATABASE)) as database:
            insert_rows(self._contents, database)
            self._describe(Metadata(database))

    def _begin(self) -> None:
        marker = self._new / _FOR
        wanted = self._contents.manifest.written()
        if not marker.exists() or marker.read_bytes() != wanted:
            remove_tree(self._new)
            self._new.mkdir(mode=0o700)
            with replacing(marker, mode=0o600) as file:
                file.write(wanted)

    def _place(self, entry: Entry) -> None:
        try:
            if entry.is_hosted:
                self._place_hosted(entry)
            else:
                self._place_plain(entry)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            raise Damaged(f"The list of files has a file and a directory of one name: {entry.path[:100]!r}") from None

    def _place_hosted(self, entry: Entry) -> None:
        directory, name = self._location(entry)
        if entry.path.startswith("algorithm-data/"):
            self._objects.make(directory)
        found = self._objects.open(directory, name)
        if found:
            content, info = found
            with contextlib.nullcontext() if isinstance(content, bytes) else content:
                if info.size == entry.size and copied(content, _nowhere).sha256 == entry.sha256:
                    return
        hashing = Hashing()

        def read(size: int) -> bytes:
            block = file.read(size)
            hashing.update(block)
            return block

        with self._contents.open(entry) as file, self._objects.receive(read) as received:
            _check(hashing.stored(), entry)
            try:
                self._objects.place(received, directory, name, entry.modified)
            except NotFoundError:
                raise Damaged(f"The list of files names a collection without a row: {entry.path[:100]!r}") from None

    def _location(self, entry: Entry) -> tuple[str, str]:
        kind, owner, name, *rest = entry.parts
        decoded = decode_file_name(rest[-1])
        assert decoded is not None  # or it would be no entry
        if kind == "data":
            return self._objects.collection(owner, name), decoded
        return self._objects.algorithm_space(owner, name, rest[0], rest[1]), decoded

    def _place_plain(self, entry: Entry) -> None:
        path = self._new / entry.path
        if entry.path.startswith("repositories/"):
            _make_repository(self._new.joinpath(*entry.parts[:2]))
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if entry.kind == LINK:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
            os.symlink(entry.target, path)
            return
        if path.is_file() and path.stat().st_size == entry.size:
            with open(path, "rb") as present:
                if copied(present, _nowhere).sha256 == entry.sha256:
                    return
        mode = 0o600
        if entry.path.startswith("sources/"):
            mode = 0o555 if entry.kind == PROGRAM else 0o444
        with self._contents.open(entry) as content, replacing(path, mode=mode) as file:
            _check(copied(content, file.write), entry)

    def _describe(self, metadata: Metadata) -> None:
        """Remember digests and media types of files, as if they had been uploaded."""
        for entry in self._contents.entries():
            if not entry.is_hosted or not (entry.media_type or entry.size > self._objects.hashed_again):
                continue
            directory, name = self._location(entry)
            found = self._objects.info(directory, name)
            path = self._objects.relative(directory, name)
            if found and entry.size > self._objects.hashed_again:
                metadata.remember_digest(path, found.identity, entry.md5)
            if found and entry.media_type:
                metadata.remember_media_type(path, found.identity, entry.media_type)


def insert_rows(contents: Contents, database: Database) -> None:
    """Replace all rows of a database, in one transaction. Damaged if they do not fit together."""
    try:
        with database.write(to_disk=True) as rows:
            clear(rows)
            for table in KEYS:
                load(rows, table, contents.rows(table))
    except (IntegrityError, OverflowError, UnicodeEncodeError) as error:
        raise Damaged(f"The rows of the backup do not fit together: {error}") from None


def is_untouched(platform: Platform) -> bool:
    """Whether a platform has only what every new one has."""
    new = {"settings": 1, "accounts": 2, "algorithms": 1, "builds": 1, "versions": 3, "organization_types": 3}
    with platform.database.snapshot() as rows:
        return all(rows.execute(f"SELECT count(*) FROM {table}").fetchone()[0] <= new.get(table, 0) for table in KEYS)


def _make_repository(path: Path) -> None:
    """Make an empty bare repository, with settings and without the programs that git would run."""
    for part in ("objects/info", "objects/pack", "refs/heads", "refs/tags"):
        (path / part).mkdir(parents=True, exist_ok=True, mode=0o700)
    if not (path / "config").exists():
        with replacing(path / "config", mode=0o600) as file:
            file.write(b"[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n")


def _nowhere(block: bytes) -> None:
    pass


def _check(found: Stored, entry: Entry) -> None:
    if (found.size, found.sha256) != (entry.size, entry.sha256) or entry.md5 not in ("", found.md5):
        raise Damaged(f"The backup is damaged: {entry.path[:200]} is not what it was")
