"""The HTTP session: credential, CA, proxies, retries, time limits, user agent. The only importer of requests."""

from __future__ import annotations

import contextlib
import http.client
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import urllib3
from urllib3.util.retry import Retry

from algo_core.errors import AlgoError, ConfigError, NetworkError, PlatformError, TimedOut, TlsError
from algo_core.lean import requests
from algo_core.profiles import check_ca_file
from algo_core.types import Profile
from algo_core.version import __version__

REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})
"""Methods that may be sent again: doing them twice is doing them once."""

BODY_RETRIES = 3
RETRY_STATUSES = frozenset({429, 500, 502, 503, 504})
BACKOFF_SECONDS = 0.25
BACKOFF_MAX_SECONDS = 20.0
RETRY_AFTER_MAX_SECONDS = 120.0

POOL_SIZE = 64
"""Connections to one host that are kept for further use."""

SOCKET_ERRORS = (OSError, urllib3.exceptions.HTTPError)
"""What using a connection directly raises, and `translated` takes."""

BUNDLE_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


class Backoff(Retry):
    """urllib3's retries, with full jitter and a bound on what `Retry-After` may ask for."""

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
        """Seconds to wait: anywhere between nothing and the doubled delay, so that many clients spread out."""
        import random

        consecutive = len([entry for entry in self.history if entry.redirect_location is None])
        ceiling = min(BACKOFF_MAX_SECONDS, self.backoff_factor * 2 ** max(0, consecutive - 1))
        return random.uniform(0, ceiling) if consecutive else 0.0

    def get_retry_after(self, response: urllib3.BaseHTTPResponse) -> float | None:
        """Seconds that the server asks to wait, at most `RETRY_AFTER_MAX_SECONDS`."""
        try:
            asked = super().get_retry_after(response)
        except urllib3.exceptions.InvalidHeader:
            return None
        return None if asked is None else min(asked, RETRY_AFTER_MAX_SECONDS)


