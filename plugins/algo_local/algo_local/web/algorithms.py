"""What is known about algorithms (API section 6). Only reading: they are published with `algo local publish`."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from algo_local.algorithms.registry import Version
from algo_local.algorithms.visibility import visible_versions
from algo_local.callers import Caller
from algo_local.web.auth import caller_of
from algo_local.web.http import (
    ApiError,
    Request,
    Response,
    components,
    decode_marker,
    encode_marker,
    json_response,
)

if TYPE_CHECKING:
    from algo_local.web.app import Application

PAGE_SIZE = 50
PAGE_LIMIT = 1000
_NO_ALGORITHM = "No such algorithm"


def algorithms(app: Application, request: Request, rest: str) -> Response:
    """`GET /v1/algorithms/OWNER/NAME[/versions[/COMMIT] | /builds[/ID[/logs]]]`."""
    caller = caller_of(request, app.platform, trusted=app.trusted)
    if request.method not in {"GET", "HEAD"}:
        raise ApiError(
            405, "Algorithms are made and published with 'algo local publish' here", 5005, {"Allow": "GET, HEAD"}
        )
    parts = components(rest)
    by_id = len(parts) == 1 or (len(parts) > 1 and parts[1] in {"versions", "version", "builds"})
    names, below = (parts[:1], parts[1:]) if by_id else (parts[:2], parts[2:])
    algorithm = app.platform.registry.algorithm(*names) if names else None
    if not algorithm or not (versions := visible_versions(app.platform.registry, caller, algorithm)):
        return json_response({"error": _NO_ALGORITHM}, 404)
    if not below:
        return json_response(_newest(app, versions))
    if below[0] in {"versions", "version"}:
        if len(below) == 1:
            return page(request, [_published(app, version) for version in _filtered(request, versions)])
        if len(below) == 2:
            return json_response(_published(app, _by_commit(versions, below[1])))
    if below[0] == "builds" and len(below) <= 3:
        return _builds(app, request, caller, versions, below[1:])
    raise ApiError(404, f"No such route: /v1/algorithms/{rest[:200]}", 5005)


def users(app: Application, request: Request, rest: str) -> Response:
    """`GET /v1/users/USER/algorithms`, and what `/v1/users/USER/connectors` answers."""
    caller = caller_of(request, app.platform, trusted=app.trusted)
    parts = components(rest)
    if len(parts) == 2 and parts[1] == "connectors":
        from algo_local.web.connectors import connectors_of

        return connectors_of(app.platform, caller, request, parts[0])
    if len(parts) != 2 or parts[1] != "algorithms" or request.method not in {"GET", "HEAD"}:
        raise ApiError(404, f"No such route: /v1/users/{rest[:200]}", 5005)
    owner = app.platform.metadata.account(parts[0])
    if not owner:
        raise ApiError(404, f"No account {parts[0]}", 3000)
    found = [
        visible_versions(app.platform.registry, caller, algorithm)
        for algorithm in app.platform.registry.algorithms(owner)
    ]
    return page(request, [_newest(app, versions) for versions in found if versions])


def _filtered(request: Request, versions: list[Version]) -> list[Version]:
    """Only published versions are kept here, each of which can be called; so asking for others yields none."""
    for name in ("published", "callable"):
        if request.query.get(name, "").lower() == "false":
            return []
    return versions


def _by_commit(versions: list[Version], commit: str) -> Version:
    for version in versions:
        if commit in {version.build.commit, version.text}:
            return version
    raise ApiError(404, f"No version {commit[:100]}", 1014)


def _newest(app: Application, versions: list[Version]) -> dict[str, Any]:
    return _published(app, next((version for version in versions if version.public), versions[0]))


def _published(app: Application, version: Version) -> dict[str, Any]:
    """The algorithm object of a published version (API section 6.2)."""
    algorithm = version.algorithm
    return {
        "id": algorithm.id,
        "name": algorithm.name,
        "details": {"label": algorithm.name, "summary": "", "tagline": ""},
        "settings": {
            "algorithm_callability": "public" if version.public else "private",
            "source_visibility": "closed",
            "language": "python3",
            "environment": "cpu",
            "license": "apl",
            "royalty_microcredits": 0,
            "network_access": "full",
            "pipeline_enabled": True,
            "insights_enabled": False,
        },
        "version_info": {
            "semantic_version": version.text,
            "git_hash": version.build.commit,
            "version_uuid": version.id,
            "release_notes": "",
            "sample_input": "",
            "sample_output": "",
        },
        "build": _build(version),
        "compilation": {"successful": True, "output": ""},
        "self_link": f"/v1/algorithms/{algorithm.owner}/{algorithm.name}/versions/{version.build.commit}",
        "resource_type": "algorithm",
    }


def _builds(app: Application, request: Request, caller: Caller, versions: list[Version], below: list[str]) -> Response:
    if not caller.owns_algorithm(versions[0].algorithm.owner):
        raise ApiError(403, "Caller is not authorized to perform the operation", 2001)
    by_id = {version.build_id: version for version in reversed(versions)}
    if not below:
        return page(request, [_build(version) for version in reversed(by_id.values())])
    version = by_id.get(below[0])
    if not version:
        raise ApiError(404, f"No build {below[0][:100]}", 1010)
    if len(below) == 1:
        return json_response(_build(version))
    if below[1] != "logs":
        raise ApiError(404, f"No such route below a build: {below[1][:100]}", 5005)
    return json_response({"logs": version.build.log})


def _build(version: Version) -> dict[str, Any]:
    return {
        "build_id": version.build_id,
        "status": "succeeded",
        "commit_sha": version.build.commit,
        "started_at": _time(version.started_at),
        "finished_at": _time(version.finished_at),
        "version_info": {"semantic_version": version.text},
        "resource_type": "algorithm_build",
    }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def page(request: Request, entries: list[dict[str, Any]]) -> Response:
    """One page of a collection of the management API (API section 1.6)."""
    limit = request.query.get("limit", str(PAGE_SIZE))
    if not limit.isascii() or not limit.isdigit() or not 0 < int(limit) <= PAGE_LIMIT:
        raise ApiError(400, f"The limit must be a number from 1 to {PAGE_LIMIT}", 5003)
    marker = request.query.get("marker")
    start = decode_marker(marker) if marker else "0"
    if not start.isascii() or not start.isdigit():
        raise ApiError(400, f"Not a marker: {marker!r}", 5002)
    stop = int(start) + int(limit)
    following = encode_marker(str(stop)) if stop < len(entries) else None
    link = f"{request.path}?{urlencode({'limit': limit, 'marker': following})}" if following else None
    return json_response({"marker": following, "next_link": link, "results": entries[int(start) : stop]})
