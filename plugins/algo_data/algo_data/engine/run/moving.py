"""Moving a file: renamed where its storage can do that, else removed when its copy is whole."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta, timezone

from algo_core.errors import AlgoError, NotFoundError
from algo_core.storage.capabilities import RenamingStorage
from algo_core.storage.contract import Entry, Kind
from algo_core.storage.uri import DataUri
from algo_data.engine.io.spool import Spool
from algo_data.engine.transfer import Place, StorageOf, Transfer

SECOND = 1.1
"""Seconds after which a time that is told to the second is another."""

NEW = timedelta(minutes=5)
"""What is older was not just written, however much clocks disagree."""


def when_all_are_known(transfers: Iterable[Transfer], storage_of: StorageOf) -> Iterator[Transfer]:
    """The same, but none before the last is known.

    A storage may count to find the next page of a listing: when sources go meanwhile, others would be passed over.
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
    """What the target is now, if a rename was all that was needed."""
    storage = transfer.source.storage
    if storage is not transfer.target.storage or not isinstance(storage, RenamingStorage):
        return None
    return storage.move(transfer.source.uri, transfer.target.uri)


def faithful(transfer: Transfer) -> Transfer:
    """The copy that is made in the place of a rename: of the file with all that belongs to it.

    Raises:
        AlgoError: if the source cannot be looked at.
    """
    storage, target = transfer.source.storage, transfer.target
    if storage is not target.storage or not isinstance(storage, RenamingStorage):
        return transfer
    return transfer._replace(target=Place(storage.taking_after(transfer.source.uri), target.uri))


def check_is_another(transfer: Transfer, before: Entry, copy_again: Callable[[], object]) -> None:
    """Refuse to remove a source that is what was just written: two storages can be two names of one place.

    `before` is the source as it was read. Writing gives a file another time, and on this machine another version: if
    the source has them now, or was changed by somebody else, it stays. Elsewhere times are told to the second, and the
    version can be that of the content. Where source and copy are of one size and one second, the second is let pass and
    the copy made once more (`copy_again`).

    Raises:
        AlgoError: that it was copied and stays.
    """
    source, target = transfer.source, transfer.target
    try:
        after = source.storage.exists(source.uri)
        if after is None:
            return  # it has gone, which is all that was wanted
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
    """Whether a file was changed between two looks at it, of which one may tell the time to the second only."""
    versions = one.version, other.version
    times = [entry.modified and entry.modified.replace(microsecond=0) for entry in (one, other)]
    return (None not in versions and versions[0] != versions[1]) or (None not in times and times[0] != times[1])


def _may_be_new(uri: DataUri, entry: Entry) -> bool:
    """Whether a file is so new that writing it would not have changed its time."""
    if uri.is_local or entry.modified is None:
        return False
    return datetime.now(timezone.utc) - entry.modified < NEW


def _is_one_second(one: Entry, other: Entry) -> bool:
    return one.modified is None or other.modified is None or abs(one.modified - other.modified).total_seconds() < SECOND


def remove_source(transfer: Transfer) -> None:
    """Remove what has been copied.

    Raises:
        AlgoError: that it was copied and is still there.
    """
    try:
        transfer.source.storage.remove(transfer.source.uri)
    except NotFoundError:
        pass  # it has gone, which is all that was wanted
    except AlgoError as error:
        what = f"{transfer.source} was copied to {transfer.target}, but could not be removed"
        error.message = f"{what}: {error.message}"
        raise
