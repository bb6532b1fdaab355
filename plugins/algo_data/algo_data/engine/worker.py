"""Carries out one transfer."""

from __future__ import annotations

from algo_core.storage import Entry
from algo_data.engine.planner import Transfer
from algo_data.engine.source import Advanced, CannotResume, FileSource
from algo_data.engine.streams import StandardStreams
from algo_data.patience import Patience


def execute(transfer: Transfer, advanced: Advanced, tries: int) -> Entry:
    """Copy a file; what was written.

    A source that breaks off and cannot go on from there is copied from its beginning again, `tries` times at most,
    unless what was written cannot be taken back.

    Raises:
        AlgoError: why it failed; the destination is as it was before.
    """
    patience = Patience(tries)
    target = transfer.target
    while True:
        with FileSource(transfer.source.storage, transfer.source.uri, tries, advanced) as source:
            try:
                return target.storage.write(target.uri, source, source.entry.size)
            except CannotResume as error:
                if isinstance(target.storage, StandardStreams) and source.tell():
                    raise
                patience.spend(error)
