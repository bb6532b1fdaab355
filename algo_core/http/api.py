"""The API client: addresses, error bodies to typed errors, JSON (API sections 1 to 5)."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from algo_core.errors import (
    AlgoError,
    AlreadyExists,
    NetworkError,
    NotFoundError,
    PermissionDenied,
    PlatformError,
    RequestRefused,
)
from algo_core.http.response import WHOLE_LIMIT, parse_json, parse_printable_json
from algo_core.http.retry import Tries, asked_pause
from algo_core.http.transport import BytesBody

if TYPE_CHECKING:
    from algo_core.http.client import HttpClient
    from algo_core.http.pipeline import Pipeline
    from algo_core.http.response import Response
    from algo_core.http.transport import RequestBody
    from algo_core.settings.profile import Profile

MESSAGE_LIMIT = 2000
ERROR_LIMIT = 1 << 16
"""Maximum length of an error body, in bytes."""
BODY_TRIES = 3
"""How often a response that is cut off is requested again; earlier failures are retried by the client."""

NOT_AUTHENTICATED = "authorization required"
"""The platform's message for a missing credential, on some installations with status 200 (API section 1.2)."""


class ApiClient:
    """The platform's API as a profile sees it.

    All methods raise the errors of `algo_core.errors`: AuthError (401), PermissionDenied (403), NotFoundError (404),
    AlreadyExists (409), RequestRefused (other 4xx), PlatformError (5xx, or a response that is not the API's),
    NetworkError and its kinds.
    """

    def __init__(self, client: HttpClient) -> None:
        self.client = client
        self.address = client.profile.address

    @property
    def profile(self) -> Profile:
        """Whose requests these are, with the credential that counts now."""
        return self.client.profile

    def url(self, path: str, query: Mapping[str, Any] | None = None) -> str:
        """The address of `/v1/PATH`; every component of `path` is percent-encoded, and slashes are kept."""
        encoded = encoded_path(path)
        filled = {name: value for name, value in (query or {}).items() if value is not None}
        return f"{self.address}/v1/{encoded}" + (f"?{urlencode(filled, doseq=True)}" if filled else "")

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | RequestBody | None = None,
        read_timeout: float | None = None,
        as_stored: bool = False,
    ) -> Response:
        """Send one request and return the response: its status is 2xx, its body has not been read yet.

        A `body` that is not bytes is read while it is sent. `read_timeout` is in seconds; with `as_stored` a compressed
        body is left so.
        """
        return self.checked(
            lambda: self.client.send(
                method,
                self.url(path, query),
                headers=headers,
                body=BytesBody(body) if isinstance(body, bytes) else body,
                timeout=(self.client.timeout[0], read_timeout) if read_timeout else None,
                as_stored=as_stored,
            )
        )

    def checked(self, response_of: Callable[[], Response]) -> Response:
        """The response that a request has, which is 2xx; its failures become the errors that `request` raises."""
        try:
            response = response_of()
        except NetworkError as failure:
            from algo_core.http.advice import explain

            explain(failure, self.profile, self.client.longer)
            raise
        if not response.ok:
            with response:
                error = error_from(response, self.profile)
                error.after_lost_answer = response.after_lost_answer
                error.status, error.retry_after = response.status, asked_pause(response.headers)
                raise error
        return response

    def pipeline(self, limit: int) -> Pipeline | None:
        """For small requests by the thousand, with bodies of up to `limit` bytes in response.

        None where requests is needed, or exchanges are observed.
        """
        return self.client.pipeline(self.url(""), limit)

    def target(self, path: str) -> str:
        """What the first line of a request names for `/v1/PATH`."""
        return self._prefix + encoded_path(path)

    @functools.cached_property
    def _prefix(self) -> str:
        return "/" + self.url("").split("/", 3)[3]

    @property
    def is_direct(self) -> bool:
        """Whether requests need neither requests nor proxies nor plugins, and are not observed."""
        return self.client.is_direct(self.url(""))

    def send_json(self, method: str, path: str, value: Any, **options: Any) -> Response:
        """Send a value as a JSON body; options as for `request`."""
        import json

        headers = {"Content-Type": "application/json", **options.pop("headers", {})}
        return self.request(method, path, body=json.dumps(value).encode("utf-8"), headers=headers, **options)

    def get_json(self, path: str, *, query: Mapping[str, Any] | None = None) -> Any:
        """GET a JSON value, again if it is cut off; an `error` member is raised even with status 200."""
        tries = Tries(BODY_TRIES)
        while True:
            with self.request("GET", path, query=query) as response:
                try:
                    return decode_json(response, self.profile)
                except NetworkError:
                    if not tries.left:
                        raise
            tries.spend(None)

    def username(self) -> str:
        """The account's name: the first folder of the root listing (API section 4.3)."""
        listing = self.get_json("data/")
        folders = listing.get("folders") if isinstance(listing, dict) else None
        name = folders[0].get("name") if folders and isinstance(folders[0], dict) else None
        if not isinstance(name, str):
            from algo_core.http.advice import wrong_address

            raise PlatformError(f"{self.address} did not return the account's name", wrong_address(self.profile))
        return name


