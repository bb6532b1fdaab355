"""The storage for `azureblob://`: Azure Blob Storage."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Sequence

from algo_connectors.azure.blob_client import Blob, BlobClient
from algo_connectors.azure.direct_client import DirectBlobClient
from algo_connectors.azure.settings import needs_adlfs, open_direct
from algo_connectors.common.direct import DirectStorage, OpenRange, StartedRead, StartedWrite, checked
from algo_connectors.common.objects import Names, child_of, folder_of
from algo_connectors.common.options import ConnectorOptions
from algo_connectors.common.writing import Condition, Upload
from algo_core.errors import ConfigError, RequestRefused, UsageError
from algo_core.storage.capabilities import Link
from algo_core.storage.contract import Checksum, Entry, Kind
from algo_core.storage.uri import DataUri

CLIENTS = ("direct", "adlfs")
"""The values of the option `client`."""

COPY_LIMIT = 256 << 20
"""Bytes of a blob that Azure copies in one request, which replaces the target at its end."""

COPY_SECONDS = 900
"""How long the address of a blob that is copied is valid."""


def open_azureblob(options: ConnectorOptions) -> AzureStorage:
    """The storage for `azureblob://`.

    With `container` (or `container_name`) paths are inside that container, as on the platform (API section 4.2);
    without it their first component names one. `storage_uri` is the address of the account, or `account_name` its
    name; `account_key` or `sas_token` is the credential. `connection_string` has both. The variables of the Azure
    tools (`AZURE_STORAGE_...`) stand in for them. Without a key or signature, with other options of
    `adlfs.AzureBlobFileSystem`, or with `client = "adlfs"`, requests go through adlfs.
    """
    options.rename("container_name", "container")
    container, client = options.take("container"), options.take("client")
    if client not in {None, *CLIENTS}:
        raise ConfigError(f"client must be one of {', '.join(CLIENTS)}, not {client!r}")
    if client == "adlfs" or (client is None and needs_adlfs(options)):
        from algo_connectors.azure.adlfs_client import open_adlfs

        return AzureStorage(open_adlfs(options), container)
    return AzureStorage(open_direct(options), container)


class AzureStorage(DirectStorage):
    """Containers of an account. A file's version is its ETag."""

    bucket_word = "container"

    def __init__(self, client: BlobClient, container: str | None = None) -> None:
        self.client = client
        self.connections = self.parallel if self.direct else 1
        self.bucket = container

    def locate(self, uri: DataUri) -> tuple[str, str]:
        """Container and name of a blob, which cannot have the components that mean something in an address.

        Raises:
            UsageError: if it has one of these.
        """
        if {".", ".."} & set(uri.path.split("/")):
            raise UsageError(f"Azure has no names with '.' or '..' between slashes: {uri}", "Write the full path")
        return super().locate(uri)

    def head(self, uri: DataUri, bucket: str, key: str) -> Entry:
        """Get Blob Properties."""
        return _entry(uri, self.client.get_blob_properties(bucket, key))

    def fetch(self, uri: DataUri, start: int, stop: int, version: str | None) -> tuple[Entry, bytes | bytearray]:
        """Get Blob for a range, of exactly one version."""
        bucket, key = self.locate(uri)
        if not key:
            raise self.missing(uri)
        try:
            found, content = self.client.get_blob(bucket, key, start, stop, version)
        except FileNotFoundError:
            raise self.missing(uri) from None
        entry = _entry(uri, found)
        return checked(entry, _checksum(found)) if len(content) == found.size else entry, content

    @property
    def direct(self) -> DirectBlobClient | None:
        """The client, unless that is adlfs."""
        return self.client if isinstance(self.client, DirectBlobClient) else None

    def open_range(
        self, uri: DataUri, bucket: str, key: str, start: int, stop: int | None, version: str | None
    ) -> OpenRange:
        """Get Blob."""
        assert self.direct
        found, skipped, response = self.direct.open_blob(bucket, key, start, stop, version)
        return OpenRange(_entry(uri, found), _checksum(found), skipped, response)

    def start_get(self, bucket: str, key: str, limit: int) -> StartedRead | None:
        """Get Blob."""
        assert self.direct
        return self.direct.start_get_blob(bucket, key, limit)

    def start_put(self, bucket: str, key: str, content: bytes) -> StartedWrite | None:
        """Put Blob."""
        assert self.direct
        return self.direct.start_put_blob(bucket, key, content)

    def put(self, uri: DataUri, content: bytes, condition: Condition | None = None) -> Entry:
        """Put Blob."""
        found = self.client.put_blob(*self.locate(uri), content, condition)
        return Entry(uri, Kind.FILE, size=len(content), modified=found.modified, version=found.etag)

    def begin(self, uri: DataUri, size: int | None, condition: Condition | None = None) -> Upload:
        """Blocks, which are nothing before they are committed."""
        return _Blocks(self, uri, condition)

    def pages(
        self, uri: DataUri, bucket: str, prefix: str, *, deep: bool = False, limit: int = 1000
    ) -> Iterator[Names]:
        """List Blobs, a page at a time."""
        for page in self.client.list_blobs(bucket, prefix, delimiter="" if deep else "/", limit=limit):
            folders = [folder_of(uri, prefix, found) for found in page.prefixes]
            yield folders, [(name, _entry(child_of(uri, prefix, name), found)) for name, found in page.blobs]

    def buckets(self, uri: DataUri) -> Iterable[str]:
        """List Containers."""
        return self.client.list_containers()

    def copy(self, source: Entry, target: DataUri, advanced: Callable[[int], object]) -> Entry | None:
        """Copy Blob From URL, which is atomic; None for a blob too large for it, or without a signed address."""
        address = self.client.address(*self.locate(source.uri), COPY_SECONDS)
        if (source.size or 0) > COPY_LIMIT or address is None:
            return None
        place = self.locate(target)
        self.client.copy_blob(address, source.version, *place)
        advanced(source.size or 0)
        return self.head(target, *place)

    def link(self, uri: DataUri, seconds: int, *, writes: bool = False) -> Link:
        """A shared access signature (`SharingStorage`)."""
        if writes:
            self.check_file(uri)
        elif self.stat(uri).is_directory:
            raise self.missing(uri)
        if not self.client.has_key:
            message = f"Links to {uri.connector}:// need the account's key, which this connector does not have"
            raise RequestRefused(message, "Set account_key in config.toml")
        url = self.client.address(*self.locate(uri), seconds, writes=writes) or ""
        return Link("PUT", url, {"x-ms-blob-type": "BlockBlob"}) if writes else Link("GET", url)

    def delete(self, bucket: str, keys: Sequence[str]) -> None:
        """Delete Blob, several at once."""
        self.client.delete_blobs(bucket, keys)


