"""Amazon S3, and what speaks its protocol, through s3fs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

from algo_connectors.common.errors import Unsatisfiable
from algo_connectors.common.objects import Names, ObjectStorage, child_of, folder_of
from algo_connectors.common.options import ConnectorOptions
from algo_connectors.common.writing import Upload
from algo_core.errors import AlgoError, PlatformError
from algo_core.storage.contract import Entry, Kind
from algo_core.storage.uri import DataUri


def open_s3(options: ConnectorOptions) -> S3Storage:
    """The storage for `s3://`.

    Without options the credentials are those of the AWS tools (environment, `~/.aws`, instance role). Options are those
    of `s3fs.S3FileSystem`, and `region`, `access_key_id`, `secret_access_key`, `session_token`.
    """
    from aiobotocore.session import AioSession  # type: ignore[import-untyped]  # it has no types
    from s3fs import S3FileSystem

    options.rename("access_key_id", "key")
    options.rename("secret_access_key", "secret")
    options.rename("session_token", "token")
    config = {"connect_timeout": 10, "read_timeout": 60, "max_pool_connections": 32, **options.table("config_kwargs")}
    # s3fs tries again on top of what botocore does, which alone knows what may be repeated.
    config.setdefault("retries", {"mode": "standard", "total_max_attempts": 5})
    config.setdefault("user_agent", "algo-connectors")  # else it is put together anew for each request
    config.setdefault("response_checksum_validation", "when_required")  # there is none of a range
    client = options.table("client_kwargs")
    if region := options.take("region"):
        client.setdefault("region_name", region)
    bucket = options.take("bucket")
    files = options.make(
        S3FileSystem, config_kwargs=config, client_kwargs=client, use_listings_cache=False, skip_instance_cache=True
    )
    files.retries = 1
    files.session = ConnectorOptions(options.scheme, files.kwargs).make(
        AioSession
    )  # as it would itself, at the first request
    files.session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=moment)
    return S3Storage(files, bucket)


class S3Storage(ObjectStorage):
    """Buckets of S3. A file's version is its ETag."""

    def __init__(self, files: Any, bucket: str | None = None) -> None:
        self._files = files
        self.bucket = bucket

    def call(self, method: str, **arguments: Any) -> Any:
        """One request, as botocore names it; arguments that are None are left out."""
        return self._files.call_s3(method, **{name: value for name, value in arguments.items() if value is not None})

    def head(self, uri: DataUri, bucket: str, key: str) -> Entry:
        """HeadObject."""
        return _entry(uri, self.call("head_object", Bucket=bucket, Key=key))

    def fetch(self, uri: DataUri, start: int, stop: int, version: str | None) -> tuple[Entry, bytes]:
        """GetObject for a range, of exactly one version."""
        bucket, key = self.locate(uri)
        if not key:
            raise self.missing(uri)
        try:
            return self._get(uri, bucket, key, start, stop, version)
        except FileNotFoundError:
            raise self.missing(uri) from None

    def _get(
        self, uri: DataUri, bucket: str, key: str, start: int, stop: int, version: str | None
    ) -> tuple[Entry, bytes]:
        from fsspec.asyn import sync

        async def get() -> tuple[Mapping[str, Any], bytes]:
            arguments = {"IfMatch": version} if version else {}
            answer = await self._files._call_s3(
                "get_object", Bucket=bucket, Key=key, Range=f"bytes={start}-{stop - 1}", **arguments
            )
            async with answer["Body"] as body:
                return answer, await body.read()

        answer, content = sync(self._files.loop, get)
        whole = int(answer["ContentRange"].rpartition("/")[2]) if "ContentRange" in answer else answer["ContentLength"]
        if "ContentRange" not in answer and start:  # the range was ignored
            if start >= whole:
                raise Unsatisfiable(f"{uri} ends before byte {start}")
            content = content[start:stop]
        return _entry(uri, answer, whole), content

    def put(self, uri: DataUri, content: bytes) -> Entry:
        """PutObject."""
        bucket, key = self.locate(uri)
        answer = self.call("put_object", Bucket=bucket, Key=key, Body=content)
        return Entry(uri, Kind.FILE, size=len(content), version=answer.get("ETag"))

    def begin(self, uri: DataUri, size: int | None) -> Upload:
        """CreateMultipartUpload."""
        return _Parts(self, uri)

    def pages(
        self, uri: DataUri, bucket: str, prefix: str, *, deep: bool = False, limit: int = 1000
    ) -> Iterator[Names]:
        """ListObjectsV2, a page at a time."""
        token = None
        while True:
            answer = self.call(
                "list_objects_v2",
                Bucket=bucket,
                Prefix=prefix,
                Delimiter=None if deep else "/",
                MaxKeys=limit,
                ContinuationToken=token,
            )
            folders = [folder_of(uri, prefix, found["Prefix"]) for found in answer.get("CommonPrefixes", ())]
            objects = [
                (found["Key"], _entry(child_of(uri, prefix, found["Key"]), found, found["Size"]))
                for found in answer.get("Contents", ())
            ]
            yield folders, objects
            if not answer.get("IsTruncated"):
                return
            token = answer.get("NextContinuationToken")
            if not token:
                raise PlatformError(f"The listing of {uri} is incomplete: the store returned no continuation token")

    def buckets(self, uri: DataUri) -> Iterable[str]:
        """ListBuckets."""
        return [found["Name"] for found in self.call("list_buckets")["Buckets"]]

    def delete(self, bucket: str, keys: Sequence[str]) -> None:
        """DeleteObject, or DeleteObjects for several."""
        if len(keys) == 1:
            self.call("delete_object", Bucket=bucket, Key=keys[0])
            return
        answer = self.call(
            "delete_objects", Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True}
        )
        for failed in answer.get("Errors", ()):
            raise AlgoError(f"{bucket}/{failed.get('Key')} was not removed: {failed.get('Message')}")


