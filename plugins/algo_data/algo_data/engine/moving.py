"""Moving a file: renamed where its storage can do that, else removed when its copy is whole."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from algo_core.errors import AlgoError, NotFoundError
from algo_core.storage import Entry
from algo_core.uri import DataUri
from algo_data.engine.transfer import Transfer


@runtime_checkable
class MovingStorage(Protocol):
    """A storage in which a file can be moved without moving its bytes."""

    def move(self, source: DataUri, target: DataUri) -> Entry | None:
        """Give a file another name, replacing what has it; what is there now.

        None if it has to be copied after all, also where that will be refused: nothing has been done then.
        """


def renamed(transfer: Transfer) -> Entry | None:
    """What the target is now, if a rename was all that was needed."""
    storage = transfer.source.storage
    if storage is not transfer.target.storage or not isinstance(storage, MovingStorage):
        return None
    return storage.move(transfer.source.uri, transfer.target.uri)


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
