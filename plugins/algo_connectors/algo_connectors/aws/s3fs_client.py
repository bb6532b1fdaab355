"""Requests to S3 through s3fs and botocore: for options that only they know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

from algo_connectors.aws.s3_client import Object, ObjectName, ObjectPage
from algo_connectors.common.errors import Unsatisfiable
from algo_connectors.common.options import ConnectorOptions
from algo_connectors.common.writing import Condition

_METADATA = (
    *("CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType", "Expires"),
    *("Metadata", "StorageClass", "WebsiteRedirectLocation"),
)


def open_s3fs(options: ConnectorOptions) -> S3fsClient:
    """A client with the options of `s3fs.S3FileSystem`. ConfigError if they do not fit."""
    from aiobotocore.session import AioSession  # type: ignore[import-untyped]  # it has no types
    from s3fs import S3FileSystem

    config = {"connect_timeout": 10, "read_timeout": 60, "max_pool_connections": 32, **options.table("config_kwargs")}
    # s3fs tries again on top of what botocore does, which alone knows what may be repeated.
    config.setdefault("retries", {"mode": "standard", "total_max_attempts": 5})
    config.setdefault("user_agent", "algo-connectors")  # else it is put together anew for each request
    config.setdefault("response_checksum_validation", "when_required")  # there is none of a range
    client = options.table("client_kwargs")
    if region := options.take("region"):
        client.setdefault("region_name", region)
    files = options.make(
        S3FileSystem, config_kwargs=config, client_kwargs=client, use_listings_cache=False, skip_instance_cache=True
    )
    files.retries = 1
    files.session = ConnectorOptions(options.scheme, files.kwargs).make(
        AioSession
    )  # as it would itself, at the first request
    files.session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=moment)
    return S3fsClient(files)


class S3fsClient:
    """`S3Client` through s3fs."""

    def __init__(self, files: Any) -> None:
        self._files = files

    def call(self, method: str, **arguments: Any) -> Any:
        """One request, as botocore names it; arguments that are None are left out."""
        return self._files.call_s3(method, **{name: value for name, value in arguments.items() if value is not None})

    def head_object(self, bucket: str, key: str) -> Object:  # noqa: D102 - as all here: see S3Client
        return _object(self.call("head_object", Bucket=bucket, Key=key))

    def get_object(  # noqa: D102
        self, bucket: str, key: str, start: int, stop: int, etag: str | None
    ) -> tuple[Object, bytes]:
        from fsspec.asyn import sync

        async def get() -> tuple[Mapping[str, Any], bytes]:
            arguments = {"IfMatch": etag} if etag else {}
            answer = await self._files._call_s3(
                "get_object", Bucket=bucket, Key=key, Range=f"bytes={start}-{stop - 1}", **arguments
            )
            async with answer["Body"] as body:
                return answer, await body.read()

        answer, content = sync(self._files.loop, get)
        whole = int(answer["ContentRange"].rpartition("/")[2]) if "ContentRange" in answer else answer["ContentLength"]
        if "ContentRange" not in answer and start:  # the range was ignored
            if start >= whole:
                raise Unsatisfiable(f"s3://{bucket}/{key} ends before byte {start}")
            content = content[start:stop]
        return _object(answer, whole), content

    def put_object(  # noqa: D102
        self, bucket: str, key: str, content: bytes, condition: Condition | None = None
    ) -> str | None:
        etag: str | None = self.call("put_object", Bucket=bucket, Key=key, Body=content).get("ETag")
        return etag

    def create_multipart_upload(self, bucket: str, key: str) -> str:  # noqa: D102
        return str(self.call("create_multipart_upload", Bucket=bucket, Key=key)["UploadId"])

    def upload_part(self, bucket: str, key: str, upload: str, number: int, content: bytes) -> str:  # noqa: D102
        part = {"UploadId": upload, "PartNumber": number}
        return str(self.call("upload_part", Bucket=bucket, Key=key, Body=content, **part)["ETag"])

    def complete_multipart_upload(  # noqa: D102
        self, bucket: str, key: str, upload: str, etags: Mapping[int, str], condition: Condition | None = None
    ) -> str | None:
        parts = [{"PartNumber": number, "ETag": etag} for number, etag in sorted(etags.items())]
        answer = self.call(
            "complete_multipart_upload", Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}
        )
        etag: str | None = answer.get("ETag")
        return etag

    def abort_multipart_upload(self, bucket: str, key: str, upload: str) -> None:  # noqa: D102
        self.call("abort_multipart_upload", Bucket=bucket, Key=key, UploadId=upload)

    def presigned_url(self, method: str, bucket: str, key: str, seconds: int) -> str:  # noqa: D102
        from fsspec.asyn import sync

        client = sync(self._files.loop, self._files.set_session)
        operation, names = f"{method.lower()}_object", {"Bucket": bucket, "Key": key}
        found = sync(self._files.loop, client.generate_presigned_url, operation, Params=names, ExpiresIn=seconds)
        return str(found)

    def copy_object(self, source: ObjectName, etag: str, bucket: str, key: str) -> str:  # noqa: D102
        answer = self.call("copy_object", Bucket=bucket, Key=key, **_copied_from(source, etag))
        return str(answer["CopyObjectResult"]["ETag"])

    def create_multipart_copy(self, source: ObjectName, bucket: str, key: str) -> str:  # noqa: D102
        found = self.call("head_object", Bucket=source.bucket, Key=source.key)
        kept = {name: found.get(name) for name in _METADATA}
        return str(self.call("create_multipart_upload", Bucket=bucket, Key=key, **kept)["UploadId"])

    def upload_part_copy(  # noqa: D102
        self, source: ObjectName, etag: str, bucket: str, key: str, upload: str, number: int, start: int, stop: int
    ) -> str:
        part = {"UploadId": upload, "PartNumber": number, "CopySourceRange": f"bytes={start}-{stop - 1}"}
        answer = self.call("upload_part_copy", Bucket=bucket, Key=key, **part, **_copied_from(source, etag))
        return str(answer["CopyPartResult"]["ETag"])

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
        answer = self.call(
            "list_objects_v2",
            Bucket=bucket,
            Prefix=prefix,
            Delimiter=delimiter or None,
            MaxKeys=limit,
            ContinuationToken=token,
            StartAfter=after or None,
        )
        return ObjectPage(
            [found["Prefix"] for found in answer.get("CommonPrefixes", ())],
            [(found["Key"], _object(found, found["Size"])) for found in answer.get("Contents", ())],
            answer.get("NextContinuationToken", "") if answer.get("IsTruncated") else None,
        )

    def list_buckets(self) -> list[str]:  # noqa: D102
        return [found["Name"] for found in self.call("list_buckets")["Buckets"]]

    def delete_objects(self, bucket: str, keys: Sequence[str]) -> Mapping[str, str]:  # noqa: D102
        if len(keys) == 1:
            self.call("delete_object", Bucket=bucket, Key=keys[0])
            return {}
        answer = self.call(
            "delete_objects", Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True}
        )
        return {str(failed.get("Key")): str(failed.get("Message")) for failed in answer.get("Errors", ())}


def _copied_from(source: ObjectName, etag: str) -> dict[str, Any]:
    return {"CopySource": {"Bucket": source.bucket, "Key": source.key}, "CopySourceIfMatch": etag}


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


def _object(answer: Mapping[str, Any], size: int | None = None) -> Object:
    modified = answer.get("LastModified")
    return Object(
        answer["ContentLength"] if size is None else size,
        modified.astimezone(timezone.utc) if modified else None,
        answer.get("ETag"),
    )
