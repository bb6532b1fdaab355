"""Responses and faults of `FakePlatform`: what goes wrong, and how.

For example:

    platform.fail(FakeResponse(503), times=2)
    platform.fail(dropped_connection())
    platform.fail(truncated_body(10), path="/v1/data/.my/reports/march.csv")
    platform.fail(too_many_requests(retry_after=30))
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

_sleep = time.sleep  # the real one: a server is slow in real time


@dataclass(frozen=True)
class FakeResponse:
    """A response: its status, its body and its headers; `Content-Length` is added if it is missing."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.body, bytes):
            raise TypeError(f"the body is of type {type(self.body).__name__}: give bytes, or use FakeResponse.json")

    @classmethod
    def json(cls, value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> FakeResponse:
        """A response with a JSON value as its body.

        For example:

            platform.on("POST", "/v1/algo/demo/Hello", FakeResponse.json({"result": "Hello", "metadata": {}}))
        """
        return cls(status, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})

    @classmethod
    def error(cls, message: str, status: int, headers: Mapping[str, str] | None = None) -> FakeResponse:
        """An error as the platform words it (API section 2.3), with a status such as 404."""
        return cls.json({"error": {"message": message}}, status, headers)

    def send(self, handler: BaseHTTPRequestHandler) -> None:
        """Write it to a connection."""
        _send(handler, self, self.body)


Answer = FakeResponse | Callable[[BaseHTTPRequestHandler], None]
"""A response, or a function that writes one with an `http.server.BaseHTTPRequestHandler`."""

Fault = Callable[[BaseHTTPRequestHandler, FakeResponse], None]
"""A function that writes a response wrongly: it gets the connection, and what would have been the response."""


def dropped_connection() -> Fault:
    """The connection ends after the request, without a response."""

    def drop(handler: BaseHTTPRequestHandler, response: FakeResponse) -> None:
        _end(handler)

    return drop


def truncated_body(size: int = 0) -> Fault:
    """The connection ends after `size` bytes of the body, whose whole length was announced."""

    def truncate(handler: BaseHTTPRequestHandler, response: FakeResponse) -> None:
        _send(handler, response, response.body[:size])
        _end(handler)

    return truncate


def slow_body(pause: float, pieces: int = 10) -> Fault:
    """The body comes in a number of `pieces`, each after `pause` seconds of real time."""

    def trickle(handler: BaseHTTPRequestHandler, response: FakeResponse) -> None:
        size = max(1, -(-len(response.body) // pieces))
        _send(handler, response, b"")
        for start in range(0, len(response.body), size):
            _sleep(pause)
            handler.wfile.write(response.body[start : start + size])
            handler.wfile.flush()

    return trickle


def refused_credential() -> FakeResponse:
    """401: the credential is not accepted (any more); `algo_credentials` is asked for another one."""
    return FakeResponse.error("authorization required", 401)


def too_many_requests(retry_after: float | str | None = None) -> FakeResponse:
    """429, to be sent again in `retry_after` seconds (or at a date, as HTTP writes it)."""
    asked = retry_after if retry_after is None or isinstance(retry_after, str) else f"{retry_after:g}"
    return FakeResponse.error("too many requests", 429, {"Retry-After": asked} if asked is not None else None)


def _send(handler: BaseHTTPRequestHandler, response: FakeResponse, body: bytes) -> None:
    handler.send_response(response.status)
    for name, value in response.headers.items():
        handler.send_header(name, value)
    if "Content-Length" not in response.headers:
        handler.send_header("Content-Length", str(len(response.body)))
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(body)


def _end(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.flush()
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)
