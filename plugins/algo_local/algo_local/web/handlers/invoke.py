"""The invocation route: `/v1/algo` (API section 3)."""

from __future__ import annotations

import base64
import binascii
import json
import math
import time
import uuid
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NoReturn

from algo_local.algorithms.registry import Version
from algo_local.callers import CallContext, Caller
from algo_local.error_codes import ErrorCode
from algo_local.execution.payload import Failure, Outcome, Payload
from algo_local.web.http import ApiError, Request, Response, json_bytes, json_response
from algo_local.web.limits import DEFAULT_SECONDS, DEPTH, INPUT_BYTES, MAX_SECONDS, OUTPUT_BYTES
from algo_local.web.references import Reference, unknown

if TYPE_CHECKING:
    from algo_local.platform import Platform
    from algo_local.web.authorization import RequestContext

_TEXT = frozenset({"text/plain", "application/text", "application/x-www-form-urlencoded", ""})
_INPUT = "Failed to build algorithm input from request: "
_RAW_TYPES = {
    "text": "text/plain; charset=utf-8",
    "json": "application/json",
    "binary": "application/octet-stream",
}


@dataclass(frozen=True, slots=True)
class _Call:
    """An invocation that is ready to run."""

    platform: Platform
    caller: Caller
    version: Version
    payload: Payload
    timeout: float
    context: CallContext

    def run(self) -> Outcome:
        """Run it; the session that began with it ends with it."""
        try:
            platform, algorithm, build = self.platform, self.version.algorithm, self.version.build
            if algorithm.has_secrets:
                build = replace(build, secrets=tuple(platform.secrets.environment(algorithm.id).items()))
            return platform.executor.run(build, self.payload, timeout=self.timeout, context=self.context)
        finally:
            if self.context.session == self.context.request_id:
                self.platform.hosted.end_session(self.context.session)


def preflight(context: RequestContext) -> Response:
    """`OPTIONS /v1/web/algo/...`: browsers ask so before they send a key (API section 1.1)."""
    return Response(204)


def invoke(context: RequestContext) -> Response:
    """`POST /v1/algo/OWNER/NAME[/VERSION]`, or with an algorithm's id in the place of owner and name."""
    received = time.perf_counter()
    platform, caller, request = context.platform, context.caller, context.request
    version = _version(context)
    output = request.query.get("output", "").lower()
    call_context = _call_context(caller, version, own_session=not caller.inside or output == "void")
    with ExitStack() as slot:  # before the input is read, so that its memory counts as well
        if not caller.inside or output == "void":
            slot.enter_context(platform.concurrency.counted(caller.account))
        call = _Call(platform, caller, version, _payload(request), _timeout(request), call_context)
        if output == "void":
            return _start_void(call, slot.pop_all())
        outcome = call.run()
    if output == "raw":
        return _raw(outcome)
    return _wrapped(call, request, outcome, time.perf_counter() - received)


def _version(context: RequestContext) -> Version:
    reference = Reference(context.parameters["reference*"])
    as_owner = context.caller.owns_algorithm(context.algorithm.owner)
    version = context.platform.registry.resolve(context.algorithm, reference.version, as_owner=as_owner)
    if not version:
        raise unknown(reference)
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
    return CallContext(owner if caller.administrator else caller.account, (owner, name), session, request_id, depth)


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


def _payload(request: Request) -> Payload:
    """The algorithm's input (API section 3.4)."""
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
        return Payload("json", _parse_json(body))
    if content_type == "application/octet-stream":
        return Payload("binary", _decode_base64(body) if encoding == "base64" else body)
    if content_type in _TEXT:
        try:
            return Payload("text", body.decode("utf-8"))
        except UnicodeDecodeError as error:
            _refuse(f"the text is not UTF-8 at byte {error.start}")
    raise ApiError(415, f"{_INPUT}bad request: unsupported Content-Type '{content_type}'", ErrorCode.INVALID_REQUEST)


def _parse_json(body: bytes) -> Any:
    try:
        return json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        _refuse(f"JSON error - {error}")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _decode_base64(body: bytes) -> bytes:
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error as error:
        _refuse(f"base64 error - {error}")


def _refuse(reason: str) -> NoReturn:
    raise ApiError(400, _INPUT + reason, ErrorCode.INVALID_REQUEST)


def _start_void(call: _Call, slot: ExitStack) -> Response:
    """Run a call in the background; `slot` is given back when it is done."""

    def work() -> None:
        with slot:
            call.run()

    try:
        call.platform.in_background(work)
    except BaseException:
        slot.close()
        raise
    return json_response({"async": "void", "request_id": call.context.request_id})


def _result_of(outcome: Outcome) -> tuple[bytes, Failure | None]:
    """The result as it stands in the JSON body, or why it cannot stand there."""
    if outcome.failure or not outcome.result:
        return b"", outcome.failure or Failure("The algorithm gave no result")
    result = outcome.result
    value = base64.b64encode(result.data).decode("ascii") if result.content_type == "binary" else result.data
    try:
        encoded = json_bytes(value)
    except (ValueError, RecursionError) as error:
        return b"", Failure(f"The result cannot be expressed as JSON: {error}")
    if len(encoded) > OUTPUT_BYTES:
        return b"", Failure(
            f"The result ({len(encoded)} bytes) is larger than 15 MB; store it in a collection and return its data URI",
            "TooLargeError",
        )
    return encoded, None


def _wrapped(call: _Call, request: Request, outcome: Outcome, total: float) -> Response:
    """The ordinary answer, or with status 200 the error of an algorithm that failed (API sections 3.5, 3.6)."""
    encoded, failure = _result_of(outcome)
    sees_inside = call.caller.owns_algorithm(call.version.algorithm.owner)
    metadata: dict[str, Any] = {"duration": outcome.duration}
    if outcome.result and not failure:
        metadata = {"content_type": outcome.result.content_type, **metadata}
    if request.flag("stdout") and sees_inside:
        metadata["stdout"] = outcome.stdout
    if request.flag("timing"):
        metadata["timing"] = {"running": round(outcome.duration * 1000), "total": round(total * 1000)}
    if failure:
        error = {"message": failure.message}
        if sees_inside and failure.stacktrace:
            error["stacktrace"] = failure.stacktrace
        error["error_type"] = failure.error_type
        body = {"error": error, "metadata": metadata, "request_id": call.context.request_id}
        return json_response(body)
    rest = json_bytes({"metadata": metadata, "request_id": call.context.request_id})
    return Response(200, b'{"result":' + encoded + b"," + rest[1:], {"Content-Type": "application/json"})


def _raw(outcome: Outcome) -> Response:
    """The bare result (API section 3.7)."""
    encoded, failure = _result_of(outcome)
    if failure or not outcome.result:
        message = failure.message if failure else ""
        return Response(400, message.encode("utf-8", "replace"), {"Content-Type": _RAW_TYPES["text"]})
    result = outcome.result
    if result.content_type == "text":
        encoded = result.data.encode("utf-8", "replace")
    elif result.content_type == "binary":
        encoded = result.data
    return Response(200, encoded, {"Content-Type": _RAW_TYPES[result.content_type]})
