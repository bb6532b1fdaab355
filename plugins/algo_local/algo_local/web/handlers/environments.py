"""Languages, their environments, and templates (API section 5.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from algo_local.algorithms import catalog
from algo_local.error_codes import ErrorCode
from algo_local.web.http import ApiError, Response, json_response

if TYPE_CHECKING:
    from algo_local.web.authorization import RequestContext


def languages(context: RequestContext) -> Response:
    """`GET .../languages`."""
    return json_response(catalog.languages())


def environments(context: RequestContext) -> Response:
    """`GET .../languages/LANGUAGE/environments`."""
    language = context.parameters["language"]
    try:
        return json_response({"environments": catalog.environments(language)})
    except KeyError:
        known = ", ".join(entry["name"] for entry in catalog.languages())
        message = f"No language {language[:100]}; there are {known}"
        raise ApiError(404, message, ErrorCode.UNKNOWN_ALGORITHM_LANGUAGE) from None


def available(context: RequestContext) -> Response:
    """`GET .../environments/available`."""
    return json_response(catalog.environments())


def template(context: RequestContext) -> Response:
    """`GET .../environment-specifications/ID/template`."""
    specification = context.parameters["specificationId"]
    try:
        archive = catalog.template_archive(specification)
    except KeyError:
        message = f"No environment specification {specification[:100]}"
        raise ApiError(404, message, ErrorCode.PACKAGE_SET_NOT_FOUND) from None
    return Response(200, archive, {"Content-Type": "application/gzip"})
