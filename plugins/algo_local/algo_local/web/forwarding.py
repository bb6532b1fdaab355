"""Forwards requests from a front end to the engine, if their effect must outlive the front end."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from algo_local.error_codes import ErrorCode
from algo_local.execution.relay.remote import EngineUnavailable
from algo_local.web.http import ApiError, Request, Response
from algo_local.web.limits import INPUT_BYTES

if TYPE_CHECKING:
    from algo_local.execution.relay.remote import RemoteExecutor


class Forwarding:
    """Has the engine answer requests with small bodies."""

    def __init__(self, remote: RemoteExecutor) -> None:
        self._remote = remote

    def follow(self) -> None:
        """Have the engine's workers follow a change; an engine that is being started has none of before it."""
        with suppress(EngineUnavailable):
            self._remote.ask("follow", seconds=0.0)

    def build(self, algorithm: str) -> None:
        """Have the engine build what was requested of an algorithm, by its id; one that is started does so anyway."""
        with suppress(EngineUnavailable):
            self._remote.ask("build", algorithm, seconds=0.0)

    def answer(self, request: Request, *, has_body: bool = True) -> Response:
        """The engine's answer. Without `has_body`, none is read: anybody may send one.

        Raises:
            ApiError: 413 if the body is larger than an input.
            StorageUnavailable: if there is no engine; nothing was done then, unless it says otherwise.
        """
        body = request.body(INPUT_BYTES) if has_body else b""
        if body is None:
            message = "The input is larger than 10 MiB; store it in a collection and pass its data URI instead"
            raise ApiError(413, message, ErrorCode.INVALID_REQUEST)
        kept = {name: value for name, value in request.headers.items() if name != "transfer-encoding"}
        answer = self._remote.ask("answer", (request.method, request.target, kept), body, again=False)
        status, headers, length = answer.head
        response = Response(status, answer.body, headers)
        response.length = length
        return response
