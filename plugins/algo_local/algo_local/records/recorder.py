"""Records calls while they run: begins, starts, ends, and moves between processes; writes them soon, or at once.

`web/handlers/invoke.py` calls it for each call; `record_queries.py` has the queries.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from algo_core.errors import AlgoError, NotFoundError
from algo_local.records import rows as table
from algo_local.records.journal import Journal
from algo_local.records.limits import Retention
from algo_local.records.live_call import INSIGHT_BYTES, HostedCall, Input, KeyTaken, LiveCall, TakenOver
from algo_local.records.presence import Presence
from algo_local.records.record import FULL, LOST, NONE, Answer, Content, Record, digest_of
from algo_local.records.record_queries import RecordQueries
from algo_local.records.unsettled import Unsettled
from algo_local.refusals import CommitUnknown, StorageUnavailable, storage_error

if TYPE_CHECKING:
    from pathlib import Path

    from algo_local.metadata.database import Database, Rows

INTERVAL = 0.1
"""Seconds between two writes of deferred rows."""

RETRY_SECONDS = 0.5
"""Seconds between two attempts while the database cannot be written to."""

SWEEP_SECONDS = 3600.0

_SWEPT = "requests_swept_at"


class Recorder(RecordQueries):
    """Records the calls of one platform.

    All methods may be called from any thread, and raise as `Database` does.
    """

    def __init__(
        self,
        database: Database,
        root: Path,
        cancel: Callable[[str], bool],
        retention: Retention | None = None,
        presence: Presence | None = None,
    ) -> None:
        """`cancel` ends a running call of this process by its id; returns whether there was one."""
        self.retention = retention or Retention.of()
        self._cancel = cancel
        self.tell: Callable[[str], None] = lambda text: None
        """Called with a text when records cannot be written, and when they can be again."""
        found = presence or Presence(root)
        super().__init__(database, Journal(database, found.hold, lambda text: self.tell(text)), found)
        self._unsettled = Unsettled(self._journal)
        self._hosted: dict[str, HostedCall] = {}
        self._busy = threading.Event()
        self._clock: threading.Thread | None = None
        self._is_closed = False
        self._is_swept = False
        self.observers: list[Callable[[Record], None]] = []
        """Called with each call that has ended, in its thread, whatever the level of its record."""
        # A weak reference, so that the exit handler does not keep every platform alive that was ever opened.
        self._at_exit = _at_exit(weakref.ref(self))

    # Calls of this process

    def begin(self, record: Record, given: Input, level: str) -> LiveCall:
        """Begin a call. Its row is written soon, or at its end; calls of level NONE are never written."""
        live = self._made(record, given, level)
        if level != NONE:
            live.contents = self._kept(live, record.input, given.data)
            with self._lock:
                self._live[record.id] = live
            self._tick()
        return live

    def accept(
        self,
        record: Record,
        given: Input,
        level: str,
        also: table.Change | None = None,
        *,
        may_repeat: bool = True,
    ) -> LiveCall:
        """Begin a call whose row is written before this returns, to the disk if the call is void.

        Args:
            record: the new call.
            given: its input.
            level: how much of it is kept.
            also: a change in the same transaction.
            may_repeat: whether to execute the call again if an earlier one with its idempotency key was lost while it
                ran. A call that was lost before it ran is always executed again.

        Raises:
            KeyTaken: if another call has the idempotency key, and must not be executed again.
            StorageUnavailable: if the row cannot be written; the call must not be executed then.
        """
        live = self._made(record, given, level)
        contents = self._kept(live, record.input, given.data)

        def answered(rows: Rows) -> tuple[Record | None, bool]:
            """The call that has the key, and whether it must not be executed again."""
            known = table.by_key(rows, record.account, record.key) if record.key else None
            return known, known is not None and (known.state != LOST or (known.may_have_run and not may_repeat))

        def claim(rows: Rows) -> Record | None:
            known, is_taken = answered(rows)
            if is_taken:
                return known
            if known:
                record.repeats = known.id if known.started_at is not None else known.repeats
                table.give_up_key(rows, known)
            table.store(rows, [table.row_of(record)], contents.items())
            if also:
                also(rows)
            return None

        taken: Record | None
        try:
            if self._unsettled:
                self._unsettled.settle()
            taken = self._journal.change(claim, to_disk=record.is_void, is_guarded=True)
        except StorageUnavailable as error:
            if isinstance(error, CommitUnknown):
                self._take_back(lambda rows: table.withdraw(rows, record.id))
            taken, is_taken = self._journal.read(answered)
            if not taken or not is_taken or taken.id == record.id:
                raise
            raise KeyTaken(taken) from None  # the answer on record needs no write
        if taken and self._is_dead(taken):
            self._mark_lost()
            taken = self._journal.change(claim, to_disk=record.is_void, is_guarded=True)
        if taken:
            raise KeyTaken(taken)
        live.is_changed = False
        # Only now: a row whose key another call has cannot be written.
        with self._lock:
            self._live[record.id] = live
        self._tick()
        return live

    def write(self, live: LiveCall) -> None:
        """Write a call in its current state before returning. StorageUnavailable if it cannot be written."""
        with self._lock:
            live.is_changed = False
            self._journal.put(live.record, live.contents)
            live.contents = {}
        self._journal.change(lambda rows: None)

    def report(self, identifier: str, insights: Sequence[tuple[str, object]]) -> bool:
        """Add insights reported by a running call of this process; False beyond the limit.

        Raises:
            NotFoundError: if there is no such call.
        """
        with self._lock:
            live = self._live.get(identifier)
            if hosted := self._hosted.get(identifier):
                return hosted.report(insights)
            if live is None or live.record.is_finished:
                raise NotFoundError(f"No call {identifier} is under way")
            text = json.dumps([*live.record.reported, *insights], separators=(",", ":"))
            if len(text) > INSIGHT_BYTES:
                return False
            live.record.insights = text
            live.is_changed = True
        return True

    # Calls that one process has accepted and another one executes

    def left_over(self, limit: int) -> list[Record]:
        """The oldest calls that wait for a server because the process that accepted them has ended."""
        self._mark_lost()
        found: list[Record] = self._journal.read(lambda rows: table.left_over(rows, limit))
        return found

    def take_over(self, records: Sequence[Record]) -> list[LiveCall]:
        """Take over waiting calls, except those that another process has taken over.

        Raises:
            StorageUnavailable: if this cannot be written.
        """
        identifiers, name = [record.id for record in records], self._presence.name
        if self._unsettled:
            self._unsettled.settle()  # before the same calls are taken over again
        try:
            taken = self._journal.change(lambda rows: table.take_over(rows, identifiers, name), is_guarded=True)
        except CommitUnknown:
            self._take_back(lambda rows: table.give_back(rows, identifiers, name))
            raise
        lives = [LiveCall(self, record, FULL) for record in records if record.id in taken]
        with self._lock:
            for live in lives:
                live.record.platform, live.is_changed = self._presence.name, False
                self._live[live.record.id] = live
        self._tick()
        return lives

    def start(self, live: LiveCall) -> None:
        """Write to the disk that a worker takes a call; no other server executes it after that.

        Raises:
            TakenOver: if another server executes it, because this process seemed to have ended.
            StorageUnavailable: if this cannot be written.
        """
        name = self._presence.name
        # Guarded: a call that waits as the platform is moved is executed at the new place.
        if not self._journal.change(lambda rows: table.start(rows, live.record, name), to_disk=True, is_guarded=True):
            live.level = NONE  # the row belongs to the other server
            raise TakenOver("Another server executes the call")
        live.is_changed = False

    def leave(self, live: LiveCall) -> None:
        """See `LiveCall.left`. If this cannot be written, a server finds the call once this process has ended."""
        try:
            with contextlib.suppress(StorageUnavailable):
                self._journal.change(lambda rows: table.leave(rows, live.record))
        finally:
            self._forget(live)

    def _forget(self, live: LiveCall) -> None:
        with self._lock:
            self._live.pop(live.record.id, None)
            if live.ended:
                live.ended.set()

    # Calls that one process records and another one executes

    def host(self, identifier: str, tell: Callable[[list[Any]], None]) -> None:
        """Pass the insights of a call to `tell`, for the process that records it, until `end_hosting`."""
        with self._lock:
            self._hosted[identifier] = HostedCall(tell)

    def end_hosting(self, identifier: str) -> None:
        """End what `host` began."""
        with self._lock:
            del self._hosted[identifier]

    def adopt(self, identifier: str, answer: Answer, worker: str, level: str) -> None:
        """Record the end of a call for the process that began its record and has ended."""
        record: Record | None = self._journal.read(lambda rows: table.find(rows, identifier))
        if record and not record.is_finished:
            if record.started_at is None:
                record.started(worker, time.time() - answer.duration)
            self.finish(LiveCall(self, record, level), answer)

    def shared_presence(self) -> int:
        """A descriptor whose copies show that calls of this process still run, even after its end.

        Raises:
            StorageUnavailable: if the disk is full or fails.
        """
        try:
            return self._presence.shared()
        except OSError as error:
            raise storage_error(error, "Calls cannot be recorded") from error

    def finish(self, live: LiveCall, answer: Answer) -> None:
        """See `LiveCall.finished`."""
        record = live.record
        output = None
        if answer.content_type:
            output = Content(answer.content_type, len(answer.encoded), digest_of(answer.encoded))
        try:
            with self._lock:  # so that no older state is queued after it
                record.finished(answer, output, time.time(), level=live.level, limit=self.retention.content)
                contents = {**live.contents, **self._kept(live, record.output, answer.encoded)}
                if live.level != NONE:
                    self._journal.put(record, contents)
            for observe in self.observers:
                with contextlib.suppress(Exception):  # a failure must not cost the call its answer
                    observe(record)
            if live.level != NONE:
                if record.key is not None:
                    with contextlib.suppress(StorageUnavailable):
                        self._journal.change(lambda rows: None)
                self._tick()
        finally:
            self._forget(live)

    def _made(self, record: Record, given: Input, level: str) -> LiveCall:
        record.platform = self._presence.name
        record.input = Content(given.content_type, len(given.data), digest_of(given.data))
        return LiveCall(self, record, level)

    def _kept(self, live: LiveCall, content: Content | None, data: bytes) -> dict[str, bytes]:
        if not content or live.level != FULL:
            return {}
        return {content.digest: data} if live.keeps_all or content.size <= self.retention.content else {}

    def cancel(self, identifier: str) -> None:
        """Cancel a call in any process; a finished call is not changed."""
        with self._lock:
            live = self._live.get(identifier)
        # A call that the executor does not know yet is cancelled by the next turn of the writing thread.
        if not live or not self._cancel(identifier):
            self._journal.change(lambda rows: table.ask_to_cancel(rows, identifier))

    def forget_account(self, account: str) -> None:
        """Delete the calls of an account."""
        self._journal.change(lambda rows: table.forget_account(rows, account))

    def change(self, change: table.Change, *, is_guarded: bool = False) -> Any:
        """Carry out a change in a transaction that sees every call so far; `is_guarded` as in `Journal.change`."""
        return self._journal.change(change, is_guarded=is_guarded)

    def flush(self) -> None:
        """Write deferred rows."""
        self._journal.flush()

    def close(self) -> None:
        """Write waiting rows and mark this process as ended; may be repeated. The recorder can be used again."""
        atexit.unregister(self._at_exit)
        self._is_closed = True
        self._busy.set()
        self._journal.flush()
        if told := self.unwritten():
            self.tell(told)
            self._journal.give_up()
        self._presence.release()

    # The writing thread

    def _take_back(self, undo: table.Change) -> None:
        """Have a change undone of which nobody knows whether it was committed."""
        self._unsettled.add(undo)
        self._tick()

    def _tick(self) -> None:
        """Wake the writing thread, which sleeps while there is nothing to write."""
        if self._busy.is_set() and self._clock and self._clock.is_alive():
            return
        with self._lock:
            self._is_closed = False
            self._busy.set()
            if self._clock and self._clock.is_alive():
                return
            self._clock = threading.Thread(target=self._run_clock, name="algo-record", daemon=True)
            with contextlib.suppress(RuntimeError):  # the interpreter is ending: `close` writes
                self._clock.start()

    def _run_clock(self) -> None:
        while not self._is_closed:
            time.sleep(RETRY_SECONDS if self._journal.problem else INTERVAL)
            with self._lock:
                is_idle = not self._live
                if is_idle:
                    self._busy.clear()
            with contextlib.suppress(AlgoError):
                self._do_rounds(is_idle=is_idle)
            # Rows that could not be written are tried again without new calls.
            if not self._journal.waiting and not self._unsettled:
                self._busy.wait()

    def _do_rounds(self, *, is_idle: bool) -> None:
        self._refresh()
        self._journal.flush()
        if self._unsettled:
            self._unsettled.settle()
        if not is_idle:
            name = self._presence.name
            for identifier in self._journal.read(lambda rows: table.to_cancel(rows, name)):
                self._cancel(identifier)
        if not self._is_swept:
            self._is_swept = True
            self.sweep()

    def sweep(self, *, always: bool = False) -> None:
        """Apply the retention limits and mark lost calls, at most once an hour."""
        now = self.now()

        def due(rows: Rows) -> bool:
            found = rows.execute("SELECT value FROM settings WHERE name = ?", (_SWEPT,)).fetchone()
            return always or not found or not now - SWEEP_SECONDS < float(found[0]) <= now

        def sweep(rows: Rows) -> None:
            table.sweep(rows, self.retention, now)
            rows.execute(
                "INSERT INTO settings VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                (_SWEPT, str(now)),
            )

        self._mark_lost()
        if self._journal.read(due):
            self._journal.change(sweep)


def _at_exit(recorder: weakref.ref[Recorder]) -> Callable[[], None]:
    def close() -> None:
        found = recorder()
        if found:
            found.close()

    atexit.register(close)
    return close
