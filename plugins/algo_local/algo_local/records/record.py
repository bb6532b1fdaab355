"""The record of a call: the row in the database, and the answer that it holds."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Literal

from algo_local.execution.payload import ContentType, Failure
from algo_local.records.resumption import IDEMPOTENT

QUEUED, RUNNING, DONE, FAILED, CANCELLED, LOST = "queued", "running", "done", "failed", "cancelled", "lost"
STATES = (QUEUED, RUNNING, DONE, FAILED, CANCELLED, LOST)
UNFINISHED = (QUEUED, RUNNING)

FULL, METADATA, NONE = "full", "metadata", "none"
LEVELS = (FULL, METADATA, NONE)
"""How much of an algorithm's calls is recorded: everything; no input, result, message or printed output; nothing."""

LOST_FAILURE = Failure("The platform ended before the call did", "SystemError", ended="lost")
"""The answer of a call whose platform died before it was started."""

CUT_SHORT_FAILURE = Failure(
    "The platform ended while the call ran; how far that got is not known", "SystemError", ended="lost"
)
"""The answer of a call whose platform died while it ran."""

CANCELLED_FAILURE = Failure("The call was cancelled", "SystemError", ended="cancelled")
CANCELLED_ERROR = json.dumps((CANCELLED_FAILURE.message, CANCELLED_FAILURE.error_type, None))
"""`CANCELLED_FAILURE` as a row holds it."""


def digest_of(data: bytes) -> str:
    """The digest that names a content: SHA-256 in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True, slots=True)
class Content:
    """The metadata of an input or output, known even if its bytes are not kept."""

    content_type: ContentType
    size: int
    """Bytes: of an input as it arrived, of an output as it stands in the response."""
    digest: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The outcome of a call, ready for a response: `encoded` is the result as JSON, empty after a failure."""

    content_type: ContentType | None
    encoded: bytes
    failure: Failure | None
    duration: float
    stdout: str

    @property
    def state(self) -> str:
        """The state of a call with this answer."""
        if self.failure is None:
            return DONE
        return self.failure.ended or FAILED


@dataclass(slots=True)
class Record:
    """One row. Times are in seconds since the epoch, durations in seconds."""

    id: str
    account: str
    """The account of the call."""
    algorithm: str
    """The algorithm's id; `owner` and `name` are its names when it was called."""
    owner: str
    name: str
    version: str
    created_at: float
    state: str = QUEUED
    parent: str = ""
    """The call that made this one; empty for a client's."""
    is_void: bool = False
    platform: str = ""
    """The process that runs it, by the name of its presence."""
    worker: str = ""
    started_at: float | None = None
    finished_at: float | None = None
    duration: float | None = None
    input: Content | None = None
    output: Content | None = None
    printed: str = ""
    error: str = ""
    """The failure as JSON: a list of message, type and stack trace."""
    key: str | None = None
    """The idempotency key."""
    key_digest: str = ""
    """The digest of the request that came with the key; another request with the same key is refused."""
    repeats: str = ""
    """The call with this key that was lost while it ran, if there was one: what it did may have been done twice. It is
    kept if this call is lost before it runs, and the next one with the key is made."""
    insights: str = ""
    """What it reported about itself, as JSON: a list of names and values; empty if it did not."""
    resumption: str = ""
    """How another process can execute it (`Resumption.text`); empty if none is to."""

    @property
    def is_finished(self) -> bool:
        """Whether it has ended."""
        return self.state not in UNFINISHED

    @property
    def may_have_run(self) -> bool:
        """Whether the call, or an earlier lost call with its idempotency key, was given to a worker."""
        return self.started_at is not None or bool(self.repeats)

    @property
    def may_resume(self) -> bool:
        """Whether the next server may execute the call if it is interrupted now."""
        return bool(self.resumption) and (self.started_at is None or IDEMPOTENT in self.resumption)

    @property
    def reported(self) -> list[tuple[str, object]]:
        """The insights that it reported, by name, in order."""
        return [(name, value) for name, value in json.loads(self.insights or "[]")]

    @property
    def failure(self) -> Failure | None:
        """The failure, or None."""
        message, error_type, stacktrace = json.loads(self.error) if self.error else ("", "", None)
        if self.state == LOST and not message:
            return CUT_SHORT_FAILURE if self.may_have_run else LOST_FAILURE
        if not self.error:
            return None
        ended: dict[str, Literal["cancelled", "lost"]] = {CANCELLED: "cancelled", LOST: "lost"}
        return Failure(message, error_type, stacktrace, ended=ended.get(self.state, ""))

    def started(self, worker: str, at: float) -> None:
        """Record that a worker has taken it."""
        self.state, self.worker, self.started_at = RUNNING, worker, at

    def not_started(self) -> None:
        """Undo `started`: the worker did not get the call."""
        self.state, self.worker, self.started_at = QUEUED, "", None

    def finished(self, answer: Answer, output: Content | None, at: float, *, level: str, limit: int) -> None:
        """Record the outcome; the last `limit` bytes of printed output are kept."""
        self.finished_at, self.duration, self.output = at, answer.duration, output
        failure = answer.failure
        if failure:
            kept = (failure.message, failure.error_type, failure.stacktrace)
            self.error = json.dumps(kept if level == FULL else ("", failure.error_type, None))
        if level == FULL:
            self.printed = answer.stdout[-limit:]
        self.state = answer.state
