"""The embedded platform for those who speak with requests: its transport, as an adapter of a session."""

from __future__ import annotations

import http.client
import io
from collections.abc import Iterator
from typing import Any

import requests
import urllib3

from algo_core.http.response import Response
from algo_core.http.transport import BytesBody, Request, RequestBody
from algo_local.web.app import Application
from algo_local.web.transport import EmbeddedTransport

BLOCK = 1 << 20


def embedded_session(application: Application) -> requests.Session:
    """A session of requests that reaches an application at `local:`."""
    session = requests.Session()
    session.mount("local:", EmbeddedAdapter(application))
    return session


class EmbeddedAdapter(requests.adapters.BaseAdapter):
    def __init__(self, application: Application) -> None:
        super().__init__()
        self._transport = EmbeddedTransport(application)

    def send(self, request: requests.PreparedRequest, *arguments: Any, **options: Any) -> requests.Response:
        headers = {k: v if isinstance(v, str) else v.decode("latin-1") for k, v in request.headers.items()}
        method, url = request.method or "", request.url or ""
        answered = self._transport.send(Request(method, url, headers, _body(request)))
        response = requests.Response()
        response.status_code = answered.status
        response.headers.update(answered.headers)
        response.encoding = requests.utils.get_encoding_from_headers(response.headers)
        response.reason = http.client.responses.get(answered.status, "")
        response.url, response.request = url, request
        response.raw = urllib3.HTTPResponse(
            _Raw(answered), answered.headers, answered.status, preload_content=False, request_method=method
        )
        return response

    def close(self) -> None:
        self._transport.close()


def _body(request: requests.PreparedRequest) -> RequestBody | None:
    if request.body is None:
        return None
    if isinstance(request.body, (bytes, str)):
        return BytesBody(request.body.encode() if isinstance(request.body, str) else request.body)
    length = request.headers.get("Content-Length")
    return _Blocks(request.body, None if length is None else int(length))


class _Blocks:
    """A body that is read while it is sent; `size` is None where a client would send it in chunks."""

    def __init__(self, source: Any, size: int | None) -> None:
        self.size: Any = size
        self._source = source

    def __iter__(self) -> Iterator[bytes]:
        if hasattr(self._source, "read"):
            return iter(lambda: self._source.read(BLOCK), b"")
        return iter(self._source)

    def rewind(self) -> bool:
        return False


class _Raw(io.RawIOBase):
    def __init__(self, response: Response) -> None:
        self._response = response

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._response.readinto(memoryview(buffer))

    def close(self) -> None:
        self._response.close()
        super().close()
