"""Requests to S3 over algo's own connections, signed here: no package of a store is imported for them."""

from __future__ import annotations

import contextlib
import re
import time
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from hashlib import md5
from xml.etree import ElementTree

from algo_connectors.aws.answers import (
    DOCUMENT_LIMIT,
    md5_of,
    name_of,
    object_of,
    page_of,
    text_of,
)
from algo_connectors.aws.requests import SignedRequests
from algo_connectors.aws.s3_client import Object, ObjectName, ObjectPage
from algo_connectors.aws.signature import encoded_path
from algo_connectors.common.bodies import Content, content_of, whole_size
from algo_connectors.common.errors import Unsatisfiable
from algo_connectors.common.refusals import StoreRefusal
from algo_connectors.common.writing import Condition
from algo_core.errors import AuthError, PlatformError
from algo_core.http.response import Response
from algo_core.http.retry import Tries

RETRIES = 4
"""How often a request is tried again that the store could not answer."""

TIMEOUTS = (10.0, 60.0)
"""Seconds for a connection, and for each wait for the store."""

CONFLICT = "ConditionalRequestConflict"
"""What S3 says when something else is writing the object at the same moment: the request is to be sent again."""

_NOT_IN_XML = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]")
_METADATA = frozenset(
    {"cache-control", "content-disposition", "content-encoding", "content-language", "content-type", "expires"}
    | {"x-amz-storage-class", "x-amz-website-redirect-location"}
)


