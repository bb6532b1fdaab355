"""Carries out one transfer."""

from __future__ import annotations

from collections.abc import Callable

from algo_core.errors import NetworkError
from algo_core.http.retry import Tries
from algo_core.storage.capabilities import RandomAccessStorage, ReplayableStorage
from algo_core.storage.contract import Entry, Kind, Source, Storage
from algo_data.engine.failures import Corrupted
from algo_data.engine.io.blocks import BLOCK, SMALL, blocks
from algo_data.engine.io.digest import check_content
from algo_data.engine.io.source import Advanced, CannotResume, FileSource
from algo_data.engine.io.streams import StandardStreams
from algo_data.engine.options import CopyOptions
from algo_data.engine.run.budget import ConnectionBudget, NoBudget
from algo_data.engine.run.creating import write, write_small
from algo_data.engine.run.moving import check_is_another, copied_within, faithful, remove_source, renamed
from algo_data.engine.run.stored import confirm, confirm_source
from algo_data.engine.transfer import Place, Transfer

LARGE = 8 << 20
"""Minimum size, in bytes, of a file that is downloaded resumably and over several connections."""


def execute(
    transfer: Transfer,
    advanced: Advanced,
    options: CopyOptions,
    *,
    block: int = BLOCK,
    budget: ConnectionBudget | None = None,
    within: Advanced | None = None,
) -> Entry:
    """Copy or move a file; return the written entry.

    A source that is cut off and cannot resume is copied again from its beginning, at most `options.tries` times, and
    once if it was damaged, unless the written data cannot be taken back. `block` is the block size in bytes; `budget`
    grants further connections. `within` is called in place of `advanced` for bytes that stay inside a store.

    Raises:
        AlgoError: if it failed; the destination is unchanged, unless only the source could not be removed.
    """
    if not transfer.removes_source:
        return copied_within(transfer, within or advanced, options) or _copied(
            transfer, advanced, options, block, budget
        )
    if entry := renamed(transfer):
        return entry
    if entry := copied_within(transfer, within or advanced, options):
        remove_source(transfer)
        return entry
    seen: list[Entry] = []
    entry = _copied(faithful(transfer), advanced, options, block, budget, seen.append)
    if transfer.source.storage is not transfer.target.storage:
        check_is_another(transfer, seen[-1], lambda: _copied(transfer, advanced, options, block, budget))
    remove_source(transfer)
    return entry


def _copied(
    transfer: Transfer,
    advanced: Advanced,
    options: CopyOptions,
    block: int,
    budget: ConnectionBudget | None,
    read: Callable[[Entry], None] | None = None,
) -> Entry:
    """Copy a file; return the written entry. `read` is called with the entry of the source."""
    was_damaged = False
    if block == BLOCK:
        try:
            if small := copy_small(transfer, advanced, options, read):
                return small
        except Corrupted:
            was_damaged = True
    retries = Tries(options.tries)
    while True:
        storage, uri = transfer.source.storage, transfer.source.uri
        with FileSource(storage, uri, options.tries, advanced, check=options.check, block=block) as source:
            if read:
                read(source.entry)
            try:
                return _write(transfer, source, advanced, options, budget)
            except (CannotResume, Corrupted, NetworkError) as error:
                is_printed = isinstance(transfer.target.storage, StandardStreams) and source.tell() > 0
                # A pipe gives what it gave once only: its next reader would find it empty.
                is_used_up = isinstance(storage, StandardStreams) and source.tell() > 0 and not source.seekable()
                may_help = isinstance(error, CannotResume) or not (source.seekable() or was_damaged)
                if isinstance(error, Corrupted):
                    may_help, was_damaged = not was_damaged, True
                if is_printed or is_used_up or not may_help:
                    raise
                retries.spend_on(error)


def may_be_small(transfer: Transfer) -> bool:
    """Whether a listing says that a file is small, or reading its size is free."""
    entry = transfer.entry
    return transfer.source.uri.is_local if entry is None else entry.size is not None and entry.size <= SMALL


def copy_small(
    transfer: Transfer, advanced: Advanced, options: CopyOptions, read: Callable[[Entry], None] | None = None
) -> Entry | None:
    """Copy a small file in one step on each side; None if that is not possible.

    `read` is called with the entry of the source.

    Raises:
        Corrupted: if it was damaged in transfer.
        AlgoError: what either side raises.
    """
    if not may_be_small(transfer):
        return None
    source, target = transfer.source, transfer.target
    found = source.storage.read_small(source.uri, SMALL)
    if found is None:
        return None
    entry, content = found
    if read:
        read(entry)
    if options.check:
        check_content(source.uri, entry.checksum, content)
    advanced(len(content), len(content))
    written = write_small(target, content, options)
    if options.check and written.checksum and written.checksum != entry.checksum:
        confirm(target, written, [content])
    return written


def _write(
    transfer: Transfer, source: FileSource, advanced: Advanced, options: CopyOptions, budget: ConnectionBudget | None
) -> Entry:
    storage: Storage = transfer.target.storage
    uri, entry = transfer.target.uri, source.entry
    if entry.size is not None and entry.size >= LARGE and entry.version and isinstance(storage, RandomAccessStorage):
        from algo_data.engine.run.large import LargeDownload

        if partial := storage.place(uri, entry.size):
            status = LargeDownload(transfer, source, partial, options, advanced, budget or NoBudget()).run()
            return Entry(uri, Kind.FILE, size=status.st_size)
    if entry.size is None and isinstance(storage, ReplayableStorage):
        with storage.kept(source) as (kept, size):
            return _write_kept(transfer.target, kept, size, options)
    if entry.size is not None and entry.size >= LARGE:
        source.read_ahead()
    written = write(transfer.target, source, entry.size, options)
    if options.check:
        confirm_source(transfer, source, written, advanced)
    return written


def _write_kept(target: Place, kept: Source, size: int, options: CopyOptions) -> Entry:
    was_damaged = False
    while True:
        written = target.storage.write(target.uri, kept, size)
        kept.seek(0)
        if not options.check:
            return written
        try:
            confirm(target, written, blocks(kept, size))
            return written
        except Corrupted:
            if was_damaged or not options.tries:
                raise
            was_damaged = True
            kept.seek(0)
