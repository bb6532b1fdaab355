"""The application as WSGI calls it, for servers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

from algo_local.web.http import ApiError, FileBody, Request, Response

Environ = Mapping[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], object]

_PLAIN = frozenset({"content-type", "content-length"})


def request_from(environ: Environ) -> Request:
    """The request that an environment describes; it must hold the undecoded target as `REQUEST_URI`.

    Raises:
        ApiError: if the length of its body is no number.
    """
    return Request(
        environ["REQUEST_METHOD"],
        environ["REQUEST_URI"],
        _EnvironHeaders(environ),
        environ["wsgi.input"],
        None if environ.get("wsgi.input_terminated") else _length(environ.get("CONTENT_LENGTH") or "0"),
    )


def send(response: Response, start_response: StartResponse) -> Iterable[bytes]:
    """Begin a response, and return its body."""
    phrase = HTTPStatus(response.status).phrase
    start_response(f"{response.status} {phrase}", list(response.all_headers().items()))
    if isinstance(response.body, FileBody):
        return response.body
    return [response.body] if response.body else []


def _length(text: str) -> int:
    if not re.fullmatch(r"\d{1,18}", text, re.ASCII):
        raise ApiError(400, f"Not a Content-Length: {text!r}", 2015)
    return int(text)


class _EnvironHeaders(Mapping[str, str]):
    """The headers of an environment, by names in lower case."""

    def __init__(self, environ: Environ) -> None:
        self._environ = environ

    def __getitem__(self, name: str) -> str:
        key = name.upper().replace("-", "_")
        return str(self._environ[key if name in _PLAIN else f"HTTP_{key}"])

    def __iter__(self) -> Iterator[str]:
        for key in self._environ:
            name = key.removeprefix("HTTP_").lower().replace("_", "-")
            if key.startswith("HTTP_") or name in _PLAIN:
                yield name

    def __len__(self) -> int:
        return sum(1 for _ in self)
