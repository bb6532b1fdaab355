"""Moves a platform to another state, while it is used: between a directory and servers, or to another directory.

Files are copied in passes while clients write, and each copy is verified. The last pass and the rows follow while
writes are stopped; the rows are committed in one transaction, which makes the target a platform.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from algo_core.errors import AlgoError, AlreadyExists, UsageError
from algo_core.files import replacing
from algo_local.backups.archive import DirectoryStore, add_lines, copied, exclusively
from algo_local.backups.entries import LINK, Entry, entry_of
from algo_local.backups.inventory import Found, Inventory, Named
from algo_local.backups.journal import Journal
from algo_local.backups.placement import Placement
from algo_local.backups.sorting import in_order
from algo_local.backups.tables import KEYS, clear, is_untouched, lines_of, load
from algo_local.data.opening import open_objects
from algo_local.data.shared_repositories import name_all
from algo_local.metadata.opening import open_database
from algo_local.metadata.store import Metadata
from algo_local.metadata.write_stop import Stop, give_up_stop, is_same, stop_writes, write_stop
from algo_local.platform import Platform
from algo_local.records.record import UNFINISHED
from algo_local.trees import remove_tree

if TYPE_CHECKING:
    from algo_local.data.store_objects import StoreObjects
    from algo_local.metadata.database import Database, Rows
    from algo_local.state import State

DIRECTORY = "migrating"
"""The directory of a migration in that of the new platform; gone when it has ended."""

FEW = 100
"""Changed files that are left to the last pass, in which nobody writes."""

MOST_PASSES = 5
STOP_SECONDS = 60.0
"""Minimum time after which others write again if this process is killed."""

_ROW_SECONDS = 0.001
"""Time in which a row is copied and verified, at most."""

_RENEW_SECONDS = 10.0
_SETTLE_SECONDS = 0.5
"""Time in which requests that had begun before the stop have ended, or are refused."""

Report = Callable[[int, str], None]
"""Is told the bytes of each file, and its path."""


class Migrated(NamedTuple):
    """The result of a migration."""

    digest: str
    """See `manifest.Manifest`; the same on both sides."""
    rows: int
    files: int
    size: int
    """Bytes."""
    passes: int
    missing: list[str]
    running: int
    """Calls that were running at the end: they end where they began, and are lost to the new platform."""


class Migration:
    """Moves a platform from one state to another."""

    def __init__(self, source: State, target: State, report: Report) -> None:
        self._source = source
        self._target = replace(target, root=target.root.resolve())
        self._report = report
        self._root = target.root.resolve()
        self._shares_root = source.root.resolve() == self._root
        self._shares_database = source.metadata == target.metadata and bool(source.metadata or self._shares_root)
        self._shares_objects = source.objects == target.objects and bool(source.objects or self._shares_root)

    def run(self) -> Migrated | None:
        """Move the platform; the next call continues after an interruption. None if it was moved there already.

        Raises:
            UsageError: if both states are the same, or the source has no platform.
            AlreadyExists: if the target has another platform with content.
            AlgoError: if a side cannot be read or written, or a copy differs.
            OSError: if the disk is full or fails.
        """
        if self._shares_database and self._shares_objects:
            raise UsageError(f"The platform is in {self._target} already", "Name another state with --to")
        if not self._source.exists:
            raise UsageError(f"There is no platform in {self._source}", "Name one with --from")
        scratch = self._root / DIRECTORY
        with contextlib.ExitStack() as opened:
            source = opened.enter_context(contextlib.closing(Platform(self._source)))
            source.database.guard = None  # this process writes while others are stopped
            self._check_source(source)
            for directory in (self._root, scratch):
                directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not opened.enter_context(exclusively(scratch)):
                raise AlgoError(f"Another process is moving a platform to {self._target}", "Wait until it has ended")
            if self._is_done(source.database):
                remove_tree(scratch)
                return None
            database = source.database
            if not self._shares_database:
                database = opened.enter_context(contextlib.closing(open_database(self._target)))
            self._check_target(database, scratch, source.metadata.platform_id())
            journal = opened.enter_context(contextlib.closing(Journal(scratch / "journal")))
            opened.enter_context(source.builder.building())  # so that no named file is pruned
            migrated = self._copy(source, database, journal, scratch)
        remove_tree(scratch)
        return migrated

    def _is_done(self, database: Database) -> bool:
        """Whether the migration was completed: the target is in use then, and must not be overwritten."""
        stop = write_stop(database)
        return stop is not None and stop.until is None and is_same(stop.place, str(self._target))

    def _check_source(self, source: Platform) -> None:
        """Raise UsageError if the platform has been moved to a third place, where it goes on."""
        stop = write_stop(source.database)
        if not stop or stop.until is not None:
            return
        if not (is_same(stop.place, str(self._source)) or is_same(stop.place, str(self._target))):
            raise UsageError(
                f"The platform has been moved to {stop.place}",
                "Name that place with --from, or make this one writable again: algo local migrate --reopen",
            )

    def _check_target(self, database: Database, scratch: Path, origin: str) -> None:
        note = scratch / "origin"
        wanted = json.dumps([origin, str(self._source), str(self._target)]).encode()
        if note.exists() and note.read_bytes() == wanted:
            return  # an interrupted migration continues
        if not self._shares_database and not is_untouched(database):
            raise AlreadyExists(
                f"There is a platform with content in {self._target} already",
                "Name a new directory, an empty database or another prefix with --to",
            )
        (scratch / "journal").unlink(missing_ok=True)
        with replacing(note, mode=0o600) as file:
            file.write(wanted)

    def _copy(self, source: Platform, database: Database, journal: Journal, scratch: Path) -> Migrated:
        turn, began = 1, time.monotonic()
        # Twice at least, since the last pass takes about as long as the one before, and not as the first one.
        while (self._pass(source, journal, turn) > FEW or turn == 1) and turn < MOST_PASSES:
            turn, began = turn + 1, time.monotonic()
        turn += 1
        place = str(self._target)
        seconds = STOP_SECONDS + 3 * (time.monotonic() - began) + _ROW_SECONDS * _count_calls(source.database)
        with _writes_stopped(source, place, seconds) as stopped:
            time.sleep(_SETTLE_SECONDS)
            with source.database.write() as rows:
                last = _Pass(source, self._placement(source, Named.by(rows)), self, journal, turn, rows)
                last.run()
                running = _running(rows)
                names = last.keep_repositories() if self._target.is_shared else {}
                digest, count = _copy_rows(
                    rows, None if self._shares_database else database, DirectoryStore(scratch / "rows"), names, stopped
                )
                if self._shares_database and self._target.metadata:
                    name_all(rows, names)
            files, size = 0, 0
            for line in in_order(journal.lines(), scratch):
                stopped.renew()
                entry = entry_of(line)
                digest.update(entry.line(with_time=False))
                files, size = files + 1, size + entry.size
            last.placement.describe(Metadata(database), stopped.renewed(map(entry_of, journal.lines())))
            stopped.end()
        return Migrated(digest.hexdigest(), count, files, size, turn, last.inventory.missing, running)

    def _pass(self, source: Platform, journal: Journal, turn: int) -> int:
        with source.database.snapshot() as rows:
            named = Named.by(rows)
        return _Pass(source, self._placement(source, named), self, journal, turn).run()

    def _placement(self, source: Platform, named: Named) -> Placement:
        ids = {(owner, name): identifier for owner, name, identifier in named.collections}

        def directories() -> set[str]:
            return {objects.collection(*key, identifier) for key, identifier in ids.items()}

        objects = open_objects(self._target, directories, source.metadata.platform_id)
        if not self._shares_objects and self._target.objects:
            cast("StoreObjects", objects).check()
        return Placement(objects, self._root, named, self._root / DIRECTORY)

    def is_shared(self, path: str) -> bool:
        """Whether both states share a file, so that it need not be copied."""
        return self._shares_objects if path.startswith(("data/", "algorithm-data/")) else self._shares_root

    def tell(self, entry: Entry) -> None:
        """Report a copied file."""
        self._report(entry.size, entry.path)


class _Pass:
    """One pass over all files: copies or removes files that changed since the previous pass."""

    def __init__(
        self,
        source: Platform,
        placement: Placement,
        migration: Migration,
        journal: Journal,
        turn: int,
        rows: Rows | None = None,
    ) -> None:
        """`rows` is the transaction of the last pass, which stops all other writes."""
        self.placement = placement
        self.inventory = Inventory(source, placement.named)
        self._migration = migration
        self._journal = journal
        self._turn = turn
        self._rows = rows
        self._asked = time.monotonic()

    def run(self) -> int:
        """Make the pass; returns the number of changed files."""
        changed = 0
        self.placement.make_collections()
        for found in self.inventory:
            self._keep_transaction()
            if not self._journal.knows(found.path, found.identity, self._turn):
                changed += self._copy(found)
        for path in self._journal.forget_others(self._turn):
            changed += 1
            if not self._migration.is_shared(path):
                self.placement.remove(path)
        self._journal.keep()
        return changed

    def _copy(self, found: Found) -> bool:
        is_shared = self._migration.is_shared(found.path)
        if found.kind == LINK:
            if not is_shared:
                self.placement.link(found.path, found.target)
            self._note(Entry(found.path, LINK, target=found.target), found.identity)
            return True
        opened = found.open()
        if opened is None:
            return False
        with opened.closing():
            if is_shared:
                stored = copied(opened.content, lambda block: None)
            else:
                stored = self.placement.put(found.path, found.kind, opened.content, opened.modified)
                if self.placement.read(found.path) != stored:
                    raise AlgoError(
                        f"The copy of {found.path} differs from the original", "Repeat the command: it continues"
                    )
        entry = Entry(found.path, found.kind, *stored, opened.modified, opened.media_type)
        self._note(entry if entry.is_hosted else replace(entry, md5=""), opened.identity)
        return True

    def keep_repositories(self) -> dict[str, str]:
        """Store all repositories in the target's object store; returns their names by the ids of algorithms."""
        names: dict[str, str] = {}
        for identifier in self.placement.named.algorithms:
            self._keep_transaction()
            names |= self.placement.keep_repository(identifier)
        return names

    def _note(self, entry: Entry, identity: str) -> None:
        self._journal.put(entry, identity, self._turn)
        self._migration.tell(entry)

    def _keep_transaction(self) -> None:
        """Send a query from time to time, since servers end idle transactions."""
        if self._rows and time.monotonic() - self._asked > _RENEW_SECONDS:
            self._rows.execute("SELECT 1").fetchall()
            self._asked = time.monotonic()


