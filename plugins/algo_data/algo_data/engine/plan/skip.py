"""Skips the transfers of a plan that must not replace existing files: `--no-clobber` and `--update`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from algo_core.errors import AlgoError
from algo_core.storage.contract import Entry
from algo_data.engine.attributes import Attributes, Replaces, attributes_of
from algo_data.engine.io.streams import STREAM
from algo_data.engine.plan.concurrent_map import QUESTIONS, concurrent_map
from algo_data.engine.plan.tree import OnError
from algo_data.engine.transfer import Place, Tally, Transfer


def skip_existing(
    transfers: Iterable[Transfer],
    replaces: Replaces,
    on_error: OnError,
    at_once: int = QUESTIONS,
    tally: Tally | None = None,
) -> Iterator[Transfer]:
    """The transfers whose target is missing or to be replaced; `tally` counts the others."""

    def is_needed(transfer: Transfer) -> bool | AlgoError:
        source, target = transfer.source, transfer.target
        if target.uri == STREAM:
            return True
        try:
            there = target.storage.exists(target.uri)
            if there is None:
                return True
            return replaces(_facts(source, transfer.entry), attributes_of(there))
        except AlgoError as error:
            return error

    for transfer, answer in concurrent_map(is_needed, transfers, at_once):
        if isinstance(answer, AlgoError):
            on_error(transfer.source, answer)
        elif answer:
            yield transfer
        elif tally:
            tally.skipped += 1


def _facts(source: Place, entry: Entry | None) -> Attributes:
    if source.uri == STREAM:
        return Attributes("-", False, None, None)
    return attributes_of(entry or source.storage.stat(source.uri))
