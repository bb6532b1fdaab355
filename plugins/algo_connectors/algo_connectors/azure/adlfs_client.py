"""Requests to Azure Blob Storage through adlfs and the Azure SDK: for credentials and options that only they know."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import urlsplit

from algo_connectors.azure.answers import quoted
from algo_connectors.azure.blob_client import Blob, BlobPage
from algo_connectors.common.options import ConnectorOptions
from algo_connectors.common.writing import Condition

DELETED_AT_ONCE = 32
"""Concurrent deletions."""


def open_adlfs(options: ConnectorOptions) -> AdlfsClient:
    """A client with the options of `adlfs.AzureBlobFileSystem`. ConfigError if they do not fit."""
    from adlfs import AzureBlobFileSystem

    if address := options.take("storage_uri"):
        _address(options, str(address).rstrip("/"))
    files = options.make(AzureBlobFileSystem, takes_others=False, use_listings_cache=False, skip_instance_cache=True)
    return AdlfsClient(files)


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


class AdlfsClient:
    """`BlobClient` through adlfs."""

    def __init__(self, files: Any) -> None:
        self._files = files

    def run(self, function: Callable[..., Awaitable[Any]], *arguments: Any, **options: Any) -> Any:
        """The result of a coroutine function of the Azure SDK."""
        from fsspec.asyn import sync

        return sync(self._files.loop, function, *arguments, **options)

    @property
    def service(self) -> Any:
        """The SDK's client for the account."""
        return self._files.service_client

    def _blob(self, container: str, name: str) -> Any:
        return self.service.get_blob_client(container, name)

    @property
    def has_key(self) -> bool:  # noqa: D102 - as all here: see BlobClient
        return bool(getattr(self.service.credential, "account_key", None))

    def get_blob_properties(self, container: str, name: str) -> Blob:  # noqa: D102
        return _of(self.run(self._blob(container, name).get_blob_properties))

    def get_blob(self, container: str, name: str, start: int, stop: int, etag: str | None) -> tuple[Blob, bytes]:  # noqa: D102
        condition = _matching(Condition(etag)) if etag else {}

        async def get() -> tuple[Any, bytes]:
            answer = await self._blob(container, name).download_blob(
                start, stop - start, max_concurrency=1, **condition
            )
            return answer.properties, await answer.readall()

        try:
            properties, content = self.run(get)
        except Exception as error:
            if getattr(error, "status_code", None) == 404:
                raise FileNotFoundError(f"{container}/{name}") from None
            raise
        if properties.content_range:  # the size that the SDK gives is that of the range
            properties.size = int(properties.content_range.rpartition("/")[2])
        return _of(properties), content

    def put_blob(  # noqa: D102
        self, container: str, name: str, content: bytes, condition: Condition | None = None
    ) -> Blob:
        answer = self.run(
            self._blob(container, name).upload_blob, content, **{"overwrite": True, **_matching(condition)}
        )
        return Blob(len(content), answer.get("last_modified"), quoted(answer.get("etag")))

    def put_block(self, container: str, name: str, block: str, content: bytes) -> None:  # noqa: D102
        self.run(self._blob(container, name).stage_block, block, content)

    def put_block_list(  # noqa: D102
        self, container: str, name: str, blocks: Sequence[str], size: int, condition: Condition | None = None
    ) -> Blob:
        from azure.storage.blob import BlobBlock

        listed = [BlobBlock(block) for block in blocks]
        answer = self.run(self._blob(container, name).commit_block_list, listed, **_matching(condition))
        return Blob(size, answer.get("last_modified"), quoted(answer.get("etag")))

    def list_blobs(  # noqa: D102
        self, container: str, prefix: str, *, delimiter: str = "", limit: int = 5000
    ) -> Iterator[BlobPage]:
        client = self.service.get_container_client(container)
        more = {"name_starts_with": prefix, "results_per_page": limit}
        found = client.walk_blobs(**more, delimiter=delimiter) if delimiter else client.list_blobs(**more)
        pages = found.by_page()
        while (page := self.run(_next, pages)) is not None:
            prefixes = [item.name for item in page if not hasattr(item, "etag")]
            yield BlobPage(prefixes, [(item.name, _of(item)) for item in page if hasattr(item, "etag")])

    def list_containers(self) -> list[str]:  # noqa: D102
        async def names() -> list[str]:
            return [found.name async for found in self.service.list_containers()]

        return list(self.run(names))

    def copy_blob(self, source: str, etag: str | None, container: str, name: str) -> None:  # noqa: D102
        from azure.core import MatchConditions

        condition = {"source_etag": etag, "source_match_condition": MatchConditions.IfNotModified} if etag else {}
        self.run(self._blob(container, name).start_copy_from_url, source, requires_sync=True, **condition)

    def delete_blobs(self, container: str, names: Sequence[str]) -> None:  # noqa: D102
        async def delete() -> None:
            for start in range(0, len(names), DELETED_AT_ONCE):
                await asyncio.gather(*(one(name) for name in names[start : start + DELETED_AT_ONCE]))

        async def one(name: str) -> None:
            try:
                await self._blob(container, name).delete_blob()
            except Exception as error:
                if getattr(error, "status_code", None) != 404:
                    raise

        self.run(delete)

    def address(self, container: str, name: str, seconds: float, *, writes: bool = False) -> str | None:  # noqa: D102
        from azure.storage.blob import BlobSasPermissions, generate_blob_sas

        blob = self._blob(container, name)
        if not self.has_key:
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


def _matching(condition: Condition | None) -> dict[str, Any]:
    """The SDK's arguments for a condition."""
    from azure.core import MatchConditions

    if condition is None:
        return {}
    if condition.version is None:
        return {"match_condition": MatchConditions.IfMissing}
    return {"match_condition": MatchConditions.IfNotModified, "etag": condition.version}


async def _next(pages: AsyncIterator[Any]) -> list[Any] | None:
    try:
        return [item async for item in await pages.__anext__()]
    except StopAsyncIteration:
        return None


def _of(properties: Any) -> Blob:
    return Blob(properties.size, properties.last_modified, quoted(properties.etag))