def _copy_rows(
    rows: Rows, database: Database | None, store: DirectoryStore, repositories: Mapping[str, str], stopped: _Stopped
) -> tuple[hashlib._Hash, int]:
    """Copy and verify all rows in one transaction; returns a hash of them, and their number.

    `repositories` are names of repositories in the object store by the ids of algorithms.
    """
    digest, parts = hashlib.sha256(), {}
    for table in KEYS:
        parts[table] = part = add_lines(store, in_order(lines_of(rows, table), store.scratch()))
        digest.update(f"{table} {part.lines} {part.sha256}\n".encode())
    if database:
        with database.write(to_disk=True) as new:
            clear(new)
            for table, part in parts.items():
                with store.open(part.sha256) as file:
                    load(new, table, io.BufferedReader(file))  # type: ignore[type-var]  # it is a raw file
            for table, part in parts.items():
                rows.execute("SELECT 1").fetchall()
                if add_lines(store, in_order(lines_of(new, table), store.scratch())) != part:
                    raise AlgoError(
                        f"The copied rows of the table {table} differ from the original", "Nothing was moved"
                    )
            if repositories:
                name_all(new, repositories)
            stopped.check()
    stopped.check()
    return digest, sum(part.lines for part in parts.values())


def _running(rows: Rows) -> int:
    query = f"SELECT count(*) FROM requests WHERE state IN ({', '.join('?' * len(UNFINISHED))})"
    return int(rows.execute(query, UNFINISHED).fetchone()[0])


