"""The transfer engine: knows storages by their contract, and neither the platform nor the terminal.

`plan` turns sources and a destination into transfers, lazily; `run` carries them out, many at once, and tells an
observer; `io` has the streams, blocks and checksums.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from algo_core.errors import AlgoError
from algo_core.storage.contract import Entry
from algo_data.engine.options import CopyOptions
from algo_data.engine.transfer import Transfer

__all__ = ["CopyOptions", "Observer", "run_transfers"]


class Observer(Protocol):
    """Whoever wants to know how it goes. Positions and sizes are in bytes.

    It is told from several threads, by one at a time; what the planner refuses can come between.
    """

    def planned(self, transfer: Transfer | None) -> None:
        """One more transfer is to come; None when there will be no more."""

    def started(self, transfer: Transfer) -> None:
        """A transfer begins."""

    def advanced(self, transfer: Transfer, position: int, size: int | None) -> None:
        """So much of it has been read; it can fall when it starts anew."""

    def finished(self, transfer: Transfer, entry: Entry) -> None:
        """It is done; `entry` is what was written."""

    def copied(self, several: Sequence[tuple[Transfer, Entry]]) -> None:
        """The same for several files that began and ended without having been told of: `entry` is what was written."""

    def failed(self, what: object, error: AlgoError) -> None:
        """It, or planning it, failed. Raise here to end the whole."""


def run_transfers(transfers: Iterable[Transfer], observer: Observer, options: CopyOptions) -> None:
    """Carry out transfers, many at once; one that fails does not stop the others.

    When it is interrupted, or an observer raises, no transfer is begun any more, those under way end at once, and
    nothing half done is left behind.
    """
    from algo_data.engine.run.runner import Runner

    Runner(transfers, observer, options).run()
