"""Calls under way in this process: what the threads that run a call tell the recorder."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from algo_core.errors import AlgoError, PlatformError
from algo_local.records.record import FULL, Answer, Record

if TYPE_CHECKING:
    from algo_local.execution.payload import Failure
    from algo_local.records.limits import Retention

INSIGHT_BYTES = 64 << 10
"""Maximum bytes of the insights of one call."""


class KeyTaken(Exception):
    """Another call has the idempotency key: `record`."""

    def __init__(self, record: Record) -> None:
        super().__init__(record.id)
        self.record = record


class TakenOver(PlatformError):
    """Another server executes the call."""


class Input(NamedTuple):
    """A call's input as it arrived."""

    content_type: Any
    data: bytes


class CallWriter(Protocol):
    """What a call needs of the recorder; see the methods of `Recorder`."""

    retention: Retention

    def write(self, live: LiveCall) -> None:
        """Write the call in its current state."""

    def start(self, live: LiveCall) -> None:
        """Write to the disk that a worker takes the call."""

    def leave(self, live: LiveCall) -> None:
        """Leave the call to the next server."""

    def finish(self, live: LiveCall, answer: Answer) -> None:
        """Record the outcome of the call."""


class LiveCall:
    """A call under way in this process. Its methods are for the thread that executes it."""

    def __init__(self, recorder: CallWriter, record: Record, level: str) -> None:
        self.record = record
        self.level = level
        self.ended: threading.Event | None = None
        """Set when the call has ended; created only if a thread waits for that. The recorder's lock guards it."""
        self.contents: dict[str, bytes] = {}
        """Contents to write together with its row."""
        self.is_changed = True
        """Whether its row has changed since it was written."""
        self._printed = bytearray()
        self._recorder = recorder

    @property
    def keeps_all(self) -> bool:
        """Whether its result must be stored, whatever its size."""
        return self.level == FULL and (self.record.is_void or self.record.key is not None)

    def started(self, worker: str, at: float | None = None) -> None:
        """Record that a worker has taken the call, now or at a time in seconds since the epoch.

        For a call with an idempotency key, the start is written when this returns; for one that another process could
        otherwise execute again, it is on the disk.

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
        """Add output of the algorithm; only the last bytes are kept."""
        if self.level == FULL:
            self._printed += data
            del self._printed[: max(0, len(self._printed) - self._recorder.retention.content)]
            self.record.printed = self._printed.decode("utf-8", "replace")
            self.is_changed = True

    @property
    def is_claimed(self) -> bool:
        """Whether `started` may refuse the call, so that a worker must not get it before."""
        return self.record.key is not None or bool(self.record.resumption)

    def may_be_left(self, failure: Failure) -> bool:
        """Whether the next server may execute the call, which this failure has interrupted."""
        if failure.is_untouched and self.record.resumption:
            self.record.not_started()
        return self.record.may_resume

    def left(self) -> None:
        """Leave the call to the next server, as this one ends; see `may_be_left`."""
        self._recorder.leave(self)

    def finished(self, answer: Answer) -> None:
        """Record the outcome. For a call with an idempotency key, it is written when this returns.

        If it cannot be written, the row waits and the client gets the answer: the call has been executed.
        """
        self._recorder.finish(self, answer)


class HostedCall:
    """A call that this process executes for a front end, which records it."""

    def __init__(self, tell: Callable[[list[Any]], None]) -> None:
        self._tell = tell
        self._reported: list[Any] = []

    def report(self, insights: Sequence[tuple[str, object]]) -> bool:
        """Pass insights to the front end; False beyond `INSIGHT_BYTES`."""
        reported = [*self._reported, *insights]
        if len(json.dumps(reported, separators=(",", ":"))) > INSIGHT_BYTES:
            return False
        self._reported = reported
        self._tell(list(insights))
        return True
