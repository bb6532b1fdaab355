"""The wire format between a front end and the engine: messages with a kind, a plain value, and bytes.

Both ends are forks of one process, and no other process can connect to their unnamed sockets. Values are those of JSON,
and tuples, in Python's own format (`marshal`), which takes a fifth of the time of JSON for the small values of a call.
Where the other end is on another machine, a `Channel` is given JSON. No more than a message's maximum size is read, and
no code is executed, as it would be for `pickle`.
"""

from __future__ import annotations

import contextlib
import functools
import json
import marshal
import socket
import struct
import threading
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

from algo_core.errors import (
    AlgoError,
    AlreadyExists,
    ConfigError,
    NotFoundError,
    PermissionDenied,
    RequestRefused,
    UsageError,
)
from algo_local.algorithms.build import Build
from algo_local.callers import CallContext
from algo_local.execution.payload import ContentType, Failure, Outcome, Payload
from algo_local.execution.protocol import EncodedPayload
from algo_local.refusals import ConditionFailed, StorageFull, StorageUnavailable, TooManyCalls

CONNECTION, PRESENCE = b"+", b"P"
"""On a link: a new connection's socket, or a descriptor to keep until the front end's calls have ended."""

HEAD_BYTES = 16 << 20
"""Maximum bytes of a message's value."""

BODY_BYTES = 512 << 20
"""Maximum bytes of a message's body."""

RECEIVE_BYTES = 64 << 10
KNOWN_BUILDS = 256

_FRAME = struct.Struct("!cII")
_ENCODER = json.JSONEncoder(separators=(",", ":"))


class Kind(bytes, Enum):
    """The kind of a message."""

    CALL = b"C"
    """Run a build."""
    GO = b"G"
    """The caller knows that the call starts: hand it to the worker."""
    STOP = b"N"
    """The caller does not want the call to start."""
    ASK = b"Q"
    """Another question, by name."""
    STARTED = b"S"
    """A worker has taken the call, or waits for GO or STOP."""
    PRINTED = b"P"
    INSIGHTS = b"I"
    OUTCOME = b"O"
    ANSWER = b"A"
    """The answer to a question."""
    ERROR = b"E"


_KINDS: dict[bytes, Kind] = {kind.value: kind for kind in Kind}


class Message(NamedTuple):
    """One message."""

    kind: Kind
    head: Any
    body: bytes


class Gone(Exception):
    """The other end of a connection is gone, or violates the protocol.

    A `Channel` raises nothing else, and nothing else raises this: an error of a callback must not look like it.
    """


def _marshalled(value: Any) -> bytes:
    try:
        return marshal.dumps(value)
    except ValueError:  # a subclass of str or float, such as an executor of a plugin may give, or a deep value
        return marshal.dumps(json.loads(_ENCODER.encode(value)))


class Channel:
    """One end of a connection. Any thread may send, one thread receives. Methods raise `Gone`."""

    encoded: Callable[[Any], bytes] = staticmethod(_marshalled)
    """A value of a message as bytes."""
    decoded: Callable[[bytes], Any] = staticmethod(marshal.loads)
    """The value of `encoded`; raises EOFError, TypeError or ValueError for anything else."""

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self._lock = threading.Lock()
        self._held = b""
        self._held_back = b""
        self._builds: dict[str, int] = {}
        self._texts: list[str] = []

    def told_build(self, build: Build) -> tuple[int, str | None]:
        """A number for a build, and its text if this connection has not sent it before.

        Raises:
            Gone: if the connection has sent too many builds to be used further.
        """
        text = encoded_build(build)
        number = self._builds.get(text)
        if number is not None:
            return number, None
        if len(self._builds) >= KNOWN_BUILDS:
            raise Gone("too many builds")
        self._builds[text] = number = len(self._builds)
        return number, text

    def heard_build(self, number: int, text: str | None) -> Build:
        """The build for the number and text from `told_build`."""
        if text is not None:
            self._texts.append(text)
        return decoded_build(self._texts[number])

    def send(self, kind: Kind, head: Any = None, body: bytes = b"") -> None:
        """Send a message in one piece, after the one that is held back."""
        data = self._message(kind, head, body)
        try:
            with self._lock:
                held, self._held_back = self._held_back, b""
                self.socket.sendall(held + data)
        except OSError as error:
            raise Gone from error

    def hold_back(self, kind: Kind, head: Any) -> None:
        """Hold a message back until the next `send` or `let_go`; replaces one that is held back."""
        self._held_back = self._message(kind, head, b"")
        try:
            if not self.socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT):
                raise Gone
        except BlockingIOError:
            pass  # no data: the other end is connected, and waits
        except OSError as error:
            raise Gone from error

    def let_go(self) -> None:
        """Send the message that is held back, if any; the next `send` notices a failure."""
        with self._lock:
            held, self._held_back = self._held_back, b""
            if held:
                with contextlib.suppress(OSError):
                    self.socket.sendall(held)

    def receive(self) -> Message:
        """The next message."""
        begin = self._take(_FRAME.size)
        kind, head_size, body_size = _FRAME.unpack(begin)
        if kind not in _KINDS or head_size > HEAD_BYTES or body_size > BODY_BYTES:
            raise Gone("not a message")
        content = self._take(head_size + body_size)
        try:
            return Message(_KINDS[kind], self.decoded(content[:head_size]), content[head_size:])
        except (EOFError, MemoryError, RecursionError, TypeError, ValueError) as error:
            raise Gone("not a message") from error

    def _message(self, kind: Kind, head: Any, body: bytes) -> bytes:
        encoded = self.encoded(head)
        if len(encoded) > HEAD_BYTES or len(body) > BODY_BYTES:
            raise Gone(f"A message of {len(encoded) + len(body)} bytes is too large")
        return b"".join((_FRAME.pack(kind, len(encoded), len(body)), encoded, body))

    def _take(self, size: int) -> bytes:
        held = self._held
        if len(held) < size:
            parts, count = [held], len(held)
            while count < size:
                try:
                    data = self.socket.recv(max(RECEIVE_BYTES, min(size - count, 1 << 20)))
                except OSError as error:
                    raise Gone from error
                if not data:
                    raise Gone
                parts.append(data)
                count += len(data)
            held = b"".join(parts)
        self._held = held[size:]
        return held[:size]

    def cut(self) -> None:
        """Shut the connection down, also for a thread that waits in `receive`."""
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()