class _Blocks(Upload):
    """Blocks of a blob.

    Azure has no request that takes back blocks: uncommitted blocks are invisible, and are deleted after a
    week, or when the blob is written again.
    """

    def __init__(self, storage: AzureStorage, uri: DataUri, condition: Condition | None = None) -> None:
        self._client = storage.client
        self._condition = condition
        self._uri = uri
        self._place = storage.locate(uri)
        self._count = 0

    def part(self, number: int, offset: int, content: bytes) -> None:
        """Put Block."""
        self._client.put_block(*self._place, _block_id(number), content)
        self._count = max(self._count, number + 1)

    def finish(self, size: int) -> Entry:
        """Put Block List."""
        blocks = [_block_id(number) for number in range(self._count)]
        found = self._client.put_block_list(*self._place, blocks, size, self._condition)
        return Entry(self._uri, Kind.FILE, size=size, modified=found.modified, version=found.etag)

    def abort(self) -> None:
        pass


def _block_id(number: int) -> str:
    return base64.b64encode(f"{number:08}".encode()).decode("ascii")


def _checksum(found: Blob) -> Checksum | None:
    return Checksum("md5", found.md5) if found.md5 else None


def _entry(uri: DataUri, found: Blob) -> Entry:
    return Entry(uri, Kind.FILE, size=found.size, modified=found.modified, version=found.etag)
