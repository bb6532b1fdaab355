"""The application: finds the route of a request, and turns errors into the platform's error bodies."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from algo_core.errors import (
    AlgoError,
    AlreadyExists,
    ConfigError,
    NotFoundError,
    PermissionDenied,
    RequestRefused,
    UsageError,
)
from algo_local.error_codes import ErrorCode
from algo_local.platform import Platform
from algo_local.refusals import ConditionFailed, StorageFull, StorageUnavailable, TooManyCalls
from algo_local.web.authorization import RequestContext, authorize
from algo_local.web.http import ApiError, FileBody, Request, Response, json_response
from algo_local.web.operations import Permission
from algo_local.web.routing import Route, find

Handler = Callable[[RequestContext], object]
"""Gives a response, or what is its JSON: then the status is that of the operation's row. None is no content."""

_KINDS: tuple[tuple[type[AlgoError], int, int | None], ...] = (
    (NotFoundError, 404, None),
    (PermissionDenied, 403, ErrorCode.NOT_AUTHORIZED),
    (AlreadyExists, 409, ErrorCode.INVALID_REQUEST),
    (TooManyCalls, 429, None),
    (ConditionFailed, 412, ErrorCode.INVALID_REQUEST),
    (StorageFull, 507, ErrorCode.INTERNAL_SERVER_ERROR),
    (StorageUnavailable, 503, ErrorCode.INTERNAL_SERVER_ERROR),
    (RequestRefused, 400, ErrorCode.INVALID_REQUEST),
    (UsageError, 400, ErrorCode.INVALID_REQUEST),
)
_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Content-Encoding, Idempotency-Key, Idempotency-Lost",
}
_HOST = re.compile(r"[A-Za-z0-9.:\[\]_-]{1,255}")
_REMOVALS = {"deleteUser", "deleteOrganization"}
"""The operations after which an account is gone: a later one of its name must not find its workers."""

_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+")


class Application:
    """The API of a platform: `answer` gives a response to a request.

    With `trusted`, requests without a credential are those of the platform's own user: only for use inside that user's
    process. `on_failure` is called with the traceback of unexpected exceptions.
    """

    def __init__(
        self,
        platform: Platform,
        *,
        trusted: bool = False,
        scheme: str = "http",
        on_failure: Callable[[str], None] | None = None,
        interceptor: Callable[[Request], Response | None] | None = None,
    ) -> None:
        """`interceptor` may answer requests that are not for the API."""
        self._interceptor = interceptor
        self.platform = platform
        self.trusted = trusted
        self._scheme = scheme
        self._on_failure = on_failure

    def answer(self, request: Request) -> Response:
        """The response to a request, whatever goes wrong; to a HEAD as well without a body, which is closed.

        Raises:
            ConfigError: if the person's own configuration is wrong, and the application is `trusted`: it is theirs.
        """
        try:
            response = self._respond(self._routed, request)
        except ConfigError:
            raise
        except (
            BaseException
        ) as error:  # an executor's, or a connector's, may be any: a thread must not end without answer
            if not isinstance(error, Exception) and (self.trusted or isinstance(error, KeyboardInterrupt)):
                raise
            if self._on_failure:
                import traceback

                self._on_failure(traceback.format_exc())
            # Details of the failure are only for the platform's own user.
            detail = f": {type(error).__name__}: {error}" if self.trusted else ""
            response = error_response(ApiError(500, f"The platform failed{detail}", ErrorCode.INTERNAL_SERVER_ERROR))
        return _headers_only(response) if request.method == "HEAD" else response

    def _routed(self, request: Request) -> Response:
        if self._interceptor and (response := self._interceptor(request)):
            return response
        if request.path.startswith("/git/"):
            from algo_local.web import git

            return git.answer(self.platform, request, trusted=self.trusted, address=self._address(request))
        route = find(request.path)
        if not route:
            raise ApiError(404, f"No such route: {request.path[:200]}", ErrorCode.NOT_IMPLEMENTED)
        if not route.for_pages:
            return self._handled(request, route)
        response = self._respond(self._handled, request, route)
        response.headers.update(_CORS)
        return response

    def _handled(self, request: Request, route: Route) -> Response:
        with self.platform.database.pinned():
            context = authorize(self.platform, request, route, trusted=self.trusted, address=self._address(request))
            if context.operation.method not in _READING:
                self.platform.check_writable()
            if context.operation.access.permission is Permission.READ_DATA:
                return self._result(context)  # what may be read is found in the state in which that was allowed
        return self._result(context)

    def _result(self, context: RequestContext) -> Response:
        operation = context.operation
        if operation.feature:
            from algo_local.web.features import check_feature

            check_feature(self.platform, operation.feature, context.caller.account)
        result = _load(operation.handler)(context)
        if operation.method not in _READING and operation.access.permission in _CHANGING:
            self.platform.check_writable()  # else it may have been done after all was copied
        if operation.access.permission is Permission.MANAGE and operation.method != "GET":
            from algo_local.worker_updates import follow

            follow(self.platform, context.target.algorithm, is_account_gone=operation.id in _REMOVALS)
        if isinstance(result, Response):
            return result
        return Response(operation.status) if result is None else json_response(result, operation.status)

    def _respond(self, answer: Callable[..., Response], *asked: object) -> Response:
        """The response of `answer` to what is asked, or the error body for its exception."""
        try:
            return answer(*asked)
        except ApiError as error:
            return error_response(error)
        except AlgoError as error:
            if self.trusted and isinstance(error, ConfigError):
                raise
            return error_response(_as_api_error(error))

    def _address(self, request: Request) -> str:
        """The address at which the client of a request reaches the platform."""
        return _address_of(self._scheme, request.header("Host"))


@lru_cache(maxsize=64)
def _address_of(scheme: str, host: str) -> str:
    return f"{scheme}://{host}" if _HOST.fullmatch(host) else "local:"


_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_CHANGING = frozenset({Permission.MANAGE, Permission.WRITE_DATA})
"""Permissions of operations that change the platform; calls are on record in a transaction that asks for itself."""

_loaded: dict[str, Handler] = {}


def _load(name: str) -> Handler:
    handler = _loaded.get(name)
    if handler is None:
        from importlib import import_module

        module, _, function = name.partition(":")
        handler = _loaded[name] = getattr(import_module(f"algo_local.web.handlers.{module}"), function)
    return handler


def _as_api_error(error: AlgoError) -> ApiError:
    for kind, status, code in _KINDS:
        if isinstance(error, kind):
            more = {"Retry-After": "1"} if status in (429, 503) else None
            return ApiError(status, error.message, getattr(error, "code", code), more)
    return ApiError(
        500, f"{error.message}. {error.hint}" if error.hint else error.message, ErrorCode.INTERNAL_SERVER_ERROR
    )


def error_response(error: ApiError) -> Response:
    """The body of an error: nested, with message and code (API section 2.1, E1 and E5)."""
    body: object = {"message": error.message}
    if error.bare:
        body = error.message
    elif error.code is not None:
        body = {"code": error.code, "message": error.message}
    headers = {"X-Error-Message": header_text(error.message), **error.headers}
    if error.status == 401:
        headers.setdefault("WWW-Authenticate", "Simple")
    return json_response({"error": body}, error.status, headers)


def header_text(text: str) -> str:
    """A message in a form that a header can carry."""
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