# Values in messages


@functools.lru_cache(maxsize=KNOWN_BUILDS)
def encoded_build(build: Build) -> str:
    """A build as text, equal for equal builds, without its log, which running it does not need."""
    found = (build.commit, str(build.source), str(build.python), build.module, build.network_access)
    return _ENCODER.encode((*found, build.min_workers, build.max_workers, build.secrets, build.resources))


@functools.lru_cache(maxsize=KNOWN_BUILDS)
def decoded_build(text: str) -> Build:
    """The build of `encoded_build`."""
    commit, source, python, module, network, least, most, secrets, resources = json.loads(text)
    pairs = tuple((name, value) for name, value in secrets)
    amounts = tuple((name, value) for name, value in resources)
    return Build(commit, Path(source), Path(python), module, "", network, least, most, amounts, pairs)


def encoded_context(context: CallContext) -> list[Any]:
    """A call's context."""
    kept = (context.session, context.request_id, context.depth, context.keeps_insights)
    return [context.caller, *context.algorithm, *kept]


def decoded_context(value: list[Any]) -> CallContext:
    """The context of `encoded_context`."""
    caller, owner, name, *kept = value
    return CallContext(caller, (owner, name), *kept)


def decoded_payload(content_type: ContentType, line: bytes) -> Payload:
    """An input from its encoded request line; its data is decoded on first use."""
    return EncodedPayload(content_type, line)


def encoded_outcome(outcome: Outcome, missing: list[str]) -> tuple[Any, bytes]:
    """The head and body of the message about an outcome."""
    printed = outcome.stdout.encode("utf-8", "replace")[-BODY_BYTES // 2 :]
    data, failure = _result(outcome)
    told = failure and (failure.message, failure.error_type, failure.stacktrace, failure.ended)
    kind = outcome.result.content_type if outcome.result and not failure else None
    return (outcome.duration, kind, told, len(printed), missing), printed + data


def _result(outcome: Outcome) -> tuple[bytes, Failure | None]:
    result = outcome.result
    if result is None:
        return b"", outcome.failure
    try:
        data = result.data if result.content_type == "binary" else _ENCODER.encode(result.data).encode()
    except (ValueError, RecursionError) as error:
        return b"", Failure(f"The result cannot be expressed as JSON: {error}")
    if len(data) > BODY_BYTES // 2:
        return b"", Failure(f"The result ({len(data)} bytes) is too large", "TooLargeError")
    return data, None


def decoded_outcome(head: Any, body: bytes) -> tuple[Outcome, list[str]]:
    """The outcome of `encoded_outcome`."""
    duration, kind, told, size, missing = head
    data, result, failure = body[size:], None, Failure(*told) if told else None
    try:
        result = Payload(kind, data if kind == "binary" else json.loads(data)) if kind else None
    except RecursionError:
        failure = Failure("The algorithm's result is nested too deeply")
    return Outcome(result, failure, duration, body[:size].decode("utf-8", "replace")), missing


_ERRORS: dict[str, type[Exception]] = {
    kind.__name__: kind
    for kind in (
        *(TooManyCalls, ConditionFailed, StorageFull, StorageUnavailable, NotFoundError, PermissionDenied),
        *(AlreadyExists, RequestRefused, UsageError, ConfigError, AlgoError, TypeError, ValueError),
    )
}
"""Kinds of errors that one process raises for another: those that the API and callers tell apart."""


def encoded_error(error: BaseException) -> list[Any]:
    """An error, as the nearest of these kinds that it belongs to."""
    kind = next((kind for kind in type(error).__mro__ if _ERRORS.get(kind.__name__) is kind), AlgoError)
    if isinstance(error, AlgoError):
        return [kind.__name__, error.message, error.hint, getattr(error, "code", None)]
    return [kind.__name__, str(error), None, None]


def decoded_error(value: list[Any]) -> Exception:
    """The error of `encoded_error`."""
    name, message, hint, code = value
    kind = _ERRORS[name]
    error = kind(message, hint) if issubclass(kind, AlgoError) else kind(message)
    if code is not None:
        error.code = code  # type: ignore[attr-defined]  # as those of `algo_local.refusals` have
    return error
