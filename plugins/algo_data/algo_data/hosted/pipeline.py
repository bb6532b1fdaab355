"""Hosted data over pipelines: small files, and pages of listings in advance.

Everything is tried once. The result of a failure is `None`: the storage repeats it in the ordinary way, with retries
and diagnosis.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from algo_core.errors import NetworkError, PlatformError
from algo_core.http.response import WHOLE_LIMIT, parse_json
from algo_core.storage.contract import Checksum, Entry, Kind
from algo_core.storage.uri import DataUri
from algo_data.engine.io.blocks import SMALL
from algo_data.hosted.api_path import api_path
from algo_data.hosted.response_headers import checksum_of, kind_of, stored_checksum

if TYPE_CHECKING:
    from algo_core.http.api import ApiClient
    from algo_core.http.pipeline import PendingResponse, Pipeline

    Answered = Callable[[], tuple[Checksum | None, bytes] | None]
    Confirmed = Callable[[], Entry | None]


class Pipelines:
    """The pipelines of one connector, in one process."""

    def __init__(self, api: ApiClient) -> None:
        self._api = api
        self._pipelines: dict[int, Pipeline | None] = {}
        self._directory = ("", "")

    def ask(self, uri: DataUri, limit: int) -> Answered | None:
        """Request a file; returns a function that waits for checksum and content. Raises NetworkError."""
        pipeline = self._pipeline(limit)
        if pipeline is None:
            return None
        asked = pipeline.get(self._target(uri))

        def answered() -> tuple[Checksum | None, bytes] | None:
            answer = asked.wait()
            if answer is None or answer.status != 200 or kind_of(answer.headers) is not Kind.FILE:
                return None
            return checksum_of(uri, answer.headers), answer.content

        return answered

    def send(self, uri: DataUri, content: bytes) -> Confirmed | None:
        """Send a file; returns a function that waits for the response. Raises NetworkError if it cannot be sent."""
        pipeline = self._pipeline(SMALL)
        if pipeline is None:
            return None
        asked = pipeline.put(self._target(uri), content)

        def confirmed() -> Entry | None:
            answer = asked.wait()
            if answer is None or not 200 <= answer.status < 300:
                return None
            if answer.content.strip() and _object(answer.content) is None:
                return None
            checksum = stored_checksum(uri, answer.headers, answer.content)
            return Entry(uri, Kind.FILE, len(content), checksum=checksum)

        return confirmed

    def ask_page(self, uri: DataUri, marker: str) -> PendingResponse | None:
        """Request a page of a listing (`page_of`)."""
        pipeline = self._pipeline(WHOLE_LIMIT)
        try:
            return (
                pipeline.get(f"{self._api.target(api_path(uri))}?{urlencode({'marker': marker})}") if pipeline else None
            )
        except NetworkError:
            return None

    def _target(self, uri: DataUri) -> str:
        """The request target of a file, whose directory is usually that of the previous one."""
        head, _, name = uri.path.rpartition("/")
        if head != self._directory[0] or name in {"", ".", ".."}:
            self._directory = (head, self._api.target(api_path(uri._replace(path=head))).rstrip("/") + "/")
            return self._api.target(api_path(uri))
        return self._directory[1] + quote(name, safe="~:")

    def _pipeline(self, limit: int) -> Pipeline | None:
        try:
            return self._pipelines[limit]
        except KeyError:
            return self._pipelines.setdefault(limit, self._api.pipeline(limit))


def page_of(asked: PendingResponse) -> dict[str, Any] | None:
    """The requested page of a listing."""
    try:
        answer = asked.wait()
    except (NetworkError, PlatformError):
        return None
    if answer is None or answer.status != 200 or kind_of(answer.headers) is not Kind.DIRECTORY:
        return None
    return _object(answer.content)


def _object(content: bytes) -> dict[str, Any] | None:
    """A JSON object without an error."""
    try:
        value = parse_json(content)
    except ValueError:
        return None
    return value if isinstance(value, dict) and "error" not in value else None