class DirectS3Client(SignedRequests):
    """`S3Client` over algo's own connections."""

    def head_object(self, bucket: str, key: str) -> Object:  # noqa: D102 - as all here: see S3Client
        with self._send("HEAD", bucket, key) as response:
            return object_of(response)

    def get_object(  # noqa: D102
        self, bucket: str, key: str, start: int, stop: int, etag: str | None
    ) -> tuple[Object, Content]:
        found, skipped, response = self.open_object(bucket, key, start, stop, etag)
        with response:
            return found, content_of(response, stop - start + skipped)[skipped:] if skipped else content_of(
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
                return object_of(response, whole_size(part)), 0, response
            found = object_of(response)  # the range was ignored
            if start and start >= found.size:
                raise Unsatisfiable(f"s3://{bucket}/{key} ends before byte {start}")
        except BaseException:
            response.close()
            raise
        return found, start, response

    def put_object(  # noqa: D102
        self, bucket: str, key: str, content: bytes, condition: Condition | None = None
    ) -> str | None:
        headers = condition.headers() if condition else {}
        tries = Tries(RETRIES)
        while True:
            try:
                with self._send("PUT", bucket, key, body=content, headers=headers) as response:
                    return response.headers.get("ETag")
            except StoreRefusal as refusal:
                if condition and refusal.status == 412 and refusal.after_lost_answer:
                    return self._written(bucket, key, content, refusal)
                if not condition or refusal.error_code != CONFLICT:
                    raise
                tries.spend_on(refusal)

    def _written(self, bucket: str, key: str, content: bytes, refusal: StoreRefusal) -> str | None:
        """The ETag of an object that this client may have written, without an answer; raises if it is another one."""
        found, stored = self.get_object(bucket, key, 0, max(len(content), 1), None)
        if found.size != len(content) or stored != content:
            raise refusal
        return found.etag

    def create_multipart_upload(self, bucket: str, key: str) -> str:  # noqa: D102
        return text_of(self._document("POST", bucket, key, [("uploads", "")]), "UploadId")

    def upload_part(self, bucket: str, key: str, upload: str, number: int, content: bytes) -> str:  # noqa: D102
        query = [("partNumber", str(number)), ("uploadId", upload)]
        with self._send("PUT", bucket, key, query, body=content) as response:
            etag = response.headers.get("ETag")
        if not etag:
            raise PlatformError("The store returned no ETag for a part: the upload cannot be completed")
        return etag

    def complete_multipart_upload(  # noqa: D102
        self, bucket: str, key: str, upload: str, etags: Mapping[int, str], condition: Condition | None = None
    ) -> str | None:
        root = ElementTree.Element("CompleteMultipartUpload")
        for number, etag in sorted(etags.items()):
            part = ElementTree.SubElement(root, "Part")
            ElementTree.SubElement(part, "PartNumber").text = str(number)
            ElementTree.SubElement(part, "ETag").text = etag
        body, headers = ElementTree.tostring(root), condition.headers() if condition else {}
        answer = self._document("POST", bucket, key, [("uploadId", upload)], body=body, headers=headers)
        return text_of(answer, "ETag") or None

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
        return text_of(self._document("PUT", bucket, key, headers=_copied_from(source, etag)), "ETag")

    def create_multipart_copy(self, source: ObjectName, bucket: str, key: str) -> str:  # noqa: D102
        with self._send("HEAD", *source) as response:
            kept = {name.lower(): value for name, value in response.headers.items() if _is_metadata(name.lower())}
        return text_of(self._document("POST", bucket, key, [("uploads", "")], headers=kept), "UploadId")

    def upload_part_copy(  # noqa: D102
        self, source: ObjectName, etag: str, bucket: str, key: str, upload: str, number: int, start: int, stop: int
    ) -> str:
        query = [("partNumber", str(number)), ("uploadId", upload)]
        headers = {**_copied_from(source, etag), "x-amz-copy-source-range": f"bytes={start}-{stop - 1}"}
        return text_of(self._document("PUT", bucket, key, query, headers=headers), "ETag")

    def list_objects(  # noqa: D102
        self,
        bucket: str,
        prefix: str,
        *,
        delimiter: str = "",
        limit: int = 1000,
        token: str | None = None,
        after: str = "",
    ) -> ObjectPage:
        query = _listing(prefix, delimiter, limit, token)
        return page_of(self._document("GET", bucket, "", [*query, ("start-after", after)] if after else query))

    def start_list_objects(
        self, bucket: str, prefix: str, *, delimiter: str, limit: int, token: str
    ) -> Callable[[], ObjectPage | None] | None:
        """Ask for a page; a function that waits for it. None, here or there: ask in the ordinary way."""
        query = _listing(prefix, delimiter, limit, token)
        pending = self._started("GET", bucket, "", query, None, DOCUMENT_LIMIT)

        def page() -> ObjectPage | None:
            answer = pending() if pending else None
            try:
                return page_of(ElementTree.fromstring(answer.content)) if answer else None
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
            return (md5_of(answer.headers), answer.content) if answer else None

        return found if pending else None

    def start_put_object(self, bucket: str, key: str, content: bytes) -> Callable[[], str | None] | None:
        """Send an object; a function that waits for its ETag. None as above."""
        pending = self._started("PUT", bucket, key, (), content, DOCUMENT_LIMIT)

        def etag() -> str | None:
            answer = pending() if pending else None
            return answer.headers.get("etag") if answer else None

        return etag if pending else None

    def list_buckets(self) -> list[str]:  # noqa: D102
        found = self._document("GET", "", "")
        return [text_of(bucket, "Name") for bucket in found.iter() if name_of(bucket) == "Bucket"]

    def delete_objects(self, bucket: str, keys: Sequence[str]) -> Mapping[str, str]:  # noqa: D102
        # XML cannot contain control characters, and its readers take a carriage return for a line's end: another key.
        alone = [key for key in keys if len(keys) == 1 or _NOT_IN_XML.search(key)]
        for key in alone:
            self._send("DELETE", bucket, key).close()
        if not (keys := [key for key in keys if key not in alone]):
            return {}
        root = ElementTree.Element("Delete")
        for key in keys:
            ElementTree.SubElement(ElementTree.SubElement(root, "Object"), "Key").text = key
        ElementTree.SubElement(root, "Quiet").text = "true"
        body = ElementTree.tostring(root)
        digest = b64encode(md5(body, usedforsecurity=False).digest()).decode()
        answer = self._document("POST", bucket, "", [("delete", "")], body=body, headers={"content-md5": digest})
        return {text_of(failed, "Key"): text_of(failed, "Message") for failed in answer if name_of(failed) == "Error"}

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
                raise PlatformError(f"{response.place} did not return a valid S3 response: {error}") from None
        if name_of(found) == "Error":
            raise StoreRefusal(500, text_of(found, "Code"), text_of(found, "Message"))
        return found


def _copied_from(source: ObjectName, etag: str) -> dict[str, str]:
    return {"x-amz-copy-source": encoded_path(*source), "x-amz-copy-source-if-match": etag}


def _is_metadata(name: str) -> bool:
    """Whether a header of an object is part of it, and can be given to another one."""
    return name in _METADATA or name.startswith("x-amz-meta-")


def _listing(prefix: str, delimiter: str, limit: int, token: str | None) -> list[tuple[str, str]]:
    query = [("encoding-type", "url"), ("list-type", "2"), ("max-keys", str(limit)), ("prefix", prefix)]
    query += [("delimiter", delimiter)] if delimiter else []
    return [*query, ("continuation-token", token)] if token else query