class _Parts(Upload):
    """A multi-part upload."""

    def __init__(self, storage: S3Storage, uri: DataUri) -> None:
        self._storage = storage
        self._uri = uri
        self._bucket, self._key = storage.locate(uri)
        self._tags: dict[int, str] = {}
        self._id = storage.call("create_multipart_upload", Bucket=self._bucket, Key=self._key)["UploadId"]

    def _call(self, method: str, **arguments: Any) -> Any:
        return self._storage.call(method, Bucket=self._bucket, Key=self._key, UploadId=self._id, **arguments)

    def part(self, number: int, offset: int, content: bytes) -> None:
        """UploadPart."""
        self._tags[number] = self._call("upload_part", PartNumber=number + 1, Body=content)["ETag"]

    def finish(self, size: int) -> Entry:
        """CompleteMultipartUpload."""
        parts = [{"PartNumber": number + 1, "ETag": tag} for number, tag in sorted(self._tags.items())]
        answer = self._call("complete_multipart_upload", MultipartUpload={"Parts": parts})
        return Entry(self._uri, Kind.FILE, size=size, version=answer.get("ETag"))

    def abort(self) -> None:
        """AbortMultipartUpload."""
        self._call("abort_multipart_upload")


def moment(text: Any) -> datetime:
    """A time as S3 writes it, ISO 8601 in bodies and RFC 822 in headers.

    botocore finds out the format of each, which takes as long as signing a request does.
    """
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00")) if text[4:5] == "-" else parsedate_to_datetime(text)
        if found.tzinfo:
            return found
    except (TypeError, ValueError, AttributeError, IndexError):
        pass
    from botocore.utils import parse_timestamp  # type: ignore[import-untyped]  # it has no types

    parsed: datetime = parse_timestamp(text)
    return parsed


def _entry(uri: DataUri, answer: Mapping[str, Any], size: int | None = None) -> Entry:
    modified = answer.get("LastModified")
    return Entry(
        uri,
        Kind.FILE,
        size=answer["ContentLength"] if size is None else size,
        modified=modified.astimezone(timezone.utc) if modified else None,
        version=answer.get("ETag"),
    )
