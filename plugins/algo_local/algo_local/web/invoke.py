"""The invocation route: `/v1/algo` (API section 3)."""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from algo_local.algorithms.registry import Version, not_found
from algo_local.callers import Caller
from algo_local.execution.payload import CallContext, Failure, Outcome, Payload
from algo_local.web.auth import caller_of
from algo_local.web.http import ApiError, Request, Response, decode, json_bytes, json_response
from algo_local.web.limits import DEFAULT_SECONDS, DEPTH, INPUT_BYTES, MAX_SECONDS, OUTPUT_BYTES

if TYPE_CHECKING:
    from algo_local.web.app import Application

_SCHEME = re.compile(r"/*(?:algo:/*)?")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_TEXT = frozenset({"text/plain", "application/text", "application/x-www-form-urlencoded", ""})
_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Content-Encoding",
}
_INPUT = "Failed to build algorithm input from request: "
_RAW_TYPES = {
    "text": "text/plain; charset=utf-8",
    "json": "application/json",
    "binary": "application/octet-stream",
}


@dataclass(frozen=True, slots=True)
class _Call:
    """An invocation that is ready to run."""

    app: Application
    caller: Caller
    version: Version
    payload: Payload
    timeout: float
    context: CallContext

    def run(self) -> Outcome:
        """Run it; the session that began with it ends with it."""
        try:
            return self.app.platform.executor.run(
                self.version.build, self.payload, timeout=self.timeout, context=self.context
            )
        finally:
            if self.context.session == self.context.request_id:
                self.app.platform.hosted.end_session(self.context.session)


def invoke_from_page(app: Application, request: Request, rest: str) -> Response:
    """`/v1/web/algo/...`: the same for scripts in web pages, which need CORS headers (API section 1.1)."""
    if request.method == "OPTIONS":
        return Response(204, headers=_CORS)
    from algo_local.web.app import respond

    response = respond(lambda: invoke(app, request, rest))
    response.headers.update(_CORS)
    return response


def invoke(app: Application, request: Request, rest: str) -> Response:
    """`POST /v1/algo/OWNER/NAME[/VERSION]`, or with an algorithm's id in the place of owner and name."""
    received = time.perf_counter()
    caller = caller_of(request, app.platform, trusted=app.trusted)
    if request.method != "POST":
        raise ApiError(405, "Algorithms are called with POST", 2015, {"Allow": "POST"})
    version = _version(app, caller, rest)
    output = request.query.get("output", "").lower()
    context = _context(caller, version, own_session=not caller.inside or output == "void")
    call = _Call(app, caller, version, _payload(request), _timeout(request), context)
    if output == "void":
        return _start_void(call)
    if caller.inside:
        outcome = call.run()
    else:
        with app.concurrency.counted(caller.account):
            outcome = call.run()
    if output == "raw":
        return _raw(outcome)
    return _wrapped(call, request, outcome, time.perf_counter() - received)


def _version(app: Application, caller: Caller, rest: str) -> Version:
    path = decode(rest)
    reference = path[_SCHEME.match(path).end() :]  # type: ignore[union-attr]  # it matches the empty text as well
    parts = [part for part in reference.split("/") if part]
    names, versions = (parts[:1], parts[1:]) if parts and _UUID.fullmatch(parts[0]) else (parts[:2], parts[2:])
    if not names or (len(names) < 2 and not _UUID.fullmatch(names[0])) or len(versions) > 1:
        raise _unknown(reference)
    algorithm = app.platform.registry.algorithm(*(name.lower() for name in names))
    if not algorithm:
        raise _unknown(reference)
    as_owner = caller.owns_algorithm(algorithm.owner)
    version = app.platform.registry.resolve(algorithm, versions[0] if versions else "", as_owner=as_owner)
    if not version:
        raise _unknown(reference)
    return version


def _unknown(reference: str) -> ApiError:
    return ApiError(404, not_found(reference).message, 1000)


def _context(caller: Caller, version: Version, *, own_session: bool) -> CallContext:
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
        raise ApiError(400, f"The timeout must be a number of seconds above 0, not {text[:50]!r}", 2015)
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
    raise ApiError(415, f"{_INPUT}bad request: unsupported Content-Type '{content_type}'", 2015)


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
    raise ApiError(400, _INPUT + reason, 2015)


def _start_void(call: _Call) -> Response:
    account = call.caller.account
    call.app.concurrency.enter(account)

    def work() -> None:
        try:
            call.run()
        finally:
            call.app.concurrency.leave(account)

    call.app.platform.in_background(work)
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
