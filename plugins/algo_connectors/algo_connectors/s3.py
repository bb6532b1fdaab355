"""The storage for `s3://`: Amazon S3 and compatible stores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, as_completed, wait
from contextlib import suppress

from algo_connectors.aws.conditions import ConditionProbe
from algo_connectors.aws.direct_client import DirectS3Client
from algo_connectors.aws.s3_client import Object, ObjectName, S3Client
from algo_connectors.aws.settings import needs_s3fs, open_direct
from algo_connectors.aws.signature import LONGEST
from algo_connectors.common.direct import DirectStorage, OpenRange, StartedRead, StartedWrite, checked
from algo_connectors.common.errors import Changed, is_unknown_request, store_errors
from algo_connectors.common.links import check_lifetime
from algo_connectors.common.objects import Names, child_of, folder_of, prefix_of
from algo_connectors.common.options import ConnectorOptions
from algo_connectors.common.remote import unmet
from algo_connectors.common.writing import Condition, Upload, part_size
from algo_core.errors import AlgoError, ConfigError, PlatformError
from algo_core.storage.capabilities import ConditionsIgnored, Link
from algo_core.storage.contract import Checksum, Entry, Kind
from algo_core.storage.uri import DataUri

PAGE = 1000
"""Objects of a listing's page, at most."""

CLIENTS = ("direct", "s3fs")
"""The values of the option `client`."""


def open_s3(options: ConnectorOptions) -> S3Storage:
    """The storage for `s3://`.

    Without options the credentials are those of the AWS tools (environment, `~/.aws`, instance role). The options are
    `region`, `endpoint_url`, `access_key_id`, `secret_access_key`, `session_token`, `anon`, `timeout` and `bucket`;
    with `client = "s3fs"`, or any other option, requests go through s3fs, and its options are accepted.
    """
    options.rename("access_key_id", "key")
    options.rename("secret_access_key", "secret")
    options.rename("session_token", "token")
    client = options.take("client")
    if client not in {None, *CLIENTS}:
        raise ConfigError(f"client must be one of {', '.join(CLIENTS)}, not {client!r}")
    bucket = options.take("bucket")
    if client == "s3fs" or (client is None and needs_s3fs(options)):
        from algo_connectors.aws.s3fs_client import open_s3fs

        return S3Storage(open_s3fs(options), bucket)
    return S3Storage(open_direct(options), bucket)


