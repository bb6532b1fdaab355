"""The record of failed transfers, for `--retry-failed`."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any, BinaryIO

from algo_core.context import App
from algo_core.errors import AlgoError, UsageError
from algo_core.files import replacing
from algo_core.settings import paths
from algo_core.storage.contract import Entry
from algo_core.storage.uri import LOCAL, DataUri, parse_data_uri
from algo_data.engine import Observer
from algo_data.engine.io.streams import STREAM
from algo_data.engine.transfer import NotPlanned, Place, StorageOf, Transfer, Unlisted

FILE = "failed-transfers.jsonl"
"""A file in the cache directory: first the rules of the run, if any, then a line for each failed transfer, each
directory that could not be planned, and each failure known by name only."""


def path_of(app: App) -> str:
    """The path of the record."""
    return os.path.join(paths.cache_dir(app.environ), FILE)


RULES = ("no_clobber", "update", "include", "exclude")
"""Options of a run that also apply to its retry."""


class Keeper:
    """An observer that records failures and passes everything on to another observer.

    At its end the record replaces that of an earlier run, if anything failed. Failures are reported by the planning and
    copying threads, even after an early end: then nothing more is written.

    Untried transfers are not recorded. So an early end is noted, unless there was only one transfer (`is_alone`), and
    keeps the record that was being retried (`is_retry`). `rules` are the given options of `RULES`, so that a retry
    replaces and copies only what the first run would have.
    """

    def __init__(
        self,
        app: App,
        observer: Observer,
        *,
        is_alone: bool = False,
        is_retry: bool = False,
        rules: dict[str, Any] | None = None,
    ) -> None:
        self._app = app
        self._is_alone = is_alone
        self._is_retry = is_retry
        self._rules = rules
        self._path = path_of(app)
        self._observer = observer
        self._running: dict[int, Transfer] = {}  # by the identity of their sources
        self._lock = threading.Lock()
        self._stack = ExitStack()
        self._file: BinaryIO | None = None
        self._is_over = False
        self._problem: OSError | None = None
        self.planned = observer.planned
        self.advanced = observer.advanced
        self.copied = observer.copied
        self.count = 0
        """The number of failures."""

    def started(self, transfer: Transfer) -> None:
        """Remember it while it runs."""
        self._running[id(transfer.source)] = transfer
        self._observer.started(transfer)

    def finished(self, transfer: Transfer, entry: Entry) -> None:
        """Forget it."""
        self._running.pop(id(transfer.source), None)
        self._observer.finished(transfer, entry)

    def kept(self, transfer: Transfer) -> None:
        """Forget it."""
        self._running.pop(id(transfer.source), None)
        self._observer.kept(transfer)

    def failed(self, what: object, error: AlgoError) -> None:
        """Write it down."""
        with self._lock:
            self.count += 1
            self._write(self._record(what, self._running.pop(id(what), None)))
        self._observer.failed(what, error)

    def _record(self, what: object, transfer: Transfer | None) -> dict[str, object]:
        known = what if isinstance(what, Unlisted) else transfer
        if known is None or STREAM in (known.source.uri, known.target.uri):
            return {"not_planned": str(what)}
        source, target = known.source.uri, known.target.uri
        record: dict[str, object] = {"source": _absolute(source), "target": _absolute(target)}
        if isinstance(known, Unlisted):
            record["unlisted"] = known.relative
        if known.removes_source:
            record["move"] = True
        if not (source.is_local and target.is_local):
            with suppress(AlgoError):  # a store that is reached directly needs no profile
                record["address"] = self._app.profile.address
        return record

    def _write(self, members: dict[str, object]) -> None:
        if self._problem or self._is_over:
            return
        try:
            if self._file is None:
                os.makedirs(os.path.dirname(self._path), exist_ok=True)
                self._file = self._stack.enter_context(replacing(self._path, mode=0o600))
                if self._rules:
                    self._file.write(json.dumps({"rules": self._rules}).encode() + b"\n")
            self._file.write(json.dumps(members).encode() + b"\n")
        except OSError as error:  # a cache that cannot be written costs the convenience and nothing else
            self._problem = error

    def __enter__(self) -> Keeper:
        return self

    def __exit__(self, kind: type[BaseException] | None, *facts: object) -> None:
        """Store the record, even when the command ends early."""
        with self._lock:
            if kind and self._file and not self._is_alone:
                self._write({"ended_early": True})
            self._is_over = True
            problem = self._problem
            unwanted = OSError() if problem or (kind and self._is_retry) else None
            try:
                self._stack.__exit__(type(unwanted) if unwanted else None, unwanted, None)
            except OSError as error:
                problem = error
            if problem:  # part of a record, or one of an earlier run, would be taken for all that has failed
                forget(self._app)


class FailedBefore:
    """The record of a run with failures."""

    def __init__(self, records: list[dict[str, Any]]) -> None:
        self._records = [record for record in records if "rules" not in record]
        self.rules: dict[str, Any] = {}
        """Its options of `RULES`."""
        for record in records:
            self.rules |= record.get("rules", {})

    def parts(self, storage_of: StorageOf) -> Iterator[Transfer | Unlisted | NotPlanned]:
        """The failed transfers, the directories that could not be planned, and the failures known by name only."""
        for record in self._records:
            if "not_planned" in record:
                yield NotPlanned(record["not_planned"])
                continue
            source, target = parse_data_uri(record["source"]), parse_data_uri(record["target"])
            places, moves = (Place(storage_of(source), source), Place(storage_of(target), target)), "move" in record
            if "unlisted" in record:
                yield Unlisted(*places, record["unlisted"], moves)
            else:
                yield Transfer(*places, removes_source=moves)


def failed_before(app: App) -> FailedBefore:
    """The failures of the last run with failures.

    Raises:
        UsageError: if there is no such run, it was on another platform, or it ended before all transfers were tried.
    """
    try:
        with open(path_of(app), encoding="ascii") as file:
            lines = file.readlines()
        records = [json.loads(line) for line in lines]
    except FileNotFoundError:
        raise UsageError(
            "There are no failed transfers to retry", "Name the files to copy: algo cp SOURCE... DEST"
        ) from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{path_of(app)} cannot be read: {error}", "Run the failed command again") from None
    for record in records:
        if "ended_early" in record:
            raise UsageError("The last run ended before all transfers were tried", "Run the failed command again")
        if "address" in record and record["address"] != app.profile.address:
            message = f"The failed transfers belong to {record['address']}"
            raise UsageError(message, "Select its profile with --profile NAME")
    return FailedBefore(records)


def forget(app: App) -> None:
    """Remove the record: everything in it has succeeded."""
    try:
        os.unlink(path_of(app))
    except OSError:
        pass


def _absolute(uri: DataUri) -> str:
    if not uri.is_local:
        return str(uri)
    return str(DataUri(LOCAL, f"file://{os.path.abspath(os.path.expanduser(uri.path))}"))
