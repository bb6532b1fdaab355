"""Access tokens of Google's OAuth 2.0: given, or asked for with a service account's key or a refresh token."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import urlencode, urlsplit

from algo_connectors.google.signature import Signatory
from algo_core.errors import AuthError, ConfigError, PlatformError
from algo_core.http.client import HttpClient
from algo_core.http.transport import BytesBody
from algo_core.settings.profile import Profile

TOKEN_ADDRESS = "https://oauth2.googleapis.com/token"
SCOPE = "https://www.googleapis.com/auth/devstorage.full_control"

LIFETIME = 3600
"""Seconds for which a token of a service account is asked for."""

RENEWED_BEFORE = 120.0
"""Seconds before its end at which a token is renewed."""

TIMEOUTS = (10.0, 30.0)
"""Seconds for a connection, and for the wait for the token service."""

ANSWER_LIMIT = 1 << 20


_OF_SERVICE = ("client_email", "private_key")
_OF_PERSON = ("client_id", "client_secret", "refresh_token")


class TokenSource(Protocol):
    """Gives access tokens."""

    def token(self) -> str | None:
        """The token for the next request; None for requests without one. Raises AuthError if there is none."""

    def renew(self, refused: str) -> bool:
        """Discard a token that was refused; whether there may be another."""

    def signatory(self) -> Signatory | None:
        """The account that signs links; None without the key of a service account."""


class GivenToken:
    """One token, or none."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def token(self) -> str | None:
        """The token."""
        return self._token

    def renew(self, refused: str) -> bool:
        """False: there is no other."""
        return False

    def signatory(self) -> Signatory | None:
        """None: a token cannot sign."""
        return None


class GrantedTokens:
    """Tokens that Google's token service grants for the credential in a JSON file of the Google tools.

    `credential` is the content of that file: of a service account, or of a person (`gcloud auth application-default
    login`).

    Raises:
        ConfigError: if a member is missing, or its address cannot be used.
    """

    def __init__(self, credential: Mapping[str, Any]) -> None:
        self._credential = credential
        self._is_service = credential.get("type") == "service_account"
        wanted = (
            ("client_email", "private_key") if self._is_service else ("client_id", "client_secret", "refresh_token")
        )
        if missing := [name for name in wanted if not credential.get(name)]:
            raise ConfigError(f"The credential of Google has no {missing[0]}", "Download its JSON file again")
        self._address = str(credential.get("token_uri") or TOKEN_ADDRESS)
        parts = urlsplit(self._address)
        is_local = parts.hostname in {"127.0.0.1", "::1", "localhost"}
        if not parts.hostname or (parts.scheme != "https" and not (parts.scheme == "http" and is_local)):
            raise ConfigError(f"The credential of Google has no usable token_uri: {self._address[:200]!r}")
        self._lock = threading.Lock()
        self._token = ""
        self._until = 0.0

    def token(self) -> str:
        """The token, renewed before it ends."""
        with self._lock:
            if not self._token or time.time() > self._until - RENEWED_BEFORE:
                self._token, seconds = self._granted()
                self._until = time.time() + seconds
            return self._token

    def renew(self, refused: str) -> bool:
        """Ask for another one at the next request."""
        with self._lock:
            if self._token == refused:
                self._token = ""
        return True

    def signatory(self) -> Signatory | None:
        """The service account, if it is one."""
        return Signatory(str(self._credential["client_email"]), self._signed) if self._is_service else None

    def _granted(self) -> tuple[str, float]:
        form = {"grant_type": "refresh_token"}
        if self._is_service:
            form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": self._assertion()}
        else:
            form |= {name: str(self._credential[name]) for name in _OF_PERSON}
        client = HttpClient(Profile("google", self._address), timeout=TIMEOUTS, retries=2)
        headers = {"content-type": "application/x-www-form-urlencoded"}
        body = BytesBody(urlencode(form).encode())
        with client.send("POST", self._address, headers=headers, body=body) as response:
            answer = _object_in(response.read(ANSWER_LIMIT))
            if not response.ok:
                reason = answer.get("error_description") or answer.get("error") or f"status {response.status}"
                raise AuthError(
                    f"Google grants no token for this credential: {str(reason)[:300]}",
                    "Check the service account's key, or run: gcloud auth application-default login",
                )
        client.close()
        if not isinstance(answer.get("access_token"), str):
            raise PlatformError("Google's token service did not return a token", "Try again")
        return answer["access_token"], float(answer.get("expires_in") or LIFETIME)

    def _assertion(self) -> str:
        """A signed claim to be the service account (RFC 7523)."""
        head = {"alg": "RS256", "typ": "JWT", "kid": self._credential.get("private_key_id") or ""}
        now = int(time.time())
        claim = {
            "iss": self._credential["client_email"],
            "scope": SCOPE,
            "aud": self._address,
            "iat": now,
            "exp": now + LIFETIME,
        }
        text = f"{_encoded(json.dumps(head).encode())}.{_encoded(json.dumps(claim).encode())}"
        return f"{text}.{_encoded(self._signed(text.encode()))}"

    def _signed(self, text: bytes) -> bytes:
        """The signature of the service account's key."""
        try:
            from cryptography.hazmat.primitives import hashes, serialization
            from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
            from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
        except ModuleNotFoundError:
            raise ConfigError(
                "The key of Google's service account needs the package cryptography, which is not installed",
                "Install it: pip install 'algo-connectors[gs]'",
            ) from None
        try:
            key = serialization.load_pem_private_key(str(self._credential["private_key"]).encode(), password=None)
        except (ValueError, TypeError):
            key = None
        if not isinstance(key, RSAPrivateKey):
            raise ConfigError("Google's service account has no RSA key", "Download its JSON file again")
        return key.sign(text, PKCS1v15(), hashes.SHA256())


def _encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode("ascii")


def _object_in(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
