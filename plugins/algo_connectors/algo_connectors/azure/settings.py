"""Address and credential of a storage account: from options, or the environment."""

from __future__ import annotations

import binascii
import os
from typing import Any
from urllib.parse import urlsplit

from algo_connectors.azure.direct_client import RETRIES, TIMEOUTS, DirectBlobClient
from algo_connectors.azure.requests import Account
from algo_connectors.azure.shared_key import SharedKey
from algo_connectors.common.options import ConnectorOptions
from algo_core.errors import ConfigError
from algo_core.http.client import HttpClient
from algo_core.settings.profile import Profile

OPTIONS = frozenset({"storage_uri", "account_name", "account_key", "sas_token", "connection_string"})
"""What the direct client understands."""

_PUBLIC = "core.windows.net"


def needs_adlfs(options: ConnectorOptions) -> bool:
    """Whether an option is given that only adlfs understands, or there is neither a key nor a signature."""
    given = options.names()
    secrets = {"account_key", "sas_token", "connection_string"}
    has_secret = given & secrets or any(_variable(name) for name in secrets)
    return bool(given - OPTIONS) or not has_secret


def open_direct(options: ConnectorOptions) -> DirectBlobClient:
    """A client over algo's own connections.

    Raises:
        ConfigError: if the address, the key or an option cannot be used.
    """
    text = options.take("connection_string")
    address, name, key, token = (
        options.take(option) for option in ("storage_uri", "account_name", "account_key", "sas_token")
    )
    options.refuse_rest()
    if not (key or token):  # those of the environment are for its account
        text = text or _variable("connection_string")
    members = _members(str(text), options.scheme) if text else {}
    key = key or members.get("AccountKey") or (None if token or text else _variable("account_key"))
    token = token or members.get("SharedAccessSignature") or (None if key else _variable("sas_token"))
    name = name or members.get("AccountName") or _variable("account_name")
    address = address or _endpoint(members, name)
    if not address:
        raise ConfigError(f"{options.scheme}:// names no account", "Set storage_uri, or account_name")
    place = _checked(address, options.scheme)
    name = name or urlsplit(place).netloc.partition(".")[0]
    account = Account(place, _key(name, key, options.scheme), "" if key else str(token or "").lstrip("?"))
    if account.key is None and "sig=" not in account.signature:
        raise ConfigError(f"{options.scheme}:// has a shared access signature without sig=", "Copy all of its query")
    return DirectBlobClient(account, HttpClient(Profile("azureblob", place), timeout=TIMEOUTS, retries=RETRIES))


def _variable(option: str) -> str:
    """The environment variable of an option, as the Azure tools name it."""
    return os.environ.get(f"AZURE_STORAGE_{option.upper()}", "")


def _members(text: str, scheme: str) -> dict[str, str]:
    """The members of a connection string: `AccountName=...;AccountKey=...`."""
    pairs = [part.partition("=") for part in text.split(";") if part.strip()]
    if any(not separator for _, separator, _ in pairs):
        raise ConfigError(f"{scheme}:// has an invalid connection_string", "Copy it from the account's access keys")
    return {name.strip(): value for name, _, value in pairs}


def _endpoint(members: dict[str, str], name: Any) -> str:
    if endpoint := members.get("BlobEndpoint"):
        return endpoint
    scheme = members.get("DefaultEndpointsProtocol", "https")
    return f"{scheme}://{name}.blob.{members.get('EndpointSuffix', _PUBLIC)}" if name else ""


def _checked(address: Any, scheme: str) -> str:
    parts = urlsplit(str(address))
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query:
        raise ConfigError(
            f"{scheme}:// has no usable storage_uri: {str(address).partition('?')[0][:200]!r}",
            "Write https://ACCOUNT.blob.core.windows.net, and a signature as sas_token",
        )
    return str(address).rstrip("/")


def _key(name: Any, key: Any, scheme: str) -> SharedKey | None:
    try:
        return SharedKey(str(name), str(key)) if key else None
    except (binascii.Error, ValueError):
        raise ConfigError(f"{scheme}:// has an account_key that is not base64", "Copy it from the account") from None