class _Stopped:
    """A stop of writes to a platform, as long as it lasts."""

    def __init__(self, source: Platform, place: str, seconds: float) -> None:
        self._database = source.database
        self._here = str(source.state)
        self._place = place
        self._seconds = seconds
        self._owner = secrets.token_hex(8)
        self._began = time.monotonic()
        self._before = self._stop(seconds)

    def _stop(self, seconds: float | None) -> Stop | None:
        self._began = time.monotonic()  # before, so that it ends no later here than for others
        return stop_writes(self._database, self._place, seconds, self._owner, self._here)

    def end(self) -> None:
        """Make the platform read-only for good. AlgoError if others have been able to write meanwhile."""
        self._stop(None)

    def give_up(self) -> None:
        """Have writes as they were before, if this stop is still in force."""
        give_up_stop(self._database, self._owner, self._before)

    def renew(self) -> None:
        """Prolong it from time to time, outside of a transaction."""
        if time.monotonic() - self._began > _RENEW_SECONDS:
            self.check()
            self._stop(self._seconds)

    def renewed(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """Prolong it while entries are gone through."""
        for entry in entries:
            self.renew()
            yield entry

    def check(self) -> None:
        """Raise AlgoError if others write again, or will in a moment: what they write would not be moved."""
        if time.monotonic() > self._began + self._seconds * 0.9:
            raise AlgoError(
                f"Writes were stopped for {self._seconds:.0f} s, and copying the rest took longer; nothing was moved",
                "Repeat the command: it continues",
            )


@contextlib.contextmanager
def _writes_stopped(source: Platform, place: str, seconds: float) -> Iterator[_Stopped]:
    """Stop writes to a platform during the block; if this process is killed, the stop ends after `seconds`."""
    stopped = _Stopped(source, place, seconds)
    try:
        yield stopped
    except BaseException:
        stopped.give_up()
        raise


def _count_calls(database: Database) -> int:
    with database.read() as rows:
        return int(rows.execute("SELECT count(*) FROM requests").fetchone()[0])
