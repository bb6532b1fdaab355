"""The invocation route: `/v1/algo` (API section 3)."""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NoReturn

from algo_core.errors import AlgoError
from algo_local.algorithms.registry import Version
from algo_local.algorithms.schemas.algorithm_schemas import schemas_of
from algo_local.algorithms.visibility import reads_source
from algo_local.callers import CallContext, Caller
from algo_local.error_codes import ErrorCode
from algo_local.execution.executor import Notice
from algo_local.execution.payload import SHUTTING_DOWN, Failure, Outcome, Payload
from algo_local.records.live_call import Input, KeyTaken
from algo_local.records.record import FULL, LOST, LOST_FAILURE, NONE, Answer, Record, digest_of
from algo_local.refusals import StorageUnavailable, TooManyCalls
from algo_local.web.answers import answer_of, raw, wrapped
from algo_local.web.http import ApiError, Request, Response, json_response
from algo_local.web.limits import DEFAULT_SECONDS, DEPTH, INPUT_BYTES, MAX_SECONDS
from algo_local.web.references import parsed, unknown

if TYPE_CHECKING:
    from algo_local.algorithms.build import Build
    from algo_local.platform import Platform
    from algo_local.records.live_call import LiveCall
    from algo_local.web.authorization import RequestContext
    from algo_local.webhooks.rows import Webhook

Execute = Callable[..., Outcome]
"""Runs a build, as `Executor.call` does."""

IDEMPOTENCY_KEY = "Idempotency-Key"
"""The header of a call that is to be executed once, however often it arrives."""

IDEMPOTENCY_LOST = "Idempotency-Lost"
"""The header that says what becomes of such a call that was lost while it ran: `repeat` (the default) or `refuse`."""

REPEATED = "Idempotency-Repeated"
"""The header of a response, with the id of the lost call that was repeated."""

QUEUE_SECONDS = 0.2
"""How long a call without a response that was accepted waits until it tries again to get into a full queue."""

_TEXT = frozenset({"text/plain", "application/text", "application/x-www-form-urlencoded", ""})
_INPUT = "Failed to build algorithm input from request: "
_KEY = re.compile(r"[\x20-\x7e]{1,255}")
_INTERRUPTED = Answer(None, b"", LOST_FAILURE, 0.0, "")
"""What is recorded of a call that was refused on its way, or broke off: with its key, it can be made again."""


@dataclass(slots=True)
class Invocation:
    """A call that is ready to run. It is made for each request, which `frozen` would double the cost of."""

    platform: Platform
    caller: Caller
    version: Version
    payload: Payload
    body: bytes
    """The input as it arrived."""
    timeout: float
    context: CallContext
    output: str
    key: str | None
    may_repeat: bool
    """Whether it is executed again if it was lost while it ran."""
    webhook: Webhook | None
    """The notification about its end."""
    execute: Execute | None
    """What runs it in the place of the platform's executor."""

    def record(self) -> Record:
        """Its row, before it has run."""
        algorithm, inside = self.version.algorithm, self.caller.inside
        return Record(
            id=self.context.request_id,
            account=self.caller.account,
            algorithm=algorithm.id,
            owner=algorithm.owner,
            name=algorithm.name,
            version=self.version.text or self.version.build.commit,
            created_at=time.time(),
            parent=inside.request_id if inside else "",
            is_void=self.output == "void",
            key=self.key,
            key_digest=digest_of(b"\n".join((algorithm.id.encode(), self.payload.content_type.encode(), self.body)))
            if self.key
            else "",
            resumption=self._resumption(),
        )

    def _resumption(self) -> str:
        """How the next server can execute it, if this one ends before it has."""
        is_kept = self.version.algorithm.request_records == FULL and self.execute is None
        if not self.platform.is_served or self.output != "void" or not is_kept:
            return ""
        from algo_local.algorithms.configuration import is_idempotent
        from algo_local.records.resumption import Resumption

        context, is_safe = self.context, is_idempotent(self.version.build.source)
        asked = (context.caller, context.depth, self.timeout, context.keeps_insights, self.may_repeat, is_safe)
        return Resumption(*asked).text

    def run(self, live: LiveCall) -> Answer:
        """Run it and record the outcome; a session that began with it ends with it."""
        answer, is_left = _INTERRUPTED, False
        try:
            outcome = self._executed(live)
            is_left = outcome.failure == SHUTTING_DOWN and live.may_be_left(outcome.failure)
            answer = answer_of(self._named(fitting(self.version.build, outcome)))
        except AlgoError as error:
            failure = Failure(error.message, "SystemError", ended="lost")
            answer = replace(_INTERRUPTED, failure=failure)
            raise
        finally:
            if is_left:
                live.left()
            else:
                live.finished(answer)
        return answer

    def _named(self, outcome: Outcome) -> Outcome:
        """The outcome; a failure in which a client tells the status 404 alone also names what does not exist."""
        failure, missing = outcome.failure, self.context.missing
        if not failure or not missing or "[404]" not in failure.message:
            return outcome
        message = f"{failure.message}: algorithm algo://{missing[-1]} not found"
        return replace(outcome, failure=replace(failure, message=message))

    def _executed(self, live: LiveCall) -> Outcome:
        try:
            execute = self.execute or self.platform.executor.call
            deadline = time.monotonic() + self.timeout
            while True:
                try:
                    return execute(
                        self.platform.runnable(self.version),
                        self.payload,
                        timeout=deadline - time.monotonic(),
                        context=self.context,
                        on_start=live.started if live.is_claimed else Notice(live.started, live.started),
                        on_output=live.printed,
                    )
                except (TooManyCalls, StorageUnavailable):
                    if not live.record.is_void or time.monotonic() + QUEUE_SECONDS >= deadline:
                        raise
                time.sleep(QUEUE_SECONDS)  # its client has been told that it was accepted
        finally:
            if self.context.session == self.context.request_id:
                self.platform.hosted.end_session(self.context.session)


