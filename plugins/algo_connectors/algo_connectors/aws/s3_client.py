"""The interface of S3 clients for the storage of `s3://`: `direct_client.py` and `s3fs_client.py` implement it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from algo_connectors.common.bodies import Content
from algo_connectors.common.writing import Condition


class Object(NamedTuple):
    """An object's size in bytes, time and ETag."""

    size: int
    modified: datetime | None
    etag: str | None
    md5: str | None = None
    """The digest of its content in hexadecimal digits, where the answer leaves no doubt."""


class ObjectName(NamedTuple):
    """An object of a store."""

    bucket: str
    key: str


class ObjectPage(NamedTuple):
    """A page of a listing: common prefixes, objects by key, and the token of the next page."""

    prefixes: list[str]
    objects: list[tuple[str, Object]]
    following: str | None


class S3Client(Protocol):
    """Requests to S3, each named after its operation in the API of S3.

    All raise FileNotFoundError for a missing bucket or object, and whatever `common.errors.error_of` translates.
    """

    def head_object(self, bucket: str, key: str) -> Object:
        """An object without its content."""

    def get_object(self, bucket: str, key: str, start: int, stop: int, etag: str | None) -> tuple[Object, Content]:
        """The bytes of an object from `start` up to `stop` or its end; the size is that of the whole object.

        Raises:
            Changed: if it has not this ETag (any more).
            Unsatisfiable: if it ends before `start`.
        """

    def put_object(self, bucket: str, key: str, content: bytes, condition: Condition | None = None) -> str | None:
        """Create or replace an object; its ETag.

        Raises:
            Changed: if the condition does not hold.
        """

    def create_multipart_upload(self, bucket: str, key: str) -> str:
        """Begin an upload in parts; its identifier."""

    def upload_part(self, bucket: str, key: str, upload: str, number: int, content: bytes) -> str:
        """Send a part, numbered from 1; its ETag."""

    def complete_multipart_upload(
        self, bucket: str, key: str, upload: str, etags: Mapping[int, str], condition: Condition | None = None
    ) -> str | None:
        """Make an object of the parts; its ETag. Raises what `put_object` raises."""

    def abort_multipart_upload(self, bucket: str, key: str, upload: str) -> None:
        """Discard the parts."""

    def presigned_url(self, method: str, bucket: str, key: str, seconds: int) -> str:
        """An address for one kind of request to an object, for so many seconds. AuthError without a credential."""

    def copy_object(self, source: ObjectName, etag: str, bucket: str, key: str) -> str:
        """Copy an object of at most 5 GiB with its metadata; the copy's ETag. Raises Changed as `get_object` does."""

    def create_multipart_copy(self, source: ObjectName, bucket: str, key: str) -> str:
        """Begin an upload in parts with the metadata of another object; its identifier."""

    def upload_part_copy(
        self, source: ObjectName, etag: str, bucket: str, key: str, upload: str, number: int, start: int, stop: int
    ) -> str:
        """Make a part of an object's bytes from `start` up to `stop`; its ETag. Raises Changed as well."""

    def list_objects(
        self,
        bucket: str,
        prefix: str,
        *,
        delimiter: str = "",
        limit: int = 1000,
        token: str | None = None,
        after: str = "",
    ) -> ObjectPage:
        """A page of the keys that begin with `prefix`, in order; those behind the key `after`."""

    def list_buckets(self) -> list[str]:
        """The names of all buckets."""

    def delete_objects(self, bucket: str, keys: Sequence[str]) -> Mapping[str, str]:
        """Delete at most 1,000 objects; the reason of each that could not be deleted, by its key."""