def encoded_path(path: str) -> str:
    """A path for an address; a slash before `.` or `..` is encoded as well: both would be taken away on the way."""
    encoded = quote(path, safe="/~:")
    return _DOTS.sub("%2F", encoded) if "/." in encoded else encoded


_DOTS = re.compile(r"/(?=\.{1,2}(?:/|$))")


def decode_json(
    response: Response,
    profile: Profile | None = None,
    *,
    limit: int = WHOLE_LIMIT,
    parse: Callable[[bytes], Any] = parse_printable_json,
) -> Any:
    """The JSON body of a response, which may have `limit` bytes, as `parse` reads it.

    `profile` is whose request it was, for hints.

    Raises:
        PlatformError: if the body is not JSON, or larger.
        AuthError, RequestRefused: if it is an `error` object in spite of its status (API section 2.1).
    """
    try:
        value = parse(response.read(limit))
    except ValueError:
        from algo_core.http.advice import wrong_address

        said = f"{response.place} answered with something that is not JSON"
        raise PlatformError(said, wrong_address(profile)) from None
    if isinstance(value, dict) and "error" in value and "result" not in value and "metadata" not in value:
        message, code = _message_in(value)
        if message and message.lower() == NOT_AUTHENTICATED:
            from algo_core.http.advice import not_authenticated

            raise not_authenticated(message, profile)
        raise RequestRefused(message or "The platform refused the request" + (f" (code {code})" if code else ""))
    return value


def error_from(response: Response, profile: Profile | None = None) -> AlgoError:
    """The typed error for a response with a failing status, with the server's own message (API section 2)."""
    status = response.status
    message, code = _message_of(response)
    text = message or f"{response.place} answered {status} {_phrase(response)}"
    is_unauthenticated = status == 401 or (message or "").lower() == NOT_AUTHENTICATED
    if status == 404 and not is_unauthenticated:  # often no failure, so it takes no imports
        return NotFoundError(text)
    from algo_core.http.advice import (
        not_authenticated,
        not_permitted,
        proxy_wants_password,
        wants_tls,
        wrong_address,
    )

    if is_unauthenticated:
        return not_authenticated(text, profile)
    if status == 407:
        return proxy_wants_password()
    if status == 403:
        return PermissionDenied(text, not_permitted(profile))
    if status == 409:
        return AlreadyExists(text)
    if status == 429:
        return RequestRefused(text, "Too many requests at once; try again in a moment")
    if status == 504:
        return PlatformError(text, "The platform's gateway gave up waiting; try again")
    if status >= 500:
        again = "Try again; if it happens again, contact the platform's administrator"
        return PlatformError(text, None if message else again)
    if status < 400:
        return PlatformError(f"{text} with a redirect", wrong_address(profile))
    if status == 400 and (wanted := wants_tls(message or _error_body(response).decode("latin-1"), text, profile)):
        return wanted
    return RequestRefused(text + (f" (code {code})" if code and not message else ""))


def _message_of(response: Response) -> tuple[str | None, int | None]:
    content_type = response.headers.get("Content-Type", "").lower()
    if content := b"" if "html" in content_type else _error_body(response):
        try:
            message, code = _message_in(parse_json(content))
        except ValueError:
            is_text = content_type.startswith("text/plain")
            message, code = (content.decode("utf-8", "replace").strip() if is_text else None), None
        if message:
            return message[:MESSAGE_LIMIT], code
    header = response.headers.get("X-Error-Message", "").strip()
    return header[:MESSAGE_LIMIT] or None, None


def _error_body(response: Response) -> bytes:
    """The error body of a response; empty if it is too large or cannot be read."""
    try:
        return response.read(ERROR_LIMIT)
    except PlatformError:
        return b""


def _message_in(body: Any) -> tuple[str | None, int | None]:
    """Find the message and the code in any of the shapes E1 to E6 and E8."""
    if not isinstance(body, dict):
        return None, None
    error = body.get("error", body)
    if isinstance(error, str):
        return error.strip() or None, None
    if not isinstance(error, dict):
        return None, None
    message, code = error.get("message"), error.get("code")
    if not message and "deleted" in error:
        message = f"Only {error['deleted']} files were deleted"
    return (
        str(message).strip() if message else None,
        code if isinstance(code, int) else None,
    )


def _phrase(response: Response) -> str:
    from http import HTTPStatus

    try:
        return HTTPStatus(response.status).phrase
    except ValueError:
        return response.reason or ""
