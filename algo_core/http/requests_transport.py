"""The transport on requests, its only importer: through proxies, with cookies, and configured by plugins."""

from __future__ import annotations

import contextlib
import http.client
import io
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import certifi
import requests
import requests.adapters
import urllib3

from algo_core.errors import AlgoError, ConfigError, NetworkError, PlatformError
from algo_core.http import retry, standard
from algo_core.http.errors import is_cut_off, is_tls_error, late, said_by, tls_ended, tls_failure, unreached
from algo_core.http.headers import UNUSABLE_CREDENTIAL, authorization, header_lines, user_agent
from algo_core.http.response import Response
from algo_core.http.retry import REPEATABLE, RETRY_STATUSES
from algo_core.http.standard import CheckedResponse
from algo_core.http.tls import base_context, environment_bundle, show_certificate
from algo_core.http.transport import BytesBody, OnExchange, Request, RequestBody
from algo_core.http.urls import origin_of
from algo_core.settings.profile import Network, Profile
from algo_core.terminal import stray

stray.redirect()  # what urllib3 writes by itself quotes servers

NO_NETWORK = Network()

POOL_SIZE = 64
"""Connections to one host that are kept for reuse."""


class RequestsTransport:
    """Sends with a session of requests, each request once; `homes` are the origins that its credentials are for."""

    def __init__(self, session: AlgoSession, homes: frozenset[str]) -> None:
        self._session = session
        self._homes = homes
        session.follows_redirects = False

    @property
    def is_adapted(self) -> bool:
        """Whether the session was changed, apart from its headers."""
        session = self._session
        changed = (session.params, session.proxies, session.cert, *session.hooks.values(), len(session.cookies))
        kinds = {prefix: type(adapter) for prefix, adapter in session.adapters.items()}
        return (
            any(changed)
            or session.verify is not True
            or not session.trust_env
            or type(session.auth) is not Authorization
            or kinds != dict.fromkeys(("http://", "https://"), CaAdapter)
        )

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers that were added to the session or changed."""
        made = AlgoSession(self._session.profile, timeout=self._session.timeout, retries=0).headers
        given = {name: _text(value) for name, value in self._session.headers.items()}
        return {name: value for name, value in given.items() if made.get(name) != value}

    def reaches(self, url: str) -> bool:
        """Whether the session has an adapter for a URL."""
        try:
            self._session.get_adapter(url)
        except requests.exceptions.InvalidSchema:
            return False
        return True

    def send(self, request: Request) -> Response:
        """The response to a request. Raises as `algo_core.http.transport.Transport` says, and ConfigError."""
        origin = origin_of(request.url)
        header_lines(request.headers)
        is_home = origin in self._homes
        # Of the session's own headers and credentials nothing goes to another host.
        headers: dict[str, Any] = {
            **dict.fromkeys(self._session.headers),
            "Connection": "keep-alive",
            **request.headers,
        }
        if is_home and type(self._session.auth) is not Authorization:
            headers.pop("Authorization", None)
        with network_errors(origin):
            response = self._session.request(
                request.method,
                request.url,
                headers=headers,
                data=_data(request.body),
                auth=None if is_home else _no_credential,
                stream=True,
                timeout=request.timeout,
                allow_redirects=False,
            )
        return RequestsResponse(response, origin)

    def use(self, profile: Profile) -> None:
        """Send with the credential of this profile from now on."""
        self._session.profile = profile
        if type(self._session.auth) is Authorization:
            self._session.auth = Authorization(profile)

    def close(self) -> None:
        """Close the session."""
        self._session.close()


class RequestsResponse(Response):
    """A response that came through requests."""

    def __init__(self, response: requests.Response, address: str) -> None:
        self._response = response
        self._address = address
        self.url = response.url
        self.status = response.status_code
        self.reason = response.reason or ""
        self.headers = response.headers
        self._read: Callable[..., bytes] = getattr(response.raw, "read1", response.raw.read)

    def readinto(self, buffer: Any, /) -> int:
        """The next bytes of the body; 0 at its end."""
        with network_errors(self._address):
            try:
                data = self._read(len(buffer), decode_content=False)
            except AttributeError:  # an answer that comes from no connection need not have read1
                self._read = self._response.raw.read
                data = self._read(len(buffer), decode_content=False)
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Release the connection."""
        self._response.close()


def _data(body: RequestBody | None) -> Any:
    return body.data if isinstance(body, BytesBody) else None if body is None else _Body(body)


class _Body:
    """A streamed body in the form that requests expects."""

    def __init__(self, body: RequestBody) -> None:
        self._body = body
        self._position = 0

    def __iter__(self) -> Iterator[bytes]:
        for block in self._body:
            self._position += len(block)
            yield bytes(block)

    def __len__(self) -> int:
        return self._body.size

    def tell(self) -> int:
        return self._position

    def seek(self, position: int, whence: int = io.SEEK_SET) -> int:
        if position or whence != io.SEEK_SET or (self._position and not self._body.rewind()):
            raise OSError("the sent body cannot be read again")
        self._position = 0
        return 0


