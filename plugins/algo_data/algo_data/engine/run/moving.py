"""Moves and copies inside one storage; any other move is a copy, after which the source is removed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta, timezone

from algo_core.errors import AlgoError, AlreadyExists, NotFoundError
from algo_core.storage.capabilities import (
    ConditionalCopyingStorage,
    ConditionsIgnored,
    CopyingStorage,
    RenamingStorage,
)
from algo_core.storage.contract import Entry, Kind
from algo_core.storage.uri import DataUri
from algo_data.engine.failures import Kept
from algo_data.engine.io.source import Advanced
from algo_data.engine.io.spool import Spool
from algo_data.engine.options import CopyOptions
from algo_data.engine.run.creating import ignored
from algo_data.engine.transfer import Place, StorageOf, Transfer

SECOND = 1.1
"""Seconds after which a time with a resolution of one second has changed."""

NEW = timedelta(minutes=5)
"""Age beyond which a file was not just written, even with clock skew."""


def when_all_are_known(transfers: Iterable[Transfer], storage_of: StorageOf) -> Iterator[Transfer]:
    """All transfers, but none before the last is known.

    A storage may page a listing by count: removing sources in between would skip others.
    """
    with Spool() as spool:
        for transfer in transfers:
            size = transfer.entry.size if transfer.entry else None
            spool.add(*_row(transfer.source.uri), *_row(transfer.target.uri), size, transfer.entry is not None)
        for *uris, size, has_entry in spool:
            source, target = DataUri(*uris[:3]), DataUri(*uris[3:])
            yield Transfer(
                Place(storage_of(source), source),
                Place(storage_of(target), target),
                Entry(source, Kind.FILE, size=size) if has_entry else None,
                removes_source=True,
            )


def _row(uri: DataUri) -> tuple[str, str, str | None]:
    return uri.scheme, uri.path, uri.label


def renamed(transfer: Transfer) -> Entry | None:
    """Move by rename, if possible; return the new entry."""
    storage = transfer.source.storage
    if storage is not transfer.target.storage or not isinstance(storage, RenamingStorage):
        return None
    return storage.move(transfer.source.uri, transfer.target.uri)


def copied_within(transfer: Transfer, advanced: Advanced, options: CopyOptions) -> Entry | None:
    """Have the storage copy, if source and target are in one that can; return the new entry.

    Raises:
        Kept: if the target is not to be replaced, and was made meanwhile.
    """
    storage, source, target = transfer.source.storage, transfer.source.uri, transfer.target.uri
    if storage is not transfer.target.storage or not isinstance(storage, CopyingStorage):
        return None
    size = transfer.entry.size if transfer.entry else None

    def tell(done: int) -> None:
        advanced(done, size)

    if options.keeps_existing and isinstance(storage, ConditionalCopyingStorage):
        try:
            return storage.copy_within_if(source, target, transfer.entry, tell, version=None)
        except AlreadyExists:
            raise Kept(transfer.target) from None
        except ConditionsIgnored as error:
            options.warn(ignored(error))
    return storage.copy_within(source, target, transfer.entry, tell)


def copies_within(transfer: Transfer) -> bool:
    """Whether source and target are in one storage that can copy."""
    storage = transfer.source.storage
    return storage is transfer.target.storage and isinstance(storage, CopyingStorage)


def faithful(transfer: Transfer) -> Transfer:
    """The transfer for a copy instead of a rename, with mode and time.

    Raises:
        AlgoError: if the source cannot be looked at.
    """
    storage, target = transfer.source.storage, transfer.target
    if storage is not target.storage or not isinstance(storage, RenamingStorage):
        return transfer
    return transfer._replace(target=Place(storage.taking_after(transfer.source.uri), target.uri))


def check_is_another(transfer: Transfer, before: Entry, copy_again: Callable[[], object]) -> None:
    """Refuse to remove a source that is the copy itself: two storages can be two names of one place.

    `before` is the entry of the source when it was read. Writing changes a file's time, and locally its version: if the
    source has changed, it is kept. Remote times have a resolution of one second, and the version can be that of the
    content. So if source and copy have the same size and second, it waits for the next second and copies again
    (`copy_again`).

    Raises:
        AlgoError: if the source is kept after the copy.
    """
    source, target = transfer.source, transfer.target
    try:
        after = source.storage.exists(source.uri)
        if after is None:
            return  # it no longer exists, which was the aim
        if not _differ(before, after):
            if not _may_be_new(source.uri, after):
                return
            copy = target.storage.stat(target.uri)
            if copy.size != after.size or not _is_one_second(copy, after):
                return
            time.sleep(SECOND)
            copy_again()
            if not _differ(after, source.storage.stat(source.uri)):
                return
    except AlgoError as error:
        error.message = f"{source} was copied to {target}, and stays: {error.message}"
        raise
    raise AlgoError(
        f"{source} stays: it has changed since it was read to be moved to {target}",
        "If both are names of one file, there is nothing to move; otherwise move it again",
    )


def _differ(one: Entry, other: Entry) -> bool:
    """Whether a file changed between two stats, one of which may have a resolution of one second."""
    versions = one.version, other.version
    times = [entry.modified and entry.modified.replace(microsecond=0) for entry in (one, other)]
    return (None not in versions and versions[0] != versions[1]) or (None not in times and times[0] != times[1])


def _may_be_new(uri: DataUri, entry: Entry) -> bool:
    """Whether a file is so new that writing it again would not change its time."""
    if uri.is_local or entry.modified is None:
        return False
    return datetime.now(timezone.utc) - entry.modified < NEW


def _is_one_second(one: Entry, other: Entry) -> bool:
    return one.modified is None or other.modified is None or abs(one.modified - other.modified).total_seconds() < SECOND


def remove_source(transfer: Transfer) -> None:
    """Remove the source of a copy.

    Raises:
        AlgoError: if the source could not be removed.
    """
    try:
        transfer.source.storage.remove(transfer.source.uri)
    except NotFoundError:
        pass  # it no longer exists, which was the aim
    except AlgoError as error:
        what = f"{transfer.source} was copied to {transfer.target}, but could not be removed"
        error.message = f"{what}: {error.message}"
        raise
