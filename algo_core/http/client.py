"""Sends a profile's requests: credentials, retries and redirects for all transports."""

from __future__ import annotations

import functools
import os
import sys
import time
from _thread import RLock
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from algo_core.errors import AlgoError, ConfigError, NetworkError, PlatformError, PluginError, TlsError
from algo_core.http.headers import check_header, header_lines, is_encoded, request_headers
from algo_core.http.retry import FAILED_STATUSES, REPEATABLE, RETRY_STATUSES, Tries
from algo_core.http.transport import OnExchange, Request
from algo_core.http.urls import PORTS, homes, origin_of, redirected

if TYPE_CHECKING:
    import ssl

    from algo_core.events import RequestEnded
    from algo_core.http.direct import DirectTransport
    from algo_core.http.multiplexer import Multiplexer
    from algo_core.http.pipeline import Pipeline
    from algo_core.http.requests_transport import AlgoSession, RequestsTransport
    from algo_core.http.response import Response
    from algo_core.http.transport import RequestBody, Transport
    from algo_core.settings.credentials import Credential
    from algo_core.settings.profile import Profile

__all__ = ["HttpClient"]

FOLLOWED = frozenset({"GET", "HEAD"})
"""Methods whose redirects are followed. Clients turn the others into GET, which looks like success but is not."""
REDIRECTS = frozenset({301, 302, 303, 307, 308})
MAX_REDIRECTS = 30

MAX_REFUSALS = 3
"""Credentials that may be refused one after the other; the second may have run out while it was waited for."""

RENEWED_BEFORE = 60.0
"""Seconds before it runs out at which a credential is renewed; one that lasts less than four times as long, in the last
quarter of its time."""

PRIVATE = frozenset({"authorization", "cookie", "proxy-authorization"})
"""Headers that are never sent to another host."""

PROXY_VARIABLES = frozenset({"http_proxy", "https_proxy", "all_proxy"})
SYSTEMS_WITH_PROXIES = frozenset({"darwin", "win32", "cygwin"})
"""Systems with proxy settings outside the environment."""


class Hooks(NamedTuple):
    """The plugins' part: each function is called at most once per client, on first use."""

    transport: Callable[[Profile], Transport | None] = lambda profile: None
    headers: Callable[[Profile], list[Mapping[str, str]]] = lambda profile: []
    configure: Callable[[AlgoSession, Profile], object] | None = None
    """None if no plugin configures requests sessions."""
    sign: Callable[[Request, Profile], list[Mapping[str, str]]] | None = None
    """Headers for one request, made each time that it is sent; None if no plugin signs requests."""
    renew: Callable[[Profile, Credential], Credential | None] = lambda profile, refused: None
    """Asks for a new credential in place of a refused or expiring one, each time."""


