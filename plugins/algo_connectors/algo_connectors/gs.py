"""The storage for `gs://`: Google Cloud Storage."""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from algo_connectors.common.direct import DirectStorage, OpenRange, StartedRead, StartedWrite, checked
from algo_connectors.common.errors import store_errors
from algo_connectors.common.links import check_lifetime
from algo_connectors.common.objects import Names, child_of, folder_of, prefix_of
from algo_connectors.common.options import ConnectorOptions
from algo_connectors.common.writing import Condition, Upload
from algo_connectors.google.api import GoogleApi
from algo_connectors.google.direct_api import DirectGoogleApi
from algo_connectors.google.settings import open_direct
from algo_connectors.google.signature import LONGEST, signed_url
from algo_connectors.google.tokens import TOKEN_ADDRESS
from algo_core.errors import ConfigError, NetworkError, RequestRefused
from algo_core.storage.capabilities import Link
from algo_core.storage.contract import Checksum, Entry, Kind
from algo_core.storage.uri import DataUri

OBJECT = "b/{}/o/{}"
ABORT_SECONDS = 3
"""How long a copy that has failed waits for the store to forget it, which it does by itself after a week."""

CLIENTS = ("direct", "gcsfs")
"""The values of the option `client`."""


def open_gs(options: ConnectorOptions) -> GoogleStorage:
    """The storage for `gs://`.

    Without options the credentials are those of the Google tools. A service account is given by `token`, the path or
    the content of its JSON file, or by `email`, `private_key_id` and `private_key`; `access_token` is a token that was
    granted already, and `anon` needs none. With `client = "gcsfs"`, a credential that only Google's packages can use,
    or any other option, requests go through gcsfs, and its options are accepted.
    """
    email, key_id, key = (options.take(name) for name in ("email", "private_key_id", "private_key"))
    if email:
        account = {"type": "service_account", "client_email": email, "private_key_id": key_id, "private_key": key}
        options.set("token", {**account, "token_uri": TOKEN_ADDRESS})
    bucket, client = options.take("bucket"), options.take("client")
    if client not in {None, *CLIENTS}:
        raise ConfigError(f"client must be one of {', '.join(CLIENTS)}, not {client!r}")
    if client != "gcsfs" and (direct := open_direct(options)):
        return GoogleStorage(direct, bucket)
    if client == "direct":
        raise ConfigError(
            f"{options.scheme}:// needs gcsfs for these options, or this credential", 'Leave out: client = "direct"'
        )
    from algo_connectors.google.gcsfs_api import open_gcsfs

    if options.take("anon"):
        options.set("token", "anon")
    return GoogleStorage(open_gcsfs(options), bucket)


