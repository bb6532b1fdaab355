"""The embedded platform as a transport: the application is called directly, without a port or daemon.

This module is imported when a request is sent to an address `local:`, never before.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from urllib.parse import quote

from algo_core.http.response import Response, StreamResponse
from algo_core.http.transport import Request as Sent
from algo_core.http.transport import RequestBody
from algo_local.web.app import Application
from algo_local.web.http import Request

PREFIX = "local:"
"""The prefix of this transport's addresses."""


class EmbeddedTransport:
    """Passes requests to an application in this process. Bodies are streamed in both directions."""

    def __init__(self, application: Application) -> None:
        self._application = application

    def send(self, request: Sent) -> Response:
        """The response to a request. Time limits mean nothing here.

        Whatever the request's own body raises while it is read is raised as it is.

        Raises:
            ConfigError: if the embedded platform's configuration is wrong.
        """
        body = _Body(request.body) if request.body is not None else None
        target = request.url.removeprefix(PREFIX).partition("#")[0]
        answered = self._application.answer(
            Request(
                request.method,
                target if target.isascii() else quote(target, safe="%/:=&?~+!$,;'@()*[]"),
                {name.lower(): value for name, value in request.headers.items()},
                body,
                request.body.size if request.body is not None else 0,
            )
        )
        if body and body.error is not None:
            raise body.error
        content = io.BytesIO(answered.body) if isinstance(answered.body, bytes) else answered.body
        return StreamResponse(request.url, answered.status, answered.all_headers(), content)

    def close(self) -> None:
        """Wait for calls without a response to end. The platform stays open for other clients."""
        self._application.platform.wait_for_background()
        self._application.platform.rest()


class _Body:
    """The body of a request as a readable object; stores the exception of its source."""

    def __init__(self, body: RequestBody) -> None:
        self.error: BaseException | None = None
        self._blocks: Iterator[bytes | memoryview] = iter(body)
        self._rest: bytes | memoryview = b""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""
        try:
            while not self._rest:
                self._rest = next(self._blocks)
        except StopIteration:
            return b""
        except BaseException as error:
            self.error = error
            raise
        data, self._rest = self._rest[:size], self._rest[size:]
        return bytes(data)
