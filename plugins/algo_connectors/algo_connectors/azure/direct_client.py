"""Requests to Azure Blob Storage over algo's own connections: no package of Azure is imported for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from xml.etree import ElementTree

from algo_connectors.azure.answers import (
    DOCUMENT_LIMIT,
    Listing,
    blob_of,
    containers_of,
    listing_of,
    md5_of,
    quoted,
)
from algo_connectors.azure.blob_client import Blob, BlobPage
from algo_connectors.azure.requests import AccountRequests
from algo_connectors.common.bodies import Content, content_of, whole_size
from algo_connectors.common.errors import Unsatisfiable
from algo_connectors.common.refusals import StoreRefusal
from algo_connectors.common.writing import Condition
from algo_core.errors import PlatformError
from algo_core.http.response import Response

RETRIES = 4
"""How often a request is tried again that the store could not answer."""

TIMEOUTS = (10.0, 60.0)
"""Seconds for a connection, and for each wait for the store."""

DELETED_AT_ONCE = 16
"""Concurrent deletions."""

_BLOCK_BLOB = {"x-ms-blob-type": "BlockBlob"}


class DirectBlobClient(AccountRequests):
    """`BlobClient` over algo's own connections."""

    @property
    def has_key(self) -> bool:  # noqa: D102 - as all here: see BlobClient
        return self.account.key is not None

    def get_blob_properties(self, container: str, name: str) -> Blob:  # noqa: D102
        with self._send("HEAD", container, name) as response:
            return blob_of(response)

    def get_blob(  # noqa: D102
        self, container: str, name: str, start: int, stop: int, etag: str | None
    ) -> tuple[Blob, Content]:
        found, skipped, response = self.open_blob(container, name, start, stop, etag)
        with response:
            content = content_of(response, stop - start + skipped)
            return found, content[skipped:] if skipped else content

    def open_blob(
        self, container: str, name: str, start: int, stop: int | None, etag: str | None
    ) -> tuple[Blob, int, Response]:
        """The open response for a range of a blob, and the number of bytes before the range that come as well.

        Raises what `get_blob` raises.
        """
        last = "" if stop is None else stop - 1
        headers = {"x-ms-range": f"bytes={start}-{last}", **({"if-match": etag} if etag else {})}
        response = self._send("GET", container, name, headers=headers)
        try:
            part = response.headers.get("Content-Range", "")
            if response.status == 206 and part:
                return blob_of(response, whole_size(part)), 0, response
            found = blob_of(response)  # the range was ignored
            if start and start >= found.size:
                raise Unsatisfiable(f"{container}/{name} ends before byte {start}")
        except BaseException:
            response.close()
            raise
        return found, start, response

    def put_blob(  # noqa: D102
        self, container: str, name: str, content: bytes, condition: Condition | None = None
    ) -> Blob:
        headers = {**_BLOCK_BLOB, **(condition.headers() if condition else {})}
        try:
            with self._send("PUT", container, name, body=content, headers=headers) as response:
                return blob_of(response, len(content))
        except StoreRefusal as refusal:
            if not (condition and refusal.status in {409, 412} and refusal.after_lost_answer):
                raise
            return self._written(container, name, content, refusal)

    def _written(self, container: str, name: str, content: bytes, refusal: StoreRefusal) -> Blob:
        """The blob that this client may have written, without an answer; raises the refusal if it is another one."""
        found, stored = self.get_blob(container, name, 0, max(len(content), 1), None)
        if found.size != len(content) or stored != content:
            raise refusal
        return found

    def put_block(self, container: str, name: str, block: str, content: bytes) -> None:  # noqa: D102
        self._send("PUT", container, name, [("blockid", block), ("comp", "block")], body=content).close()

    def put_block_list(  # noqa: D102
        self, container: str, name: str, blocks: Sequence[str], size: int, condition: Condition | None = None
    ) -> Blob:
        root = ElementTree.Element("BlockList")
        for block in blocks:
            ElementTree.SubElement(root, "Latest").text = block
        headers = condition.headers() if condition else {}
        query = [("comp", "blocklist")]
        with self._send("PUT", container, name, query, body=ElementTree.tostring(root), headers=headers) as response:
            return blob_of(response, size)._replace(md5=None)  # that of the list

    def list_blobs(  # noqa: D102
        self, container: str, prefix: str, *, delimiter: str = "", limit: int = 5000
    ) -> Iterator[BlobPage]:
        query = [("comp", "list"), ("maxresults", str(limit)), ("restype", "container")]
        query += [(key, value) for key, value in (("delimiter", delimiter), ("prefix", prefix)) if value]
        marker = ""
        while True:
            found: Listing = listing_of(self._document(container, [*query, *([("marker", marker)] if marker else [])]))
            yield found.page
            marker = found.following
            if not marker:
                return

    def list_containers(self) -> list[str]:  # noqa: D102
        names: list[str] = []
        marker = ""
        while True:
            query = [("comp", "list"), *([("marker", marker)] if marker else [])]
            found, marker = containers_of(self._document("", query))
            names += found
            if not marker:
                return names

    def copy_blob(self, source: str, etag: str | None, container: str, name: str) -> None:  # noqa: D102
        headers = {"x-ms-copy-source": source, "x-ms-requires-sync": "true"}
        if etag:
            headers["x-ms-source-if-match"] = etag
        self._send("PUT", container, name, headers=headers, body=b"").close()

    def delete_blobs(self, container: str, names: Sequence[str]) -> None:  # noqa: D102
        if len(names) == 1:
            self._delete(container, names[0])
            return
        with ThreadPoolExecutor(DELETED_AT_ONCE, "algo-delete") as pool:
            for _ in pool.map(lambda name: self._delete(container, name), names):
                pass

    def _delete(self, container: str, name: str) -> None:
        try:
            self._send("DELETE", container, name).close()
        except FileNotFoundError:
            pass

    def address(self, container: str, name: str, seconds: float, *, writes: bool = False) -> str | None:  # noqa: D102
        if key := self.account.key:
            query = key.query(container, name, "cw" if writes else "r", seconds)
        else:
            query = self.account.signature
        return f"{self.url(container, name)}?{query}"

    def start_get_blob(
        self, container: str, name: str, limit: int
    ) -> Callable[[], tuple[str | None, bytes] | None] | None:
        """Request a blob; a function that waits for its MD5, if known, and content. None: use `get_blob`."""
        pending = self._started("GET", container, name, {}, None, limit)

        def found() -> tuple[str | None, bytes] | None:
            answer = pending() if pending else None
            return (md5_of(answer.headers, whole=True), answer.content) if answer else None

        return found if pending else None

    def start_put_blob(self, container: str, name: str, content: bytes) -> Callable[[], str | None] | None:
        """Send a blob; a function that waits for its ETag. None as above."""
        pending = self._started("PUT", container, name, _BLOCK_BLOB, content, DOCUMENT_LIMIT)

        def etag() -> str | None:
            answer = pending() if pending else None
            return quoted(answer.headers.get("etag")) if answer else None

        return etag if pending else None

    def _document(self, container: str, query: Sequence[tuple[str, str]]) -> ElementTree.Element:
        with self._send("GET", container, "", query) as response:
            try:
                return ElementTree.fromstring(response.read(DOCUMENT_LIMIT))
            except ElementTree.ParseError as error:
                raise PlatformError(f"{response.place} did not return a valid Azure response: {error}") from None
