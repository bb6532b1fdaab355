"""WebDAV (RFC 4918) over a requests session: the methods that a storage needs, and what the answers mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, unquote, urlsplit
from xml.etree import ElementTree

import requests

from algo_core.errors import (
    AlgoError,
    AlreadyExists,
    AuthError,
    NotFoundError,
    PermissionDenied,
    PlatformError,
    RequestRefused,
    UsageError,
)
from algo_core.http.requests_transport import network_errors

ASKED = b"""<?xml version="1.0" encoding="utf-8"?>
<propfind xmlns="DAV:"><prop><resourcetype/><getcontentlength/><getlastmodified/><getetag/></prop></propfind>"""

_DAV = "{DAV:}"


@dataclass(frozen=True)
class Resource:
    """What a server says of a file or a directory; `etag` is a strong one without its quotes."""

    name: str
    depth: int
    is_directory: bool
    size: int | None
    modified: datetime | None
    etag: str | None


class WebDav:
    """A WebDAV server's files below one address. Methods raise what `_failure` makes of a status, and NetworkError."""

    def __init__(self, session: requests.Session, address: str) -> None:
        self.session = session
        self.address = address.rstrip("/")

    def url(self, path: str) -> str:
        """The URL of a path.

        Raises:
            UsageError: if a component of it is empty, `.` or `..`, which a server takes for another path, or it is not
                Unicode.
        """
        parts = path.removesuffix("/").split("/") if path else []
        if not {"", ".", ".."}.isdisjoint(parts):
            raise UsageError(f"The archive has no path such as {path!r}", "Write it without '//', '.' and '..'")
        try:
            return "/".join([self.address, *(quote(part, safe="") for part in parts)])
        except UnicodeEncodeError:
            raise UsageError(f"The name is not valid UTF-8: {path!a}") from None

    def request(
        self,
        method: str,
        path: str,
        *,
        shown: str | None = None,
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> requests.Response:
        """Send one request; `shown` is the path that messages name, where it is another.

        Redirects are not followed, because most methods would not survive them.
        """
        with network_errors(self.address):
            response = self.session.request(method, self.url(path), headers=headers, allow_redirects=False, **options)
        is_part_done = response.status_code == 207 and method != "PROPFIND"
        if response.status_code >= 300 or is_part_done:
            response.close()
            raise _failure(method, path if shown is None else shown, response)
        return response

    def resources(self, path: str, *, depth: int) -> list[Resource]:
        """What stands at a path, first, and with a depth of 1 what is in it."""
        headers = {"Depth": str(depth), "Content-Type": "application/xml; charset=utf-8"}
        response = self.request("PROPFIND", path, headers=headers, data=ASKED)
        try:
            found = [_resource(element) for element in ElementTree.fromstring(response.content).iter(f"{_DAV}response")]
            if not found:
                raise ValueError("nothing is described")
        except (ElementTree.ParseError, ValueError) as error:
            raise PlatformError(f"{self.address} does not answer as WebDAV: {error}") from None
        return sorted(found, key=lambda resource: resource.depth)

    def move(self, source: str, target: str, *, overwrite: bool) -> None:
        """Rename a file. Raises AlreadyExists without `overwrite` if something stands there."""
        headers = {"Destination": self.url(target), "Overwrite": "T" if overwrite else "F"}
        self.request("MOVE", source, shown=target, headers=headers)


def strong_etag(header: str | None) -> str | None:
    """An entity tag without its quotes; None for a weak one, which says nothing of single bytes."""
    text = (header or "").strip()
    return None if text.startswith("W/") else text.strip('"') or None


def http_date(header: str | None) -> datetime | None:
    """A time in UTC, if a header holds one."""
    try:
        found = parsedate_to_datetime(header or "")
    except ValueError:
        return None
    return found if found.tzinfo else None


def _resource(element: ElementTree.Element) -> Resource:
    parts = [unquote(part) for part in urlsplit(element.findtext(f"{_DAV}href", "").strip()).path.split("/") if part]
    size = element.findtext(f".//{_DAV}getcontentlength")
    return Resource(
        name=parts[-1] if parts else "",
        depth=len(parts),
        is_directory=element.find(f".//{_DAV}resourcetype/{_DAV}collection") is not None,
        size=int(size) if size else None,
        modified=http_date(element.findtext(f".//{_DAV}getlastmodified")),
        etag=strong_etag(element.findtext(f".//{_DAV}getetag")),
    )


def _failure(method: str, path: str, response: requests.Response) -> AlgoError:
    status, uri = response.status_code, f"acme://{path}"
    if status == 401:
        return AuthError("The archive does not know you", "Log in with: algo acme login")
    if status == 403:
        return PermissionDenied(f"The archive does not let you do this with {uri}")
    if status == 404:
        return NotFoundError(f"{uri} does not exist")
    if status == 409:
        parent = uri.rstrip("/").rpartition("/")[0]
        return NotFoundError(f"Directory {parent} does not exist", f"Make it with: algo mkdir {parent}")
    if (method, status) in {("MKCOL", 405), ("MOVE", 412)}:
        return AlreadyExists(f"{uri} exists already")
    if status == 423:
        return RequestRefused(f"{uri} is locked", "Try again when nobody edits it")
    if status == 507:
        return RequestRefused("The archive is full")
    if status >= 500:
        return PlatformError(f"The archive failed: {status} {response.reason}", "Try again later")
    if status in range(300, 400):
        return PlatformError(f"The archive has moved to {response.headers.get('Location', 'somewhere else')}")
    return RequestRefused(f"The archive refused {method} for {uri}: {status} {response.reason}")
