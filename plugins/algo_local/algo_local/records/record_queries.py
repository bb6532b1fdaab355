"""Queries of calls: those under way in this process, unwritten records, and the rows of the database."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from algo_local.records import rows as table
from algo_local.records.journal import Journal
from algo_local.records.live_call import LiveCall
from algo_local.records.presence import Presence
from algo_local.records.record import Answer, Content, Record

if TYPE_CHECKING:
    from algo_local.metadata.database import Database, Rows

POLL_SECONDS = 0.05
"""Seconds between checks of a call that another process executes."""

_NAMED = 5
"""Maximum number of calls that a message about unwritten records names."""


class RecordQueries:
    """Finds and lists the calls of one platform. `Recorder` adds what changes them.

    All methods may be called from any thread, and raise as `Database` does.
    """

    def __init__(self, database: Database, journal: Journal, presence: Presence) -> None:
        self._database = database
        self._journal = journal
        self._presence = presence
        self._lock = threading.Lock()
        self._live: dict[str, LiveCall] = {}

    def find(self, identifier: str) -> Record | None:
        """Find a call by its id; None if it is not on record, or no longer."""
        with self._lock:
            live = self._live.get(identifier)
        if live and not live.record.is_finished:
            return live.record
        found: Record | None = self._journal.read(lambda rows: table.find(rows, identifier))
        if found and self._is_dead(found):
            self._mark_lost()
            found = self._journal.read(lambda rows: table.find(rows, identifier))
        return self._journal.pending(identifier) or found

    def is_lost(self, identifier: str) -> bool:
        """Whether the record of this call could not be written, and was discarded."""
        return self._journal.is_lost(identifier)

    @property
    def writing(self) -> Journal:
        """The journal, which knows what is unwritten and why."""
        return self._journal

    def unwritten(self) -> str:
        """The message about unwritten records; empty without any."""
        problem, names = self._journal.problem, self._journal.unwritten()
        if not problem or not names:
            return ""
        shown = ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
        return f"Calls are not on record ({len(names)}: {shown}): {problem}"

    def listed(self, question: table.Question, limit: int) -> list[Record]:
        """The records that match a query, newest first."""
        found: list[Record] = self.read(lambda rows: table.listed(rows, question, limit))
        return found

    def read(self, query: Callable[[Rows], Any]) -> Any:
        """The result of a query that sees every call so far."""
        self._refresh()
        self._mark_lost()
        return self._journal.read(query)

    def content(self, content: Content | None) -> bytes | None:
        """The bytes of an input or output; None if they are not kept, or no longer."""
        if content is None:
            return None
        found: bytes | None = self._journal.read(lambda rows: table.content(rows, content.digest))
        return self._journal.pending_content(content.digest) if found is None else found

    def contents(self, wanted: Iterable[Content]) -> dict[str, bytes]:
        """The kept bytes of many inputs or outputs by digest, in one query."""
        digests = {content.digest for content in wanted}
        found: dict[str, bytes] = self._journal.read(lambda rows: table.contents(rows, digests))
        for digest in digests - found.keys():
            if (data := self._journal.pending_content(digest)) is not None:
                found[digest] = data
        return found

    def answer(self, record: Record) -> Answer | None:
        """The answer of a call that has ended; None if its result is not kept, or no longer."""
        failure = record.failure
        if failure:
            return Answer(None, b"", failure, record.duration or 0.0, record.printed)
        encoded = self.content(record.output)
        if encoded is None or record.output is None:
            return None
        return Answer(record.output.content_type, encoded, None, record.duration or 0.0, record.printed)

    def wait(self, identifier: str, seconds: float) -> Record | None:
        """Wait for a call to end; returns its record, unfinished when the time is over."""
        deadline = time.monotonic() + seconds
        while True:
            with self._lock:
                live, ended = self._live.get(identifier), None
                if live:
                    ended = live.ended = live.ended or threading.Event()
            if ended:
                ended.wait(max(0.0, deadline - time.monotonic()))
            found = self.find(identifier)
            left = deadline - time.monotonic()
            if not found or found.is_finished or left <= 0:
                return found
            time.sleep(min(POLL_SECONDS, left))

    def now(self) -> float:
        """The time by the clock of the database; see `Database.now`."""
        return self._database.now()

    def _refresh(self) -> None:
        """Queue changed records of running calls."""
        with self._lock:
            for live in self._live.values():
                if live.is_changed and not live.record.is_finished:
                    live.is_changed = False
                    self._journal.put(live.record, live.contents)
                    live.contents = {}

    def _is_dead(self, record: Record) -> bool:
        return bool(record.platform) and not record.is_finished and not self._presence.is_alive(record.platform)

    def _mark_lost(self) -> None:
        def others(rows: Rows) -> list[str]:
            return [name for name in table.platforms_of_unfinished(rows) if not self._presence.is_alive(name)]

        if gone := self._journal.read(others):
            self._journal.change(lambda rows: table.mark_lost(rows, gone))
