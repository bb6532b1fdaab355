"""The data operations for connectors other than `data` (API section 4.1)."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from algo_core.errors import AuthError, ConfigError, NotFoundError, PermissionDenied, RequestRefused
from algo_core.storage.contract import Entry, IncompleteListing, IsADirectory, NotADirectory, Reader
from algo_core.storage.uri import is_only_key
from algo_local.data.connector_data import ConnectedData
from algo_local.error_codes import ErrorCode
from algo_local.web.data_requests import announced_md5, file_entry, new_directory
from algo_local.web.handlers.connector_pages import Listings
from algo_local.web.http import (
    ApiError,
    FileBody,
    Request,
    Response,
    decode_marker,
    encode_marker,
    http_date,
    json_response,
)
from algo_local.web.ranges import requested_range

if TYPE_CHECKING:
    from algo_local.web.authorization import RequestContext

_listings = Listings()


def answer(context: RequestContext, name: str, path: str) -> Response:
    """The answer to a request on the data behind one of the caller's connectors.

    Where only a key can look like the path, the answer says which path was served: on the way to another platform it
    could have become another one. `type=file` and `type=directory` say what is meant where both can stand.
    """
    try:
        data = context.platform.connector(context.caller, name)
        response = _METHODS[context.operation.method](data, context.request, path)
    except PermissionDenied:
        raise
    except (AuthError, ConfigError) as error:  # the store does not take the credentials or options that it was given
        message = f"{error.message}. {error.hint}" if error.hint else error.message
        raise ApiError(400, message, ErrorCode.INVALID_REQUEST) from error
    except (IsADirectory, NotADirectory, IncompleteListing) as error:
        raise ApiError(400, error.message, ErrorCode.INVALID_REQUEST) from error
    if path and is_only_key(path):
        response.headers["X-Data-Path"] = quote(path, safe="/~:")
    return response


def _get(data: ConnectedData, request: Request, path: str) -> Response:
    """A file, or else a directory; a range of a file needs its size first."""
    if request.header("Range"):
        entry = data.stat(path)
        if not entry.is_directory:
            return _part(data, request, path, entry)
    is_listing = request.query.get("marker") or request.query.get("type") == "directory"
    if "/" in path.removesuffix("/") and not is_listing:
        try:
            reader = data.open(path)
        except IsADirectory:
            pass
        else:
            return _file(reader)
    try:
        return _listing(data, request, path)
    except NotADirectory:
        return _file(data.open(path))


def _head(data: ConnectedData, request: Request, path: str) -> Response:
    entry = _file_entry(data, path) if request.query.get("type") == "file" else None
    entry = entry or data.stat(path)
    if entry.is_directory:
        return Response(headers={"X-Data-Type": "directory", "Content-Type": "application/json"})
    return Response(200, b"", _facts(entry), entry.size)


def _file_entry(data: ConnectedData, path: str) -> Entry | None:
    """The entry of a file, be its key that of a directory with a slash behind it; None for a directory."""
    try:
        reader = data.open(path)
    except IsADirectory:
        return None
    reader.close()
    return reader.entry


def _listing(data: ConnectedData, request: Request, path: str) -> Response:
    marker = request.query.get("marker")
    entries, following = _listings.page(data, path, decode_marker(marker) if marker else None)
    body: dict[str, Any] = {
        "folders": [{"name": entry.name} for entry in entries if entry.is_directory],
        "files": [
            file_entry(entry.name, entry.modified.timestamp() if entry.modified else 0, entry.size or 0)
            for entry in entries
            if not entry.is_directory
        ],
    }
    if following is not None:
        body["marker"] = encode_marker(following)
    return json_response(body, headers={"X-Data-Type": "directory"})


def _file(reader: Reader) -> Response:
    size = reader.entry.size
    if size is None:
        reader.close()
        raise ApiError(500, f"The store did not return the size of {reader.entry.uri}", ErrorCode.INTERNAL_SERVER_ERROR)
    return Response(200, FileBody(_File(reader), size), _facts(reader.entry), size)


def _part(data: ConnectedData, request: Request, path: str, entry: Entry) -> Response:
    size, facts = entry.size or 0, _facts(entry)
    part = requested_range(request, size, facts.get("ETag", "").strip('"'), facts["Last-Modified"])
    if part is None:
        return _file(data.open(path))
    if not part:
        message = f"The range lies outside the file, which has {size} bytes"
        raise ApiError(416, message, headers={"Content-Range": f"bytes */{size}"})
    reader = data.open(path, part.start, version=entry.version)
    if reader.offset != part.start:  # changed since it was looked at, or the store cannot start there
        return _file(reader)
    headers = {**facts, "Content-Range": f"bytes {part.start}-{part.stop - 1}/{size}"}
    return Response(206, FileBody(_File(reader), len(part)), headers, len(part))


def _facts(entry: Entry) -> dict[str, str]:
    headers = {
        "Content-Type": "application/octet-stream",
        "X-Data-Type": "file",
        "Last-Modified": http_date(entry.modified.timestamp() if entry.modified else 0),
        "Accept-Ranges": "bytes",
    }
    if entry.version:
        headers["ETag"] = entry.version if entry.version.startswith('"') else f'"{entry.version}"'
    return headers


def _put(data: ConnectedData, request: Request, path: str) -> Response:
    uri = data.write(path, _Upload(request), request.length)
    return json_response({"result": str(uri)})


def _post(data: ConnectedData, request: Request, path: str) -> Response:
    name, _ = new_directory(request)
    if not isinstance(name, str) or not name or "/" in name:
        raise RequestRefused(f"{name!r} is not a valid name for a directory")
    return json_response({"result": str(data.mkdir(data.uri(path).child(name).path))})


def _patch(data: ConnectedData, request: Request, path: str) -> Response:
    raise RequestRefused("Only collections of hosted data have an ACL")


def _delete(data: ConnectedData, request: Request, path: str) -> Response:
    try:
        if request.query.get("type") == "file":
            deleted = data.remove(path)
        else:
            deleted = data.delete(path, force=request.flag("force"))
    except (NotFoundError, PermissionDenied):
        raise
    except RequestRefused as error:
        return json_response({"error": {"deleted": 0, "message": error.message}}, 400)
    return json_response({"result": {"deleted": deleted}})


class _Upload:
    """A request's body as the source of a write; refused at its end if it is not what was announced."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._left = request.length
        announced = announced_md5(request)
        self._announced = announced
        self._digest = hashlib.md5(usedforsecurity=False) if announced else None

    def readinto(self, buffer: bytearray | memoryview, /) -> int:
        """The next bytes."""
        wanted = len(buffer) if self._left is None else min(len(buffer), self._left)
        data = self._request.read(wanted) if wanted else b""
        if self._left is not None:
            if wanted and not data:
                raise RequestRefused(f"The content ended {self._left} bytes too early; nothing was stored")
            self._left -= len(data)
        if self._digest:
            self._digest.update(data)
            if not data and self._digest.hexdigest() != self._announced:
                raise RequestRefused(f"The content does not have the announced MD5 ({self._announced})")
        memoryview(buffer)[: len(data)] = data
        return len(data)

    def seekable(self) -> bool:
        """A connection cannot be read again."""
        return False

    def tell(self) -> int:
        raise OSError("a request's body has no position")

    def seek(self, offset: int, whence: int = 0, /) -> int:
        raise OSError("a request's body cannot be read again")


class _File(io.RawIOBase):
    """A reader as an unbuffered file, which is what the body of a response is read from."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        """The next bytes."""
        return self._reader.readinto(buffer)

    def close(self) -> None:
        """Release the store's connection."""
        if not self.closed:
            self._reader.close()
        super().close()


_METHODS = {"GET": _get, "HEAD": _head, "PUT": _put, "POST": _post, "PATCH": _patch, "DELETE": _delete}