def fitting(build: Build, outcome: Outcome) -> Outcome:
    """The outcome, which is a failure if the result does not fit the algorithm's schema."""
    schema, result = schemas_of(build).output, outcome.result
    if schema is None or not result or result.content_type == "binary":
        return outcome
    from algo_local.algorithms.schemas.json_schema import mismatch

    found = mismatch(schema, result.data)
    if not found:
        return outcome
    message = f"The algorithm's output does not fit its schema: {found.told('output')}"
    return replace(outcome, result=None, failure=Failure(message, "SchemaError"))


def preflight(context: RequestContext) -> Response:
    """`OPTIONS /v1/web/algo/...`: browsers ask so before they send a key (API section 1.1)."""
    return Response(204)


def invoke(context: RequestContext) -> Response:
    """`POST /v1/algo/OWNER/NAME[/VERSION]`, or with an algorithm's id in the place of owner and name."""
    platform, request = context.platform, context.request
    if platform.forwarding and not context.caller.inside and request.query.get("output", "").lower() == "void":
        with platform.concurrency.counted(context.caller.account):
            response: Response = platform.forwarding.answer(request)
        return response
    version = _version(context)
    platform.with_files(version.build)
    return call_version(platform, context.caller, request, version, address=context.address)


def call_version(
    platform: Platform,
    caller: Caller,
    request: Request,
    version: Version,
    execute: Execute | None = None,
    *,
    address: str = "local:",
) -> Response:
    """The response to a request that calls a version; `execute` runs it in the place of the platform's executor.

    `address` is that at which the client reaches the platform.
    """
    received = time.perf_counter()
    if execute is None:
        platform.executor  # noqa: B018 - a wrong setting is told before the call is on record
    output = request.query.get("output", "").lower()
    call_context = _call_context(caller, version, own_session=not caller.inside or output == "void")
    key = _idempotency_key(request) if version.algorithm.request_records == FULL else None
    with ExitStack() as slot:  # before the input is read, so that its memory counts as well
        if not caller.inside or output == "void":
            slot.enter_context(platform.concurrency.counted(caller.account))
        payload, body = _payload(request)
        _check_input(version, payload)
        webhook = _webhook(platform, caller, request, version, f"{address}/v1/requests/{call_context.request_id}")
        asked = (_timeout(request), call_context, output, key, _may_repeat(request), webhook)
        call = Invocation(platform, caller, version, payload, body, *asked, execute)
        response = _answered(call, request, slot, received)
    if key:
        response.headers[IDEMPOTENCY_KEY] = key
    return response


