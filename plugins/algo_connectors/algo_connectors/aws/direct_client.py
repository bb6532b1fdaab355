"""Requests to S3 over algo's own connections, signed here: no package of a store is imported for them."""

from __future__ import annotations

import contextlib
import re
import threading
import time
import zlib
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from hashlib import md5, sha256
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit
from xml.etree import ElementTree

from algo_connectors.aws.s3_client import Content, Object, ObjectName, ObjectPage
from algo_connectors.aws.signature import NO_CONTENT, UNSIGNED, Keys, Signer, encoded_path, encoded_query
from algo_connectors.common.errors import Unsatisfiable
from algo_core.errors import AlgoError, AuthError, NetworkError, PlatformError
from algo_core.http.client import HttpClient
from algo_core.http.response import Response
from algo_core.http.transport import BytesBody

if TYPE_CHECKING:
    from algo_core.http.pipeline import Pipeline, SmallResponse

RETRIES = 4
"""How often a request is tried again that the store could not answer."""

TIMEOUTS = (10.0, 60.0)
"""Seconds for a connection, and for each wait for the store."""

DOCUMENT_LIMIT = 16 << 20
"""Bytes of a listing's page, or another answer in XML."""

COPIED = 1 << 20
"""Bytes of a body up to which a copy more does not matter."""

CLOCK_TOLERANCE = 60.0
"""Seconds by which a clock must be wrong to explain a refusal."""

_EXPIRED = frozenset({"ExpiredToken", "InvalidToken", "TokenRefreshRequired"})
_METADATA = frozenset(
    {"cache-control", "content-disposition", "content-encoding", "content-language", "content-type", "expires"}
    | {"x-amz-storage-class", "x-amz-website-redirect-location"}
)
_SKEWED = frozenset({"RequestTimeTooSkewed", "RequestExpired"})
_UNEXPLAINED = frozenset({301, 307, 400, 401, 403})
_MD5 = re.compile(r"[0-9a-f]{32}")
_HOST_NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")


