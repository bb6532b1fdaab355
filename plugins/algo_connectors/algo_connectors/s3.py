"""Amazon S3, and stores that speak its protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, as_completed, wait
from contextlib import suppress

from algo_connectors.aws.conditions import ConditionProbe
from algo_connectors.aws.direct_client import DirectS3Client
from algo_connectors.aws.s3_client import Object, ObjectName, S3Client
from algo_connectors.aws.settings import needs_s3fs, open_direct
from algo_connectors.aws.signature import LONGEST
from algo_connectors.common.errors import Changed, Unsatisfiable, is_unknown_request, store_errors
from algo_connectors.common.links import check_lifetime
from algo_connectors.common.objects import Names, ObjectStorage, child_of, folder_of, prefix_of
from algo_connectors.common.options import ConnectorOptions
from algo_connectors.common.reading import RangeReader, changed
from algo_connectors.common.remote import unmet
from algo_connectors.common.stream import StreamReader
from algo_connectors.common.writing import Condition, Upload, part_size
from algo_core.errors import AlgoError, ConfigError, PlatformError
from algo_core.storage.capabilities import ConditionsIgnored, Link
from algo_core.storage.contract import Checksum, Entry, Kind, Reader
from algo_core.storage.uri import DataUri, is_only_key

PAGE = 1000
"""Objects of a listing's page, at most."""

CHECKED = 1 << 20
"""Bytes of a file up to which its MD5 is compared: hashing takes longer than a fast connection."""

FIRST = 16 << 20
"""Bytes that a download asks for at first: a store that is asked for everything reads ahead what others then wait for,
and a larger file is read over several connections."""

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
        raise ConfigError(f"client is one of {', '.join(CLIENTS)}, not {client!r}")
    bucket = options.take("bucket")
    if client == "s3fs" or (client is None and needs_s3fs(options)):
        from algo_connectors.aws.s3fs_client import open_s3fs

        return S3Storage(open_s3fs(options), bucket)
    return S3Storage(open_direct(options), bucket)


class S3Storage(ObjectStorage):
    """Buckets of S3. A file's version is its ETag."""

    copy_limit = 1 << 30
    """Size in bytes of a file that is copied by one request: S3 copies up to 5 GiB, but answers only at the end."""

    copy_part = 256 << 20
    """Size in bytes of the parts in which larger files are copied."""

    def __init__(self, client: S3Client, bucket: str | None = None) -> None:
        self.client = client
        self._conditions = ConditionProbe()
        self.connections = self.parallel if isinstance(client, DirectS3Client) else 1
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
        return _whole(uri, found) if len(content) == found.size else _entry(uri, found), content

    def _stream(self, uri: DataUri, offset: int, stop: int | None, version: str | None) -> Reader:
        """GetObject as one stream. Raises what `fetch` raises."""
        assert isinstance(self.client, DirectS3Client)
        bucket, key = self.locate(uri)
        if not key:
            raise self.missing(uri)
        last = FIRST if stop is None and not offset else stop
        with store_errors(uri):
            try:
                found, skipped, response = self.client.open_object(bucket, key, offset, last, version)
            except FileNotFoundError:
                raise self.missing(uri) from None
        end = found.size if stop is None else min(stop, found.size)
        length = max(0, (min(end, last) if last and response.status == 206 else end) - offset)
        entry = _whole(uri, found) if offset == 0 and length == found.size else _entry(uri, found)

        def rest(position: int) -> Reader:
            try:
                reader = self._stream(uri, position, None, found.etag)
            except (Changed, Unsatisfiable):
                raise changed(uri) from None
            if (reader.entry.size, reader.entry.version) != (found.size, found.etag):  # there are no conditions here
                reader.close()
                raise changed(uri)
            return reader

        def ahead(position: int) -> Reader:
            return RangeReader(self, uri, position, version=found.etag, ahead=self.parallel - 1)

        return StreamReader(
            response,
            entry,
            offset,
            length,
            skipped,
            rest=rest if offset + length < end else None,
            ahead=ahead if stop is None and found.etag else None,
        )

    def _open(
        self, uri: DataUri, offset: int, version: str | None, *, stop: int | None = None, ahead: int = 0
    ) -> Reader:
        if not isinstance(self.client, DirectS3Client):
            return super()._open(uri, offset, version, stop=stop, ahead=ahead)
        self.check_source(uri)
        try:
            return self._stream(uri, offset, stop, version)
        except Changed:
            return self.open(uri)
        except Unsatisfiable:
            return super()._open(uri, offset, version, stop=stop)

    def start_read_small(self, uri: DataUri, limit: int) -> Callable[[], tuple[Checksum | None, bytes] | None] | None:
        """GetObject (`PipelinedStorage`)."""
        if not isinstance(self.client, DirectS3Client) or uri.names_directory or is_only_key(uri.path):
            return None
        started = self.client.start_get_object(*self.locate(uri), limit)

        def read() -> tuple[Checksum | None, bytes] | None:
            found = started() if started else None
            return (Checksum("md5", found[0]) if found[0] else None, found[1]) if found else None

        return read if started else None

    def start_write_small(self, uri: DataUri, content: bytes) -> Callable[[], Entry | None] | None:
        """PutObject (`PipelinedStorage`)."""
        if not isinstance(self.client, DirectS3Client) or uri.names_directory or is_only_key(uri.path):
            return None
        self.check_file(uri)
        started = self.client.start_put_object(*self.locate(uri), content)

        def written() -> Entry | None:
            etag = started() if started else None
            return Entry(uri, Kind.FILE, size=len(content), version=etag) if etag else None

        return written if started else None

    def can_fork(self) -> bool:
        """Whether requests go over algo's own connections (`ForkSafe`)."""
        return isinstance(self.client, DirectS3Client) and self.client.can_fork()

    def after_fork(self) -> None:
        """Use connections and threads of its own."""
        assert isinstance(self.client, DirectS3Client)
        self.client.after_fork()
        for name in ("pool", "readable", "writable"):
            self.__dict__.pop(name, None)

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
                f"{uri.connector}:// ignores the conditions of writes", "Have only one program write there at a time"
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


def _whole(uri: DataUri, found: Object) -> Entry:
    """The entry of a file that is read as a whole, and compared with its MD5 if that is quick."""
    checksum = Checksum("md5", found.md5) if found.md5 and found.size <= CHECKED else None
    return _entry(uri, found)._replace(checksum=checksum)


def _entry(uri: DataUri, found: Object) -> Entry:
    return Entry(uri, Kind.FILE, size=found.size, modified=found.modified, version=found.etag)
