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
    """Observer of the transfers. Positions and sizes are in bytes.

    Its methods are called from several threads, one at a time; errors of the planner can come in between.
    """

    def planned(self, transfer: Transfer | None) -> None:
        """Another transfer is planned; None when planning is done."""

    def started(self, transfer: Transfer) -> None:
        """A transfer begins."""

    def advanced(self, transfer: Transfer, position: int, size: int | None) -> None:
        """Progress of a transfer: bytes read so far. The value falls if it starts over."""

    def finished(self, transfer: Transfer, entry: Entry) -> None:
        """A transfer is done; `entry` is the written file."""

    def copied(self, several: Sequence[tuple[Transfer, Entry]]) -> None:
        """Several transfers began and ended at once; `entry` is the written file of each."""

    def kept(self, transfer: Transfer) -> None:
        """A transfer ended without a copy: its target, which is not to be replaced, was made meanwhile."""

    def failed(self, what: object, error: AlgoError) -> None:
        """A transfer, or its planning, failed. Raise here to end the run."""


def run_transfers(transfers: Iterable[Transfer], observer: Observer, options: CopyOptions) -> None:
    """Carry out transfers concurrently; a failure does not stop the others.

    When it is interrupted, or an observer raises, no further transfer begins, the running ones end at once, and no
    partial files are left.
    """
    from algo_data.engine.run.runner import Runner

    Runner(transfers, observer, options).run()
