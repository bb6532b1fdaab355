"""Azure Blob Storage, through adlfs."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import urlsplit

from algo_connectors.common.objects import Names, ObjectStorage, child_of, folder_of
from algo_connectors.common.options import ConnectorOptions
from algo_connectors.common.writing import Condition, Upload
from algo_core.errors import RequestRefused, UsageError
from algo_core.storage.capabilities import Link
from algo_core.storage.contract import Entry, Kind
from algo_core.storage.uri import DataUri

COPY_LIMIT = 256 << 20
"""Bytes of a blob that Azure copies in one request, which replaces the target at its end."""

COPY_SECONDS = 900
"""How long the address of a blob that is copied is valid."""

DELETED_AT_ONCE = 32
"""Deletions that are on their way at once."""


def open_azureblob(options: ConnectorOptions) -> AzureStorage:
    """The storage for `azureblob://`.

    With `container` (or `container_name`) paths are inside that container, as on the platform (API section 4.2);
    without it their first component names one. `storage_uri` is the address of the account, with `sas_token`, or
    `account_name` and `account_key`; without a secret the credential is that of the Azure tools. Other options are
    those of `adlfs.AzureBlobFileSystem`.
    """
    from adlfs import AzureBlobFileSystem

    options.rename("container_name", "container")
    container = options.take("container")
    if address := options.take("storage_uri"):
        _address(options, str(address).rstrip("/"))
    files = options.make(AzureBlobFileSystem, takes_others=False, use_listings_cache=False, skip_instance_cache=True)
    return AzureStorage(files, container)


def _address(options: ConnectorOptions, address: str) -> None:
    """Tell adlfs where the account is: a connection string can say it of any account, with a secret."""
    host = urlsplit(address)
    if token := options.take("sas_token"):
        options.set("connection_string", f"BlobEndpoint={address};SharedAccessSignature={str(token).lstrip('?')}")
    elif key := options.take("account_key"):
        name = options.take("account_name") or host.netloc.partition(".")[0]
        options.set("connection_string", f"AccountName={name};AccountKey={key};BlobEndpoint={address}")
    else:
        options.set("account_host", host.netloc)
        options.set("account_name", options.take("account_name") or host.netloc.partition(".")[0])


class AzureStorage(ObjectStorage):
    """Containers of an account. A file's version is its ETag."""

    bucket_word = "container"

    def __init__(self, files: Any, container: str | None = None) -> None:
        self._files = files
        self.bucket = container

    def locate(self, uri: DataUri) -> tuple[str, str]:
        """Container and name of a blob, which cannot have the components that mean something in an address.

        Raises:
            UsageError: if it has one of these.
        """
        if {".", ".."} & set(uri.path.split("/")):
            raise UsageError(f"Azure has no names with '.' or '..' between slashes: {uri}", "Write the full path")
        return super().locate(uri)

    def run(self, function: Callable[..., Awaitable[Any]], *arguments: Any, **options: Any) -> Any:
        """The result of a coroutine function of the Azure SDK."""
        from fsspec.asyn import sync

        return sync(self._files.loop, function, *arguments, **options)

    def blob(self, bucket: str, key: str) -> Any:
        """The SDK's client for a blob."""
        return self._files.service_client.get_blob_client(bucket, key)

    def head(self, uri: DataUri, bucket: str, key: str) -> Entry:
        """Get Blob Properties."""
        return _entry(uri, self.run(self.blob(bucket, key).get_blob_properties))

    def fetch(self, uri: DataUri, start: int, stop: int, version: str | None) -> tuple[Entry, bytes]:
        """Get Blob for a range, of exactly one version."""
        bucket, key = self.locate(uri)
        if not key:
            raise self.missing(uri)
        condition = {"etag": version, "match_condition": _unmodified()} if version else {}

        async def get() -> tuple[Any, bytes]:
            answer = await self.blob(bucket, key).download_blob(start, stop - start, max_concurrency=1, **condition)
            return answer.properties, await answer.readall()

        try:
            properties, content = self.run(get)
            if properties.content_range:  # the size that the SDK gives is that of the range
                properties.size = int(properties.content_range.rpartition("/")[2])
        except Exception as error:
            if getattr(error, "status_code", None) == 404:
                raise self.missing(uri) from None
            raise
        return _entry(uri, properties), content

    def put(self, uri: DataUri, content: bytes, condition: Condition | None = None) -> Entry:
        """Put Blob."""
        bucket, key = self.locate(uri)
        answer = self.run(self.blob(bucket, key).upload_blob, content, **{"overwrite": True, **_matching(condition)})
        return Entry(
            uri, Kind.FILE, size=len(content), modified=answer.get("last_modified"), version=answer.get("etag")
        )

    def begin(self, uri: DataUri, size: int | None, condition: Condition | None = None) -> Upload:
        """Blocks, which are nothing before they are committed."""
        return _Blocks(self, uri, condition)

    def pages(
        self, uri: DataUri, bucket: str, prefix: str, *, deep: bool = False, limit: int = 1000
    ) -> Iterator[Names]:
        """List Blobs, a page at a time."""
        container = self._files.service_client.get_container_client(bucket)
        if deep:
            found = container.list_blobs(name_starts_with=prefix, results_per_page=limit)
        else:
            found = container.walk_blobs(name_starts_with=prefix, results_per_page=limit, delimiter="/")
        pages = found.by_page()
        while (page := self.run(_next, pages)) is not None:
            folders = [folder_of(uri, prefix, item.name) for item in page if not hasattr(item, "etag")]
            blobs = [item for item in page if hasattr(item, "etag")]
            yield (
                folders,
                [(blob.name, _entry(child_of(uri, prefix, blob.name), blob)) for blob in blobs],
            )

    def buckets(self, uri: DataUri) -> Iterable[str]:
        """List Containers."""

        async def names() -> list[str]:
            return [found.name async for found in self._files.service_client.list_containers()]

        return list(self.run(names))

    def copy(self, source: Entry, target: DataUri, advanced: Callable[[int], object]) -> Entry | None:
        """Copy Blob From URL, which is atomic; None for a blob too large for it, or without a signed address."""
        address = signed_address(self.blob(*self.locate(source.uri)), COPY_SECONDS)
        if (source.size or 0) > COPY_LIMIT or address is None:
            return None
        place = self.blob(*self.locate(target))
        condition = {"source_etag": source.version, "source_match_condition": _unmodified()}
        self.run(place.start_copy_from_url, address, requires_sync=True, **condition)
        advanced(source.size or 0)
        return self.head(target, *self.locate(target))

    def link(self, uri: DataUri, seconds: int, *, writes: bool = False) -> Link:
        """A shared access signature (`SharingStorage`)."""
        if writes:
            self.check_file(uri)
        elif self.stat(uri).is_directory:
            raise self.missing(uri)
        blob = self.blob(*self.locate(uri))
        if not has_key(blob):
            message = f"Links to {uri.connector}:// need the account's key, which this connector does not have"
            raise RequestRefused(message, "Set account_key in config.toml")
        url = signed_address(blob, seconds, writes=writes) or ""
        return Link("PUT", url, {"x-ms-blob-type": "BlockBlob"}) if writes else Link("GET", url)

    def delete(self, bucket: str, keys: Sequence[str]) -> None:
        """Delete Blob, several at once."""

        async def delete() -> None:
            for start in range(0, len(keys), DELETED_AT_ONCE):
                await asyncio.gather(*(one(key) for key in keys[start : start + DELETED_AT_ONCE]))

        async def one(key: str) -> None:
            try:
                await self.blob(bucket, key).delete_blob()
            except Exception as error:
                if getattr(error, "status_code", None) != 404:
                    raise

        self.run(delete)