def retry_policy(retries: int) -> Retry:
    """Which failures are tried again, and how often: connection errors, 429 and 5xx of repeatable methods."""
    return Backoff(
        total=retries,
        redirect=False,
        allowed_methods=REPEATABLE,
        status_forcelist=RETRY_STATUSES,
        backoff_factor=BACKOFF_SECONDS,
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
            request.headers["Authorization"] = self._profile.credential.header()
        return request


class AlgoSession(requests.Session):
    """A requests session for one profile; every request has a time limit and is reported to `on_exchange`."""

    def __init__(
        self,
        profile: Profile,
        *,
        timeout: tuple[float, float],
        retries: int,
        on_exchange: Callable[[str, str, int | None, float], None] | None = None,
    ) -> None:
        super().__init__()
        self.profile = profile
        self.timeout = timeout
        self.retries = retries
        self.on_exchange = on_exchange
        self.closing = contextlib.ExitStack()
        """What is done before the connections are closed."""
        self.auth = Authorization(profile)
        self.headers["User-Agent"] = (
            f"algo/{__version__} (python/{'.'.join(map(str, sys.version_info[:3]))}; {sys.platform})"
        )
        if profile.ca_cert:
            check_ca_file(profile.ca_cert, profile.ca_cert_origin or profile.origin)
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
            self._check_bundle(merged["verify"])
        return merged

    def close(self) -> None:
        """Close all connections, those that were borrowed from the pools as well."""
        self.closing.close()
        super().close()

    def _check_bundle(self, path: str) -> None:
        import os

        if not Path(path).exists():
            origin = next((v for v in BUNDLE_VARIABLES if os.environ.get(v) == path), "the environment")
            raise ConfigError(
                f"The CA bundle {path} does not exist (from environment variable {origin})",
                f"Mend or unset {origin}",
            )

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


def open_session(
    profile: Profile,
    *,
    timeout: tuple[float, float],
    retries: int,
    configure: Callable[[AlgoSession, Profile], None],
    on_exchange: Callable[[str, str, int | None, float], None] | None = None,
) -> AlgoSession:
    """The session for a profile; `configure` lets plugins mount adapters (the hook `algo_configure_session`).

    `timeout` is (connect, read) in seconds.

    Raises:
        ConfigError: if the CA file is wrong, or nothing is there that can reach the profile's address.
    """
    session = AlgoSession(profile, timeout=timeout, retries=retries, on_exchange=on_exchange)
    configure(session, profile)
    try:
        session.get_adapter(profile.address + "/")
    except requests.exceptions.InvalidSchema:
        raise ConfigError(
            f"No installed plugin can reach {profile.address} (profile {profile.name})",
            "Addresses 'local:' come with: pip install algo-local",
        ) from None
    return session


def repeating(send: Callable[..., requests.Response], method: str, url: str, **options: Any) -> requests.Response:
    """Call `send(method, url, **options)`, and again if the answer's body breaks off while it is read.

    urllib3 repeats what fails before the body; this covers the rest for repeatable methods without a request body.
    """
    retry = retry_policy(BODY_RETRIES)
    while True:
        try:
            return send(method, url, **options)
        except requests.exceptions.ChunkedEncodingError as error:
            if method not in REPEATABLE or options.get("data") is not None:
                raise
            try:
                retry = retry.increment(method, url, error=urllib3.exceptions.ProtocolError(str(error)))
            except urllib3.exceptions.MaxRetryError:
                raise error from None
            retry.sleep()


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


@contextlib.contextmanager
def socket_errors(address: str) -> Iterator[None]:
    """The same for what a socket raises. Not for blocks that read files: their errors would be taken for those.

    Raises:
        TlsError, TimedOut, NetworkError: as the cause demands.
    """
    try:
        yield
    except SOCKET_ERRORS as error:
        raise translated(error, address) from error


def translated(error: Exception, address: str) -> AlgoError:
    """What to raise in the place of an error of requests, urllib3 or a socket: TlsError, TimedOut, NetworkError, ..."""
    cause = _innermost(error)
    said = _plain(cause)
    if isinstance(error, requests.exceptions.ProxyError):
        return NetworkError(f"The proxy failed: {said}", "Check HTTPS_PROXY, HTTP_PROXY and NO_PROXY")
    cut_off = isinstance(cause, (ssl.SSLEOFError, ssl.SSLZeroReturnError))
    if not cut_off and (isinstance(error, requests.exceptions.SSLError) or isinstance(cause, ssl.SSLError)):
        return TlsError(
            f"Cannot verify {address}: {said}",
            "If a company's CA signed it, give its file with: algo auth --ca-cert PATH",
        )
    timeouts = (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)
    said_by_system = isinstance(cause, OSError) and not isinstance(cause, TimeoutError)
    if isinstance(cause, timeouts) or (isinstance(error, timeouts) and not said_by_system):
        return TimedOut(f"No answer from {address} in time", "Try again, or allow more with the setting 'timeout'")
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
        return ConfigError("The credential holds characters that no header can carry")
    if isinstance(error, requests.TooManyRedirects):
        return PlatformError(f"{address} redirects without end", "Check the address: algo profile show")
    if isinstance(error, (requests.exceptions.ContentDecodingError, urllib3.exceptions.DecodeError)):
        return PlatformError(f"{address} sent a body that is not encoded as it says: {said}")
    if isinstance(cause, http.client.BadStatusLine) and not isinstance(cause, ConnectionError):
        return NetworkError(f"What answered at {address} does not speak HTTP", "Check the address: algo profile show")
    broken = (requests.exceptions.ChunkedEncodingError, urllib3.exceptions.ProtocolError)
    if isinstance(error, broken) or cut_off or isinstance(error, (ConnectionResetError, BrokenPipeError)):
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


def _plain(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message or str(error)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = " ".join(str(error).split())
    return text.rpartition(">: ")[2] or type(error).__name__