def _no_credential(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


class AlgoSession(requests.Session):
    """A requests session for one profile; every request has a time limit and is reported to `on_exchange`."""

    def __init__(
        self,
        profile: Profile,
        *,
        timeout: tuple[float, float],
        retries: int,
        on_exchange: OnExchange | None = None,
    ) -> None:
        super().__init__()
        self.profile = profile
        self.timeout = timeout
        self.retries = retries
        self.on_exchange = on_exchange
        self.follows_redirects = True
        self.auth = Authorization(profile)
        self.headers["User-Agent"] = user_agent()
        options: dict[str, Any] = {"max_retries": retry_policy(retries), "pool_maxsize": POOL_SIZE}
        self.mount("https://", CaAdapter(profile.ca_cert, profile.network, **options))
        self.mount("http://", CaAdapter(None, **options))

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        """Proxies come from the profile, else from the environment, whose CA bundle counts for profiles without a CA.

        requests lets `REQUESTS_CA_BUNDLE` override `session.verify`, so the profile's CA is settled here.

        Raises:
            ConfigError: if the environment names a bundle that cannot be read.
        """
        merged = super().merge_environment_settings(url, proxies, stream, verify, cert)
        if self.profile.ca_cert:
            merged["verify"] = True
        elif merged["verify"] is True or isinstance(merged["verify"], str):
            merged["verify"] = environment_bundle() or True
        proxy = self.profile.network.proxy
        if proxy and not requests.utils.should_bypass_proxies(url, no_proxy=None):
            merged["proxies"] = {"http": proxy, "https": proxy}
        return merged

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """The target of a redirect that is to be followed; for others, requests would read the body to the end."""
        return super().get_redirect_target(resp) if self.follows_redirects else None

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send with the session's time limit and report the exchange: method, address, status, seconds."""
        if options.get("timeout") is None:
            options["timeout"] = self.timeout
        if request.body is not None and not isinstance(request.body, (bytes, str)):
            # urllib3 sends bodies under the limit for connecting, which says nothing of how fast they are taken.
            options["timeout"] = (options["timeout"][1],) * 2
        started = time.perf_counter()
        status: int | None = None
        try:
            response = super().send(request, **options)
            status = response.status_code
            return response
        finally:
            if self.on_exchange:
                seconds = time.perf_counter() - started
                self.on_exchange(request.method or "", request.url or "", status, seconds)


class Authorization(requests.auth.AuthBase):
    """Sends the profile's credential; without one it sends nothing, and keeps `~/.netrc` out of it."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the header (API section 1.2); requests drops it when a redirect changes the host."""
        if self._profile.credential:
            request.headers["Authorization"] = authorization(self._profile.credential)
        return request


class CaAdapter(requests.adapters.HTTPAdapter):
    """An adapter with the profile's CA and certificate beside the public roots, which takes only checked responses."""

    def __init__(self, ca_cert: str | None, network: Network = NO_NETWORK, **options: Any) -> None:
        self._context = self._proxy_context = None
        if ca_cert or network.client_cert or network.client_key or network.system_trust:
            self._context = base_context(network)
            if ca_cert:
                self._context.load_verify_locations(ca_cert)
            show_certificate(self._context, network)
        if network.proxy_ca_cert:
            self._proxy_context = ssl.create_default_context(cafile=certifi.where())
            self._proxy_context.load_verify_locations(network.proxy_ca_cert)
        super().__init__(**options)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Give the pools the context, to which requests adds the public roots."""
        super().init_poolmanager(*args, **{**options, **self._tls()})
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
        """The same behind a proxy."""
        if self._proxy_context:
            options["proxy_ssl_context"] = self._proxy_context
        manager = super().proxy_manager_for(*args, **{**options, **self._tls()})
        if type(manager) is urllib3.ProxyManager:
            manager.pool_classes_by_scheme = POOLS
        return manager

    def _tls(self) -> dict[str, Any]:
        return {"ssl_context": self._context} if self._context else {}


class _Connection(urllib3.connection.HTTPConnection):
    response_class = CheckedResponse


class _TlsConnection(urllib3.connection.HTTPSConnection):
    response_class = CheckedResponse

    @property
    def is_connected(self) -> bool:
        """Whether it serves again; what waits on it undecrypted urllib3 sees itself."""
        pending = getattr(self.sock, "pending", None)
        return super().is_connected and not (pending and pending())


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


POOLS = {"http": _Pool, "https": _TlsPool}
"""What connections come from, by scheme."""


class Backoff(urllib3.Retry):
    """urllib3's retries with the pauses of `algo_core.http.retry`, for sessions that plugins send with."""

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: urllib3.BaseHTTPResponse | None = None,
        error: Exception | None = None,
        _pool: Any = None,
        _stacktrace: Any = None,
    ) -> Backoff:
        """The tries that are left; raises `error` if there is none, or trying again could do something twice.

        urllib3 repeats what broke at a proxy whatever the method, also when the request had been sent.
        """
        was_sent = isinstance(error, urllib3.exceptions.ProxyError) and not isinstance(error.original_error, UNREACHED)
        if error and was_sent and method and method.upper() not in REPEATABLE:
            raise error
        return super().increment(method, url, response, error, _pool, _stacktrace)

    def get_backoff_time(self) -> float:
        """Seconds to wait."""
        return retry.pause_after(len([entry for entry in self.history if entry.redirect_location is None]))

    def get_retry_after(self, response: urllib3.BaseHTTPResponse) -> float | None:
        """Seconds that the server asks to wait, if it does."""
        return retry.asked_pause(response.headers)


