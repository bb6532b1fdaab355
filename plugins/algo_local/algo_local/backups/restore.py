"""Restores a backup: all of it is verified before the platform appears, and an interrupted restore continues."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from algo_core.errors import AlgoError, AlreadyExists, UsageError
from algo_core.files import replacing
from algo_core.locks import is_held
from algo_core.scratch import scratch_directory
from algo_local.backups.archive import exclusively
from algo_local.backups.contents import Contents, Report, insert_rows, unpacked
from algo_local.backups.entries import LINK
from algo_local.backups.manifest import Manifest
from algo_local.backups.placement import Placement
from algo_local.backups.tables import is_untouched
from algo_local.data.directory import DirectoryObjects
from algo_local.data.opening import open_objects
from algo_local.execution.workers.keeper import keeper_of
from algo_local.metadata.opening import open_database
from algo_local.metadata.sqlite import SqliteDatabase
from algo_local.metadata.store import Metadata
from algo_local.platform import DATABASE_FILES, OWN_PARTS
from algo_local.records.presence import DIRECTORY as RUNNING
from algo_local.replacement import DIRECTORY, finish_replacement, new_content, replace_content
from algo_local.state import DATABASE, KEY_FILE
from algo_local.trees import remove_tree

if TYPE_CHECKING:
    from algo_local.data.store_objects import StoreObjects
    from algo_local.state import State

_FOR = "backup"
"""The file in the directory of a restoration with the digest of the manifest that it is for."""


class Restoration:
    """Restores a backup into a platform's state."""

    def __init__(self, state: State, *, replace: bool, report: Report) -> None:
        self._state = state
        self._root = state.root.resolve()
        self._is_directory = not (state.metadata or state.objects)
        self._replace = replace
        self._report = report

    def run(self, source: Path | BinaryIO, digest: str = "") -> Manifest:
        """Restore a backup; `digest`, if given, is its expected digest.

        Raises:
            AlreadyExists: if there is a platform with content, and `replace` is not set.
            Damaged: if the backup is invalid or incomplete; nothing has changed then.
            ConfigError: if a newer algo-local made it.
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
                raise AlgoError(f"Another process is restoring a backup into {self._state}", "Wait until it has ended")
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
        """Complete the new directory, then replace the old one by it."""
        new = new_content(self._root)
        _begin(new, contents)
        placement = Placement(DirectoryObjects(new), new, contents.named(), new)
        placement.make_collections()
        self._place(contents, placement)
        for name in DATABASE_FILES:  # of an interrupted restore
            (new / name).unlink(missing_ok=True)
        with contextlib.closing(SqliteDatabase(new / DATABASE)) as database:
            insert_rows(contents, database)
            placement.describe(Metadata(database), contents.entries())
        self._carry_over(contents)
        self._take_place()

    def _fill(self, contents: Contents) -> None:
        """Fill an empty platform on servers; its rows, written last, complete it."""
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
        """Place all files, except those that an interrupted restore has placed."""
        for entry in contents.entries():
            if entry.kind == LINK:
                placement.link(entry.path, entry.target)
            elif not placement.has(entry.path, entry.sha256):
                with contents.open(entry) as content:
                    placement.put(entry.path, entry.kind, content, entry.modified, expected=entry)
            self._report(entry.size, entry.path)

    def _carry_over(self, contents: Contents) -> None:
        """For a backup without secrets, keep the secrets key of the replaced platform, if it has one."""
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
                    f"A process is using the platform in {self._root}",
                    "End it (algo local serve, or a command that runs), then restore again",
                )
        os.sync()
        replace_content(self._root, [*DATABASE_FILES, KEY_FILE, *(part for part in OWN_PARTS if part != DIRECTORY)])


def check(source: Path | BinaryIO, digest: str, report: Report) -> Manifest:
    """Verify a backup. Damaged if it is invalid; ConfigError if a newer algo-local made it."""
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
    """Create the directory of a new platform, unless a restore of this backup has begun it."""
    marker = new / _FOR
    wanted = contents.manifest.written()
    if not marker.exists() or marker.read_bytes() != wanted:
        remove_tree(new)
        new.mkdir(mode=0o700)
        with replacing(marker, mode=0o600) as file:
            file.write(wanted)
