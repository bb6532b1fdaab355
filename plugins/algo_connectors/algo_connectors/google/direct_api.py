"""Requests to Google Cloud Storage over algo's own connections: no package of Google is imported for them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from algo_connectors.common.bodies import Content, content_of
from algo_connectors.common.errors import Changed, Unsatisfiable
from algo_connectors.common.refusals import StoreRefusal
from algo_connectors.google.api import Parameters
from algo_connectors.google.signature import Signatory
from algo_connectors.google.tokens import TokenSource
from algo_core.errors import AlgoError, NetworkError, PlatformError
from algo_core.http.client import HttpClient
from algo_core.http.response import Response
from algo_core.http.retry import RETRY_STATUSES, Tries
from algo_core.http.transport import BytesBody

if TYPE_CHECKING:
    from algo_core.http.pipeline import Pipeline, SmallResponse

RETRIES = 4
"""How often a request is tried again that the store could not answer."""

TIMEOUTS = (10.0, 60.0)
"""Seconds for a connection, and for each wait for the store."""

DOCUMENT_LIMIT = 64 << 20
"""Bytes of a listing's page, or another answer in JSON."""

RESUME_INCOMPLETE = 308
"""The status of a resumable upload that is not finished."""

_MEDIA = "/download/storage/v1/b/{}/o/{}"
_UPLOAD = "/upload/storage/v1/b/{}/o"


