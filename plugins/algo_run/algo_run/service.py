"""`App.run_algorithm`: one call of an algorithm for another plugin."""

from __future__ import annotations

import json
import re
from typing import Any

from algo_core import AlgorithmResult, App
from algo_core.errors import AlgoError, UsageError
from algo_core.storage.uri import AlgorithmRef
from algo_run.call import DEFAULT_TIMEOUT, MAX_TIMEOUT, Answer, Call, perform
from algo_run.payload import BINARY, BODY_LIMIT, JSON, TEXT, Payload
from algo_run.sink import decoded_binary
from algo_run.target import reference_of


def run_algorithm(
    app: App,
    algorithm: str | AlgorithmRef,
    input: Any,
    *,
    timeout: int | None = None,
    with_stdout: bool = False,
    sudo: bool = False,
) -> AlgorithmResult:
    """Carry out `App.run_algorithm`."""
    if timeout is not None and not 1 <= timeout <= MAX_TIMEOUT:
        raise UsageError(f"The time limit must be 1 to {MAX_TIMEOUT} seconds, not {timeout}")
    payload = _payload(input)
    reference = algorithm if isinstance(algorithm, AlgorithmRef) else reference_of(app, algorithm)
    try:
        answer = perform(app.api, Call(reference, payload, timeout, wants_stdout=with_stdout, sudo=sudo))
        value = decoded_binary(answer.result) if answer.kind == "binary" else answer.result
    except AlgoError as error:
        error.hint = _without_options(error.hint, timeout)
        raise
    return AlgorithmResult(
        answer.kind,
        value,
        tuple(answer.alerts),
        answer.stdout,
        _seconds(answer),
        answer.request_id,
    )


def _without_options(hint: str | None, timeout: int | None) -> str | None:
    """A hint without options of `algo run`, which the calling command may lack."""
    if hint is None or not re.search(r"--(timeout|raw|json)\b", hint):
        return hint
    if "--timeout" in hint:
        return f"The time limit was {timeout or DEFAULT_TIMEOUT} seconds, of at most {MAX_TIMEOUT}"
    return None


def _payload(input: Any) -> Payload:
    if isinstance(input, bytes | bytearray | memoryview):
        payload = Payload(BINARY, bytes(input))
    elif isinstance(input, str):
        payload = Payload(TEXT, _encoded(input))
    else:
        try:
            payload = Payload(JSON, _encoded(json.dumps(input, ensure_ascii=False, allow_nan=False)))
        except RecursionError:
            raise UsageError("The input is nested too deeply to be written as JSON") from None
        except (TypeError, ValueError) as error:
            raise UsageError(f"The input cannot be written as JSON: {error}") from None
    if len(payload.body) > BODY_LIMIT:
        raise UsageError(
            f"The input is larger than {BODY_LIMIT / (1 << 20):g} MiB, the most that an algorithm takes as input",
            "Upload it, and pass its data URI as the input",
        )
    return payload


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"The input is not text that UTF-8 can hold, from character {error.start} on") from None


def _seconds(answer: Answer) -> float | None:
    seconds = answer.metadata.get("duration")
    return float(seconds) if isinstance(seconds, int | float) and not isinstance(seconds, bool) else None
