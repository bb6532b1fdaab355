"""The data routes: `/v1/data` and `/v1/connector` (API section 4)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from algo_core.storage.uri import HOSTED
from algo_local.callers import Caller
from algo_local.data.hosted import DirectoryNotEmpty, HostedData, StoredFile
from algo_local.data.media_types import accepted, announced
from algo_local.data.path_resolver import Branch, FileLocation, Space
from algo_local.error_codes import ErrorCode
from algo_local.web.data_requests import acl_in, announced_md5, file_entry, new_directory, to_replace
from algo_local.web.http import (
    ApiError,
    FileBody,
    Request,
    Response,
    decode,
    decode_marker,
    encode_marker,
    http_date,
    json_response,
)
from algo_local.web.ranges import requested_range

if TYPE_CHECKING:
    from algo_local.web.authorization import RequestContext

_CONNECTOR = re.compile(r"([a-z0-9]+(?:\+[a-zA-Z0-9]+)?):/{1,2}(.*)", re.DOTALL)


def answer(context: RequestContext) -> Response:
    """All operations below `/v1/data/PATH` and `/v1/connector/CONNECTOR/PATH`."""
    name, path = _location(context.parameters)
    if name != HOSTED:
        from algo_local.web.handlers import connector_data

        return connector_data.answer(context, name, path)
    parts = [part for part in path.split("/") if part]  # behind a connector each character counts
    return _METHODS[context.operation.method](context.platform.hosted, context.caller, context.request, parts)


def root(context: RequestContext) -> Response:
    """`GET /v1/data`: the roots. They tell no more than the caller's own name, so every key may see them."""
    return _get(context.platform.hosted, context.caller, context.request, [])


def _location(parameters: Mapping[str, str]) -> tuple[str, str]:
    """The connector's name and the path: hosted data, unless a path of `/v1/data` begins with a connector."""
    if "location*" in parameters:
        name, _, path = parameters["location*"].partition("/")
        if re.search("%2F", name, re.IGNORECASE):  # an encoded component goes beyond the name
            name, _, path = _decode_path(parameters["location*"]).partition("/")
            return name, path
        return decode(name) or HOSTED, _decode_path(path)
    path = _decode_path(parameters["path*"]).lstrip("/")
    match = _CONNECTOR.fullmatch(path) if ":" in path else None
    return (match[1], match[2]) if match else (HOSTED, path)


def _decode_path(raw: str) -> str:
    """Decode before splitting. An encoded slash shows a client that form-encodes: its `+` is a blank (API 4.1)."""
    if "%" in raw and re.search("%2F", raw, re.IGNORECASE):
        raw = raw.replace("+", " ")
    return decode(raw)


def _get(storage: HostedData, caller: Caller, request: Request, path: list[str]) -> Response:
    location = storage.find(caller, path)
    if isinstance(location, FileLocation):
        return _file_response(storage.open(location, whole="range" not in request.headers), request)
    return _listing(storage, location, request)


def _head(storage: HostedData, caller: Caller, request: Request, path: list[str]) -> Response:
    location = storage.find(caller, path)
    if isinstance(location, FileLocation):
        return _file_response(storage.open(location, whole=False), request)
    return Response(headers={"X-Data-Type": "directory", "Content-Type": "application/json"})


def _listing(storage: HostedData, directory: Branch | Space, request: Request) -> Response:
    marker = request.query.get("marker")
    page = storage.list(directory, decode_marker(marker) if marker else None)
    body: dict[str, Any] = {
        "folders": [{"name": name} for name in page.folders],
        "files": [file_entry(info.name, info.modified, info.size) for info in page.files],
    }
    if page.marker is not None:
        body["marker"] = encode_marker(page.marker)
    if page.acl is not None and request.flag("acl"):
        body["acl"] = {"read": list(page.acl)}
    return json_response(body, headers={"X-Data-Type": "directory"})


def _file_response(found: StoredFile, request: Request) -> Response:
    size = found.info.size
    modified = http_date(found.info.modified)
    headers = {
        "Content-Type": accepted(found.media_type, request.header("Accept")),
        "X-Content-Type-Options": "nosniff",
        "X-Data-Type": "file",
        "ETag": found.md5,
        "Last-Modified": modified,
        "Accept-Ranges": "bytes",
    }
    part = requested_range(request, size, found.md5, modified)
    content = found.content
    if part is None:
        return Response(200, content if isinstance(content, bytes) else FileBody(content, size), headers, size)
    if not part:
        if not isinstance(content, bytes):
            content.close()
        message = f"The range lies outside the file, which has {size} bytes"
        raise ApiError(416, message, headers={"Content-Range": f"bytes */{size}"})
    headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{size}"
    if isinstance(content, bytes):
        return Response(206, content[part.start : part.stop], headers)
    content.seek(part.start)
    return Response(206, FileBody(content, len(part)), headers, len(part))


def _put(storage: HostedData, caller: Caller, request: Request, path: list[str]) -> Response:
    uri, md5 = storage.put(
        caller,
        path,
        request.read,
        request.length,
        announced_md5(request),
        media_type=announced(request.header("Content-Type")),
        replaces=to_replace(request),
    )
    return json_response({"result": uri}, headers={"ETag": md5})


def _post(storage: HostedData, caller: Caller, request: Request, path: list[str]) -> Response:
    name, acl = new_directory(request)
    return json_response({"result": storage.create(caller, path, name, acl)})


def _patch(storage: HostedData, caller: Caller, request: Request, path: list[str]) -> Response:
    value = request.json()
    if not isinstance(value, dict) or not isinstance(value.get("acl"), dict) or "read" not in value["acl"]:
        raise ApiError(400, 'An ACL is changed with a body such as {"acl": {"read": []}}', ErrorCode.MALFORMED_JSON)
    storage.set_acl(caller, path, acl_in(value))
    return Response()


def _delete(storage: HostedData, caller: Caller, request: Request, path: list[str]) -> Response:
    try:
        deleted = storage.delete(caller, path, force=request.flag("force"))
    except DirectoryNotEmpty as error:
        return json_response({"error": {"deleted": error.deleted, "message": error.message}}, 400)
    return json_response({"result": {"deleted": deleted}})


_METHODS = {"GET": _get, "HEAD": _head, "PUT": _put, "POST": _post, "PATCH": _patch, "DELETE": _delete}
