"""The interface of Azure clients, which the storage of `azureblob://` uses.

`direct_client.py` and `adlfs_client.py` implement it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from algo_connectors.common.bodies import Content
from algo_connectors.common.writing import Condition


class Blob(NamedTuple):
    """A blob's size in bytes, time and ETag (in quotes), and the MD5 of its content in hexadecimal digits, if known."""

    size: int
    modified: datetime | None
    etag: str | None
    md5: str | None = None


class BlobPage(NamedTuple):
    """A page of a listing: common prefixes, and blobs by name."""

    prefixes: list[str]
    blobs: list[tuple[str, Blob]]


class BlobClient(Protocol):
    """Requests to an account, each named after its operation in the REST API of Azure Blob Storage.

    All raise FileNotFoundError for a missing blob, and whatever `common.errors.error_of` translates.
    """

    def get_blob_properties(self, container: str, name: str) -> Blob:
        """A blob without its content."""

    def get_blob(self, container: str, name: str, start: int, stop: int, etag: str | None) -> tuple[Blob, Content]:
        """The bytes of a blob from `start` up to `stop` or its end; the size is that of the whole blob.

        Raises:
            Changed: if it has another ETag.
            Unsatisfiable: if it ends before `start`.
        """

    def put_blob(self, container: str, name: str, content: bytes, condition: Condition | None = None) -> Blob:
        """Create or replace a blob."""

    def put_block(self, container: str, name: str, block: str, content: bytes) -> None:
        """Send a block, which is invisible until it is committed."""

    def put_block_list(
        self, container: str, name: str, blocks: Sequence[str], size: int, condition: Condition | None = None
    ) -> Blob:
        """Make a blob of `size` bytes from these blocks."""

    def list_blobs(self, container: str, prefix: str, *, delimiter: str = "", limit: int = 5000) -> Iterator[BlobPage]:
        """The blobs whose names begin with `prefix`, in order, in pages of at most `limit`; at least one page."""

    def list_containers(self) -> list[str]:
        """The names of all containers."""

    def copy_blob(self, source: str, etag: str | None, container: str, name: str) -> None:
        """Copy the blob at an address of this account (`address`), at once; Changed if it has another ETag."""

    def delete_blobs(self, container: str, names: Sequence[str]) -> None:
        """Delete blobs; missing ones are ignored."""

    def address(self, container: str, name: str, seconds: float, *, writes: bool = False) -> str | None:
        """The address of a blob with the right to read or write it (a shared access signature).

        None without the account's key, unless the connector has a signature itself: then the address contains that.
        """

    @property
    def has_key(self) -> bool:
        """Whether the client has the account's key, with which addresses are signed."""
