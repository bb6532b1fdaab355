"""One call of a batch: its row, and whether it may be repeated."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from algo_core.errors import AlgoError, AlgorithmFailed, NetworkError, PlatformError, RequestRefused, TlsError
from algo_core.storage.uri import AlgorithmRef
from algo_run.batch.pool import ENDS_THE_RUN, Repeatable, Row
from algo_run.call import Answer, Call, perform
from algo_run.json_text import Written, decoded, member
from algo_run.payload import Payload

if TYPE_CHECKING:
    from algo_core.http.api import ApiClient
    from algo_core.http.response import Response


class Timed(NamedTuple):
    """A row, the seconds that its call took, and the answer if there is one."""

    row: Row
    seconds: float
    answer: Answer | None = None


class Caller:
    """Calls algorithms with an idempotency key for each call of a run.

    `keeps_keys`: whether the platform executes calls with the same key only once.
    """

    def __init__(
        self, api: ApiClient, run: str, *, timeout: int | None = None, sudo: bool = False, keeps_keys: bool = False
    ) -> None:
        self._api = api
        self._run = run
        self._timeout = timeout
        self._sudo = sudo
        self._keeps_keys = keeps_keys

    def call(self, head: Row, reference: AlgorithmRef, payload: Payload) -> Timed:
        """Make the call of the input with the number `head["index"]`; the row is `head` with the outcome.

        Raises:
            Repeatable: if it failed and can safely be repeated.
            AuthError, NotFoundError, ConfigError, TlsError: if every other call would fail as well.
        """
        return self.timed(head, self.prepared(head["index"], reference, payload), time.perf_counter())

    @property
    def query(self) -> dict[str, str | int | None]:
        """The parameters that all calls have."""
        return self.prepared(0, AlgorithmRef("", ""), Payload("", b"")).query

    def prepared(self, number: int, reference: AlgorithmRef, payload: Payload) -> Call:
        """The unsent call of the input with this number."""
        key = f"{self._run}-{number}-{reference.version or ''}"
        return Call(reference, payload, self._timeout, sudo=self._sudo, idempotency_key=key)

    def timed(self, head: Row, call: Call, began: float, response_of: Callable[[], Response] | None = None) -> Timed:
        """Like `call`, for a prepared call; with `response_of`, it was sent already, at the time `began`."""
        answer = None
        try:
            answer = perform(self._api, call, response_of)
        except AlgorithmFailed as failure:
            outcome = outcome_of_failure(failure)
        except (*ENDS_THE_RUN, TlsError):
            raise
        except (NetworkError, PlatformError, RequestRefused) as failure:
            outcome = self._refused(head, failure)
        else:
            self._keeps_keys = self._keeps_keys or answer.keeps_key
            outcome = outcome_of(answer)
        return Timed(head | outcome, time.perf_counter() - began, answer)

    def _refused(self, head: Row, failure: AlgoError) -> Row:
        outcome = {"error": described(failure)}
        is_overload = failure.status == 429
        nothing_done = is_overload or bool(getattr(failure, "nothing_sent", False))
        may_pass = isinstance(failure, (NetworkError, PlatformError))
        if nothing_done or (self._keeps_keys and may_pass):
            raise Repeatable(head | outcome, failure.retry_after, is_overload=is_overload)
        return outcome


def outcome_of(answer: Answer) -> Row:
    """The members of a row for a result, which keeps its digits."""
    result = answer.result
    if not isinstance(result, str) and (result == 0 or not isinstance(result, int)):  # others are written in one way
        result = Written(member(decoded(answer.body), "result") or "null", result)
    return {"result": result, "metadata": answer.metadata, **_identity(answer)}


def outcome_of_failure(failure: AlgorithmFailed) -> Row:
    """The members of a row for an algorithm's failure."""
    answer: Answer | None = getattr(failure, "answer", None)
    if answer is None:
        return {"error": described(failure), "metadata": {}}
    return {"error": described(failure), "metadata": answer.metadata, **_identity(answer)}


def _identity(answer: Answer) -> Row:
    """The id under which the platform has a call on record, if it gives one."""
    identifier = answer.request_id
    return {"request_id": identifier} if identifier and identifier.isprintable() else {}


def described(failure: AlgoError) -> dict[str, Any]:
    """An error as rows have it."""
    found: dict[str, Any] = failure.as_dict()["error"]
    return found
