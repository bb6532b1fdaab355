"""The API client: addresses, error bodies to typed errors, JSON (API sections 1 to 5)."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote, urlencode

from algo_core.errors import (
    AlgoError,
    AlreadyExists,
    AuthError,
    NetworkError,
    NotFoundError,
    PermissionDenied,
    PlatformError,
    RequestRefused,
)
from algo_core.http.retry import Tries, asked_pause

if TYPE_CHECKING:
    from algo_core.http.direct import Content, Exchanger
    from algo_core.http.pipeline import Lane
    from algo_core.http.response import Reply
    from algo_core.http.session import DeferredSession

MESSAGE_LIMIT = 2000
BODY_TRIES = 3
"""How often an answer that breaks off is asked for again; what fails before its body, the exchange itself repeats."""

FOLLOWED = frozenset({"GET", "HEAD"})
"""Methods whose redirects are followed; of others HTTP clients make a GET, which looks like success and is none."""
NOT_AUTHENTICATED = "authorization required"
"""What the platform says when there was no credential, on some installations with status 200 (API section 1.2)."""


class Answer(Protocol):
    """What is looked at of an answer; that of requests and `algo_core.http.response.Reply` are such."""

    status_code: int

    @property
    def url(self) -> str:
        """The address that it was asked for at."""

    @property
    def reason(self) -> str:
        """What the status line says behind the status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers, looked up without regard to case."""

    @property
    def content(self) -> bytes:
        """The body."""

    @property
    def text(self) -> str:
        """The body as text."""

    def json(self) -> Any:
        """The body as a JSON value; raises ValueError if it is none."""


class ApiClient:
    """The platform's API as a profile sees it.

    All methods raise the errors of `algo_core.errors`: AuthError (401), PermissionDenied (403), NotFoundError (404),
    AlreadyExists (409), RequestRefused (other 4xx), PlatformError (5xx, or an answer that is not the API's),
    NetworkError and its kinds.
    """

    def __init__(self, session: DeferredSession) -> None:
        self.session = session
        self.address = session.profile.address

    def url(self, path: str, query: Mapping[str, Any] | None = None) -> str:
        """The address of `/v1/PATH`; every component of `path` is percent-encoded, and slashes are kept."""
        encoded = encoded_path(path)
        filled = {name: value for name, value in (query or {}).items() if value is not None}
        return f"{self.address}/v1/{encoded}" + (f"?{urlencode(filled)}" if filled else "")

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content: Content | None = None,
        read_timeout: float | None = None,
        as_stored: bool = False,
    ) -> Reply:
        """Send one request and return the answer, which has a 2xx status and whose body is still to be read.

        What is sent is `body`, or `content`, which is read while it is sent. `read_timeout` is in seconds; with
        `as_stored` a compressed answer is left so. Goes the fast way where it can (`algo_core.http.direct`).
        """
        if body is not None:
            from algo_core.http.direct import Whole

            content = Whole(body)
        timeout = (self.session.timeout[0], read_timeout) if read_timeout else None
        reply = self._exchanger.send(
            method, self.url(path, query), headers=headers, content=content, timeout=timeout, as_stored=as_stored
        )
        if not reply.ok:
            with reply:
                error = error_from(reply, self.session.profile.name)
                error.after_lost_answer = reply.after_lost_answer
                error.status, error.retry_after = reply.status_code, asked_pause(reply.headers)
                raise error
        return reply

    @functools.cached_property
    def _exchanger(self) -> Exchanger:
        from algo_core.http.direct import Exchanger

        return Exchanger(self.session, self.address)

    def lane(self, limit: int) -> Lane | None:
        """For small exchanges by the thousand, with answers of up to `limit` bytes.

        None where requests is needed, or somebody watches each exchange.
        """
        if self.session.on_exchange:
            return None
        return self._exchanger.lane(self.url(""), limit)

    def target(self, path: str) -> str:
        """What the first line of a request names for `/v1/PATH`."""
        return self._prefix + encoded_path(path)

    @functools.cached_property
    def _prefix(self) -> str:
        return "/" + self.url("").split("/", 3)[3]

    @property
    def is_direct(self) -> bool:
        """Whether exchanges take no part of requests, proxies or plugins, and nobody watches them."""
        return self.session.on_exchange is None and self._exchanger.is_direct(self.url(""))

    def divided(self) -> None:
        """In a process that was made by `fork`: leave open connections to the other, and try everything only once."""
        self._exchanger.close()
        if self.session.is_open:
            self.session.get_adapter(self.url("")).close()
        self.session.retries = 0
        del self._exchanger

    def send_json(self, method: str, path: str, value: Any, **options: Any) -> Reply:
        """Send a value as a JSON body; options as for `request`."""
        import json

        headers = {"Content-Type": "application/json", **options.pop("headers", {})}
        return self.request(method, path, body=json.dumps(value).encode("utf-8"), headers=headers, **options)

    def get_json(self, path: str, *, query: Mapping[str, Any] | None = None) -> Any:
        """GET a JSON value, again if it breaks off; an `error` member is raised even when the status says 200."""
        tries = Tries(BODY_TRIES)
        while True:
            with self.request("GET", path, query=query) as reply:
                try:
                    return decode_json(reply, self.session.profile.name)
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
            raise PlatformError(
                f"{self.address} did not say whose account this is",
                "Check that it is the address of the API: algo profile show",
            )
        return name


def encoded_path(path: str) -> str:
    """A path for an address; a slash before `.` or `..` is encoded as well: both would be taken away on the way."""
    encoded = quote(path, safe="/~:")
    return _DOTS.sub("%2F", encoded) if "/." in encoded else encoded


_DOTS = re.compile(r"/(?=\.{1,2}(?:/|$))")


def decode_json(response: Answer, profile: str = "default", *, parse: Callable[[bytes], Any] | None = None) -> Any:
    """The JSON body of an answer, as `parse` reads it.

    Raises:
        PlatformError: if the body is not JSON.
        AuthError, RequestRefused: if it is an `error` object in spite of its status (API section 2.1).
    """
    try:
        value = parse(response.content) if parse else response.json()
    except ValueError:
        raise PlatformError(
            f"{_shown(response)} answered with something that is not JSON",
            "Check that the profile's address is that of the API: algo profile show",
        ) from None
    if isinstance(value, dict) and "error" in value and "result" not in value and "metadata" not in value:
        message, code = _message_in(value)
        if message and message.lower() == NOT_AUTHENTICATED:
            raise _not_authenticated(message, profile)
        raise RequestRefused(message or "The platform refused the request" + (f" (code {code})" if code else ""))
    return value


def error_from(response: Answer, profile: str = "default") -> AlgoError:
    """The typed error for an answer with a failing status, with the server's own message (API section 2)."""
    status = response.status_code
    message, code = _message_of(response)
    text = message or f"{_shown(response)} answered {status} {_phrase(response)}"
    if status == 401 or (message or "").lower() == NOT_AUTHENTICATED:
        return _not_authenticated(text, profile)
    if status == 403:
        return PermissionDenied(text, "The account of this profile may not do that; another profile: --profile NAME")
    if status == 404:
        return NotFoundError(text)
    if status == 409:
        return AlreadyExists(text)
    if status == 429:
        return RequestRefused(text, "Too many requests at once; try again in a moment")
    if status == 504:
        return PlatformError(text, "The platform's gateway gave up waiting; try again")
    if status >= 500:
        return PlatformError(text, None if message else "Try again; if it stays so, ask whoever runs the platform")
    if status < 400:
        return PlatformError(f"{text} and pointed elsewhere", "Check the profile's address: algo profile show")
    return RequestRefused(text + (f" (code {code})" if code and not message else ""))


def _not_authenticated(message: str, profile: str) -> AuthError:
    flag = "" if profile == "default" else f" --profile {profile}"
    return AuthError(message, f"Give this profile a valid key with: algo auth{flag}")


def _message_of(response: Answer) -> tuple[str | None, int | None]:
    content_type = response.headers.get("Content-Type", "").lower()
    if response.content and "html" not in content_type:
        try:
            message, code = _message_in(response.json())
        except ValueError:
            message, code = (response.text.strip() if content_type.startswith("text/plain") else None), None
        if message:
            return message[:MESSAGE_LIMIT], code
    header = response.headers.get("X-Error-Message", "").strip()
    return header[:MESSAGE_LIMIT] or None, None


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


def _shown(response: Answer) -> str:
    return (response.url or "The platform").partition("?")[0]


def _phrase(response: Answer) -> str:
    from http import HTTPStatus

    try:
        return HTTPStatus(response.status_code).phrase
    except ValueError:
        return response.reason or ""