class S3Storage(DirectStorage):
    """Buckets of S3. A file's version is its ETag."""

    copy_limit = 1 << 30
    """Size in bytes of a file that is copied by one request: S3 copies up to 5 GiB, but answers only at the end."""

    copy_part = 256 << 20
    """Size in bytes of the parts in which larger files are copied."""

    def __init__(self, client: S3Client, bucket: str | None = None) -> None:
        self.client = client
        self.connections = self.parallel if self.direct else 1
        self._conditions = ConditionProbe()
        self.bucket = bucket

    def head(self, uri: DataUri, bucket: str, key: str) -> Entry:
        """HeadObject."""
        return _entry(uri, self.client.head_object(bucket, key))

    def fetch(self, uri: DataUri, start: int, stop: int, version: str | None) -> tuple[Entry, bytes | bytearray]:
        """GetObject for a range, of exactly one version."""
        bucket, key = self.locate(uri)
        if not key:
            raise self.missing(uri)
        try:
            found, content = self.client.get_object(bucket, key, start, stop, version)
        except FileNotFoundError:
            raise self.missing(uri) from None
        entry = _entry(uri, found)
        return checked(entry, _checksum(found)) if len(content) == found.size else entry, content

    @property
    def direct(self) -> DirectS3Client | None:
        """The client, unless that is s3fs."""
        return self.client if isinstance(self.client, DirectS3Client) else None

    def open_range(
        self, uri: DataUri, bucket: str, key: str, start: int, stop: int | None, version: str | None
    ) -> OpenRange:
        """GetObject."""
        assert self.direct
        found, skipped, response = self.direct.open_object(bucket, key, start, stop, version)
        return OpenRange(_entry(uri, found), _checksum(found), skipped, response)

    def start_get(self, bucket: str, key: str, limit: int) -> StartedRead | None:
        """GetObject."""
        assert self.direct
        return self.direct.start_get_object(bucket, key, limit)

    def start_put(self, bucket: str, key: str, content: bytes) -> StartedWrite | None:
        """PutObject."""
        assert self.direct
        return self.direct.start_put_object(bucket, key, content)

    def put(self, uri: DataUri, content: bytes, condition: Condition | None = None) -> Entry:
        """PutObject."""
        etag = self.client.put_object(*self.locate(uri), content, condition)
        return Entry(uri, Kind.FILE, size=len(content), version=etag)

    def begin(self, uri: DataUri, size: int | None, condition: Condition | None = None) -> Upload:
        """CreateMultipartUpload."""
        return _Parts(self, uri, condition=condition)

    def check_conditions(self, uri: DataUri, condition: Condition, *, in_parts: bool) -> None:
        """None of AWS; else some requests for an object that is removed again, once for each bucket and kind."""
        bucket, key = self.locate(uri)
        if not isinstance(self.client, DirectS3Client):
            raise ConditionsIgnored(f"{uri.connector}:// takes no conditions through s3fs", "Leave out: client")
        if not self._conditions.are_kept(
            self.client, bucket, key, creates=condition.version is None, in_parts=in_parts
        ):
            raise ConditionsIgnored(
                f"{uri.connector}:// ignores the conditions of writes", "Let only one program write there at a time"
            )

    def pages(
        self, uri: DataUri, bucket: str, prefix: str, *, deep: bool = False, limit: int = PAGE
    ) -> Iterator[Names]:
        """ListObjectsV2, a page at a time; the next one is under way meanwhile."""
        token, started, delimiter = None, None, "" if deep else "/"
        while True:
            page = started() if started else None
            if page is None:
                page = self.client.list_objects(bucket, prefix, delimiter=delimiter, limit=limit, token=token)
            started = None
            if page.following and limit == PAGE and isinstance(self.client, DirectS3Client):
                started = self.client.start_list_objects(
                    bucket, prefix, delimiter=delimiter, limit=limit, token=page.following
                )
            folders = [folder_of(uri, prefix, found) for found in page.prefixes]
            yield folders, [(key, _entry(child_of(uri, prefix, key), found)) for key, found in page.objects]
            token = page.following
            if token is None:
                return
            if not token:
                raise PlatformError(f"The listing of {uri} is incomplete: the store returned no continuation token")

    def list_after(self, uri: DataUri, after: str, limit: int) -> tuple[list[Entry], bool]:
        """ListObjectsV2 from a key on (`OrderedStorage`)."""
        with store_errors(uri):
            bucket, key = self.locate(uri)
            prefix = prefix_of(key)
            behind = f"{prefix}{after}" if after else ""
            page = self.client.list_objects(bucket, prefix, delimiter="/", limit=limit, after=behind)
            found = [_entry(child_of(uri, prefix, key), found) for key, found in page.objects if key != prefix]
            return found, page.following is not None

    def copy(self, source: Entry, target: DataUri, advanced: Callable[[int], object]) -> Entry | None:
        """CopyObject, or UploadPartCopy for what is larger than `copy_limit`."""
        name, place = ObjectName(*self.locate(source.uri)), self.locate(target)
        size, etag = source.size or 0, source.version or ""
        try:
            if size > self.copy_limit:
                return self._copy_in_parts(source, target, advanced)
            found = self.client.copy_object(name, etag, *place)
        except Exception as error:
            if is_unknown_request(error):
                return None
            raise
        advanced(size)
        if found == etag:
            return Entry(target, Kind.FILE, size=size, version=found)
        # That of an object which was made of parts, or is encrypted, says nothing about its content.
        return self.head(target, *place)

    def copy_within_if(
        self,
        source: DataUri,
        target: DataUri,
        entry: Entry | None,
        advanced: Callable[[int], object],
        *,
        version: str | None,
    ) -> Entry | None:
        """UploadPartCopy, since the end of an upload in parts has conditions (`ConditionalCopyingStorage`)."""
        condition = Condition(version)
        with store_errors(target):
            self.check_conditions(target, condition, in_parts=True)

        def copy(found: Entry) -> Entry | None:
            try:
                return self._copy_in_parts(found, target, advanced, condition) if found.size else None
            except Exception as error:
                if is_unknown_request(error):
                    return None
                raise

        return self.copied_by(source, target, entry, copy)

    def _copy_in_parts(
        self, source: Entry, target: DataUri, advanced: Callable[[int], object], condition: Condition | None = None
    ) -> Entry:
        size, etag, name = source.size or 0, source.version or "", ObjectName(*self.locate(source.uri))
        upload, step, done = _Parts(self, target, name, condition=condition), part_size(self.copy_part, 0, size), 0
        running: set[Future[int]] = set()
        try:
            for number, start in enumerate(range(0, size, step)):
                stop = min(start + step, size)
                running.add(self.pool.submit(upload.copy_part, number, name, etag, start, stop))
                if len(running) == self.parallel or stop == size:
                    for copied in as_completed(running):
                        done += copied.result()
                        advanced(done)
                    running.clear()
            if self.head(source.uri, *name).version != etag:
                raise Changed(f"{source.uri} was changed")  # some stores ignore the condition
            self._finish(upload, target, size, condition)
        except BaseException:
            for pending in running:
                pending.cancel()
            wait(running)
            with suppress(Exception):
                upload.abort()
            raise
        return self.head(target, *self.locate(target))

    def _finish(self, upload: Upload, target: DataUri, size: int, condition: Condition | None) -> None:
        """Complete a copy; what the condition says is told apart from a source that has changed."""
        try:
            with store_errors(target):
                upload.finish(size)
        except Changed as error:
            if condition is None:
                raise
            raise unmet(target, condition.version, error) from None

    def link(self, uri: DataUri, seconds: int, *, writes: bool = False) -> Link:
        """A presigned address (`SharingStorage`)."""
        check_lifetime(uri, seconds, LONGEST)
        if writes:
            self.check_file(uri)
        elif self.stat(uri).is_directory:
            raise self.missing(uri)
        method = "PUT" if writes else "GET"
        with store_errors(uri):
            return Link(method, self.client.presigned_url(method, *self.locate(uri), seconds))

    def buckets(self, uri: DataUri) -> Iterable[str]:
        """ListBuckets."""
        return self.client.list_buckets()

    def delete(self, bucket: str, keys: Sequence[str]) -> None:
        """DeleteObject, or DeleteObjects for several."""
        for key, reason in self.client.delete_objects(bucket, keys).items():
            raise AlgoError(f"{bucket}/{key} was not removed: {reason}")


