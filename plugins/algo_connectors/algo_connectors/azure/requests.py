"""Requests to a storage account, signed with its key, or with a shared access signature in their addresses."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, urlsplit

from algo_connectors.azure.answers import error_in
from algo_connectors.azure.shared_key import VERSION, SharedKey
from algo_connectors.common.clock import skew_of
from algo_connectors.common.errors import Unsatisfiable
from algo_connectors.common.refusals import StoreRefusal
from algo_core.errors import AlgoError
from algo_core.http.client import HttpClient
from algo_core.http.response import Response
from algo_core.http.transport import BytesBody

if TYPE_CHECKING:
    from algo_core.http.pipeline import Pipeline, SmallResponse

BODY_TYPE = "application/octet-stream"
"""The media type of all bodies, which blobs get as theirs; it is signed."""


class Account(NamedTuple):
    """Where an account is reached, and with what right: its key, or the query of a shared access signature."""

    address: str
    """Without a slash at its end; emulators have the account's name as its path."""
    key: SharedKey | None
    signature: str = ""


class AccountRequests:
    """Requests to an account over one `HttpClient`. Where this machine's clock is wrong, the account's is used."""

    def __init__(self, account: Account, client: HttpClient) -> None:
        self.account = account
        self._client = client
        parts = urlsplit(account.address)
        self._origin, self._base = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
        self._skew = 0.0
        """Seconds by which the account's clock is ahead of this machine's, if that matters."""
        self._pipelines: dict[int, Pipeline] = {}

    def can_fork(self) -> bool:
        """Whether the connections need nothing that a forked process lacks."""
        return self._client.is_direct(self._origin)

    def after_fork(self) -> None:
        """After `fork`, in the child: use connections of its own."""
        self._pipelines.clear()
        self._client.after_fork()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def url(self, container: str, name: str) -> str:
        """The address of a blob, encoded, without a query."""
        return f"{self._origin}{self._path(container, name)}"

    def _path(self, container: str, name: str) -> str:
        return f"{self._base}/" + quote("/".join([container] * bool(container) + [name] * bool(name)), safe="/~")

    def _send(
        self,
        method: str,
        container: str,
        name: str,
        query: Sequence[tuple[str, str]] = (),
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """The response of success; its body is read by the caller, who closes it.

        Raises:
            FileNotFoundError: if there is no such blob.
            StoreRefusal: for any other refusal.
        """
        is_corrected = False
        while True:
            target, signed = self._signed(method, container, name, query, body, headers or {})
            sent = BytesBody(body) if body is not None else None
            response = self._client.send(method, self._origin + target, headers=signed, body=sent, as_stored=True)
            if response.ok:
                return response
            with response:
                code, message = error_in(response)
                if not is_corrected and response.status == 403 and self._takes_time_of(response):
                    is_corrected = True
                    continue
                raise _refusal(response, f"{container}/{name}", code, message)

    def _takes_time_of(self, response: Response) -> bool:
        """Whether the account's clock may explain a refusal; it is used from then on."""
        skew = skew_of(response.headers.get("Date", ""), self._skew) if self.account.key else None
        if skew is not None:
            self._skew = skew
        return skew is not None

    def _signed(
        self,
        method: str,
        container: str,
        name: str,
        query: Sequence[tuple[str, str]],
        body: bytes | None,
        headers: Mapping[str, str],
    ) -> tuple[str, dict[str, str]]:
        """The target and the headers of a request."""
        path = self._path(container, name)
        text = "&".join(f"{key}={quote(value, safe='')}" for key, value in query)
        more = dict(headers)
        if body is not None:
            more["content-type"] = BODY_TYPE
            if body:
                more["content-md5"] = md5_text(body)
        if key := self.account.key:
            length, moment = len(body or b""), time.time() + self._skew
            return _target(path, text), key.headers(method, path, query, more, length=length, moment=moment)
        return _target(path, "&".join(filter(None, (text, self.account.signature)))), {**more, "x-ms-version": VERSION}

    def _started(
        self, method: str, container: str, name: str, headers: Mapping[str, str], body: bytes | None, limit: int
    ) -> Callable[[], SmallResponse | None] | None:
        """Send a request once, over a pipeline; a function that waits for its success."""
        try:
            target, signed = self._signed(method, container, name, (), body, headers)
            pipeline = self._pipelines.get(limit) or self._client.pipeline(self._origin, limit)
            if pipeline is None:
                return None
            self._pipelines[limit] = pipeline
            signed.pop("content-type", None)  # the pipeline's own
            pending = pipeline.get(target, signed) if body is None else pipeline.put(target, body, signed)
        except AlgoError:
            return None

        def waited() -> SmallResponse | None:
            try:
                answer = pending.wait()
            except AlgoError:
                return None
            return answer if answer and answer.status in {200, 201} else None

        return waited


def md5_text(content: bytes) -> str:
    """The MD5 of content as headers have it, which the store compares."""
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode("ascii")


def _target(path: str, query: str) -> str:
    return f"{path}?{query}" if query else path


def _refusal(response: Response, place: str, code: str, message: str) -> Exception:
    if response.status == 404 and code != "ContainerNotFound":
        return FileNotFoundError(place)
    if response.status == 416:
        return Unsatisfiable(f"{place}: {message}")
    return StoreRefusal(response.status, code, message, after_lost_answer=response.after_lost_answer)