class DirectGoogleApi:
    """`GoogleApi` over algo's own connections to `location`, an address without a slash at its end."""

    def __init__(self, location: str, tokens: TokenSource, client: HttpClient, project: str = "") -> None:
        self.location = location
        self.project = project
        self._tokens = tokens
        self._client = client
        self._pipelines: dict[int, Pipeline] = {}

    def can_fork(self) -> bool:
        """Whether the connections need nothing that a forked process lacks."""
        return self._client.is_direct(self.location)

    def after_fork(self) -> None:
        """After `fork`, in the child: use connections of its own."""
        self._pipelines.clear()
        self._client.after_fork()

    def signatory(self) -> Signatory | None:  # noqa: D102 - as all here: see GoogleApi
        return self._tokens.signatory()

    def resource(self, method: str, path: str, *names: str, query: Parameters | None = None) -> Any:  # noqa: D102 - as all here: see GoogleApi
        with self._send(method, self._url(path, names, query), body=b"" if method == "POST" else None) as response:
            return _parsed(response)

    def remove(self, path: str, *names: str) -> None:  # noqa: D102
        self._send("DELETE", self._url(path, names)).close()

    def media(  # noqa: D102
        self, bucket: str, key: str, start: int, stop: int, generation: str | None
    ) -> tuple[Mapping[str, str], Content]:
        response, skipped = self.open_media(bucket, key, start, stop, generation)
        with response:
            content = content_of(response, stop - start + skipped)
            return response.headers, content[skipped:] if skipped else content

    def open_media(
        self, bucket: str, key: str, start: int, stop: int | None, generation: str | None
    ) -> tuple[Response, int]:
        """The open response for a range of an object, and the number of bytes before the range that come as well.

        Raises what `media` raises.
        """
        url = self._url(_MEDIA, (bucket, key), {"alt": "media", "ifGenerationMatch": generation})
        last = "" if stop is None else stop - 1
        response = self._send("GET", url, headers={"range": f"bytes={start}-{last}"})
        size = response.body_length
        if response.status == 206 or not start:
            return response, 0
        if size is not None and start >= size:  # the range was ignored
            response.close()
            raise Unsatisfiable(f"gs://{bucket}/{key} ends before byte {start}")
        return response, start

    def start_media(self, bucket: str, key: str, limit: int) -> Callable[[], SmallResponse | None] | None:
        """Request an object; a function that waits for its response. None, here or there: use `media`."""
        try:
            pipeline = self._pipelines.get(limit) or self._client.pipeline(self.location, limit)
            if pipeline is None:
                return None
            self._pipelines[limit] = pipeline
            parts = urlsplit(self._url(_MEDIA, (bucket, key), {"alt": "media"}))
            pending = pipeline.get(f"{parts.path}?{parts.query}", self._headers(self._tokens.token(), {}))
        except AlgoError:
            return None

        def waited() -> SmallResponse | None:
            try:
                answer = pending.wait()
            except AlgoError:
                return None
            return answer if answer and answer.status == 200 else None

        return waited

    def insert(self, bucket: str, query: Parameters, body: bytes, media_type: str) -> bytes:  # noqa: D102
        url = self._url(_UPLOAD, (bucket,), query)
        with self._send("POST", url, headers={"content-type": media_type}, body=body) as response:
            return bytes(response.read(DOCUMENT_LIMIT))

    def begin_upload(self, bucket: str, query: Parameters, metadata: Mapping[str, str]) -> str:  # noqa: D102
        headers = {"content-type": "application/json", "x-upload-content-type": "application/octet-stream"}
        url = self._url(_UPLOAD, (bucket,), query)
        with self._send("POST", url, headers=headers, body=json.dumps(metadata).encode()) as response:
            address = response.headers.get("Location", "")
        if not address:
            raise PlatformError("The store returned no address for an upload", "Try again")
        return str(address)

    def send_part(self, address: str, content: bytes, content_range: str) -> tuple[Mapping[str, str], bytes]:  # noqa: D102
        with self._send("PUT", address, headers={"content-range": content_range}, body=content) as response:
            return response.headers, bytes(response.read(DOCUMENT_LIMIT))

    def cancel_upload(self, address: str, seconds: float) -> None:  # noqa: D102
        self._send("DELETE", address, timeout=(seconds, seconds)).close()

    def _url(self, path: str, names: tuple[str, ...], query: Parameters | None = None) -> str:
        filled = path.format(*(quote(name, safe="") for name in names))
        members = urlencode({name: value for name, value in (query or {}).items() if value is not None})
        place = filled if filled.startswith("/") else f"/storage/v1/{filled}"
        return f"{self.location}{place}" + (f"?{members}" if members else "")

    def _headers(self, token: str | None, more: Mapping[str, str]) -> dict[str, str]:
        return {**more, **({"authorization": f"Bearer {token}"} if token else {})}

    def _send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout: tuple[float, float] | None = None,
    ) -> Response:
        """The response of success; its body is read by the caller, who closes it.

        A POST may be repeated as well, without a condition: an object is written whole, and an upload that was begun
        twice is forgotten. The token stays at the store's address: that of an upload authorizes itself.
        """
        tries, is_renewed = Tries(RETRIES), False
        is_repeatable = method == "POST" and "ifGenerationMatch" not in url
        while True:
            token = self._tokens.token() if url.startswith(f"{self.location}/") else None
            sent = BytesBody(body) if body is not None else None
            try:
                response = self._client.send(
                    method, url, headers=self._headers(token, headers or {}), body=sent, timeout=timeout, as_stored=True
                )
            except NetworkError as error:
                if not is_repeatable:
                    raise
                tries.spend_on(error)
                continue
            if response.ok or response.status == RESUME_INCOMPLETE:
                return response
            with response:
                refusal = _refusal(response, url)
                if response.status == 401 and token and not is_renewed and self._tokens.renew(token):
                    is_renewed = True
                elif method == "POST" and response.status in RETRY_STATUSES and tries.left:
                    tries.spend_on(refusal)
                else:
                    raise refusal


def _parsed(response: Response) -> Any:
    try:
        return json.loads(response.read(DOCUMENT_LIMIT))
    except ValueError as error:
        raise PlatformError(f"{response.place} did not return a valid Google Cloud Storage response: {error}") from None


def _refusal(response: Response, url: str) -> Exception:
    reason, message = "", ""
    try:
        error = json.loads(response.read(DOCUMENT_LIMIT)).get("error", {})
        message = str(error.get("message", ""))
        reason = str((error.get("errors") or [{}])[0].get("reason", ""))
    except (ValueError, AttributeError, TypeError, LookupError, PlatformError):
        pass
    if response.status == 404:
        return FileNotFoundError(url)
    if response.status == 412:
        return Changed(f"{response.place} was changed", "Copy it again")
    if response.status == 416:
        return Unsatisfiable(f"{response.place}: {message}")
    return StoreRefusal(response.status, reason, message, after_lost_answer=response.after_lost_answer)
