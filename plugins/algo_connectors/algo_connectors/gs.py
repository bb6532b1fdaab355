"""Google Cloud Storage, through gcsfs."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from algo_connectors.common.errors import Changed, store_errors
from algo_connectors.common.links import check_lifetime
from algo_connectors.common.objects import Names, ObjectStorage, child_of, folder_of
from algo_connectors.common.options import ConnectorOptions
from algo_connectors.common.writing import Condition, Upload
from algo_connectors.google.signature import LONGEST, Signatory, signed_url
from algo_core.errors import ConfigError, NetworkError, RequestRefused
from algo_core.storage.capabilities import Link
from algo_core.storage.contract import Checksum, Entry, Kind
from algo_core.storage.uri import DataUri

OBJECT = "b/{}/o/{}"
ABORT_SECONDS = 3
"""How long a copy that has failed waits for the store to forget it, which it does by itself after a week."""

TOKEN_ADDRESS = "https://oauth2.googleapis.com/token"


def open_gs(options: ConnectorOptions) -> GoogleStorage:
    """The storage for `gs://`.

    Without options the credentials are those of the Google tools. A service account is given by `token`, the path or
    the content of its JSON file, or by `email`, `private_key_id` and `private_key`; `anon` needs none. Other options
    are those of `gcsfs.GCSFileSystem`.
    """
    import logging

    from gcsfs import GCSFileSystem

    # It writes the traceback of each error that it raises as well.
    logging.getLogger("gcsfs").setLevel(logging.CRITICAL)
    email, key_id, key = (options.take(name) for name in ("email", "private_key_id", "private_key"))
    if email:
        account = {"type": "service_account", "client_email": email, "private_key_id": key_id, "private_key": key}
        options.set("token", {**account, "token_uri": TOKEN_ADDRESS})
    if options.take("anon"):
        options.set("token", "anon")
    bucket = options.take("bucket")
    files = options.make(GCSFileSystem, takes_others=False, use_listings_cache=False, skip_instance_cache=True)
    return GoogleStorage(files, bucket)


class GoogleStorage(ObjectStorage):
    """Buckets of Google Cloud Storage. A file's version is its generation."""

    def __init__(self, files: Any, bucket: str | None = None) -> None:
        self._files = files
        self.bucket = bucket
        self.location = files.base.removesuffix("/storage/v1/")

    def call(self, method: str, path: str, *names: str, **options: Any) -> Any:
        """One request; `names` fill the braces of the path, options that are None are left out."""
        filled = {name: value for name, value in options.items() if value is not None}
        try:
            return self._files.call(method, path, *names, **filled)
        except FileExistsError:  # how gcsfs puts 412
            raise Changed(f"{'/'.join(names)} was changed", "Copy it again") from None
        except OSError as error:
            if str(error).startswith("Forbidden"):
                raise PermissionError(str(error).partition("\n")[2] or "forbidden") from None
            raise

    def head(self, uri: DataUri, bucket: str, key: str) -> Entry:
        """objects.get."""
        return _entry(uri, self.call("GET", OBJECT, bucket, key, json_out=True))

    def fetch(self, uri: DataUri, start: int, stop: int, version: str | None) -> tuple[Entry, bytes]:
        """objects.get of the media for a range, of exactly one generation."""
        bucket, key = self.locate(uri)
        if not key:
            raise self.missing(uri)
        try:
            headers, content = self.call(
                "GET",
                f"{self.location}/download/storage/v1/{OBJECT}",
                bucket,
                key,
                alt="media",
                headers={"Range": f"bytes={start}-{stop - 1}", "Accept-Encoding": "identity"},
                ifGenerationMatch=version,
            )
            return self._described(uri, bucket, key, headers), content
        except FileNotFoundError:
            raise self.missing(uri) from None

    def _described(self, uri: DataUri, bucket: str, key: str, headers: Mapping[str, str]) -> Entry:
        """The entry that the headers of a media answer describe; where they do not, one more request does."""
        generation = headers.get("X-Goog-Generation")
        size = headers.get("X-Goog-Stored-Content-Length") or headers.get("Content-Range", "").rpartition("/")[2]
        if not generation or not size.isdecimal():
            return self.head(uri, bucket, key)
        modified = headers.get("Last-Modified")
        when = parsedate_to_datetime(modified) if modified else None
        return Entry(uri, Kind.FILE, size=int(size), modified=when, version=generation)

    def put(self, uri: DataUri, content: bytes, condition: Condition | None = None) -> Entry:
        """objects.insert in one request."""
        bucket, key = self.locate(uri)
        boundary = uuid.uuid4().hex
        head = (
            f"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{json.dumps({'name': key})}\r\n"
            f"--{boundary}\r\nContent-Type: application/octet-stream\r\n\r\n"
        )
        _, answer = self.call(
            "POST",
            f"{self.location}/upload/storage/v1/b/{{}}/o",
            bucket,
            uploadType="multipart",
            ifGenerationMatch=_generation(condition),
            data=b"".join((head.encode(), content, f"\r\n--{boundary}--".encode())),
            headers={"Content-Type": f'multipart/related; boundary="{boundary}"'},
        )
        return _stored(uri, answer, len(content))

    def begin(self, uri: DataUri, size: int | None, condition: Condition | None = None) -> Upload:
        """A resumable upload."""
        return _Resumable(self, uri, condition)

    def pages(
        self, uri: DataUri, bucket: str, prefix: str, *, deep: bool = False, limit: int = 1000
    ) -> Iterator[Names]:
        """objects.list, a page at a time."""
        token = None
        while True:
            answer = self.call(
                "GET",
                "b/{}/o",
                bucket,
                prefix=prefix or None,
                delimiter=None if deep else "/",
                maxResults=limit,
                pageToken=token,
                json_out=True,
            )
            folders = [folder_of(uri, prefix, found) for found in answer.get("prefixes", ())]
            objects = [
                (found["name"], _entry(child_of(uri, prefix, found["name"]), found))
                for found in answer.get("items", ())
            ]
            yield folders, objects
            token = answer.get("nextPageToken")
            if not token:
                return

    def buckets(self, uri: DataUri) -> Iterable[str]:
        """buckets.list."""
        if not self._files.project:
            raise ConfigError(
                "The list of buckets depends on the project",
                "Set the option project, or name a bucket: gs://BUCKET",
            )
        token = None
        while True:
            answer = self.call("GET", "b", project=self._files.project, pageToken=token, json_out=True)
            yield from (found["name"] for found in answer.get("items", ()))
            token = answer.get("nextPageToken")
            if not token:
                return

    def copy(self, source: Entry, target: DataUri, advanced: Callable[[int], object]) -> Entry:
        """objects.rewrite, which may take several requests where the bytes have to move."""
        token = None
        while True:
            answer = self.call(
                "POST",
                f"{OBJECT}/rewriteTo/{OBJECT}",
                *self.locate(source.uri),
                *self.locate(target),
                ifSourceGenerationMatch=source.version,
                rewriteToken=token,
                json_out=True,
            )
            advanced(int(answer.get("totalBytesRewritten", 0)))
            if answer.get("done"):
                return _entry(target, answer["resource"])
            token = answer["rewriteToken"]

    def link(self, uri: DataUri, seconds: int, *, writes: bool = False) -> Link:
        """A signed URL of version 4 (`SharingStorage`)."""
        check_lifetime(uri, seconds, LONGEST)
        signatory = self._signatory(uri)
        if writes:
            self.check_file(uri)
        elif self.stat(uri).is_directory:
            raise self.missing(uri)
        method, place = "PUT" if writes else "GET", self.locate(uri)
        with store_errors(uri):
            return Link(method, signed_url(self.location, *place, method=method, seconds=seconds, signatory=signatory))

    def _signatory(self, uri: DataUri) -> Signatory:
        """Who signs links: credentials of people, and of machines, cannot."""
        from google.auth.credentials import Signing

        credential = self._files.credentials.credentials
        if isinstance(credential, Signing):
            return Signatory(credential.signer_email, credential.sign_bytes)
        raise RequestRefused(
            f"Links to {uri.connector}:// need the key of a service account, which this connector does not have",
            "Set token in config.toml to the path of its JSON file",
        )

    def delete(self, bucket: str, keys: Sequence[str]) -> None:
        """objects.delete, several at once."""
        list(self.pool.map(lambda key: self._delete(bucket, key), keys))

    def _delete(self, bucket: str, key: str) -> None:
        try:
            self.call("DELETE", OBJECT, bucket, key)
        except FileNotFoundError:
            pass


