"""One call of an algorithm, from a payload to its response (API section 3)."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from algo_core.errors import AlgorithmFailed, NotFoundError, PlatformError, RequestRefused, TimedOut
from algo_core.http.api import decode_json

if TYPE_CHECKING:
    from algo_core.http.api import ApiClient
    from algo_core.http.response import Response
    from algo_core.storage.uri import AlgorithmRef
    from algo_run.payload import Payload

DEFAULT_TIMEOUT = 300
MAX_TIMEOUT = 3000
WAIT_MARGIN = 30
"""Seconds to wait beyond the algorithm's time limit, so that the platform can report the timeout."""

MOST_AT_ONCE = 80
"""Calls that the platform executes for one account at once (guide, "Request options")."""

BLOCK = 1 << 16
RESULT_LIMIT = 64 << 20
"""Maximum size of a response in bytes: four times the largest result (API section 3.9)."""

MOST_DIGITS = 4000
"""Maximum digits of an integer that is converted; Python refuses much longer ones."""

IDEMPOTENCY_KEY = "Idempotency-Key"
"""The header of a call that is executed only once; a platform that supports it returns it."""


class Call(NamedTuple):
    """A call: algorithm, payload and options. `timeout` is in seconds; None leaves it to the platform (300).

    With `output="void"`, `notify` is the URL that the platform is to post the finished call to, and `notify_output`
    has it add a small result.

    A platform that keeps calls on record executes those with one `idempotency_key` once.
    """

    reference: AlgorithmRef
    payload: Payload
    timeout: int | None = None
    wants_stdout: bool = False
    output: Literal["raw", "void"] | None = None
    sudo: bool = False
    idempotency_key: str | None = None
    notify: str | None = None
    notify_output: bool = False

    @property
    def query(self) -> dict[str, str | int | None]:
        """The parameters of the request (API section 3.3)."""
        return {
            "timeout": self.timeout,
            "stdout": "true" if self.wants_stdout else None,
            "output": self.output,
            "sudo": "true" if self.sudo else None,
            "notify": self.notify,
            "notify_output": "true" if self.notify_output else None,
        }

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the request."""
        headers = {"Content-Type": self.payload.content_type}
        if self.idempotency_key:
            headers[IDEMPOTENCY_KEY] = self.idempotency_key
        return headers

    @property
    def read_timeout(self) -> float:
        """Seconds to wait for the response."""
        return (self.timeout or DEFAULT_TIMEOUT) + WAIT_MARGIN


class Answer(NamedTuple):
    """The response of an algorithm (API section 3.5).

    `kind` is `text`, `json`, `binary` (`result` is base64 then) or `void`; `stdout` is what the algorithm printed, as
    far as it was asked for; `body` is the response as it came. `keeps_key` says that the platform knows idempotency
    keys, so that the call may be made again. Numbers in `result` and `metadata` are approximate where Python's are.
    """

    kind: str
    result: Any
    body: bytes
    metadata: dict[str, Any]
    alerts: list[str]
    stdout: str | None = None
    request_id: str | None = None
    keeps_key: bool = False

    @property
    def text(self) -> str:
        """The response as the platform sent it."""
        from algo_run.json_text import decoded

        return decoded(self.body)

    @property
    def is_notified(self) -> bool:
        """Whether the platform says that it will post the finished call to the given URL."""
        return "notify" in approximated(self.body)

    @property
    def result_text(self) -> str:
        """The result as the platform sent it: JSON, with all digits."""
        from algo_run.json_text import member

        return member(self.text, "result") or "null"


class Failed(AlgorithmFailed):
    """An algorithm's failure, with the rest of the response."""

    def __init__(self, error: Any, answer: Answer) -> None:
        members = error if isinstance(error, dict) else {"message": error}
        message = members.get("message")
        super().__init__(
            str(message) if message else "The algorithm failed without a message",
            error_type=_text(members.get("error_type")),
            stacktrace=_text(members.get("stacktrace")),
        )
        self.answer = answer
        if "timed-out" in self.message:
            self.hint = f"Allow it more time with --timeout SECONDS (at most {MAX_TIMEOUT})"

    def as_dict(self) -> dict[str, Any]:
        """The `error` object under the name that the core documents."""
        described = super().as_dict()
        described["error"]["type"] = AlgorithmFailed.__name__
        return described


def approximated(content: bytes) -> Any:
    """The parsed value of a response; integers that are too long for Python become floats.

    Raises:
        ValueError: if it is not JSON.
        RecursionError: if it is nested too deeply.
    """
    return _decode(content.decode(json.detect_encoding(content), "surrogatepass"))


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= MOST_DIGITS else float(digits)


_decode = json.JSONDecoder(parse_int=_integer).decode