class _Parts(Upload):
    """A multi-part upload, with the metadata of another object if it is to be a copy of it."""

    def __init__(
        self,
        storage: S3Storage,
        uri: DataUri,
        source: ObjectName | None = None,
        *,
        condition: Condition | None = None,
    ) -> None:
        self._client = storage.client
        self._uri = uri
        self._condition = condition
        self._bucket, self._key = storage.locate(uri)
        self._etags: dict[int, str] = {}
        place = self._bucket, self._key
        self._id = (
            self._client.create_multipart_copy(source, *place)
            if source
            else self._client.create_multipart_upload(*place)
        )

    def part(self, number: int, offset: int, content: bytes) -> None:
        """UploadPart."""
        self._etags[number + 1] = self._client.upload_part(self._bucket, self._key, self._id, number + 1, content)

    def copy_part(self, number: int, source: ObjectName, etag: str, start: int, stop: int) -> int:
        """UploadPartCopy; the number of bytes."""
        place = self._bucket, self._key, self._id
        self._etags[number + 1] = self._client.upload_part_copy(source, etag, *place, number + 1, start, stop)
        return stop - start

    def finish(self, size: int) -> Entry:
        """CompleteMultipartUpload."""
        place = self._bucket, self._key, self._id
        etag = self._client.complete_multipart_upload(*place, self._etags, self._condition)
        return Entry(self._uri, Kind.FILE, size=size, version=etag)

    def abort(self) -> None:
        """AbortMultipartUpload."""
        self._client.abort_multipart_upload(self._bucket, self._key, self._id)


def _checksum(found: Object) -> Checksum | None:
    return Checksum("md5", found.md5) if found.md5 else None


def _entry(uri: DataUri, found: Object) -> Entry:
    return Entry(uri, Kind.FILE, size=found.size, modified=found.modified, version=found.etag)
