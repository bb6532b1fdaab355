"""The response of a call, current or on record (API sections 3.5 to 3.7)."""

from __future__ import annotations

import base64
import json
from typing import Any

from algo_local.execution.payload import Failure, Outcome
from algo_local.records.record import Answer
from algo_local.web.http import Response, json_bytes, json_response
from algo_local.web.limits import OUTPUT_BYTES

_RAW_TYPES = {
    "text": "text/plain; charset=utf-8",
    "json": "application/json",
    "binary": "application/octet-stream",
}


def answer_of(outcome: Outcome) -> Answer:
    """The answer to an execution: its result for the JSON body, or the failure if it cannot be JSON."""
    encoded, failure = _result_of(outcome)
    content_type = outcome.result.content_type if outcome.result and not failure else None
    return Answer(content_type, encoded, failure, outcome.duration, outcome.stdout)


def _result_of(outcome: Outcome) -> tuple[bytes, Failure | None]:
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


def wrapped(
    answer: Answer, request_id: str, *, trace: bool, stdout: bool = False, timing: float | None = None
) -> Response:
    """The ordinary answer, or with status 200 the error of an algorithm that failed (API sections 3.5, 3.6).

    With `stdout` it has what was printed, with `trace` the stack trace of a failure; `timing` is the total time, in
    seconds, if it was asked for.
    """
    if answer.content_type and not stdout and timing is None:  # as almost all answers are
        described = f'{{"content_type":"{answer.content_type}","duration":{float(answer.duration)!r}}}'
        rest_text = f',"metadata":{described},"request_id":"{request_id}"}}'
        return Response(200, b'{"result":' + answer.encoded + rest_text.encode(), {"Content-Type": "application/json"})
    metadata: dict[str, Any] = {"duration": answer.duration}
    if answer.content_type:
        metadata = {"content_type": answer.content_type, **metadata}
    if stdout:
        metadata["stdout"] = answer.stdout
    if timing is not None:
        metadata["timing"] = {"running": round(answer.duration * 1000), "total": round(timing * 1000)}
    if failure := answer.failure:
        error = {"message": failure.message}
        if trace and failure.stacktrace:
            error["stacktrace"] = failure.stacktrace
        error["error_type"] = failure.error_type
        return json_response({"error": error, "metadata": metadata, "request_id": request_id})
    rest = json_bytes({"metadata": metadata, "request_id": request_id})
    return Response(200, b'{"result":' + answer.encoded + b"," + rest[1:], {"Content-Type": "application/json"})


def raw(answer: Answer) -> Response:
    """The bare result (API section 3.7)."""
    if answer.failure or not answer.content_type:
        message = answer.failure.message if answer.failure else ""
        return Response(400, message.encode("utf-8", "replace"), {"Content-Type": _RAW_TYPES["text"]})
    body = answer.encoded
    if answer.content_type == "text":
        body = json.loads(body).encode("utf-8", "replace")
    elif answer.content_type == "binary":
        body = base64.b64decode(json.loads(body))
    return Response(200, body, {"Content-Type": _RAW_TYPES[answer.content_type]})
