"""Sends signed requests to S3; corrects region and clock if the store refuses a request for them."""

from __future__ import annotations

import re
import threading
import time
import zlib
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from algo_connectors.aws.answers import error_in
from algo_connectors.aws.signature import NO_CONTENT, UNSIGNED, Keys, Signer, encoded_path, encoded_query
from algo_connectors.common.clock import skew_of
from algo_connectors.common.errors import Unsatisfiable
from algo_connectors.common.refusals import StoreRefusal
from algo_core.errors import AlgoError
from algo_core.http.client import HttpClient
from algo_core.http.response import Response
from algo_core.http.transport import BytesBody

if TYPE_CHECKING:
    from algo_core.http.pipeline import Pipeline, SmallResponse

_EXPIRED = frozenset({"ExpiredToken", "InvalidToken", "TokenRefreshRequired"})
_SKEWED = frozenset({"RequestTimeTooSkewed", "RequestExpired"})
_UNEXPLAINED = frozenset({301, 307, 400, 401, 403})
_HOST_NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")


class Target(NamedTuple):
    """The endpoint of a store: an address, empty for AWS, and a region."""

    endpoint: str
    region: str


class SignedRequests:
    """Requests to a store, over `HttpClient`s that `connect` makes for an address.

    `keys` gives the credential for the next request, None for requests that are not signed; it is asked each time,
    since temporary ones run out. `renew` is told of one that the store takes for expired, and says whether there is
    another. A bucket of another region is found by the region that the store answers with, and where this machine's
    clock is wrong, requests are signed with the store's time.
    """

    def __init__(
        self,
        target: Target,
        keys: Callable[[], Keys | None],
        connect: Callable[[str], HttpClient],
        renew: Callable[[Keys], bool] = lambda expired: False,
    ) -> None:
        self._target = target
        self._keys = keys
        self._connect = connect
        self._renew = renew
        self._skew = 0.0
        """Seconds by which the store's clock is ahead of this machine's, if that matters."""
        self._lock = threading.Lock()
        self._clients: dict[str, HttpClient] = {}
        self._pipelines: dict[tuple[str, int], Pipeline] = {}
        self._signers: dict[str, Signer] = {}
        self._regions: dict[str, str] = {}
        """By bucket, where it is not the target's."""

    @property
    def is_aws(self) -> bool:
        """Whether the endpoint is AWS itself."""
        host = urlsplit(self._target.endpoint).hostname or ""
        return not self._target.endpoint or host.endswith((".amazonaws.com", ".amazonaws.com.cn"))

    def can_fork(self) -> bool:
        """Whether its connections need nothing that a forked process lacks."""
        return all(client.is_direct(origin) for origin, client in self._clients.items())

    def after_fork(self) -> None:
        """After `fork`, in the child: use connections of its own."""
        self._pipelines.clear()
        for client in self._clients.values():
            client.after_fork()

    def close(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            client.close()

    def _send(
        self,
        method: str,
        bucket: str,
        key: str,
        query: Sequence[tuple[str, str]] = (),
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """The response of success; its body is read by the caller, who closes it."""
        mends = [self._other_region, self._other_time, self._other_keys]
        while True:
            keys = self._keys()
            response = self._answered(method, bucket, key, query, body, headers or {}, keys)
            if response.ok:
                return response
            with response:
                reason = self._reason(method, bucket, key, response, keys)
                mend = next((mend for mend in mends if mend(bucket, keys, response, reason)), None)
                if mend is None:
                    raise _refusal(response, f"s3://{bucket}/{key}", reason)
                mends.remove(mend)

    def _reason(self, method: str, bucket: str, key: str, response: Response, keys: Keys | None) -> Mapping[str, str]:
        """The members of an error; a refused HEAD has no body, so that a GET finds the reason."""
        if method != "HEAD":
            return error_in(response)
        if response.status not in _UNEXPLAINED:
            return {}
        query = [] if key else [("list-type", "2"), ("max-keys", "0")]
        with self._answered("GET", bucket, key, query, None, {"range": "bytes=0-0"}, keys) as explained:
            return {} if explained.ok else error_in(explained)

    def _other_region(self, bucket: str, keys: Keys | None, response: Response, reason: Mapping[str, str]) -> bool:
        """Whether a refusal names another region, which is then used."""
        region = response.headers.get("x-amz-bucket-region", "")
        if reason.get("Code") == "AuthorizationHeaderMalformed":
            region = region or reason.get("Region", "")
        if not region or region == self._regions.get(bucket, self._target.region):
            return False
        self._regions[bucket] = region
        return True

    def _other_time(self, bucket: str, keys: Keys | None, response: Response, reason: Mapping[str, str]) -> bool:
        """Whether the store's clock says something else, which is then used."""
        skew = skew_of(response.headers.get("Date", ""), self._skew)
        if response.status != 403 or reason.get("Code") not in _SKEWED or skew is None:
            return False
        self._skew = skew
        return True

    def _other_keys(self, bucket: str, keys: Keys | None, response: Response, reason: Mapping[str, str]) -> bool:
        """Whether there is another credential for one that has expired."""
        return keys is not None and reason.get("Code") in _EXPIRED and self._renew(keys)

    def _answered(
        self,
        method: str,
        bucket: str,
        key: str,
        query: Sequence[tuple[str, str]],
        body: bytes | None,
        headers: Mapping[str, str],
        keys: Keys | None,
    ) -> Response:
        origin, path, text, more = self._signed(method, bucket, key, query, body, headers, keys)
        url = f"{origin}{path}?{text}" if text else f"{origin}{path}"
        sent = BytesBody(body) if body is not None else BytesBody(b"") if method in {"POST", "PUT"} else None
        return self._client(origin).send(method, url, headers=more, body=sent, as_stored=True)

    def _signed(
        self,
        method: str,
        bucket: str,
        key: str,
        query: Sequence[tuple[str, str]],
        body: bytes | None,
        headers: Mapping[str, str],
        keys: Keys | None,
    ) -> tuple[str, str, str, dict[str, str]]:
        """Origin, path, query and headers of a request."""
        region = self._regions.get(bucket, self._target.region)
        origin, path = self._place(bucket, key, region)
        text = encoded_query(query)
        is_encrypted = origin.startswith("https:")
        more = dict(headers)
        digest = NO_CONTENT
        if body is not None and is_encrypted:
            digest = UNSIGNED
            more["x-amz-checksum-crc32"] = b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()
        elif body is not None:
            digest = sha256(body).hexdigest()
        if keys:
            signed = {name: value for name, value in more.items() if name.startswith("x-amz-")}
            host = origin.partition("//")[2]
            moment = time.time() + self._skew
            more |= self._signer(keys, region).headers(
                method, host, path, text, digest=digest, more=signed, moment=moment
            )
        return origin, path, text, more

    def _started(
        self, method: str, bucket: str, key: str, query: Sequence[tuple[str, str]], body: bytes | None, limit: int
    ) -> Callable[[], SmallResponse | None] | None:
        """Send a request once, over a pipeline; a function that waits for its success."""
        try:
            origin, path, text, headers = self._signed(method, bucket, key, query, body, {}, self._keys())
            pipelines = self._pipelines
            pipeline = pipelines.get((origin, limit)) or self._client(origin).pipeline(origin, limit)
            if pipeline is None:
                return None
            pipelines[origin, limit] = pipeline
            target = f"{path}?{text}" if text else path
            pending = pipeline.get(target, headers) if body is None else pipeline.put(target, body, headers)
        except AlgoError:
            return None

        def waited() -> SmallResponse | None:
            try:
                answer = pending.wait()
            except AlgoError:
                return None
            return answer if answer and answer.status == 200 else None

        return waited

    def _place(self, bucket: str, key: str, region: str) -> tuple[str, str]:
        """The origin and the encoded path of an object: a bucket of AWS has a host of its own, if its name allows."""
        if self._target.endpoint:
            parts = urlsplit(self._target.endpoint)
            base = parts.path.strip("/")
            return f"{parts.scheme}://{parts.netloc}", encoded_path(*filter(None, (base, bucket)), *([key] * bool(key)))
        domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        if _HOST_NAME.fullmatch(bucket):
            return f"https://{bucket}.s3.{region}.{domain}", encoded_path(key)
        return f"https://s3.{region}.{domain}", encoded_path(*filter(None, (bucket,)), *([key] * bool(key)))

    def _client(self, origin: str) -> HttpClient:
        client = self._clients.get(origin)
        if client is None:
            with self._lock:
                client = self._clients.get(origin) or self._connect(origin)
                self._clients[origin] = client
        return client

    def _signer(self, keys: Keys, region: str) -> Signer:
        signer = self._signers.get(region)
        if signer is None or signer.keys != keys:
            signer = self._signers[region] = Signer(keys, region)
        return signer


def _refusal(response: Response, place: str, reason: Mapping[str, str]) -> Exception:
    status, code, message = response.status, reason.get("Code", ""), reason.get("Message", "")
    if status == 404 and code != "NoSuchBucket":
        return FileNotFoundError(place)
    if status == 416:
        return Unsatisfiable(f"{place}: {message}")
    return StoreRefusal(status, code, message, after_lost_answer=response.after_lost_answer)