def retry_policy(retries: int) -> Backoff:
    """Which failures are tried again, and how often: connection errors, 429 and 5xx of repeatable methods."""
    return Backoff(
        total=retries,
        redirect=False,
        allowed_methods=REPEATABLE,
        status_forcelist=RETRY_STATUSES,
        respect_retry_after_header=True,
        raise_on_status=False,
    )


UNREACHED = (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)
"""Failures before anything was sent."""


@contextlib.contextmanager
def network_errors(address: str) -> Iterator[None]:
    """Translate the errors that requests and urllib3 raise inside the block into this project's errors.

    Raises:
        TlsError, TimedOut, NetworkError, ConfigError, PlatformError: as the cause demands.
    """
    try:
        yield
    except AlgoError:
        raise
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raised = translated(error, address)
        if isinstance(raised, NetworkError):
            raised.nothing_sent = any(isinstance(cause, UNREACHED) for cause in _causes(error))
        raise raised from error


def translated(error: Exception, address: str) -> AlgoError:
    """The error to raise for an error of requests or urllib3: TlsError, TimedOut, NetworkError, ..."""
    *_, cause = _causes(error)
    said = said_by(cause)
    if isinstance(error, requests.exceptions.ProxyError):
        if " 407 " in said:
            from algo_core.http.advice import proxy_wants_password

            return proxy_wants_password()
        failed = NetworkError(f"The proxy failed: {said}", "Check HTTPS_PROXY, HTTP_PROXY and NO_PROXY")
        failed.concerns_proxy = True
        return failed
    cut_off = is_cut_off(cause)
    if not cut_off and (isinstance(error, requests.exceptions.SSLError) or is_tls_error(cause)):
        return tls_failure(address, cause)
    if cut_off and isinstance(error, requests.exceptions.SSLError):
        return tls_ended(address)
    timeouts = (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)
    said_by_system = isinstance(cause, OSError) and not isinstance(cause, TimeoutError)
    if isinstance(cause, timeouts) or (isinstance(error, timeouts) and not said_by_system):
        return late(address)
    unusable = (
        requests.exceptions.InvalidURL,
        requests.exceptions.InvalidSchema,
        requests.exceptions.MissingSchema,
    )
    if isinstance(error, unusable):
        return ConfigError(f"Not a usable address: {address}", "Check it with: algo profile show")
    if isinstance(error, requests.exceptions.InvalidHeader):
        return ConfigError(UNUSABLE_CREDENTIAL)
    if isinstance(error, requests.TooManyRedirects):
        return PlatformError(f"{address} redirects too many times", "Check the address: algo profile show")
    if isinstance(error, (requests.exceptions.ContentDecodingError, urllib3.exceptions.DecodeError)):
        return PlatformError(f"{address} sent a body that does not match its Content-Encoding: {said}")
    is_of_library = isinstance(cause, (ConnectionError, urllib3.exceptions.HTTPError))
    if isinstance(cause, http.client.HTTPException) and not is_of_library:
        return standard.translated(cause, address)
    broken = (requests.exceptions.ChunkedEncodingError, urllib3.exceptions.ProtocolError)
    if isinstance(error, broken) or cut_off:
        return NetworkError(f"The connection to {address} broke: {said}", "Try again")
    return unreached(address, said)


def _causes(error: BaseException) -> list[BaseException]:
    """An error and its chain of causes."""
    found = [error]
    while True:
        error = found[-1]
        reason = getattr(error, "reason", None)
        inner = reason if isinstance(reason, BaseException) else None
        if inner is None:
            inner = next((a for a in reversed(error.args) if isinstance(a, BaseException)), None)
        if inner is None:
            inner = error.__cause__
        if inner is None or any(inner is older for older in found):
            return found
        found.append(inner)