def _check_input(version: Version, payload: Payload) -> None:
    """Refuse an input that does not fit the algorithm's schema; one of bytes is not described by it."""
    schema = schemas_of(version.build).input
    if schema is None or payload.content_type == "binary":
        return
    from algo_local.algorithms.schemas.json_schema import mismatch

    if found := mismatch(schema, payload.data):
        name = f"{version.algorithm.owner}/{version.algorithm.name}"
        _refuse(f"it does not fit the schema of {name}: {found.told('input')}")


def _answered(call: Invocation, request: Request, slot: ExitStack, received: float) -> Response:
    records, record, level = call.platform.records, call.record(), call.version.algorithm.request_records
    given = Input(call.payload.content_type, call.body)
    while True:
        try:
            must_be_kept = level != NONE and (record.is_void or record.key)
            if must_be_kept:
                also = call.platform.webhooks.accept(call.webhook) if call.webhook else None
                live = records.accept(record, given, level, also, may_repeat=call.may_repeat)
            else:
                live = records.begin(record, given, level)
        except KeyTaken as taken:
            if response := _repeated(call, request, taken.record, received, record.key_digest):
                return response
            continue  # it was lost meanwhile
        if record.is_void:
            start_void(call, live, slot.pop_all())
            if call.webhook:
                call.platform.webhooks.start()
            return _repeating(_void(record.id, call.webhook), record)
        return _repeating(_response(call, request, call.run(live), record.id, received), record)


def _response(call: Invocation, request: Request, answer: Answer, request_id: str, received: float) -> Response:
    if call.output == "raw":
        return raw(answer)
    algorithm = call.version.algorithm
    stdout = request.flag("stdout") and call.caller.owns_algorithm(algorithm.owner)
    timing = time.perf_counter() - received if request.flag("timing") else None
    return wrapped(answer, request_id, trace=reads_source(call.caller, algorithm), stdout=stdout, timing=timing)


def _void(request_id: str, webhook: Webhook | None = None) -> Response:
    notify = {"notify": webhook.url} if webhook else {}
    return json_response({"async": "void", "request_id": request_id, **notify})


def _repeated(call: Invocation, request: Request, first: Record, received: float, digest: str) -> Response | None:
    """The answer of the call that was made with this idempotency key before; None if it was lost.

    Raises:
        ApiError: 422 if that was another call, 409 if it has not ended when the time is over, 410 if its answer is no
            longer kept.
    """
    if first.key_digest != digest:
        message = f"The {IDEMPOTENCY_KEY} {call.key} came with another request before; use a new key for a new request"
        raise ApiError(422, message, ErrorCode.INPUT_VALIDATION_ERROR)
    if call.output == "void":
        return _replayed(_void(first.id, call.platform.webhooks.find(first.id) if call.webhook else None))
    records = call.platform.records
    found = records.wait(first.id, call.timeout)
    if found is None or (found.state == LOST and (call.may_repeat or not found.may_have_run)):
        return None
    if not found.is_finished:
        message = f"The first request with the {IDEMPOTENCY_KEY} {call.key} is still being answered; try again"
        raise ApiError(409, message, ErrorCode.INVALID_REQUEST, {"Retry-After": "1"})
    answer = records.answer(found)
    if answer is None:
        message = f"The answer to the first request with the {IDEMPOTENCY_KEY} {call.key} is no longer kept"
        raise ApiError(410, message, ErrorCode.REQUEST_ID_NOT_FOUND)
    return _replayed(_repeating(_response(call, request, answer, found.id, received), found))


def _replayed(response: Response) -> Response:
    response.headers["Idempotency-Replayed"] = "true"
    return response


def _repeating(response: Response, record: Record) -> Response:
    if record.repeats:
        response.headers[REPEATED] = record.repeats
    return response


def _may_repeat(request: Request) -> bool:
    """Whether a lost call may be executed again."""
    wanted = request.header(IDEMPOTENCY_LOST).strip().lower()
    if wanted not in ("", "repeat", "refuse"):
        message = f"{IDEMPOTENCY_LOST} is repeat or refuse, not {wanted[:50]!r}"
        raise ApiError(400, message, ErrorCode.INVALID_REQUEST)
    return wanted != "refuse"


