"""The platform's icon and logo."""

from __future__ import annotations

from typing import TYPE_CHECKING

from algo_local.error_codes import ErrorCode
from algo_local.refusals import Invalid
from algo_local.web.http import Response

if TYPE_CHECKING:
    from algo_local.web.authorization import RequestContext

LIMITS = {"favicon": 100 << 10, "logo": 1 << 20}
"""Bytes of the largest image."""

TOO_LARGE = {"favicon": ErrorCode.FAVICON_SIZE_LIMIT_EXCEEDED, "logo": ErrorCode.LOGO_SIZE_LIMIT_EXCEEDED}

SIGNATURES = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
    b"\x00\x00\x01\x00": "image/x-icon",
}
"""Signatures of accepted image types. SVG is not accepted, since it can contain scripts."""

PLAIN = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><circle cx="16" cy="16" r="15" fill="#4b2ca0"/>'
    b'<path d="M9 23 16 8l7 15" fill="none" stroke="#fff" stroke-width="3"/></svg>'
)
"""The default image."""


def show(context: RequestContext) -> Response:
    """`GET /v1/config/favicon`, `GET /v1/config/logo`."""
    entry = context.platform.administration.entry(_name(context))
    headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "max-age=300"}
    if not entry:
        return Response(200, PLAIN, {"Content-Type": "image/svg+xml", **headers})
    return Response(200, entry.value, {"Content-Type": entry.media_type, **headers})


def upload(context: RequestContext) -> None:
    """`POST /v1/config/favicon`, `POST /v1/config/logo`: the body is the image."""
    kind = _kind(context)
    image = context.request.body(LIMITS[kind])
    if image is None:
        raise Invalid(f"The {kind} is larger than {LIMITS[kind]} bytes", TOO_LARGE[kind])
    media_type = next((found for start, found in SIGNATURES.items() if image.startswith(start)), None)
    if not media_type:
        raise Invalid("The body is not a PNG, JPEG, GIF or ICO image", ErrorCode.INVALID_FILE_UPLOAD)
    context.platform.administration.set_entry(_name(context), image, media_type)


def delete(context: RequestContext) -> None:
    """`DELETE /v1/config/favicon`, `DELETE /v1/config/logo`."""
    context.platform.administration.delete_entry(_name(context))


def _kind(context: RequestContext) -> str:
    return context.operation.path.rpartition("/")[2]


def _name(context: RequestContext) -> str:
    return f"image/{_kind(context)}"