class HttpClient:
    """Requests of one profile.

    `profile`, `timeout` (connect and read, in seconds), `retries` and `on_exchange` can be read and set; `longer` says
    what allows more time for a connection, or for a response. A request uses the transport of a plugin for the profile,
    else the direct transport where possible, else requests: through proxies, with cookies, and with the plugins'
    session configuration.
    """

    def __init__(
        self,
        profile: Profile,
        *,
        timeout: tuple[float, float],
        retries: int,
        hooks: Hooks | None = None,
        on_exchange: OnExchange | None = None,
        longer: Callable[[bool], str] = lambda connects: "allow more time",
    ) -> None:
        self.profile = profile
        self.timeout = timeout
        self.retries = retries
        self.on_exchange = on_exchange
        self.longer = longer
        self._hooks = hooks or Hooks()
        self._homes = homes(profile.address)
        self._chosen: dict[str, Transport] = {}
        self._choosing = RLock()
        self._renewing = RLock()
        self._refusals = 0
        self._early = RENEWED_BEFORE
        self._unrenewed: Credential | None = None
        """The credential that could not be renewed before it expires: it is used until the platform refuses it."""
        self.observe: Callable[[RequestEnded], object] | None = None
        """Told of each request that has ended."""
        self._observed: list[RequestEnded] = []
        self._has_cookies = False

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: RequestBody | None = None,
        timeout: tuple[float, float] | None = None,
        as_stored: bool = False,
    ) -> Response:
        """Send one request and return its response, whatever its status.

        Connection errors, 429 and 5xx are tried again for methods that may be repeated, as long as the body can be read
        again, with the pauses of `algo_core.http.retry`, or those that the platform asks for; a connection that could
        not be made is tried again for every method. `timeout` (connect and read, in seconds) takes the place of the
        client's. A compressed body is decompressed, unless it is wanted `as_stored`.

        Raises:
            NetworkError and its kinds: if there is no response after all tries.
            PlatformError: if the response is invalid, or redirects in a circle.
            ConfigError: if the credential, a header, or a CA that the environment names, cannot be used.
            AlgoError: what the body raises while it is read.
        """
        for _ in range(MAX_REDIRECTS + 1):
            response = self._accepted_response(method, url, headers, body, timeout or self.timeout)
            target = _redirect(response) if method in FOLLOWED else None
            if target is None:
                return response if as_stored else self._plain(response)
            response.close()
            url = target
        raise PlatformError(f"{response.place} redirects too many times", "Check the address: algo profile show")

    def _accepted_response(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        body: RequestBody | None,
        timeout: tuple[float, float],
    ) -> Response:
        """The response to a request, which is sent again with another credential as long as there is a new one."""
        while True:
            used = self._current_credential()
            response = self._answered(Request(method, url, self._headers(url, headers), body, timeout))
            if response.status != 401 or used is None or origin_of(url) not in self._homes:
                self._refusals = 0 if response.status != 401 else self._refusals
                return response
            if not self._renew(used) or not (body is None or body.rewind()):
                return response
            response.close()

    def pipeline(self, url: str, limit: int) -> Pipeline | None:
        """For small requests to where a URL leads, each tried once, with bodies of up to `limit` bytes in response.

        None where the direct transport cannot be used, or exchanges are observed.
        """
        if not self.is_direct(url):
            return None
        from algo_core.http.pipeline import Pipeline

        headers = functools.partial(self._headers, url, None)
        return Pipeline(self._direct.pool, url, headers, self.timeout, limit, self.observe)

    def multiplexer(self, url: str) -> Multiplexer | None:
        """For many requests at a time, in one thread, to where a URL leads.

        None where the direct transport cannot be used, or exchanges are observed.
        """
        if not self.is_direct(url):
            return None
        from algo_core.http.multiplexer import Multiplexer, Owner

        def headers() -> Mapping[str, str]:
            self._current_credential()
            return self._headers(url, None)

        owner = Owner(headers, self.is_direct, self._repeat, self._plain, self._note)
        return Multiplexer(self._direct.pool(url), owner)

    def _repeat(self, request: Request) -> Response:
        """Send a request as `send` does that `Multiplexer` could not send, or was refused for its credential."""
        return self.send(
            request.method, request.url, headers=request.headers, body=request.body, timeout=request.timeout
        )

    def _plain(self, response: Response) -> Response:
        """The same response; decompressed, if it is compressed."""
        return _decoded(response) if is_encoded(response.headers) else response

    def _note(self, request: Request, response: Response | None, seconds: float) -> None:
        """Remember whether there are cookies, and tell observers of a request that has ended."""
        if response is not None and "Set-Cookie" in response.headers and not self._has_cookies:
            self._has_cookies, self._chosen = True, {}  # requests keeps those of the responses that it sees
        if self.on_exchange:
            self.on_exchange(request.method, request.url, None if response is None else response.status, seconds)
        if self.observe:
            self.observe(_ended(request, response, seconds))

    def is_direct(self, url: str) -> bool:
        """Whether requests to a URL's host need neither requests nor plugins, and are not observed."""
        return self.on_exchange is None and self._hooks.sign is None and self._transport(url) is self._direct

    def after_fork(self) -> None:
        """After `fork`, in the child: leave open connections to the parent, and try everything only once."""
        self._direct.close()
        self.retries = 0
        self._hooks = self._hooks._replace(renew=lambda profile, refused: None)
        self.observe = self._observed.append if self.observe else None

    def take_observed(self) -> list[RequestEnded]:
        """In such a child: the requests that have ended since the last time, for the parent's `observe`."""
        taken, self._observed[:] = self._observed[:], []
        return taken

    def close(self) -> None:
        """Close all connections and the plugins' transport."""
        for name in ("_direct", "_given", "_requests"):
            if transport := self.__dict__.get(name):
                transport.close()

    def __enter__(self) -> HttpClient:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # Retries

    def _answered(self, request: Request) -> Response:
        """Send a request, with retries, and return the response."""
        tries = Tries(self.retries)
        is_lost = False
        while True:
            try:
                response, problem = self._exchanged(request), None
            except TlsError:
                raise
            except NetworkError as error:
                response, problem = None, error
                is_lost = is_lost or not error.nothing_sent
            if response is not None:
                response.after_lost_answer = is_lost
                if response.status not in RETRY_STATUSES:
                    return response
                is_lost = is_lost or response.status in FAILED_STATUSES
            may_repeat = request.method in REPEATABLE or (problem is not None and problem.nothing_sent)
            # A server may close an idle connection: that is not a failure, and costs no try.
            may_repeat = may_repeat and (tries.left > 0 or (problem is not None and problem.was_stale))
            if not (may_repeat and (request.body is None or request.body.rewind())):
                if problem:
                    raise problem
                assert response
                return response
            if problem and problem.was_stale:
                continue
            if response:
                response.close()
            tries.spend(response.headers if response else None)

    def _exchanged(self, request: Request) -> Response:
        started = time.perf_counter()
        response: Response | None = None
        try:
            transport = self._transport(request.url)
            sent = transport.send(self._signed(request))
            if not isinstance(getattr(sent, "status", None), int):
                raise _no_response(transport, sent)
            response = sent
            response.has_body = request.method != "HEAD"
            return response
        finally:
            self._note(request, response, time.perf_counter() - started)

    def _signed(self, request: Request) -> Request:
        """A request with the headers that plugins make for it; nothing for other hosts than the profile's."""
        if self._hooks.sign is None or origin_of(request.url) not in self._homes:
            return request
        headers = dict(request.headers)
        for more in self._hooks.sign(request, self.profile):
            _replace(headers, more)
        return request._replace(headers=headers)

    # Credentials

    def _current_credential(self) -> Credential | None:
        """The credential that the next request carries, renewed if it runs out."""
        credential = self.profile.credential
        if credential and credential.expires_at and time.time() > credential.expires_at - self._early:
            self._renew_early(credential)
        return self.profile.credential

    def _renew_early(self, used: Credential) -> None:
        """Get another credential for one that runs out, once for all threads; without one it is used until the end."""
        with self._renewing:
            if self.profile.credential is not used or self._unrenewed is used:
                return
            try:
                found = self._hooks.renew(self.profile, used)
            except AlgoError:  # told when the platform refuses the old one, if it does
                found = None
            if found is None or found.secret == used.secret:
                self._unrenewed = used
            else:
                self._use(found)

    def _renew(self, used: Credential) -> bool:
        """Get another credential for one that was refused, once for all threads; whether there is another one.

        That ends where one after the other is refused and none accepted.
        """
        with self._renewing:
            if self.profile.credential is not used:
                return True
            self._refusals += 1
            found = self._hooks.renew(self.profile, used) if self._refusals <= MAX_REFUSALS else None
            if found is None or found.secret == used.secret:
                self._refusals = MAX_REFUSALS  # the others need not ask again
                return False
            self._use(found)
            return True

    def _use(self, found: Credential) -> None:
        """Have all requests carry another credential."""
        if found.expires_at:
            self._early = min(RENEWED_BEFORE, (found.expires_at - time.time()) / 4)
            if self._early <= 0:  # clocks disagree
                self._unrenewed = found
        self.profile = self.profile._replace(credential=found)
        self.__dict__.pop("_home_headers", None)
        if requests := self.__dict__.get("_requests"):
            requests.use(self.profile)

    def _headers(self, url: str, own: Mapping[str, str] | None) -> dict[str, str]:
        """The headers of a request; those for the profile's host are not sent to another host."""
        is_home = origin_of(url) in self._homes
        if own and not is_home:
            own = {name: value for name, value in own.items() if name.lower() not in PRIVATE}
        shared = self._home_headers if is_home else self._foreign_headers
        return {**shared, **own} if own else shared

    @functools.cached_property
    def _home_headers(self) -> dict[str, str]:
        headers = request_headers(self.profile)
        given = [*self._hooks.headers(self.profile), self._requests.headers if self._hooks.configure else {}]
        for more in given:
            _replace(headers, more)
        header_lines(headers)
        return headers

    @functools.cached_property
    def _foreign_headers(self) -> dict[str, str]:
        return request_headers(self.profile._replace(credential=None))

    # Transports

    def _transport(self, url: str) -> Transport:
        origin = origin_of(url)
        if found := self._chosen.get(origin):
            return found
        with self._choosing:  # one for all threads
            self._chosen[origin] = self._choose(url, is_home=origin in self._homes)
            return self._chosen[origin]

    def _choose(self, url: str, *, is_home: bool) -> Transport:
        if is_home and self._given is not None:
            return self._given
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.scheme not in PORTS and not is_home:
            raise PlatformError(f"{self.profile.address} redirects to {url:.200}, which is not an HTTP address")
        if parts.scheme not in PORTS and not (self._is_adapted and self._requests.reaches(url)):
            raise ConfigError(
                f"No installed plugin can reach {self.profile.address} (profile {self.profile.name})",
                "Addresses 'local:' come with: pip install algo-local",
            )
        is_plain = host.isascii() and not self._has_cookies and not self._may_have_proxy and not self._is_adapted
        return self._direct if is_plain else self._requests

    @functools.cached_property
    def _given(self) -> Transport | None:
        return self._hooks.transport(self.profile)

    @functools.cached_property
    def _direct(self) -> DirectTransport:
        from algo_core.http.direct import DirectTransport

        return DirectTransport(functools.partial(_tls_context, self.profile))

    @property
    def _may_have_proxy(self) -> bool:
        return bool(self.profile.network.proxy) or _environment_may_have_proxy()

    @property
    def _is_adapted(self) -> bool:
        """Whether a plugin changed the requests session beyond its headers."""
        return self._hooks.configure is not None and self._requests.is_adapted

    @functools.cached_property
    def _requests(self) -> RequestsTransport:
        from algo_core.http.requests_transport import AlgoSession, RequestsTransport

        session = AlgoSession(self.profile, timeout=self.timeout, retries=0)
        if self._hooks.configure:
            self._hooks.configure(session, self.profile)
        return RequestsTransport(session, self._homes)


