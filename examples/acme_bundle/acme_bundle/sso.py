"""Single sign-on: the device-code flow (RFC 8628) and refresh tokens (RFC 6749, section 6) of an OpenID provider."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

from acme_bundle.company import Company
from acme_bundle.session import Session, early
from algo_core import App
from algo_core.errors import AuthError, NetworkError, PlatformError
from algo_core.http.transport import BytesBody
from algo_core.settings.credentials import Secret

SCOPE = "openid platform"
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
USUAL_INTERVAL = 5.0
"""Seconds between two questions if the provider does not say (RFC 8628, section 3.2), and added by `slow_down`."""

AGAIN = "Log in again: algo acme login"


class Refused(AuthError):
    """The provider's error for a token (RFC 6749, section 5.2): `code` is its word for it."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(f"The log-in was refused: {code}" + (f" ({description})" if description else ""), AGAIN)
        self.code = code


class DeviceCode(NamedTuple):
    """What a person needs for confirming a log-in, and algo for asking whether they have; times are in seconds."""

    device_code: Secret
    user_code: str
    address: str
    complete_address: str | None
    interval: float
    expires_in: float


class Provider:
    """The company's OpenID provider."""

    def __init__(self, app: App, company: Company) -> None:
        self._issuer = company.issuer
        self._client_id = company.client_id
        self._http = app.open_client(company.profile("acme-login", company.issuer))

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def device_code(self) -> DeviceCode:
        """Begin a log-in.

        Raises:
            Refused: if the provider does not take it.
            NetworkError, PlatformError: if it cannot be reached, or does not answer as a provider.
        """
        given = self._post("device_authorization_endpoint", scope=SCOPE)
        try:
            return DeviceCode(
                Secret(str(given["device_code"])),
                str(given["user_code"]),
                str(given["verification_uri"]),
                given.get("verification_uri_complete"),
                float(given.get("interval", USUAL_INTERVAL)),
                float(given["expires_in"]),
            )
        except (KeyError, TypeError, ValueError):
            raise self._odd("gives no device code") from None

    def redeem(self, code: DeviceCode) -> Session:
        """The session, once somebody has confirmed the code. Raises Refused until then, and what `device_code` does."""
        return self._session(
            self._post("token_endpoint", grant_type=DEVICE_CODE, device_code=code.device_code.reveal()), None
        )

    def refresh(self, token: Secret) -> Session | None:
        """Another session for a refresh token; None if the log-in is over. Raises what `device_code` does."""
        try:
            given = self._post("token_endpoint", grant_type="refresh_token", refresh_token=token.reveal())
        except Refused as error:
            if error.code == "invalid_grant":
                return None
            raise
        return self._session(given, token)

    def revoke(self, token: Secret) -> None:
        """End a session (RFC 7009), where the provider can. Raises what `device_code` does."""
        if "revocation_endpoint" in self._metadata:
            self._post("revocation_endpoint", token=token.reveal())

    @functools.cached_property
    def _metadata(self) -> Mapping[str, Any]:
        """The provider's own description (OpenID Connect Discovery 1.0)."""
        found = self._send("GET", f"{self._issuer}/.well-known/openid-configuration", None)
        if found.get("issuer") != self._issuer:
            raise self._odd(f"says that it is {found.get('issuer')}")
        return found

    def _post(self, endpoint: str, **fields: str) -> dict[str, Any]:
        url = self._metadata.get(endpoint)
        if not isinstance(url, str):
            raise self._odd(f"has no {endpoint}")
        return self._send("POST", url, BytesBody(urlencode({"client_id": self._client_id, **fields}).encode()))

    def _send(self, method: str, url: str, body: BytesBody | None) -> dict[str, Any]:
        headers = {"Accept": "application/json"}
        if body:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        with self._http.send(method, url, headers=headers, body=body) as response:
            try:
                given = response.json() if response.content else {}
            except ValueError:
                given = None
            if isinstance(given, dict) and response.ok:
                return given
            if isinstance(given, dict) and isinstance(given.get("error"), str) and response.status < 500:
                raise Refused(given["error"], str(given.get("error_description") or ""))
            raise self._odd(f"answered {method} {url.partition('?')[0]} with status {response.status}")

    def _session(self, given: Mapping[str, Any], older: Secret | None) -> Session:
        """The tokens of a response; a provider that gives no other refresh token means the older one to stay."""
        try:
            lifetime = given.get("expires_in")
            refresh = given.get("refresh_token")
            return Session(
                Secret(str(given["access_token"])),
                Secret(str(refresh)) if refresh else older,
                None if lifetime is None else time.time() + float(lifetime),
                None if lifetime is None else time.time() + float(lifetime) - early(float(lifetime)),
            )
        except (KeyError, TypeError, ValueError):
            raise self._odd("gives no access token") from None

    def _odd(self, what: str) -> PlatformError:
        return PlatformError(
            f"The OpenID provider {self._issuer} {what}", "Check acme.issuer: algo config list --origin"
        )


def wait(
    redeem: Callable[[], Session],
    code: DeviceCode,
    *,
    sleep: Callable[[float], object] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Session:
    """Ask until the log-in is confirmed, as often as the provider allows (RFC 8628, section 3.5).

    Raises:
        AuthError: if it was denied, or the code has run out.
        PlatformError: if the provider does not answer as one.
    """
    interval, end = code.interval, clock() + code.expires_in
    while clock() < end:
        sleep(interval)
        try:
            return redeem()
        except Refused as error:
            if error.code == "slow_down":
                interval += USUAL_INTERVAL
            elif error.code == "access_denied":
                raise AuthError("The log-in was denied in the browser", AGAIN) from None
            elif error.code == "expired_token":
                break
            elif error.code != "authorization_pending":
                raise
        except NetworkError:
            interval = max(2 * interval, 1.0)
    raise AuthError(f"Nobody confirmed the code {code.user_code} in time", AGAIN)
