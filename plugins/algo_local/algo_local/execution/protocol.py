"""The protocol between the platform and a running algorithm, line by line (API section 8.4, items 4 and 5).

A request is one line of JSON on the algorithm's standard input, an answer is one line of JSON on its FIFO.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
import secrets
from typing import Any

from algo_local.execution.payload import ContentType, Failure, Payload

INIT_MARKER = b"PIPE_INIT_COMPLETE"
"""A line of output that holds this says that the algorithm has loaded and takes requests."""

CANNOT_RUN = "Failed to run algorithm - may have timed-out or hit out-of-memory error"
"""The platform's words for a call that was cut short; clients compare with them (API section 2.3)."""

LONGEST_FAILURE = 1 << 16
"""Characters of a failure's message, and of its stack trace: a nested failure doubles with each call around it."""

_OUT_OF_MEMORY = re.compile(r"\s*(?:\w+\.)*\w*MemoryError(?::.*)?")
"""The last line of a stack trace of Python's `MemoryError` or a class of it, such as that of NumPy."""

_BUFFER_OUT_OF_MEMORY = re.compile(
    r"RangeError(?: \[\w+\])?: (?:Array buffer allocation failed|Failed to allocate memory)"
    r"|Error: (?:cannot allocate (?:vector of|memory|buffer)|memory exhausted)"
)
"""The first line of a stack trace of JavaScript or R, where the memory for a buffer or vector is not to be had."""

ERROR_TYPES = frozenset(
    {
        "AlgorithmError",
        "EntityNotFoundError",
        "InitializationError",
        "InputError",
        "LanguageError",
        "LoadingError",
        "OutOfGpuMemoryError",
        "OutOfMemoryError",
        "ParsingError",
        "PaymentRequiredError",
        "SystemError",
        "SystemExit",
        "ThirdPartyCredentialError",
        "TimeoutError",
        "TooLargeError",
        "UnsupportedError",
    }
)
"""Valid values of `error_type` (API section 2.5); others become `AlgorithmError`."""


class EncodedPayload(Payload):
    """An input as an encoded request line; `data` is decoded on first use."""

    __slots__ = ("line",)
    line: bytes

    def __init__(self, content_type: ContentType, line: bytes) -> None:
        object.__setattr__(self, "content_type", content_type)
        object.__setattr__(self, "line", line)

    @property
    def data(self) -> Any:
        """See `Payload.data`."""
        data = json.loads(self.line)["data"]
        return base64.b64decode(data) if self.content_type == "binary" else data


_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
"""Kept, which `json.dumps` would make anew for each request."""


def encode_request(payload: Payload) -> bytes:
    """The request line, with its line end; bytes travel as base64.

    Everything beyond ASCII is escaped, so that half a surrogate pair, legal in JSON, arrives as it was sent.
    """
    if isinstance(payload, EncodedPayload):
        return payload.line
    data = base64.b64encode(payload.data).decode() if payload.content_type == "binary" else payload.data
    try:
        text = _ENCODER.encode(data)
    except ValueError:  # a number of the input, such as 1e400, is too large for Python, which writes no JSON for it
        mark = secrets.token_hex()
        text = json.dumps(_marked(data, mark), separators=(",", ":")).replace(f'"{mark}"', _TOO_LARGE)
        text = text.replace(f'"-{mark}"', f"-{_TOO_LARGE}")
    return f'{{"content_type":"{payload.content_type}","data":{text}}}\n'.encode()


_TOO_LARGE = "1e999"
"""A number that every JSON parser takes for infinity, or refuses as too large."""


def _marked(value: Any, mark: str) -> Any:
    """A JSON value with infinite numbers replaced by strings."""
    if isinstance(value, float) and math.isinf(value):
        return mark if value > 0 else f"-{mark}"
    if isinstance(value, dict):
        return {name: _marked(member, mark) for name, member in value.items()}
    return [_marked(member, mark) for member in value] if isinstance(value, list) else value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"JSON has no {name}")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def decode_answer(line: bytes) -> Payload | Failure:
    """The result, or the failure; never raises, whatever the algorithm wrote."""
    try:
        answer = _DECODER.decode(line.decode())
    except RecursionError:
        return Failure("The algorithm's result is nested too deeply")
    except ValueError as error:
        return Failure(f"The algorithm answered with something that is not JSON: {error}")
    if isinstance(answer, dict):
        if answer.get("error") is not None:
            return _decode_error(answer["error"])
        metadata = answer.get("metadata")
        if "result" in answer and isinstance(metadata, dict):
            return _decode_result(metadata.get("content_type"), answer["result"])
    return Failure("The algorithm answered with JSON that holds neither a result nor an error")


def _decode_error(error: Any) -> Failure:
    if not isinstance(error, dict):
        return Failure(_shortened(str(error)))
    kind, trace = error.get("error_type"), error.get("stacktrace")
    stacktrace = _shortened(trace) if isinstance(trace, str) else None
    if stacktrace and (
        _OUT_OF_MEMORY.fullmatch(stacktrace.rstrip().rpartition("\n")[2]) or _BUFFER_OUT_OF_MEMORY.match(stacktrace)
    ):
        return Failure(CANNOT_RUN, "OutOfMemoryError", stacktrace)
    return Failure(
        message=_shortened(str(error.get("message", ""))),
        error_type=kind if isinstance(kind, str) and kind in ERROR_TYPES else "AlgorithmError",
        stacktrace=stacktrace,
    )


def _shortened(text: str) -> str:
    """The text, without its middle if it is too long: both ends of a stack trace matter."""
    if len(text) <= LONGEST_FAILURE:
        return text
    half = LONGEST_FAILURE // 2 - 32
    return f"{text[:half]}\n... {len(text) - 2 * half:,} characters left out ...\n{text[-half:]}"


def _decode_result(content_type: Any, result: Any) -> Payload | Failure:
    if content_type == "json":
        return Payload("json", result)
    if content_type == "text" and isinstance(result, str):
        return Payload("text", result)
    if content_type == "binary" and isinstance(result, str):
        try:
            return Payload("binary", base64.b64decode(result, validate=True))
        except (binascii.Error, ValueError) as error:
            return Failure(f"The algorithm's binary result is not base64: {error}")
    return Failure(f"The algorithm's result does not fit its content type {content_type!r}")