class GoogleStorage(DirectStorage):
    """Buckets of Google Cloud Storage. A file's version is its generation."""

    def __init__(self, api: GoogleApi, bucket: str | None = None) -> None:
        self.api = api
        self.connections = self.parallel if self.direct else 1
        self.bucket = bucket

    def head(self, uri: DataUri, bucket: str, key: str) -> Entry:
        """objects.get."""
        return _entry(uri, self.api.resource("GET", OBJECT, bucket, key))

    def fetch(self, uri: DataUri, start: int, stop: int, version: str | None) -> tuple[Entry, bytes | bytearray]:
        """objects.get of the media for a range, of exactly one generation."""
        bucket, key = self.locate(uri)
        if not key:
            raise self.missing(uri)
        try:
            headers, content = self.api.media(bucket, key, start, stop, version)
            entry = self._described(uri, bucket, key, headers)
        except FileNotFoundError:
            raise self.missing(uri) from None
        return checked(entry, _checksum(headers)) if len(content) == entry.size else entry, content

    def _described(self, uri: DataUri, bucket: str, key: str, headers: Mapping[str, str]) -> Entry:
        """The entry that the headers of a media answer describe; where they do not, one more request does."""
        generation = headers.get("X-Goog-Generation")
        size = headers.get("X-Goog-Stored-Content-Length") or headers.get("Content-Range", "").rpartition("/")[2]
        if not generation or not size.isdecimal():
            return self.head(uri, bucket, key)
        modified = headers.get("Last-Modified")
        when = parsedate_to_datetime(modified) if modified else None
        return Entry(uri, Kind.FILE, size=int(size), modified=when, version=generation)

    @property
    def direct(self) -> DirectGoogleApi | None:
        """The API, unless that is gcsfs."""
        return self.api if isinstance(self.api, DirectGoogleApi) else None

    def open_range(
        self, uri: DataUri, bucket: str, key: str, start: int, stop: int | None, version: str | None
    ) -> OpenRange:
        """objects.get of the media."""
        assert self.direct
        response, skipped = self.direct.open_media(bucket, key, start, stop, version)
        entry = self._described(uri, bucket, key, response.headers)
        return OpenRange(entry, _checksum(response.headers), skipped, response)

    def start_get(self, bucket: str, key: str, limit: int) -> StartedRead | None:
        """objects.get of the media."""
        assert self.direct
        started = self.direct.start_media(bucket, key, limit)

        def read() -> tuple[str | None, bytes] | None:
            found = started() if started else None
            checksum = _checksum(found.headers) if found else None
            return (checksum.digest if checksum else None, found.content) if found else None

        return read if started else None

    def start_put(self, bucket: str, key: str, content: bytes) -> StartedWrite | None:
        """None: objects are inserted by POST, which is not pipelined."""
        return None

    def put(self, uri: DataUri, content: bytes, condition: Condition | None = None) -> Entry:
        """objects.insert in one request."""
        bucket, key = self.locate(uri)
        boundary = uuid.uuid4().hex
        digest = hashlib.md5(content, usedforsecurity=False).digest()
        metadata = {"name": key, "md5Hash": base64.b64encode(digest).decode("ascii")}
        head = (
            f"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{json.dumps(metadata)}\r\n"
            f"--{boundary}\r\nContent-Type: application/octet-stream\r\n\r\n"
        )
        answer = self.api.insert(
            bucket,
            {"uploadType": "multipart", "ifGenerationMatch": _generation(condition)},
            b"".join((head.encode(), content, f"\r\n--{boundary}--".encode())),
            f'multipart/related; boundary="{boundary}"',
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
            query = {
                "prefix": prefix or None,
                "delimiter": None if deep else "/",
                "maxResults": limit,
                "pageToken": token,
            }
            answer = self.api.resource("GET", "b/{}/o", bucket, query=query)
            folders = [folder_of(uri, prefix, found) for found in answer.get("prefixes", ())]
            objects = [
                (found["name"], _entry(child_of(uri, prefix, found["name"]), found))
                for found in answer.get("items", ())
            ]
            yield folders, objects
            token = answer.get("nextPageToken")
            if not token:
                return

    def list_after(self, uri: DataUri, after: str, limit: int) -> tuple[list[Entry], bool]:
        """objects.list from a name on, which comes as well if it exists (`OrderedStorage`)."""
        with store_errors(uri):
            bucket, key = self.locate(uri)
            prefix = prefix_of(key)
            known = f"{prefix}{after}"
            query = {"prefix": prefix or None, "delimiter": "/", "maxResults": min(limit + 1, 1000)}
            answer = self.api.resource(
                "GET", "b/{}/o", bucket, query={**query, "startOffset": known if after else None}
            )
            found = [
                _entry(child_of(uri, prefix, found["name"]), found)
                for found in answer.get("items", ())
                if found["name"] not in {prefix, known}
            ]
            return found[:limit], len(found) > limit or "nextPageToken" in answer

    def buckets(self, uri: DataUri) -> Iterable[str]:
        """buckets.list."""
        if not self.api.project:
            raise ConfigError(
                "The list of buckets depends on the project",
                "Set the option project, or name a bucket: gs://BUCKET",
            )
        token = None
        while True:
            answer = self.api.resource("GET", "b", query={"project": self.api.project, "pageToken": token})
            yield from (found["name"] for found in answer.get("items", ()))
            token = answer.get("nextPageToken")
            if not token:
                return

    def copy(self, source: Entry, target: DataUri, advanced: Callable[[int], object]) -> Entry:
        """objects.rewrite, which may take several requests where the bytes have to move."""
        token = None
        while True:
            answer = self.api.resource(
                "POST",
                f"{OBJECT}/rewriteTo/{OBJECT}",
                *self.locate(source.uri),
                *self.locate(target),
                query={"ifSourceGenerationMatch": source.version, "rewriteToken": token},
            )
            advanced(int(answer.get("totalBytesRewritten", 0)))
            if answer.get("done"):
                return _entry(target, answer["resource"])
            token = answer["rewriteToken"]

    def link(self, uri: DataUri, seconds: int, *, writes: bool = False) -> Link:
        """A signed URL of version 4 (`SharingStorage`)."""
        check_lifetime(uri, seconds, LONGEST)
        signatory = self.api.signatory()
        if signatory is None:
            raise RequestRefused(
                f"Links to {uri.connector}:// need the key of a service account, which this connector does not have",
                "Set token in config.toml to the path of its JSON file",
            )
        if writes:
            self.check_file(uri)
        elif self.stat(uri).is_directory:
            raise self.missing(uri)
        method, place = "PUT" if writes else "GET", self.locate(uri)
        with store_errors(uri):
            url = signed_url(self.api.location, *place, method=method, seconds=seconds, signatory=signatory)
        return Link(method, url)

    def delete(self, bucket: str, keys: Sequence[str]) -> None:
        """objects.delete, several at once."""
        list(self.pool.map(lambda key: self._delete(bucket, key), keys))

    def _delete(self, bucket: str, key: str) -> None:
        try:
            self.api.remove(OBJECT, bucket, key)
        except FileNotFoundError:
            pass


class _Resumable(Upload):
    """A resumable upload: parts in their order; only the last one may say how much there is."""

    parallel = False

    def __init__(self, storage: GoogleStorage, uri: DataUri, condition: Condition | None = None) -> None:
        self._api = storage.api
        self._uri = uri
        bucket, key = storage.locate(uri)
        query = {"uploadType": "resumable", "name": key, "ifGenerationMatch": _generation(condition)}
        self._address = self._api.begin_upload(bucket, query, {"name": key})
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
            part = f"bytes {offset}-{offset + len(view) - 1}/{total}"
            headers, answer = self._api.send_part(self._address, bytes(view), part)
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
        self._api.cancel_upload(self._address, ABORT_SECONDS)


def _generation(condition: Condition | None) -> str | None:
    """The generation that an object must have; 0 if it must not exist."""
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


def _checksum(headers: Mapping[str, str]) -> Checksum | None:
    """The MD5 in `x-goog-hash: crc32c=...,md5=...`; objects that were composed have none."""
    for part in headers.get("x-goog-hash", "").split(","):
        name, _, value = part.strip().partition("=")
        if name == "md5":
            return Checksum("md5", base64.b64decode(value).hex())
    return None