def _replace(headers: dict[str, str], more: Mapping[str, str]) -> None:
    """Put headers in the place of those with the same names, in whatever case.

    Raises:
        ConfigError: if one cannot be sent.
    """
    for name, value in more.items():
        check_header(name, value)
        for older in [older for older in headers if older.lower() == name.lower()]:
            del headers[older]
        headers[name] = value


def _no_response(transport: Transport, response: object) -> PluginError:
    kind = type(transport)
    return PluginError(
        f"The transport {kind.__module__}.{kind.__qualname__} returned {type(response).__name__}, which is no response",
        "This is a defect of its plugin; `algo plugins list` names those that are installed",
    )


def _ended(request: Request, response: Response | None, seconds: float) -> RequestEnded:
    from algo_core.events import RequestEnded
    from algo_core.http.headers import content_length

    received = None if response is None else content_length(response.headers)
    sent = request.body.size if request.body else 0
    url = request.url.partition("?")[0]
    status = None if response is None else response.status
    return RequestEnded(request.method, url, status, sent, received, seconds, time.time())


def _redirect(response: Response) -> str | None:
    """The target of a redirect."""
    location = response.headers.get("Location")
    if response.status not in REDIRECTS or location is None:
        return None
    try:
        return redirected(response.url, location)
    except ValueError as error:
        raise PlatformError(f"{response.place} redirects to an invalid address: {error}") from None


def _decoded(response: Response) -> Response:
    from algo_core.http.encoding import DecodedResponse

    return DecodedResponse(response)


def _tls_context(profile: Profile) -> ssl.SSLContext:
    from algo_core.http.tls import tls_context

    return tls_context(profile)


def _environment_may_have_proxy() -> bool:
    if sys.platform in SYSTEMS_WITH_PROXIES:
        return True
    return any(value and name.lower() in PROXY_VARIABLES for name, value in os.environ.items())
