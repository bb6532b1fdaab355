"""The Acme archive as a storage: `acme://DIRECTORY/FILE`, a WebDAV server behind the company's CA.

It is reached through the core's own session, so that the CA is trusted in addition to the public roots, and proxies,
time limits, retries and `-v` are what they are for the platform.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Iterator

import requests

from acme_bundle.company import Company, company
from acme_bundle.login import current_session
from acme_bundle.upload import body_of
from acme_bundle.webdav import Resource, WebDav, http_date, strong_etag
from algo_core import App
from algo_core.errors import (
    AlgoError,
    AlreadyExists,
    NetworkError,
    NotFoundError,
    PlatformError,
    RequestRefused,
)
from algo_core.http.requests_transport import CaAdapter, network_errors, retry_policy
from algo_core.http.retry import REPEATABLE
from algo_core.storage import Entry, IsADirectory, Kind, NotADirectory, Reader, Source, Storage
from algo_core.storage.uri import DataUri

USER = "algo"
"""The user name under which the archive takes the log-in's token as a password."""

MISTAKEN = ("?", ";")
"""Characters that the archive's server, WsgiDAV, takes for the end of the path in the `Destination` of a MOVE."""

PAUSES = (0.0, 0.1, 0.4)
"""Seconds before each attempt to delete what a failed upload left."""


def open_archive(app: App, uri: DataUri) -> Archive:
    """The storage for `acme://` (the hook `algo_connectors`).

    Raises:
        ConfigError: if the configuration does not describe it well.
    """
    found = company(app)
    profile = found.profile("acme-archive", found.archive)
    session = app.open_session(profile)
    # A listing changes nothing: it may be asked for again.
    retries = retry_policy(session.retries).new(allowed_methods=REPEATABLE | {"PROPFIND"})
    session.mount(found.archive, CaAdapter(profile.ca_cert, profile.network, max_retries=retries))
    session.auth = LoginAuth(app, found)
    return Archive(WebDav(session, found.archive))


