"""Languages, their environments, and templates (API section 5.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from algo_local.algorithms import catalog
from algo_local.web.auth import caller_of
from algo_local.web.http import ApiError, Request, Response, components, json_response

if TYPE_CHECKING:
    from algo_local.web.app import Application


def environments(app: Application, request: Request, rest: str) -> Response:
    """The routes below `/v1/algorithm-environments/edge`; only templates are given to everybody."""
    if request.method not in {"GET", "HEAD"}:
        raise ApiError(405, "Environments can only be read here", 5005, {"Allow": "GET, HEAD"})
    parts = components(rest)
    if len(parts) == 3 and parts[0] == "environment-specifications" and parts[2] == "template":
        return _template(parts[1])
    caller_of(request, app.platform, trusted=app.trusted)
    if parts == ["languages"]:
        return json_response(catalog.languages())
    if len(parts) == 3 and parts[0] == "languages" and parts[2] == "environments":
        return _environments(parts[1])
    if parts == ["environments", "available"]:
        return json_response(catalog.environments())
    raise ApiError(404, f"No such route: {request.path[:200]}", 5005)


def _environments(language: str) -> Response:
    try:
        return json_response({"environments": catalog.environments(language)})
    except KeyError:
        known = ", ".join(entry["name"] for entry in catalog.languages())
        raise ApiError(404, f"No language {language}; there are {known}", 4001) from None


def _template(specification: str) -> Response:
    try:
        archive = catalog.template_archive(specification)
    except KeyError:
        raise ApiError(404, f"No environment specification {specification}", 1003) from None
    return Response(200, archive, {"Content-Type": "application/gzip"})