def perform(api: ApiClient, call: Call, response_of: Callable[[], Response] | None = None) -> Answer:
    """Call an algorithm and wait for its response; with `output="void"`, for its request id only.

    With `response_of`, the call has been sent already, and that waits for the response.

    Raises:
        AlgorithmFailed: if it ran and failed; a `Failed`, whose `answer` has alerts and stdout.
        NotFoundError, AuthError, RequestRefused, PlatformError, NetworkError: as `ApiClient.request` does.
    """
    response = _response(api, call, (lambda: api.checked(response_of)) if response_of else None)
    kept = response.headers.get(IDEMPOTENCY_KEY)
    return read_answer(api, response, output=call.output)._replace(
        keeps_key=kept is not None and kept == call.idempotency_key
    )


def read_answer(api: ApiClient, response: Response, *, output: str | None = None) -> Answer:
    """An algorithm's response, current or on record.

    Raises:
        AlgorithmFailed: if it ran and failed; a `Failed`, whose `answer` has alerts and stdout.
        PlatformError: if the response is something else.
    """
    try:
        value = decode_json(response, api.profile, limit=RESULT_LIMIT, parse=approximated)
    except RequestRefused:
        # An error object with status 200 is the algorithm's, even without metadata.
        value = approximated(response.content)
    except RecursionError:
        raise PlatformError("The result is nested too deeply to be read", "Print it unparsed with --raw") from None
    if not isinstance(value, dict):
        raise _malformed(api)
    answer = _answer(value, response.content)
    if value.get("error") is not None:
        raise Failed(value["error"], answer)
    if "result" not in value and not (output == "void" and answer.request_id):
        raise _malformed(api)
    return answer


def perform_raw(api: ApiClient, call: Call) -> tuple[str, Iterator[bytes]]:
    """Call an algorithm with `output="raw"`: the content type without parameters, and the body in blocks.

    Raises:
        RequestRefused: if the algorithm failed, with its message (API section 3.7: status 400).
        NotFoundError, AuthError, PlatformError, NetworkError: as `ApiClient.request` does; the last one from the
            blocks as well.
    """
    return blocks_of(_response(api, call))


def blocks_of(response: Response) -> tuple[str, Iterator[bytes]]:
    """The content type of a raw result without parameters, and its body in blocks."""
    content_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return content_type, _blocks(response)


def _blocks(response: Response) -> Iterator[bytes]:
    with response:
        yield from response.blocks(BLOCK)


def _response(api: ApiClient, call: Call, response_of: Callable[[], Response] | None = None) -> Response:
    try:
        if response_of:
            return response_of()
        return api.request(
            "POST",
            f"algo/{call.reference.path}",
            query=call.query,
            headers=call.headers,
            body=call.payload.body,
            read_timeout=call.read_timeout,
        )
    except NotFoundError as error:
        raise NotFoundError(error.message, error.hint or not_found_hint(api, call.reference)) from None
    except TimedOut as error:
        raise TimedOut(
            error.message, f"Allow the algorithm more time with --timeout SECONDS (at most {MAX_TIMEOUT}), or try again"
        ) from error


def not_found_hint(api: ApiClient, reference: AlgorithmRef) -> str:
    """What to do about a reference to nothing: names that resemble it, else how versions are named."""
    if os.path.isfile(os.path.join(reference.path, "algorithmia.conf")):
        return f"Run the directory of this name with: algo run ./{reference.path}"
    from algo_core.suggestions import similar

    if found := similar(api, reference):
        return f"Did you mean {' or '.join(found)}?"
    if reference.version:
        return "Check the names and the version; without a version the newest public one is called"
    return (
        "Without a version the newest public one is called; a private one needs its full version, its commit hash "
        f"or {reference}/latestPrivate"
    )


def _answer(value: dict[str, Any], body: bytes) -> Answer:
    """Parse a response leniently: only `result` is required."""
    metadata = value.get("metadata")
    if not isinstance(metadata, dict):
        metadata = {}
    result, alerts = value.get("result"), metadata.get("alerts")
    kind = metadata.get("content_type")
    if kind not in {"json", "binary", "void"}:
        kind = "text" if isinstance(result, str) else "json"
    return Answer(
        kind,
        result,
        body,
        metadata,
        [str(alert) for alert in alerts] if isinstance(alerts, list) else [],
        stdout if isinstance(stdout := metadata.get("stdout"), str) else None,
        _text(value.get("request_id") or metadata.get("request_id")),
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _malformed(api: ApiClient) -> PlatformError:
    return PlatformError(
        f"{api.address} did not return the result of an algorithm",
        "See the body with --raw, and check the profile's address: algo profile show",
    )