def _webhook(platform: Platform, caller: Caller, request: Request, version: Version, link: str) -> Webhook | None:
    """The notification that a request asks for; `link` is the address of the call's record."""
    if "notify" not in request.query:
        return None
    from algo_local.web.notification import notification_of

    return notification_of(platform, caller, request, version, link)


def _idempotency_key(request: Request) -> str | None:
    """The key under which the call is to be executed once, if the request has one."""
    if IDEMPOTENCY_KEY.lower() not in request.headers:
        return None
    key = request.header(IDEMPOTENCY_KEY)
    if not _KEY.fullmatch(key):
        message = f"An {IDEMPOTENCY_KEY} is 1 to 255 printable characters of ASCII"
        raise ApiError(400, message, ErrorCode.INVALID_REQUEST)
    return key


def _version(context: RequestContext) -> Version:
    version = context.target.version
    if not version:
        raise unknown(parsed(context.parameters["reference*"]), context.caller)
    return version


def _call_context(caller: Caller, version: Version, *, own_session: bool) -> CallContext:
    """Calls made by algorithms share the session of the first one, unless they may outlive it."""
    request_id = f"req-{uuid.uuid4()}"
    depth = caller.inside.depth + 1 if caller.inside else 0
    if depth > DEPTH:
        raise ApiError(429, f"Algorithms may call each other at most {DEPTH} deep")
    session = caller.inside.session if caller.inside and not own_session else request_id
    owner, name = version.algorithm.owner, version.algorithm.name
    # With `sudo` the algorithm runs as if its owner had called it (API section 1.3).
    account = owner if caller.administrator else caller.account
    keeps_insights = version.insights_enabled and version.algorithm.request_records != NONE
    return CallContext(account, (owner, name), session, request_id, depth, keeps_insights)


def _timeout(request: Request) -> float:
    text = request.query.get("timeout", "").strip()
    if not text:
        return DEFAULT_SECONDS
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not seconds > 0:
        raise ApiError(
            400, f"The timeout must be a number of seconds above 0, not {text[:50]!r}", ErrorCode.INVALID_REQUEST
        )
    return min(seconds, MAX_SECONDS)


def _payload(request: Request) -> tuple[Payload, bytes]:
    """The algorithm's input, and the bytes that it came as (API section 3.4)."""
    body = request.body(INPUT_BYTES)
    if body is None:
        raise ApiError(
            413, "The input is larger than 10 MiB; store it in a collection and pass its data URI instead", 2015
        )
    content_type = request.content_type
    encoding = request.header("Content-Encoding").lower()
    if encoding not in {"", "identity"} and (encoding, content_type) != ("base64", "application/octet-stream"):
        _refuse(f"bad request: Unexpected ContentEncoding {encoding!r}")
    if content_type == "application/json":
        return Payload("json", parse_json(body)), body
    if content_type == "application/octet-stream":
        body = _decode_base64(body) if encoding == "base64" else body
        return Payload("binary", body), body
    if content_type in _TEXT:
        try:
            return Payload("text", body.decode("utf-8")), body
        except UnicodeDecodeError as error:
            _refuse(f"the text is not UTF-8 at byte {error.start}")
    raise ApiError(415, f"{_INPUT}bad request: unsupported Content-Type '{content_type}'", ErrorCode.INVALID_REQUEST)


def parse_json(body: bytes) -> Any:
    """The value of an input of JSON. ApiError if it is none."""
    try:
        return _JSON.decode(body.decode(json.detect_encoding(body), "surrogatepass"))
    except (ValueError, RecursionError) as error:
        _refuse(f"JSON error - {error}")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_JSON = json.JSONDecoder(parse_constant=_refuse_constant)
"""Kept, which `json.loads` would make anew for each input."""


def _decode_base64(body: bytes) -> bytes:
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error as error:
        _refuse(f"base64 error - {error}")


def _refuse(reason: str) -> NoReturn:
    raise ApiError(400, _INPUT + reason, ErrorCode.INVALID_REQUEST)


def start_void(call: Invocation, live: LiveCall, slot: ExitStack) -> None:
    """Run a call in the background; `slot` is given back when it is done."""

    def work() -> None:
        with slot, suppress(AlgoError):  # which is on record
            call.run(live)

    try:
        call.platform.in_background(work)
    except BaseException:
        slot.close()
        live.finished(_INTERRUPTED)
        raise
