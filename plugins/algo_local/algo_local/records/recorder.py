"""The calls of a platform as they happen, and those on record."""

from __future__ import annotations

import atexit
import contextlib
import json
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from algo_core.errors import AlgoError, NotFoundError, PlatformError
from algo_local.records import rows as table
from algo_local.records.journal import Journal
from algo_local.records.limits import Retention
from algo_local.records.presence import Presence
from algo_local.records.record import FULL, LOST, NONE, Answer, Content, Record, digest_of
from algo_local.records.unsettled import Unsettled
from algo_local.refusals import CommitUnknown, StorageUnavailable, storage_error

if TYPE_CHECKING:
    from pathlib import Path

    from algo_local.execution.payload import Failure
    from algo_local.metadata.database import Database, Rows

INTERVAL = 0.1
"""Seconds between two writes of what can wait."""

RETRY_SECONDS = 0.5
"""Seconds between two tries while the database cannot be written to."""

POLL_SECONDS = 0.05
"""Seconds between checks of a call of another process."""

_NAMED = 5
"""Calls whose records were lost that are named one by one."""

SWEEP_SECONDS = 3600.0

INSIGHT_BYTES = 64 << 10
"""Most that is kept of what one call reports about itself."""

_SWEPT = "requests_swept_at"


class KeyTaken(Exception):
    """Another call has the idempotency key: `record`."""

    def __init__(self, record: Record) -> None:
        super().__init__(record.id)
        self.record = record


class TakenOver(PlatformError):
    """A call is not executed here, since another server does so."""


class Input(NamedTuple):
    """A call's input as it arrived."""

    content_type: Any
    data: bytes


class Live:
    """A call under way in this process. Its methods are for the thread that runs it."""

    def __init__(self, recorder: Recorder, record: Record, level: str) -> None:
        self.record = record
        self.level = level
        self.ended: threading.Event | None = None
        """Set when the call has ended, if somebody waits for that: the recorder's lock guards it."""
        self.contents: dict[str, bytes] = {}
        """What is still to be written with its row."""
        self.is_changed = True
        """Whether its row is not what was written last."""
        self._printed = bytearray()
        self._recorder = recorder

    @property
    def keeps_all(self) -> bool:
        """Whether its result must be stored, whatever its size."""
        return self.level == FULL and (self.record.is_void or self.record.key is not None)

    def started(self, worker: str, at: float | None = None) -> None:
        """Record that a worker has taken it, now or at a time in seconds since the epoch.

        With an idempotency key, that is on record when this returns.

        Of one that another process would execute again without that, it is on the disk.

        Raises:
            StorageUnavailable: if it cannot be written; the call must not be executed then.
        """
        self.record.started(worker, time.time() if at is None else at)
        self.is_changed = True
        if self.record.key is not None or self.record.resumption:
            try:
                if self.record.resumption:
                    self._recorder.start(self)
                else:
                    self._recorder.write(self)
            except AlgoError:
                self.record.not_started()
                raise

    def printed(self, data: bytes) -> None:
        """Add the algorithm's output, of which the last bytes are kept."""
        if self.level == FULL:
            self._printed += data
            del self._printed[: max(0, len(self._printed) - self._recorder.retention.content)]
            self.record.printed = self._printed.decode("utf-8", "replace")
            self.is_changed = True

    @property
    def is_claimed(self) -> bool:
        """Whether `started` may refuse: then the worker must not get it before."""
        return self.record.key is not None or bool(self.record.resumption)

    def may_be_left(self, failure: Failure) -> bool:
        """Whether the next server may execute it, which was cut short like this."""
        if failure.is_untouched and self.record.resumption:
            self.record.not_started()
        return self.record.may_resume

    def left(self) -> None:
        """Leave it to the next server, as this one ends before it was executed; see `may_be_left`."""
        self._recorder.leave(self)

    def finished(self, answer: Answer) -> None:
        """Note what came of it. Once this returns, the answer of a call with an idempotency key is on record.

        Where that cannot be written any more, the answer waits with its record: the call has been executed, and its
        client is to be told what came of it.
        """
        self._recorder.finish(self, answer)


class _Hosted:
    """A call that this process runs for another one, which records it."""

    def __init__(self, tell: Callable[[list[Any]], None]) -> None:
        self._tell = tell
        self._reported: list[Any] = []

    def report(self, insights: Sequence[tuple[str, object]]) -> bool:
        """Pass on what it reports about itself; False if that is more than is kept."""
        reported = [*self._reported, *insights]
        if len(json.dumps(reported, separators=(",", ":"))) > INSIGHT_BYTES:
            return False
        self._reported = reported
        self._tell(list(insights))
        return True