class _Resumable(Upload):
    """A resumable upload: parts in their order; only the last one may say how much there is."""

    parallel = False

    def __init__(self, storage: GoogleStorage, uri: DataUri, condition: Condition | None = None) -> None:
        self._storage = storage
        self._uri = uri
        bucket, key = storage.locate(uri)
        headers, _ = storage.call(
            "POST",
            f"{storage.location}/upload/storage/v1/b/{{}}/o",
            bucket,
            uploadType="resumable",
            name=key,
            ifGenerationMatch=_generation(condition),
            headers={"X-Upload-Content-Type": "application/octet-stream"},
            json={"name": key},
        )
        self._address: str = headers["Location"]
        self._last: tuple[int, bytes] | None = None

    def part(self, number: int, offset: int, content: bytes) -> None:
        """Send the part before this one."""
        if self._last:
            self._send(*self._last, total="*")
        self._last = (offset, content)

    def finish(self, size: int) -> Entry:
        """Send the last part, and with it how large the whole is."""
        assert self._last
        return _stored(self._uri, self._send(*self._last, total=str(size)), size)

    def _send(self, offset: int, content: bytes, total: str) -> bytes:
        view = memoryview(content)
        while True:
            headers, answer = self._storage.call(
                "PUT",
                self._address,
                data=bytes(view),
                headers={"Content-Range": f"bytes {offset}-{offset + len(view) - 1}/{total}"},
            )
            if total != "*" and answer:
                return bytes(answer)
            # The store may keep less than it was sent.
            kept = int(headers["Range"].rpartition("-")[2]) + 1 if "Range" in headers else 0
            if total == "*" and kept == offset + len(view):
                return b""
            if not offset < kept < offset + len(view):
                raise NetworkError(f"{self._uri.connector}:// lost a part of {self._uri}", "Copy it again")
            view, offset = view[kept - offset :], kept

    def abort(self) -> None:
        """Cancel the upload."""
        self._storage.call("DELETE", self._address, timeout=ABORT_SECONDS)


def _generation(condition: Condition | None) -> str | None:
    """The generation that an object must have; that of one which is not there is 0."""
    return None if condition is None else condition.version or "0"


def _stored(uri: DataUri, answer: bytes, size: int) -> Entry:
    entry = _entry(uri, json.loads(answer))
    return Entry(uri, Kind.FILE, size=size, modified=entry.modified, checksum=entry.checksum, version=entry.version)


def _entry(uri: DataUri, found: Mapping[str, Any]) -> Entry:
    """The entry of an object resource."""
    modified, md5 = found.get("updated"), found.get("md5Hash")
    return Entry(
        uri,
        Kind.FILE,
        size=int(found.get("size", 0)),
        modified=datetime.fromisoformat(modified.replace("Z", "+00:00")) if modified else None,
        checksum=Checksum("md5", base64.b64decode(md5).hex()) if md5 else None,
        version=str(found["generation"]) if "generation" in found else None,
    )
