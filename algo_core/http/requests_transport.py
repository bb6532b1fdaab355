"""The HTTP session: credential, CA, proxies, retries, time limits, user agent. The only importer of requests."""

from __future__ import annotations

import contextlib
import http.client
import ssl
import time
from collections.abc import Iterator
from typing import Any

from algo_core.errors import AlgoError, ConfigError, NetworkError, PlatformError
from algo_core.http import retry as backoff
from algo_core.http.errors import is_cut_off, is_tls_error, late, said_by, unverified
from algo_core.http.headers import UNUSABLE_CREDENTIAL, authorization, user_agent
from algo_core.http.lean import requests, urllib3
from algo_core.http.retry import REPEATABLE, RETRY_STATUSES
from algo_core.http.session import OnExchange
from algo_core.http.tls import environment_bundle
from algo_core.settings.profile import Profile

POOL_SIZE = 64
"""Connections to one host that are kept for further use."""


class Backoff(urllib3.Retry):
    """urllib3's retries, with the pauses of this project (`algo_core.http.retry`)."""

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
        if isinstance(error, urllib3.exceptions.ProxyError) and method and method.upper() not in REPEATABLE:
            unreached = (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)
            if not isinstance(error.original_error, unreached):
                raise error
        return super().increment(method, url, response, error, _pool, _stacktrace)

    def get_backoff_time(self) -> float:
        """Seconds to wait."""
        return backoff.pause_after(len([entry for entry in self.history if entry.redirect_location is None]))

    def get_retry_after(self, response: urllib3.BaseHTTPResponse) -> float | None:
        """Seconds that the server asks to wait, if it does."""
        return backoff.asked_pause(response.headers)


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


class CaAdapter(requests.adapters.HTTPAdapter):
    """An adapter whose connections trust a company's CA in addition to the public roots."""

    def __init__(self, ca_cert: str | None, **options: Any) -> None:
        self._context: ssl.SSLContext | None = None
        if ca_cert:
            self._context = urllib3.util.ssl_.create_urllib3_context()
            self._context.load_verify_locations(ca_cert)
        super().__init__(**options)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Give the pools the context, to which requests adds the public roots."""
        super().init_poolmanager(*args, **{**options, **self._tls()})

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
        """The same behind a proxy."""
        return super().proxy_manager_for(*args, **{**options, **self._tls()})

    def _tls(self) -> dict[str, Any]:
        return {"ssl_context": self._context} if self._context else {}


class Authorization(requests.auth.AuthBase):
    """Sends the profile's credential; without one it sends nothing, and keeps `~/.netrc` out of it."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the header (API section 1.2); requests drops it when a redirect changes the host."""
        if self._profile.credential:
            request.headers["Authorization"] = authorization(self._profile.credential)
        return request


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
        self.auth = Authorization(profile)
        self.headers["User-Agent"] = user_agent()
        options: dict[str, Any] = {"max_retries": retry_policy(retries), "pool_maxsize": POOL_SIZE}
        self.mount("https://", CaAdapter(profile.ca_cert, **options))
        self.mount("http://", requests.adapters.HTTPAdapter(**options))

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        """Proxies come from the environment; its CA bundle counts only if the profile names no CA of its own.

        requests lets `REQUESTS_CA_BUNDLE` override `session.verify`, so the profile's CA is settled here.

        Raises:
            ConfigError: if the environment names a bundle that cannot be read.
        """
        merged = super().merge_environment_settings(url, proxies, stream, verify, cert)
        if self.profile.ca_cert:
            merged["verify"] = True
        elif isinstance(merged["verify"], str):
            environment_bundle()
        return merged

    def reaches(self, address: str) -> bool:
        """Whether there is an adapter for an address."""
        try:
            self.get_adapter(address + "/")
        except requests.exceptions.InvalidSchema:
            return False
        return True

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


@contextlib.contextmanager
def network_errors(address: str) -> Iterator[None]:
    """Turn what requests and urllib3 raise inside the block into this project's errors.

    Raises:
        TlsError, TimedOut, NetworkError, ConfigError, PlatformError: as the cause demands.
    """
    try:
        yield
    except AlgoError:
        raise
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise translated(error, address) from error


def translated(error: Exception, address: str) -> AlgoError:
    """What to raise in the place of an error of requests or urllib3: TlsError, TimedOut, NetworkError, ..."""
    cause = _innermost(error)
    said = said_by(cause)
    if isinstance(error, requests.exceptions.ProxyError):
        return NetworkError(f"The proxy failed: {said}", "Check HTTPS_PROXY, HTTP_PROXY and NO_PROXY")
    cut_off = is_cut_off(cause)
    if not cut_off and (isinstance(error, requests.exceptions.SSLError) or is_tls_error(cause)):
        return unverified(address, said)
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
    if isinstance(error, requests.exceptions.InvalidHeader) and isinstance(cause, urllib3.exceptions.InvalidHeader):
        return PlatformError(f"{address} sent headers that contradict each other: {said}")
    if isinstance(error, requests.exceptions.InvalidHeader):
        return ConfigError(UNUSABLE_CREDENTIAL)
    if isinstance(error, requests.TooManyRedirects):
        return PlatformError(f"{address} redirects without end", "Check the address: algo profile show")
    if isinstance(error, (requests.exceptions.ContentDecodingError, urllib3.exceptions.DecodeError)):
        return PlatformError(f"{address} sent a body that is not encoded as it says: {said}")
    if isinstance(cause, http.client.BadStatusLine) and not isinstance(cause, ConnectionError):
        return NetworkError(f"What answered at {address} does not speak HTTP", "Check the address: algo profile show")
    broken = (requests.exceptions.ChunkedEncodingError, urllib3.exceptions.ProtocolError)
    if isinstance(error, broken) or cut_off:
        return NetworkError(f"The connection to {address} broke: {said}", "Try again")
    return NetworkError(f"Cannot reach {address}: {said}", "Check the address and the network: algo doctor")


def _innermost(error: BaseException) -> BaseException:
    seen = {id(error)}
    while True:
        reason = getattr(error, "reason", None)
        inner = reason if isinstance(reason, BaseException) else None
        if inner is None:
            inner = next((a for a in reversed(error.args) if isinstance(a, BaseException)), None)
        if inner is None:
            inner = error.__cause__
        if inner is None or id(inner) in seen:
            return error
        seen.add(id(inner))
        error = inner
