"""The application: finds the route of a request, and turns what goes wrong into the platform's error bodies."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable
from typing import Any

from algo_core.errors import (
    AlgoError,
    AlreadyExists,
    NotFoundError,
    PermissionDenied,
    RequestRefused,
    UsageError,
)
from algo_local.platform import Platform
from algo_local.web.http import ApiError, FileBody, Request, Response, json_response

Route = Callable[["Application", Request, str], Response]

_ROUTES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(f"/+v1/+{prefix}(?:/+|$)"), target)
    for prefix, target in (
        ("data", "algo_local.web.data:data"),
        ("connector", "algo_local.web.data:connector"),
        ("algo", "algo_local.web.invoke:invoke"),
        ("web/+algo", "algo_local.web.invoke:invoke_from_page"),
        ("algorithms", "algo_local.web.algorithms:algorithms"),
        ("users", "algo_local.web.algorithms:users"),
        ("algorithm-environments/+edge", "algo_local.web.environments:environments"),
    )
)
_KINDS: tuple[tuple[type[AlgoError], int, int | None], ...] = (
    (NotFoundError, 404, None),
    (PermissionDenied, 403, 2001),
    (AlreadyExists, 409, 2015),
    (RequestRefused, 400, 2015),
    (UsageError, 400, 2015),
)
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+")


class Application:
    """The API of a platform: `answer` gives a response to a request.

    With `trusted`, requests without a credential are those of the platform's own person: for use inside this person's
    process only. `on_failure` is told the traceback of what should never happen.
    """

    def __init__(
        self, platform: Platform, *, trusted: bool = False, on_failure: Callable[[str], None] | None = None
    ) -> None:
        from algo_local.web.limits import Concurrency

        self.platform = platform
        self.trusted = trusted
        self.concurrency = Concurrency()
        self._on_failure = on_failure

    def answer(self, request: Request) -> Response:
        """The response to a request, whatever goes wrong; to a HEAD as well without a body, which is closed."""
        try:
            response = respond(lambda: self._routed(request))
        except Exception as error:
            if self._on_failure:
                self._on_failure(traceback.format_exc())
            # What exactly broke is told to the platform's own person only.
            detail = f": {type(error).__name__}: {error}" if self.trusted else ""
            response = error_response(ApiError(500, f"The platform failed{detail}", 5001))
        return _headers_only(response) if request.method == "HEAD" else response

    def _routed(self, request: Request) -> Response:
        for pattern, target in _ROUTES:
            if match := pattern.match(request.path):
                return _load(target)(self, request, request.path[match.end() :])
        raise ApiError(404, f"No such route: {request.path[:200]}", 5005)


def respond(answer: Callable[[], Response]) -> Response:
    """What `answer` gives, or the error body for what it refuses."""
    try:
        return answer()
    except ApiError as error:
        return error_response(error)
    except AlgoError as error:
        return error_response(_as_api_error(error))


_loaded: dict[str, Any] = {}


def _load(target: str) -> Route:
    route = _loaded.get(target)
    if route is None:
        from importlib import import_module

        module, _, name = target.partition(":")
        route = _loaded[target] = getattr(import_module(module), name)
    return route  # type: ignore[no-any-return]  # each target of _ROUTES is a Route


def _as_api_error(error: AlgoError) -> ApiError:
    for kind, status, code in _KINDS:
        if isinstance(error, kind):
            return ApiError(status, error.message, code)
    return ApiError(500, f"{error.message}. {error.hint}" if error.hint else error.message, 5001)


def error_response(error: ApiError) -> Response:
    """The body of an error: nested, with message and code (API section 2.1, E1 and E5)."""
    body: dict[str, Any] = {"message": error.message}
    if error.code is not None:
        body = {"code": error.code, "message": error.message}
    headers = {"X-Error-Message": header_text(error.message), **error.headers}
    if error.status == 401:
        headers["WWW-Authenticate"] = "Simple"
    return json_response({"error": body}, error.status, headers)


def header_text(text: str) -> str:
    """A message as a header can carry it."""
    return _UNPRINTABLE.sub("?", text)[:1000]


def _headers_only(response: Response) -> Response:
    """The response to a HEAD; a failing one says that no body was left out (API section 2.1, E7)."""
    if response.status >= 400:
        kept = {name: value for name, value in response.headers.items() if name != "Content-Type"}
        return Response(response.status, b"", kept)
    if isinstance(response.body, FileBody):
        response.body.close()
    elif response.length is None:
        response.length = len(response.body)
    response.body = b""
    return response