class Recorder:
    """Keeps the calls of one platform. All methods may be called from any thread, and raise as `Database` does."""

    def __init__(
        self,
        database: Database,
        root: Path,
        cancel: Callable[[str], bool],
        retention: Retention | None = None,
        presence: Presence | None = None,
    ) -> None:
        """`cancel` ends a call that this process runs, by its id; whether it was there to be ended."""
        self.retention = retention or Retention.of()
        self._cancel = cancel
        self._presence = presence or Presence(root)
        self.tell: Callable[[str], None] = lambda text: None
        """Told when records cannot be written, and when they can be again."""
        self._database = database
        self._journal = Journal(database, self._presence.hold, lambda text: self.tell(text))
        self._unsettled = Unsettled(self._journal)
        self._lock = threading.Lock()
        self._live: dict[str, Live] = {}
        self._hosted: dict[str, _Hosted] = {}
        self._busy = threading.Event()
        self._clock: threading.Thread | None = None
        self._is_closed = False
        self._is_swept = False
        self.observers: list[Callable[[Record], None]] = []
        """Told of each call that has ended, in its thread, whatever is kept of it."""
        # By a weak reference: the interpreter's end must not keep every platform that was ever opened.
        self._at_exit = _at_exit(weakref.ref(self))

    # What the threads that run calls say

    def begin(self, record: Record, given: Input, level: str) -> Live:
        """Begin a call. It is written soon, or when it has ended; calls that are not kept are never written."""
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
    ) -> Live:
        """As `begin`, but it is on record, on the disk if it is void, when this returns; with it, `also` is done.

        `may_repeat` says whether a call with the same idempotency key that was lost while it ran is executed again;
        one that was lost before that always is.

        Raises:
            KeyTaken: if a call with its idempotency key is on record, and not to be executed again.
            StorageUnavailable: if it cannot be written; the call must not be executed then.
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
            taken = self._journal.change(claim, to_disk=record.is_void)
        except StorageUnavailable as error:
            if isinstance(error, CommitUnknown):
                self._take_back(lambda rows: table.withdraw(rows, record.id))
            taken, is_taken = self._journal.read(answered)
            if not taken or not is_taken or taken.id == record.id:
                raise
            raise KeyTaken(taken) from None  # an answer can be given without writing
        if taken and self._is_dead(taken):
            self._mark_lost()
            taken = self._journal.change(claim, to_disk=record.is_void)
        if taken:
            raise KeyTaken(taken)
        live.is_changed = False
        # Not before: a row with a key that another call has cannot be written.
        with self._lock:
            self._live[record.id] = live
        self._tick()
        return live

    def write(self, live: Live) -> None:
        """Write a call in its present state before returning. StorageUnavailable if that is impossible."""
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

    # Calls that one process accepts, and the next one runs

    def left_over(self, limit: int) -> list[Record]:
        """The first calls that wait for a server, since the process that had accepted them has ended."""
        self._mark_lost()
        found: list[Record] = self._journal.read(lambda rows: table.left_over(rows, limit))
        return found

    def take_over(self, records: Sequence[Record]) -> list[Live]:
        """Have calls that wait for a server be those of this process, but for those that another one has taken.

        Raises:
            StorageUnavailable: if that cannot be written.
        """
        identifiers, name = [record.id for record in records], self._presence.name
        if self._unsettled:
            self._unsettled.settle()  # before the same calls are taken over again
        try:
            taken = self._journal.change(lambda rows: table.take_over(rows, identifiers, name))
        except CommitUnknown:
            self._take_back(lambda rows: table.give_back(rows, identifiers, name))
            raise
        lives = [Live(self, record, FULL) for record in records if record.id in taken]
        with self._lock:
            for live in lives:
                live.record.platform, live.is_changed = self._presence.name, False
                self._live[live.record.id] = live
        self._tick()
        return lives

    def start(self, live: Live) -> None:
        """Put on the disk that a worker takes a call, which no server executes any more after that.

        Raises:
            TakenOver: if another server does, since this process was taken for ended while it could not be seen.
            StorageUnavailable: if it cannot be written.
        """
        name = self._presence.name
        if not self._journal.change(lambda rows: table.start(rows, live.record, name), to_disk=True):
            live.level = NONE  # its row is that of the other one
            raise TakenOver("Another server executes the call")
        live.is_changed = False

    def leave(self, live: Live) -> None:
        """See `Live.left`. Where that cannot be written, it comes about as this process is found to have ended."""
        try:
            with contextlib.suppress(StorageUnavailable):
                self._journal.change(lambda rows: table.leave(rows, live.record))
        finally:
            self._forget(live)

    def _forget(self, live: Live) -> None:
        with self._lock:
            self._live.pop(live.record.id, None)
            if live.ended:
                live.ended.set()

    # Calls that one process records and another one runs

    @contextlib.contextmanager
    def hosting(self, identifier: str, tell: Callable[[list[Any]], None]) -> Iterator[None]:
        """Tell the process that records a call, within the block, what it reports about itself."""
        with self._lock:
            self._hosted[identifier] = _Hosted(tell)
        try:
            yield
        finally:
            with self._lock:
                del self._hosted[identifier]

    def adopt(self, identifier: str, answer: Answer, worker: str, level: str) -> None:
        """Record the end of a call in the place of the process that began to record it, and has ended."""
        record: Record | None = self._journal.read(lambda rows: table.find(rows, identifier))
        if record and not record.is_finished:
            if record.started_at is None:
                record.started(worker, time.time() - answer.duration)
            self.finish(Live(self, record, level), answer)

    def shared_presence(self) -> int:
        """A descriptor whose copies keep the calls of this process from being taken for lost, also after its end.

        Raises:
            StorageUnavailable: if the disk is full or fails.
        """
        try:
            return self._presence.shared()
        except OSError as error:
            raise storage_error(error, "Calls cannot be recorded") from error

    def finish(self, live: Live, answer: Answer) -> None:
        """See `Live.finished`."""
        record = live.record
        output = None
        if answer.content_type:
            output = Content(answer.content_type, len(answer.encoded), digest_of(answer.encoded))
        try:
            with self._lock:  # so that nothing older is put after it
                record.finished(answer, output, time.time(), level=live.level, limit=self.retention.content)
                contents = {**live.contents, **self._kept(live, record.output, answer.encoded)}
                if live.level != NONE:
                    self._journal.put(record, contents)
            for observe in self.observers:
                with contextlib.suppress(Exception):  # whatever it meets, the call has its answer
                    observe(record)
            if live.level != NONE:
                if record.key is not None:
                    with contextlib.suppress(StorageUnavailable):
                        self._journal.change(lambda rows: None)
                self._tick()
        finally:
            self._forget(live)

    def _made(self, record: Record, given: Input, level: str) -> Live:
        record.platform = self._presence.name
        record.input = Content(given.content_type, len(given.data), digest_of(given.data))
        return Live(self, record, level)

    def _kept(self, live: Live, content: Content | None, data: bytes) -> dict[str, bytes]:
        if not content or live.level != FULL:
            return {}
        return {content.digest: data} if live.keeps_all or content.size <= self.retention.content else {}

    # What those ask who look at calls

    def find(self, identifier: str) -> Record | None:
        """Find a call by its id; None if it does not exist, or no longer."""
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
        """The state of writing."""
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
        """The result of a query that sees every call until now."""
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
        """The bytes of many inputs or outputs by digest, as far as they are kept; it asks the database once."""
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

    def cancel(self, identifier: str) -> None:
        """Cancel a call in any process; a finished call is not changed."""
        with self._lock:
            live = self._live.get(identifier)
        # A call on its way to the executor is known there in a moment: then the clock tells it.
        if not live or not self._cancel(identifier):
            self._journal.change(lambda rows: table.ask_to_cancel(rows, identifier))

    def forget_account(self, account: str) -> None:
        """Delete the calls of an account."""
        self._journal.change(lambda rows: table.forget_account(rows, account))

    def change(self, change: table.Change) -> Any:
        """Carry out a change in a transaction that sees every call until now."""
        return self._journal.change(change)

    def flush(self) -> None:
        """Write what waits."""
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

    # What happens beside

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

    def _take_back(self, undo: table.Change) -> None:
        self._unsettled.add(undo)
        self._tick()

    def _tick(self) -> None:
        """Wake the thread that writes; it sleeps while there is nothing to write."""
        if self._busy.is_set() and self._clock and self._clock.is_alive():
            return
        with self._lock:
            self._is_closed = False
            self._busy.set()
            if self._clock and self._clock.is_alive():
                return
            self._clock = threading.Thread(target=self._run_clock, name="algo-record", daemon=True)
            with contextlib.suppress(RuntimeError):  # the interpreter is about to end: `close` writes
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
            # What could not be written is tried again, whether or not more comes.
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

    def now(self) -> float:
        """The time by the clock of the database; see `Database.now`."""
        return self._database.now()

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
