"""Address, region and credential of S3: from options, the environment, or the files of the AWS tools."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from algo_connectors.aws.direct_client import RETRIES, TIMEOUTS, DirectS3Client
from algo_connectors.aws.requests import Target
from algo_connectors.aws.signature import Keys
from algo_connectors.common.options import ConnectorOptions
from algo_core.errors import AuthError, ConfigError
from algo_core.http.client import HttpClient
from algo_core.settings.profile import Profile

OPTIONS = frozenset({"key", "secret", "token", "region", "endpoint_url", "anon", "timeout"})
"""What the direct client understands."""

DEFAULT_REGION = "us-east-1"


def needs_s3fs(options: ConnectorOptions) -> bool:
    """Whether there is an option that only s3fs understands."""
    return bool(options.names() - OPTIONS)


def open_direct(options: ConnectorOptions) -> DirectS3Client:
    """A client over algo's own connections.

    Raises:
        ConfigError: if an option is none of `OPTIONS`, or is unusable.
    """
    key, secret, token = (options.take(name) for name in ("key", "secret", "token"))
    endpoint = options.take("endpoint_url") or os.environ.get("AWS_ENDPOINT_URL_S3") or _variable("AWS_ENDPOINT_URL")
    region = options.take("region") or _variable("AWS_REGION") or _variable("AWS_DEFAULT_REGION")
    is_anonymous, connect = options.take("anon"), _connector(options)
    options.refuse_rest()
    if bool(key) != bool(secret):
        raise ConfigError(f"{options.scheme}:// needs both key and secret, or neither", "Set the other one as well")
    endpoint = _checked(endpoint, options.scheme) if endpoint else ""
    if is_anonymous:
        return DirectS3Client(Target(endpoint, region or DEFAULT_REGION), lambda: None, connect)
    given = Keys(key, secret, token) if key else _from_environment()
    if given:
        return DirectS3Client(Target(endpoint, region or DEFAULT_REGION), lambda: given, connect)
    chain = _Chain(options.scheme)
    region = region or chain.region or DEFAULT_REGION
    return DirectS3Client(Target(endpoint or chain.endpoint, region), chain.keys, connect, chain.renew)


def _variable(name: str) -> str:
    return os.environ.get(name, "")


def _checked(endpoint: Any, scheme: str) -> str:
    parts = urlsplit(str(endpoint))
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigError(
            f"{scheme}:// has no usable endpoint_url: {str(endpoint)[:200]!r}", "Write http://HOST:PORT or https://HOST"
        )
    return str(endpoint).rstrip("/")


def _from_environment() -> Keys | None:
    """The credential of the environment, unless a profile of the AWS tools is chosen there."""
    access, secret = _variable("AWS_ACCESS_KEY_ID"), _variable("AWS_SECRET_ACCESS_KEY")
    if access and secret and not (_variable("AWS_PROFILE") or _variable("AWS_DEFAULT_PROFILE")):
        return Keys(access, secret, _variable("AWS_SESSION_TOKEN") or None)
    return None


def _connector(options: ConnectorOptions) -> Callable[[str], HttpClient]:
    """What makes the client for an address, with the option `timeout`: seconds for each wait for the store."""
    timeout = options.take("timeout")
    if timeout is not None and (isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or timeout <= 0):
        raise ConfigError(f"The option timeout of {options.scheme}:// must be a number of seconds, not {timeout!r}")
    timeouts = TIMEOUTS if timeout is None else (min(TIMEOUTS[0], timeout), float(timeout))

    def connect(origin: str) -> HttpClient:
        # What botocore trusts in addition, by its variable; the others are honoured for every connection.
        profile = Profile("s3", origin, ca_cert=_variable("AWS_CA_BUNDLE") or None, ca_cert_origin="AWS_CA_BUNDLE")
        return HttpClient(profile, timeout=timeouts, retries=RETRIES)

    return connect


class _Chain:
    """Credentials of the AWS tools: their files, single sign-on, and the machine's role, by botocore."""

    def __init__(self, scheme: str) -> None:
        from botocore.exceptions import BotoCoreError  # type: ignore[import-untyped]  # it has no types
        from botocore.session import Session  # type: ignore[import-untyped]

        self._scheme = scheme
        self._make = Session
        self._session = Session()
        self._credentials: Any = None
        self._renewing = threading.Lock()
        try:
            self.region: str = self._session.get_config_variable("region") or ""
            self.endpoint: str = self._session.get_scoped_config().get("endpoint_url", "")
        except BotoCoreError as error:  # such as a profile that does not exist
            raise ConfigError(
                f"{scheme}:// cannot be opened: {error}", "Correct ~/.aws/config, or AWS_PROFILE"
            ) from None

    def keys(self) -> Keys:
        """The credential, which botocore renews before it runs out. Raises AuthError if there is none."""
        if self._credentials is None:
            self._credentials = self._session.get_credentials()
        if self._credentials is None:
            raise AuthError(
                f"No credential for {self._scheme}://: unable to locate any",
                f"Run: aws configure; or set access_key_id and secret_access_key in [connectors.{self._scheme}]",
            )
        found = self._credentials.get_frozen_credentials()
        return Keys(found.access_key, found.secret_key, found.token)

    def renew(self, expired: Keys) -> bool:
        """Look everywhere again, for another credential than this one: a tool may have written one meanwhile."""
        with self._renewing:
            if self.keys() == expired:
                self._session, self._credentials = self._make(), None
            return self.keys() != expired