class StoreRefusal(Exception):
    """An answer of the store that is not success; `status` is that of HTTP, `error_code` the store's word for it."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message or code or f"the store answered {status}")
        self.status = status
        self.error_code = code


class Target(NamedTuple):
    """Where a store is reached: an address, or that of AWS if it is empty, and a region."""

    endpoint: str
    region: str


class DirectS3Client:
    """`S3Client` over `HttpClient`s that `connect` makes for an address.

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

    def head_object(self, bucket: str, key: str) -> Object:  # noqa: D102 - as all here: see S3Client
        with self._send("HEAD", bucket, key) as response:
            return _object(response)

    def get_object(  # noqa: D102
        self, bucket: str, key: str, start: int, stop: int, etag: str | None
    ) -> tuple[Object, Content]:
        found, skipped, response = self.open_object(bucket, key, start, stop, etag)
        with response:
            return found, _content(response, stop - start + skipped)[skipped:] if skipped else _content(
                response, stop - start
            )

    def open_object(
        self, bucket: str, key: str, start: int, stop: int | None, etag: str | None
    ) -> tuple[Object, int, Response]:
        """The open response for a range of an object, and how many bytes before it come as well.

        Raises what `get_object` raises.
        """
        last = "" if stop is None else stop - 1
        headers = {"range": f"bytes={start}-{last}", **({"if-match": etag} if etag else {})}
        response = self._send("GET", bucket, key, headers=headers)
        try:
            part = response.headers.get("Content-Range", "")
            if response.status == 206 and part:
                return _object(response, _whole_size(part)), 0, response
            found = _object(response)  # the range was ignored
            if start and start >= found.size:
                raise Unsatisfiable(f"s3://{bucket}/{key} ends before byte {start}")
        except BaseException:
            response.close()
            raise
        return found, start, response

    def put_object(self, bucket: str, key: str, content: bytes) -> str | None:  # noqa: D102
        with self._send("PUT", bucket, key, body=content) as response:
            return response.headers.get("ETag")

    def create_multipart_upload(self, bucket: str, key: str) -> str:  # noqa: D102
        return _text(self._document("POST", bucket, key, [("uploads", "")]), "UploadId")

    def upload_part(self, bucket: str, key: str, upload: str, number: int, content: bytes) -> str:  # noqa: D102
        query = [("partNumber", str(number)), ("uploadId", upload)]
        with self._send("PUT", bucket, key, query, body=content) as response:
            etag = response.headers.get("ETag")
        if not etag:
            raise PlatformError("The store gave no ETag for a part, so that it cannot be completed")
        return etag

    def complete_multipart_upload(  # noqa: D102
        self, bucket: str, key: str, upload: str, etags: Mapping[int, str]
    ) -> str | None:
        root = ElementTree.Element("CompleteMultipartUpload")
        for number, etag in sorted(etags.items()):
            part = ElementTree.SubElement(root, "Part")
            ElementTree.SubElement(part, "PartNumber").text = str(number)
            ElementTree.SubElement(part, "ETag").text = etag
        answer = self._document("POST", bucket, key, [("uploadId", upload)], body=ElementTree.tostring(root))
        return _text(answer, "ETag") or None

    def abort_multipart_upload(self, bucket: str, key: str, upload: str) -> None:  # noqa: D102
        self._send("DELETE", bucket, key, [("uploadId", upload)]).close()

    def presigned_url(self, method: str, bucket: str, key: str, seconds: int) -> str:  # noqa: D102
        # A redirect would lead to another host than the signed one, so the bucket's region is asked for first.
        with contextlib.suppress(StoreRefusal, FileNotFoundError):
            self._send("HEAD", bucket, "").close()
        keys = self._keys()
        if not keys:
            raise AuthError("Links are signed with a credential, which the option anon excludes", "Leave anon out")
        region = self._regions.get(bucket, self._target.region)
        origin, path = self._place(bucket, key, region)
        host = origin.partition("//")[2]
        query = self._signer(keys, region).query(method, host, path, seconds=seconds, moment=time.time() + self._skew)
        return f"{origin}{path}?{query}"

    def copy_object(self, source: ObjectName, etag: str, bucket: str, key: str) -> str:  # noqa: D102
        return _text(self._document("PUT", bucket, key, headers=_copied_from(source, etag)), "ETag")

    def create_multipart_copy(self, source: ObjectName, bucket: str, key: str) -> str:  # noqa: D102
        with self._send("HEAD", *source) as response:
            kept = {name.lower(): value for name, value in response.headers.items() if _is_metadata(name.lower())}
        return _text(self._document("POST", bucket, key, [("uploads", "")], headers=kept), "UploadId")

    def upload_part_copy(  # noqa: D102
        self, source: ObjectName, etag: str, bucket: str, key: str, upload: str, number: int, start: int, stop: int
    ) -> str:
        query = [("partNumber", str(number)), ("uploadId", upload)]
        headers = {**_copied_from(source, etag), "x-amz-copy-source-range": f"bytes={start}-{stop - 1}"}
        return _text(self._document("PUT", bucket, key, query, headers=headers), "ETag")

    def list_objects(  # noqa: D102
        self, bucket: str, prefix: str, *, delimiter: str = "", limit: int = 1000, token: str | None = None
    ) -> ObjectPage:
        return _page(self._document("GET", bucket, "", _listing(prefix, delimiter, limit, token)))

    def start_list_objects(
        self, bucket: str, prefix: str, *, delimiter: str, limit: int, token: str
    ) -> Callable[[], ObjectPage | None] | None:
        """Ask for a page; a function that waits for it. None, here or there: ask in the ordinary way."""
        query = _listing(prefix, delimiter, limit, token)
        pending = self._started("GET", bucket, "", query, None, DOCUMENT_LIMIT)

        def page() -> ObjectPage | None:
            answer = pending() if pending else None
            try:
                return _page(ElementTree.fromstring(answer.content)) if answer else None
            except (ElementTree.ParseError, PlatformError):
                return None

        return page if pending else None

    def start_get_object(
        self, bucket: str, key: str, limit: int
    ) -> Callable[[], tuple[str | None, bytes] | None] | None:
        """Ask for an object; a function that waits for its MD5, if known, and content. None as above."""
        pending = self._started("GET", bucket, key, (), None, limit)

        def found() -> tuple[str | None, bytes] | None:
            answer = pending() if pending else None
            return (_md5(answer.headers), answer.content) if answer else None

        return found if pending else None

    def start_put_object(self, bucket: str, key: str, content: bytes) -> Callable[[], str | None] | None:
        """Send an object; a function that waits for its ETag. None as above."""
        pending = self._started("PUT", bucket, key, (), content, DOCUMENT_LIMIT)

        def etag() -> str | None:
            answer = pending() if pending else None
            return answer.headers.get("etag") if answer else None

        return etag if pending else None

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

    def list_buckets(self) -> list[str]:  # noqa: D102
        found = self._document("GET", "", "")
        return [_text(bucket, "Name") for bucket in found.iter() if _name(bucket) == "Bucket"]

    def delete_objects(self, bucket: str, keys: Sequence[str]) -> Mapping[str, str]:  # noqa: D102
        if len(keys) == 1:
            self._send("DELETE", bucket, keys[0]).close()
            return {}
        root = ElementTree.Element("Delete")
        for key in keys:
            ElementTree.SubElement(ElementTree.SubElement(root, "Object"), "Key").text = key
        ElementTree.SubElement(root, "Quiet").text = "true"
        body = ElementTree.tostring(root)
        digest = b64encode(md5(body, usedforsecurity=False).digest()).decode()
        answer = self._document("POST", bucket, "", [("delete", "")], body=body, headers={"content-md5": digest})
        return {_text(failed, "Key"): _text(failed, "Message") for failed in answer if _name(failed) == "Error"}

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

    # Requests

    def _document(
        self,
        method: str,
        bucket: str,
        key: str,
        query: Sequence[tuple[str, str]] = (),
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> ElementTree.Element:
        """The answer in XML. A failure may come with the status of success, after the store had begun to answer."""
        with self._send(method, bucket, key, query, body=body, headers=headers) as response:
            try:
                found = ElementTree.fromstring(response.read(DOCUMENT_LIMIT))
            except ElementTree.ParseError as error:
                raise PlatformError(f"{response.place} did not answer as S3 does: {error}") from None
        if _name(found) == "Error":
            raise StoreRefusal(500, _text(found, "Code"), _text(found, "Message"))
        return found

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
        """The members of an error; that of a HEAD has no body, so that only a GET tells why it was refused."""
        if method != "HEAD":
            return _error_in(response)
        if response.status not in _UNEXPLAINED:
            return {}
        query = [] if key else [("list-type", "2"), ("max-keys", "0")]
        with self._answered("GET", bucket, key, query, None, {"range": "bytes=0-0"}, keys) as explained:
            return {} if explained.ok else _error_in(explained)

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
        told = response.headers.get("Date", "")
        if response.status != 403 or reason.get("Code") not in _SKEWED or not told:
            return False
        with contextlib.suppress(ValueError, TypeError):
            skew = parsedate_to_datetime(told).timestamp() - time.time()
            if abs(skew - self._skew) > CLOCK_TOLERANCE:
                self._skew = skew
                return True
        return False

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


def _copied_from(source: ObjectName, etag: str) -> dict[str, str]:
    return {"x-amz-copy-source": encoded_path(*source), "x-amz-copy-source-if-match": etag}


def _is_metadata(name: str) -> bool:
    """Whether a header of an object is part of it, and can be given to another one."""
    return name in _METADATA or name.startswith("x-amz-meta-")


def _refusal(response: Response, place: str, reason: Mapping[str, str]) -> Exception:
    status, code, message = response.status, reason.get("Code", ""), reason.get("Message", "")
    if status == 404 and code != "NoSuchBucket":
        return FileNotFoundError(place)
    if status == 416:
        return Unsatisfiable(f"{place}: {message}")
    return StoreRefusal(status, code, message)


def _error_in(response: Response) -> dict[str, str]:
    """The members of an error's body; none if it is not in XML."""
    try:
        root = ElementTree.fromstring(response.read(DOCUMENT_LIMIT))
    except (ElementTree.ParseError, PlatformError):
        return {}
    return {_name(member): member.text or "" for member in root}


def _object(response: Response, size: int | None = None) -> Object:
    modified = response.headers.get("Last-Modified")
    if size is None:
        size = int(response.headers.get("Content-Length", "0"))
    moment = parsedate_to_datetime(modified) if modified else None
    return Object(size, moment, response.headers.get("ETag"), _md5(response.headers))


def _md5(headers: Mapping[str, str]) -> str | None:
    """The MD5 of an object, which is its ETag if it was neither made of parts nor encrypted with a key of its own."""
    etag = headers.get("etag", "").strip('"').lower()
    if not _MD5.fullmatch(etag) or "x-amz-server-side-encryption-customer-algorithm" in headers:
        return None
    return None if headers.get("x-amz-server-side-encryption", "").startswith("aws:kms") else etag


def _listing(prefix: str, delimiter: str, limit: int, token: str | None) -> list[tuple[str, str]]:
    query = [("encoding-type", "url"), ("list-type", "2"), ("max-keys", str(limit)), ("prefix", prefix)]
    query += [("delimiter", delimiter)] if delimiter else []
    return [*query, ("continuation-token", token)] if token else query


def _whole_size(content_range: str) -> int:
    size = content_range.rpartition("/")[2]
    if not (size.isascii() and size.isdecimal()):
        raise PlatformError(f"The store answered with an invalid Content-Range: {content_range[:100]!r}")
    return int(size)


def _content(response: Response, limit: int) -> Content:
    """The body up to `limit` bytes; NetworkError if it ends too early."""
    length = response.body_length or 0
    if length > limit:
        return b"".join(_first(response, limit))
    if length <= COPIED:
        return response.read(limit)
    buffer, filled = bytearray(length), 0
    with memoryview(buffer) as view:
        while filled < length and (count := response.readinto(view[filled:])):
            filled += count
    if filled < length:
        response.close()
        raise NetworkError(f"The connection to {response.place} broke", "Try again")
    return buffer


def _first(response: Response, limit: int) -> list[bytes]:
    buffer, parts = memoryview(bytearray(1 << 16)), []
    while limit and (count := response.readinto(buffer[: min(limit, len(buffer))])):
        parts.append(bytes(buffer[:count]))
        limit -= count
    return parts


def _page(answer: ElementTree.Element) -> ObjectPage:
    from urllib.parse import unquote_plus

    prefixes: list[str] = []
    objects: list[tuple[str, Object]] = []
    members = {_name(member): member.text or "" for member in answer if not len(member)}
    decode = unquote_plus if members.get("EncodingType") == "url" else str
    for found in answer:
        name = _name(found)
        if name == "Contents":
            values = {_name(member): member.text or "" for member in found}
            objects.append((decode(values["Key"]), _listed(values)))
        elif name == "CommonPrefixes":
            prefixes.append(decode(_text(found, "Prefix")))
    is_more = members.get("IsTruncated", "").lower() == "true"
    return ObjectPage(prefixes, objects, members.get("NextContinuationToken", "") if is_more else None)


def _listed(values: Mapping[str, str]) -> Object:
    modified = values.get("LastModified", "").replace("Z", "+00:00")
    try:
        moment = datetime.fromisoformat(modified) if modified else None
        return Object(int(values["Size"]), moment, values.get("ETag"))
    except (KeyError, ValueError) as error:
        raise PlatformError(f"The store's listing is not as S3 has it: {error}") from None


def _name(element: ElementTree.Element) -> str:
    """Its name without the namespace, which some stores leave out."""
    return element.tag.rpartition("}")[2]


def _text(element: ElementTree.Element, name: str) -> str:
    return next((member.text or "" for member in element if _name(member) == name), "")
