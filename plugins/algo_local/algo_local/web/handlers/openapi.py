"""The API's own description."""

from __future__ import annotations

from typing import TYPE_CHECKING

from algo_local.web.http import Response, json_response
from algo_local.web.openapi import document

if TYPE_CHECKING:
    from algo_local.web.authorization import RequestContext


def show(context: RequestContext) -> Response:
    """`GET /v1/openapi.json`, and by its older name `GET /v1/openapispec`."""
    return json_response(document())
