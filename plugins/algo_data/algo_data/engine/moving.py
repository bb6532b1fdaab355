"""Moving a file: renamed where its storage can do that, else removed when its copy is whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, runtime_checkable

from algo_core.errors import AlgoError, NotFoundError
from algo_core.storage import Entry, Kind, Storage
from algo_core.uri import DataUri
from algo_data.engine.spool import Spool
from algo_data.engine.transfer import Place, StorageOf, Transfer


@runtime_checkable
class MovingStorage(Protocol):
    """A storage in which a file can be moved without moving its bytes."""

    def move(self, source: DataUri, target: DataUri) -> Entry | None:
        """Give a file another name, replacing what has it; what is there now.

        None if it has to be copied after all, also where that will be refused: nothing has been done then.
        """

    def taking_after(self, source: DataUri) -> Storage:
        """The same storage, to write a copy that is to have what the source has beside its content: mode and time."""


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
    if storage is not transfer.target.storage or not isinstance(storage, MovingStorage):
        return None
    return storage.move(transfer.source.uri, transfer.target.uri)


def faithful(transfer: Transfer) -> Transfer:
    """The copy that is made in the place of a rename: of the file with all that belongs to it.

    Raises:
        AlgoError: if the source cannot be looked at.
    """
    storage, target = transfer.source.storage, transfer.target
    if storage is not target.storage or not isinstance(storage, MovingStorage):
        return transfer
    return transfer._replace(target=Place(storage.taking_after(transfer.source.uri), target.uri))


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
        what = f"{transfer.source} was copied to {transfer.target}, and could not be removed"
        error.message = f"{what}: {error.message}"
        raise
