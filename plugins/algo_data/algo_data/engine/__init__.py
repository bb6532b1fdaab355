"""The transfer engine: knows storages by their contract, and neither the platform nor the terminal.

`planner` turns sources and a destination into transfers, lazily; `worker` carries one out; `run` takes them one after
the other and tells an observer. What moves many at once takes the place of `run` and needs no other change.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from algo_core.errors import AlgoError
from algo_core.storage import Entry
from algo_data.engine.planner import Transfer
from algo_data.engine.worker import execute


@dataclass(frozen=True)
class Options:
    """How to go about it."""

    max_transfers: int | None = None
    """How many connections there may be at once; None leaves it to what the link and the machine give."""

    bwlimit: int | None = None
    """Bytes per second for all transfers together; None is no limit."""

    check: bool = True
    """Whether checksums are compared; lengths always are."""

    tries: int = 4
    """How often what broke off is tried again without getting further."""


class Observer(Protocol):
    """Whoever wants to know how it goes. Positions and sizes are in bytes."""

    def started(self, transfer: Transfer) -> None:
        """A transfer begins."""

    def advanced(self, position: int, size: int | None) -> None:
        """So much of the current one has been read; it can fall when it starts anew."""

    def finished(self, transfer: Transfer, entry: Entry) -> None:
        """It is done; `entry` is what was written."""

    def failed(self, what: object, error: AlgoError) -> None:
        """It, or planning it, failed. Raise here to end the whole."""


def run(transfers: Iterable[Transfer], observer: Observer, options: Options) -> None:
    """Carry out transfers one after the other; one that fails does not stop those after it."""
    for transfer in transfers:
        observer.started(transfer)
        try:
            entry = execute(transfer, observer.advanced, options.tries)
        except AlgoError as error:
            observer.failed(transfer.source, error)
        else:
            observer.finished(transfer, entry)
