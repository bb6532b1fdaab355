"""The embedded platform as a transport of a requests session: no port, no daemon, the application is simply called.

This module is imported when a session is opened for an address `local:`, never before.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests  # noqa: TID253 - this module is a part of a requests session
import urllib3  # noqa: TID253 - requests' responses are built on it

from algo_local.platform import Platform
from algo_local.web.app import Application
from algo_local.web.http import FileBody, Request

PREFIX = "local:"
"""What the addresses begin with that this transport answers."""

_platforms: dict[Path, Platform] = {}
_lock = threading.Lock()


def platform_at(root: Path) -> Platform:
    """The platform of a directory; all sessions of this process share it, and with it the warm algorithms."""
    with _lock:
        if root not in _platforms:
            _platforms[root] = Platform(root)
        return _platforms[root]


class LocalAdapter(requests.adapters.BaseAdapter):
    """Answers requests by calling the application. Bodies are streamed in both directions."""

    def __init__(self, application: Application) -> None:
        super().__init__()
        self._application = application

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Answer a request. Time limits, certificates and proxies mean nothing here.

        Whatever the request's own body raises while it is read is raised as it is.
        """
        body = _Input(request.body)
        answered = self._application.answer(_request(request, body))
        if body.error is not None:
            raise body.error
        raw = urllib3.HTTPResponse(
            body=answered.body if isinstance(answered.body, FileBody) else io.BytesIO(answered.body),
            headers=answered.all_headers(),
            status=answered.status,
            version=11,
            reason=HTTPStatus(answered.status).phrase,
            preload_content=False,
            request_method=request.method,
        )
        return _response(self, request, raw)

    def close(self) -> None:
        """Wait for calls without an answer to end. The platform stays: it serves other sessions as well."""
        self._application.platform.wait_for_background()


class _Input:
    """The body of a request as something to read from; remembers what its source raised."""

    def __init__(self, body: Any) -> None:
        self.error: BaseException | None = None
        if body is None or isinstance(body, (bytes, str)):
            body = io.BytesIO(body.encode("utf-8") if isinstance(body, str) else body or b"")
        self._source = body if hasattr(body, "read") else _Chunks(body)

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes."""
        try:
            data = self._source.read(size)
            return data.encode("utf-8") if isinstance(data, str) else data
        except BaseException as error:
            self.error = error
            raise


class _Chunks:
    """Reads from an iterable of bytes."""

    def __init__(self, chunks: Iterable[bytes | str]) -> None:
        self._chunks = iter(chunks)
        self._rest = b""

    def read(self, size: int) -> bytes:
        """At most `size` bytes; none at the end."""
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return b""
            self._rest = chunk.encode("utf-8") if isinstance(chunk, str) else chunk
        data, self._rest = self._rest[:size], self._rest[size:]
        return data


def _request(request: requests.PreparedRequest, body: _Input) -> Request:
    target = (request.url or "")[len(PREFIX) :].partition("#")[0]
    target = target if target.isascii() else quote(target, safe="%/:=&?~+!$,;'@()*[]")
    headers = {
        name.lower(): value.decode("latin-1") if isinstance(value, bytes) else value
        for name, value in request.headers.items()
    }
    length = int(headers.get("content-length", 0)) if request.body is None or "content-length" in headers else None
    return Request(request.method or "", target, headers, body, length)


def _response(adapter: LocalAdapter, request: requests.PreparedRequest, raw: urllib3.HTTPResponse) -> requests.Response:
    response = requests.Response()
    response.status_code = raw.status
    response.headers = requests.structures.CaseInsensitiveDict(raw.headers)
    response.encoding = requests.utils.get_encoding_from_headers(response.headers)
    response.raw = raw
    response.reason = raw.reason or ""
    response.url = request.url or ""
    response.request = request
    response.connection = adapter  # type: ignore[assignment]  # the stubs know no other adapter than HTTPAdapter
    return response
