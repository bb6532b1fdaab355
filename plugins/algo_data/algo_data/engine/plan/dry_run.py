"""Finds the errors of a plan without changing anything, for `--dry-run`."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator

from algo_core.errors import AlgoError
from algo_core.storage.contract import Entry, IsADirectory, NotADirectory
from algo_core.storage.uri import HOSTED, DataUri
from algo_data.engine.failures import HoldsNoFiles, SourceIsDirectory
from algo_data.engine.io.streams import STREAM
from algo_data.engine.plan.concurrent_map import QUESTIONS, concurrent_map
from algo_data.engine.plan.directories import missing
from algo_data.engine.plan.tree import OnError
from algo_data.engine.transfer import Place, Transfer

_ALWAYS_THERE = (".algo/", ".session/")
"""Hosted directories that only a running algorithm can see (API section 4.3)."""


class DryRun:
    """Simulates a plan: which directories would exist, and which files could be read and written."""

    def __init__(self) -> None:
        self._there: set[DataUri] = set()
        self._new: set[DataUri] = set()
        self._asking = threading.Lock()

    def make(self, place: Place) -> None:
        """Simulate making a directory. Raises what `directories.make` would."""
        uri = place.uri
        if uri in self._there or uri in self._new:
            return
        if uri.parent in self._new:  # nothing can be in it yet
            self._new.add(uri)
            return
        entry = place.storage.exists(uri)
        if entry is None:
            self._check_directory(Place(place.storage, uri.parent))
            self._new.add(uri)
        elif entry.is_directory:
            self._there.add(uri)
        else:
            raise NotADirectory(f"{place} is a file")

    def passed(self, transfers: Iterable[Transfer], on_error: OnError, at_once: int = QUESTIONS) -> Iterator[Transfer]:
        """The transfers without errors, with the entries of their sources."""

        def look(transfer: Transfer) -> Transfer | AlgoError:
            try:
                self._check_target(transfer.target)
                return transfer._replace(entry=_readable(transfer))
            except AlgoError as error:
                return error

        for transfer, answer in concurrent_map(look, transfers, at_once):
            if isinstance(answer, AlgoError):
                on_error(transfer.source, answer)
            else:
                yield answer

    def _check_target(self, target: Place) -> None:
        uri, storage = target.uri, target.storage
        if uri == STREAM or (uri.scheme == HOSTED and uri.path.startswith(_ALWAYS_THERE)):
            return
        if not storage.can_hold_files(uri.parent):
            raise HoldsNoFiles(uri.parent)
        if storage.needs_directories:
            self._check_directory(Place(storage, uri.parent))
        if uri.is_local and uri.parent not in self._new and (there := storage.exists(uri)) and there.is_directory:
            raise IsADirectory(f"{uri} is a directory")

    def _check_directory(self, place: Place) -> None:
        uri = place.uri
        with self._asking:  # once for all that goes into it
            if uri in self._there or uri in self._new:
                return
            entry = place.storage.exists(uri)
            if entry is None:
                raise missing(place)
            if not entry.is_directory:
                raise NotADirectory(f"{place} is a file")
            self._there.add(uri)


def _readable(transfer: Transfer) -> Entry | None:
    """The entry of a readable source."""
    storage, uri = transfer.source
    if uri == STREAM:
        return None
    if uri.is_local or uri.names_directory:
        reader = storage.open(uri)
        reader.close()
        return reader.entry
    entry = transfer.entry or storage.stat(uri)
    if entry.is_directory:
        raise SourceIsDirectory(uri)
    return entry
