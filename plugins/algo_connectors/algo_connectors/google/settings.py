"""Address and credential of Google Cloud Storage: from options, the environment, or the files of the Google tools."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from algo_connectors.common.options import ConnectorOptions
from algo_connectors.google.direct_api import RETRIES, TIMEOUTS, DirectGoogleApi
from algo_connectors.google.tokens import GivenToken, GrantedTokens, TokenSource
from algo_core.errors import ConfigError
from algo_core.http.client import HttpClient
from algo_core.settings.profile import Profile

OPTIONS = frozenset({"token", "access_token", "anon", "project", "endpoint_url"})
"""What the direct API understands."""

LOCATION = "https://storage.googleapis.com"

_KINDS = frozenset({"service_account", "authorized_user"})
"""The kinds of credentials for which tokens can be had without a package of Google."""


def open_direct(options: ConnectorOptions) -> DirectGoogleApi | None:
    """An API over algo's own connections; None if an option or the credential is one that only gcsfs understands.

    Raises:
        ConfigError: if the address or the credential cannot be used.
    """
    if options.names() - OPTIONS:
        return None
    credential = _credential(options)
    if credential is None:
        return None
    for name in ("token", "access_token", "anon"):
        options.take(name)
    endpoint, project = options.take("endpoint_url"), options.take("project")
    location = _checked(endpoint or os.environ.get("STORAGE_EMULATOR_HOST") or LOCATION, options.scheme)
    tokens: TokenSource = credential if isinstance(credential, GivenToken) else GrantedTokens(credential)
    if not isinstance(tokens, GivenToken) or tokens.token():
        _check_encrypted(location, options.scheme)
    named = "" if isinstance(credential, GivenToken) else str(credential.get("project_id") or "")
    project = project or _variable("GOOGLE_CLOUD_PROJECT") or named
    client = HttpClient(Profile("gs", location), timeout=TIMEOUTS, retries=RETRIES)
    return DirectGoogleApi(location, tokens, client, str(project))


def _credential(options: ConnectorOptions) -> GivenToken | Mapping[str, Any] | None:
    """The credential, in the order of the Google tools; None if only gcsfs can find or use it."""
    given = options.peek("token")
    if options.peek("anon") or given == "anon":
        return GivenToken(None)
    if token := options.peek("access_token") or (not given and _variable("GOOGLE_OAUTH_ACCESS_TOKEN")):
        return GivenToken(str(token))
    if isinstance(given, Mapping):
        return given if given.get("type") in _KINDS else None
    if given:
        return _in_file(Path(str(given)))
    if path := _variable("GOOGLE_APPLICATION_CREDENTIALS"):
        return _in_file(Path(path))
    home = Path(_variable("CLOUDSDK_CONFIG") or Path.home() / ".config" / "gcloud")
    return _in_file(home / "application_default_credentials.json")


def _in_file(path: Path) -> Mapping[str, Any] | None:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None  # a word of gcsfs, or a file of which that tells what is wrong
    return found if isinstance(found, dict) and found.get("type") in _KINDS else None


def _variable(name: str) -> str:
    return os.environ.get(name, "")


def _checked(address: Any, scheme: str) -> str:
    text = str(address).rstrip("/")
    parts = urlsplit(text if "://" in text else f"http://{text}")
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path:
        raise ConfigError(
            f"{scheme}:// has no usable endpoint_url: {text[:200]!r}", "Write http://HOST:PORT or https://HOST"
        )
    return f"{parts.scheme}://{parts.netloc}"


def _check_encrypted(location: str, scheme: str) -> None:
    parts = urlsplit(location)
    if parts.scheme == "http" and parts.hostname not in {"127.0.0.1", "::1", "localhost"}:
        raise ConfigError(
            f"{scheme}:// would send its access token unencrypted to {parts.hostname}",
            "Give an https:// address as endpoint_url, or set anon = true for an emulator",
        )
