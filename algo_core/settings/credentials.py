"""Credentials: their form, their sources, and how they are kept out of output (API sections 1.2, 1.3)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from algo_core.errors import ConfigError, UsageError
from algo_core.settings.config import FROM_COMMAND
from algo_core.text import decoded

KEY_PREFIX = "sim"
KEY_LENGTH = 28
KEYRING_SERVICE = "algo"
COMMAND_SECONDS = 60.0

_JWT = r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"

Kind = Literal["api_key", "bearer_token"]


class Secret:
    """A text that is not printed by accident: `str`, `repr` and formatting give stars; `reveal` gives the text."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The secret itself."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(****)"

    def __str__(self) -> str:
        return "****"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


class Credential(NamedTuple):
    """An API key or a bearer token, and its origin.

    `kind` is `api_key` or `bearer_token`; `classify` tells them apart.
    `expires_at` is when it runs out, in seconds since 1970, where that is known: it is renewed shortly before.
    """

    kind: Kind
    secret: Secret
    origin: str = ""
    expires_at: float | None = None

    def header(self) -> str:
        """The value of `Authorization` (API section 1.2)."""
        scheme = "Simple" if self.kind == "api_key" else "Bearer"
        return f"{scheme} {self.secret.reveal()}"

    @property
    def masked(self) -> str:
        """Its first and last three characters, for recognition."""
        text = self.secret.reveal()
        return f"{text[:3]}…{text[-3:]}" if len(text) >= 12 else "****"


def looks_like_jwt(text: str) -> bool:
    """Whether a text has the shape of a JSON web token: three base64url parts, the first a JSON object with `alg`."""
    if not re.fullmatch(_JWT, text):
        return False
    head = text.partition(".")[0]
    try:
        import base64

        header = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except ValueError:
        return False
    return isinstance(header, dict) and "alg" in header


def classify(text: str, origin: str = "") -> Credential:
    """Tell an API key from a bearer token by its shape (API section 1.3).

    Raises:
        UsageError: if it is neither; the message never contains the text.
    """
    text = text.strip()
    if looks_like_jwt(text):
        return Credential("bearer_token", Secret(text), origin)
    if text.startswith(KEY_PREFIX) and len(text) == KEY_LENGTH and text.isascii() and text.isprintable():
        return Credential("api_key", Secret(text), origin)
    if not text:
        raise UsageError("An empty API key", "Paste the key; it is not shown while you type")
    raise UsageError(
        f"Neither an API key nor a bearer token ({len(text)} characters)",
        f"API keys start with '{KEY_PREFIX}' and have {KEY_LENGTH} characters; bearer tokens are JWTs",
    )


def _ambient(kind: Kind, text: str, origin: str) -> Credential:
    """A credential accepted in any form: inside a cluster keys may look different (API section 1.1)."""
    text = text.strip()
    if not text.isascii() or not text.isprintable():
        raise ConfigError(f"The credential from {origin} contains characters that a key cannot have")
    return Credential(kind, Secret(text), origin)


def from_environment(environ: Mapping[str, str]) -> Credential | None:
    """`ALGORITHMIA_API_KEY`, else `ALGORITHMIA_BEARER_TOKEN` (API section 1.4)."""
    variables: tuple[tuple[str, Kind], ...] = (
        ("ALGORITHMIA_API_KEY", "api_key"),
        ("ALGORITHMIA_BEARER_TOKEN", "bearer_token"),
    )
    for variable, kind in variables:
        if text := environ.get(variable, "").strip():
            return _ambient(kind, text, f"environment variable {variable}")
    return None


def renewed_by_command(name: str, table: Mapping[str, Any], origin: str) -> Credential | None:
    """What the profile's command gives when its credential was refused; None if the profile has no command.

    Raises:
        ConfigError: if the command fails.
    """
    command = table.get("credential_command")
    return _from_command(name, command, origin) if command else None


MEMBERS = ("credential_command", "keyring", "api_key", "bearer_token")
"""The members of a profile that provide a credential; the first one that is set is used."""


def from_table(name: str, table: Mapping[str, Any], origin: str) -> Credential | None:
    """The credential of a profile's table: from its command, else the keyring, else the file.

    Raises:
        ConfigError: if the command fails, or the keyring has no entry or is missing.
    """
    if command := table.get("credential_command"):
        return _from_command(name, command, origin)
    if table.get("keyring"):
        return _from_keyring(name, origin)
    if text := str(table.get("api_key") or ""):
        return _ambient("api_key", text, f"{origin} (api_key)")
    if text := str(table.get("bearer_token") or ""):
        return _ambient("bearer_token", text, f"{origin} (bearer_token)")
    return None


def _from_command(name: str, command: object, origin: str) -> Credential:
    where = f"{FROM_COMMAND} of profile {name}"
    if not isinstance(command, list) or not command or not all(isinstance(part, str) for part in command):
        raise ConfigError(
            f"The {where} is not a list of words ({origin})",
            'Write it as credential_command = ["program", "argument"]: it is run without a shell',
        )
    import subprocess

    try:
        done = subprocess.run(command, capture_output=True, timeout=COMMAND_SECONDS, check=False)
    except OSError as error:
        raise ConfigError(f"The {where} cannot be run: {error.strerror}: {command[0]}", f"Fix it in {origin}") from None
    except subprocess.TimeoutExpired:
        raise ConfigError(f"The {where} did not answer within {COMMAND_SECONDS:.0f} s") from None
    text = decoded(done.stdout, "replace").strip()
    if done.returncode or not text:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise ConfigError(
            f"The {where} failed with exit code {done.returncode}" + (f": {said[-1]}" if said else ""),
            f"Run it yourself to see why: {' '.join(command)}",
        )
    kind: Kind = "bearer_token" if looks_like_jwt(text) else "api_key"
    return _ambient(kind, text, where)


def _keyring() -> Any:
    try:
        import keyring
    except ImportError:
        raise ConfigError(
            "The keyring is not available: the package 'keyring' is not installed",
            "Install it with: pip install 'algo-core[keyring]'",
        ) from None
    return keyring


def _from_keyring(name: str, origin: str) -> Credential:
    keyring = _keyring()
    try:
        text = keyring.get_password(KEYRING_SERVICE, name)
    except keyring.errors.KeyringError as error:
        raise ConfigError(f"The keyring did not return the key of profile {name}: {error}") from None
    if not text:
        raise ConfigError(
            f"The keyring holds no key for profile {name}, though {origin} says so",
            f"Store it again with: algo auth --profile {name} --keyring",
        )
    kind: Kind = "bearer_token" if looks_like_jwt(text) else "api_key"
    return _ambient(kind, text, f"keyring ({KEYRING_SERVICE}, {name})")


def store_in_keyring(name: str, credential: Credential) -> None:
    """Store a profile's credential in the system's keyring.

    Raises:
        ConfigError: if there is no keyring, or it refuses.
    """
    keyring = _keyring()
    try:
        keyring.set_password(KEYRING_SERVICE, name, credential.secret.reveal())
    except keyring.errors.KeyringError as error:
        raise ConfigError(f"The keyring did not store the key: {error}", "Leave out --keyring") from None


def forget_in_keyring(name: str) -> None:
    """Remove a profile's credential from the keyring, if it has one."""
    keyring = _keyring()
    try:
        keyring.delete_password(KEYRING_SERVICE, name)
    except keyring.errors.KeyringError:
        pass
