"""What is known about algorithms, their versions and builds (API section 6)."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from algo_local.algorithms.visibility import visible_algorithms, visible_versions
from algo_local.error_codes import ErrorCode
from algo_local.web.http import ApiError, Response, json_response
from algo_local.web.pages import page

if TYPE_CHECKING:
    from algo_local.algorithms.registry import Version
    from algo_local.web.authorization import RequestContext


def show(context: RequestContext) -> Response:
    """`GET /v1/algorithms/OWNER/NAME`."""
    return json_response(_newest(_versions(context)))


def versions(context: RequestContext) -> Response:
    """`GET .../versions`. Only published versions are kept, each of which can be called: there are no others."""
    query = context.request.query
    if "false" in {query.get(name, "").lower() for name in ("published", "callable")}:
        return page(context.request, [])
    return page(context.request, [_published(version) for version in _versions(context)])


def version(context: RequestContext) -> Response:
    """`GET .../versions/HASH`, or its number in the place of the hash."""
    wanted = context.parameters["algohash"]
    for found in _versions(context):
        if wanted in {found.build.commit, found.text}:
            return json_response(_published(found))
    raise ApiError(404, f"No version {wanted[:100]}", ErrorCode.VERSION_DOES_NOT_EXIST)


def of_account(context: RequestContext) -> Response:
    """`GET /v1/users/USER/algorithms`."""
    found = visible_algorithms(context.platform.registry, context.caller, context.account)
    return json_response(
        [{"id": each.id, "algoname": each.name, "username": each.owner, "name": each.name} for each in found]
    )


def builds(context: RequestContext) -> Response:
    """`GET .../builds`."""
    return page(context.request, [_build(found) for found in reversed(_builds(context).values())])


def build(context: RequestContext) -> Response:
    """`GET .../builds/ID`."""
    return json_response(_build(_wanted_build(context)))


def build_logs(context: RequestContext) -> Response:
    """`GET .../builds/ID/logs`."""
    return json_response({"logs": _wanted_build(context).build.log})


def _versions(context: RequestContext) -> list[Version]:
    """The versions of the algorithm that the caller may see, newest first."""
    return visible_versions(context.platform.registry, context.caller, context.algorithm)


def _builds(context: RequestContext) -> dict[str, Version]:
    return {found.build_id: found for found in reversed(context.platform.registry.versions(context.algorithm))}


def _wanted_build(context: RequestContext) -> Version:
    wanted = context.parameters["buildid"]
    found = _builds(context).get(wanted)
    if not found:
        raise ApiError(404, f"No build {wanted[:100]}", ErrorCode.ALGORITHM_BUILD_NOT_FOUND)
    return found


def _newest(versions: list[Version]) -> dict[str, Any]:
    return _published(next((version for version in versions if version.public), versions[0]))


def _published(version: Version) -> dict[str, Any]:
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