class _Blocks(Upload):
    """Blocks of a blob.

    Azure has no request that takes back blocks: uncommitted blocks are invisible, and are deleted after a
    week, or when the blob is written again.
    """

    def __init__(self, storage: AzureStorage, uri: DataUri, condition: Condition | None = None) -> None:
        self._storage = storage
        self._condition = condition
        self._uri = uri
        self._blob = storage.blob(*storage.locate(uri))
        self._count = 0

    def part(self, number: int, offset: int, content: bytes) -> None:
        """Put Block."""
        self._storage.run(self._blob.stage_block, _block_id(number), content)
        self._count = max(self._count, number + 1)

    def finish(self, size: int) -> Entry:
        """Put Block List."""
        from azure.storage.blob import BlobBlock

        blocks = [BlobBlock(_block_id(number)) for number in range(self._count)]
        answer = self._storage.run(self._blob.commit_block_list, blocks, **_matching(self._condition))
        return Entry(self._uri, Kind.FILE, size=size, modified=answer.get("last_modified"), version=answer.get("etag"))

    def abort(self) -> None:
        pass


def has_key(blob: Any) -> bool:
    """Whether a client has the account's key."""
    return bool(getattr(blob.credential, "account_key", None))


def signed_address(blob: Any, seconds: float, *, writes: bool = False) -> str | None:
    """The address of a blob with the right to read or write it (a shared access signature).

    None without the account's key; with a signature in the connector's options, the address contains that one.
    """
    from azure.storage.blob import BlobSasPermissions, generate_blob_sas

    if not has_key(blob):
        return str(blob.url) if "sig=" in blob.url else None
    token = generate_blob_sas(
        blob.account_name,
        blob.container_name,
        blob.blob_name,
        account_key=blob.credential.account_key,
        permission=BlobSasPermissions(read=not writes, write=writes, create=writes),
        expiry=datetime.now(timezone.utc) + timedelta(seconds=seconds),
    )
    return f"{blob.url}?{token}"


def _block_id(number: int) -> str:
    return base64.b64encode(f"{number:08}".encode()).decode("ascii")


def _matching(condition: Condition | None) -> dict[str, Any]:
    """The SDK's arguments for a condition."""
    from azure.core import MatchConditions

    if condition is None:
        return {}
    if condition.version is None:
        return {"match_condition": MatchConditions.IfMissing}
    return {"match_condition": MatchConditions.IfNotModified, "etag": condition.version}


def _unmodified() -> Any:
    from azure.core import MatchConditions

    return MatchConditions.IfNotModified


async def _next(pages: AsyncIterator[Any]) -> list[Any] | None:
    try:
        return [item async for item in await pages.__anext__()]
    except StopAsyncIteration:
        return None


def _entry(uri: DataUri, properties: Any) -> Entry:
    return Entry(
        uri,
        Kind.FILE,
        size=properties.size,
        modified=properties.last_modified,
        version=f'"{properties.etag.strip(chr(34))}"',
    )
