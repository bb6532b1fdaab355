"""Makes a backup of a platform in use: a snapshot of its rows, and every file that they name."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from algo_local.backups.archive import Sink, add_lines
from algo_local.backups.entries import LINK, Entry, entry_of
from algo_local.backups.inventory import Inventory, Named
from algo_local.backups.manifest import Manifest, Part
from algo_local.backups.sorting import in_order
from algo_local.backups.tables import KEYS, lines_of
from algo_local.metadata.sqlite import SCHEMA_VERSION

if TYPE_CHECKING:
    from algo_local.metadata.database import Rows
    from algo_local.platform import Platform

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
        platform.metadata.platform_id()  # ensures the row that identifies this platform's object store
        before: list[str] | None = None
        with platform.builder.building():  # so that no named file is pruned
            for _ in range(_PASSES):
                self._missing, self._digest, self._size = [], hashlib.sha256(), 0
                with platform.database.snapshot() as rows:
                    tables = {table: self._table(rows, table) for table in KEYS}
                    named = Named.by(rows)
                files = self._files(named)
                if not self._missing or self._missing == before:
                    break
                before = self._missing  # files may have been removed since the snapshot
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
        part = add_lines(self._sink, in_order(lines, self._sink.scratch()))
        self._digest.update(f"{table} {part.lines} {part.sha256}\n".encode())
        return part

    def _files(self, named: Named) -> Part:
        def lines() -> Iterator[bytes]:
            for line in in_order((entry.line() for entry in self._entries(named)), self._sink.scratch()):
                self._digest.update(entry_of(line).line(with_time=False))
                yield line

        return add_lines(self._sink, lines())

    def _entries(self, named: Named) -> Iterator[Entry]:
        inventory = Inventory(self._platform, named, with_secrets=self._with_secrets)
        for found in inventory:
            if found.kind == LINK:
                entry = Entry(found.path, LINK, target=found.target)
            elif opened := found.open():
                with opened.closing():
                    stored = self._sink.add(opened.content)
                entry = Entry(found.path, found.kind, *stored, opened.modified, opened.media_type)
                entry = entry if entry.is_hosted else replace(entry, md5="")
            else:
                continue
            self._size += entry.size
            self._report(entry.size, entry.path)
            yield entry
        self._missing = inventory.missing