class LoginAuth(requests.auth.AuthBase):
    """The log-in's access token as a password, in each request the one that counts then."""

    def __init__(self, app: App, company: Company) -> None:
        self._app = app
        self._company = company

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Called by requests for each request that it sends."""
        if session := current_session(self._app.environ, self._company):
            requests.auth.HTTPBasicAuth(USER, session.access_token.reveal())(request)
        return request


class Archive(Storage):
    """Files and directories of a WebDAV server."""

    def __init__(self, server: WebDav) -> None:
        self._server = server

    @property
    def address(self) -> str:
        """Where it is."""
        return self._server.address

    def stat(self, uri: DataUri) -> Entry:
        """One PROPFIND."""
        entry = _entry(uri, self._server.resources(uri.path, depth=0)[0])
        if uri.path.endswith("/") and not entry.is_directory:
            raise NotADirectory(f"{uri} is a file", entry=entry)
        return entry

    def list(self, uri: DataUri) -> Iterator[Entry]:
        """One PROPFIND; WebDAV has no pages."""
        itself, *inside = self._server.resources(uri.path, depth=1)
        if not itself.is_directory:
            raise NotADirectory(f"{uri} is a file", entry=_entry(uri, itself))
        inside.sort(key=lambda resource: (not resource.is_directory, resource.name))
        yield from (_entry(uri.child(resource.name), resource) for resource in inside)

    def open(self, uri: DataUri, offset: int = 0, *, version: str | None = None) -> Reader:
        """One PROPFIND, because a GET of a directory gives a page for people, and one GET."""
        entry = self.stat(uri)
        if entry.is_directory:
            raise IsADirectory(f"{uri} is a directory")
        if offset >= (entry.size or 0) or (version and version != entry.version):
            offset = 0
        headers = {"Accept-Encoding": "identity"}
        if offset:
            headers["Range"] = f"bytes={offset}-"
            if entry.version:
                headers["If-Range"] = f'"{entry.version}"'
        response = self._server.request("GET", uri.path, headers=headers, stream=True)
        reader = ArchiveReader(uri, response, self.address)
        if reader.offset and reader.entry.version != entry.version:  # If-Range was ignored
            reader.close()
            return self.open(uri)
        return reader

    def write(self, uri: DataUri, source: Source, size: int | None = None) -> Entry:
        """One PUT beside it and one MOVE, because an interrupted PUT leaves half a file on most servers."""
        if any(character in uri.path for character in MISTAKEN):
            raise RequestRefused(
                f"The archive takes no {' or '.join(MISTAKEN)} in names: {uri}", "Give it another name"
            )
        older = self.exists(uri)
        if uri.names_directory or (older and older.is_directory):
            raise IsADirectory(f"{uri} is a directory", "Name the file in it")
        body = body_of(source, size)
        beside = uri.parent.child(f".{uuid.uuid4().hex}.part").path
        try:
            self._server.request("PUT", beside, shown=uri.path, data=body)
            self._move(beside, uri, overwrite=older is not None)
        except BaseException:
            self._remove_partial(beside)
            raise
        return Entry(uri, Kind.FILE, size=len(body) if isinstance(body, bytes) else body.sent)

    def _remove_partial(self, path: str) -> None:
        """Delete what a failed upload left; the server may not have begun to write it when the first DELETE comes."""
        for pause in PAUSES:
            time.sleep(pause)
            try:
                self._server.request("DELETE", path)
                return
            except NotFoundError:
                continue
            except AlgoError:
                return

    def _move(self, beside: str, uri: DataUri, *, overwrite: bool) -> None:
        """Give a file its name; what was made there meanwhile is replaced only if it is a file."""
        try:
            self._server.move(beside, uri.path, overwrite=overwrite)
        except AlreadyExists:
            if self.stat(uri).is_directory:
                raise IsADirectory(f"{uri} is a directory", "Name the file in it") from None
            self._server.move(beside, uri.path, overwrite=True)

    def mkdir(self, uri: DataUri) -> None:
        """One MKCOL."""
        self._server.request("MKCOL", uri.path)

    def rmdir(self, uri: DataUri, *, force: bool = False) -> int:
        """A DELETE, after a look at what would go with it: WebDAV removes a directory with all that is in it."""
        entries = list(self.list(uri))
        if entries and not force:
            raise RequestRefused(f"{uri} is not empty", f"Remove it with all that is in it: algo rmdir -f {uri}")
        if not uri.path.strip("/"):
            raise RequestRefused("The archive itself cannot be removed")
        count = sum(self._files(entry) for entry in entries)
        self._server.request("DELETE", uri.path)
        return count

    def _files(self, entry: Entry) -> int:
        return sum(map(self._files, self.list(entry.uri))) if entry.is_directory else 1

    def remove(self, uri: DataUri) -> None:
        """One PROPFIND, because a DELETE would take a directory with all that is in it, and one DELETE."""
        if self.stat(uri).is_directory:
            raise IsADirectory(f"{uri} is a directory", f"Remove it with: algo rmdir {uri}")
        self._server.request("DELETE", uri.path)


class ArchiveReader:
    """Reads the body of a GET, and checks that all of it arrives."""

    def __init__(self, uri: DataUri, response: requests.Response, address: str) -> None:
        headers = response.headers
        length = int(headers["Content-Length"]) if "Content-Length" in headers else None
        self.offset = _range_start(headers.get("Content-Range", "")) if response.status_code == 206 else 0
        self.entry = Entry(
            uri,
            Kind.FILE,
            size=None if length is None else self.offset + length,
            modified=http_date(headers.get("Last-Modified")),
            version=strong_etag(headers.get("ETag")),
        )
        self._left = length
        self._response = response
        self._address = address

    def readinto(self, buffer: bytearray | memoryview, /) -> int:
        """The next bytes. Raises NetworkError if the connection breaks, or ends too early."""
        with network_errors(self._address):
            piece: bytes = self._response.raw.read(len(buffer), decode_content=False)
        if self._left is not None:
            self._left -= len(piece)
            if not piece and self._left:
                raise NetworkError(f"The connection to {self._address} ended {self._left} bytes too early", "Try again")
        memoryview(buffer)[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        """Let go of the connection."""
        self._response.close()


def _range_start(header: str) -> int:
    found = re.match(r"bytes (\d+)-", header)
    if not found:
        raise PlatformError(f"The archive does not say which part of the file it sends: {header!r}")
    return int(found[1])


def _entry(uri: DataUri, resource: Resource) -> Entry:
    if resource.is_directory:
        return Entry(uri, Kind.DIRECTORY, modified=resource.modified)
    return Entry(uri, Kind.FILE, size=resource.size, modified=resource.modified, version=resource.etag)
