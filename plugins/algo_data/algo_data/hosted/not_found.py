"""Hints for paths that the platform does not have: below `.my`, on the local disk, or behind a missing connector."""

from __future__ import annotations

import os
import re

from algo_core.names import in_bytes
from algo_core.storage.uri import HOSTED, HOSTED_ROOTS, DataUri, pasted


def where_it_may_be(uri: DataUri, message: str) -> str | None:
    """The hint for a path that the platform does not have; `message` is the platform's message."""
    if uri.scheme != HOSTED:
        return _how_to_connect(uri) if re.search("connector|not connected", message, re.IGNORECASE) else None
    first, slash, rest = uri.path.partition("/")
    if f".{first}" in HOSTED_ROOTS:
        meant = DataUri(HOSTED, f".{first}{slash}{rest}")
        return f"Did you mean {pasted(meant)}? Without the dot, the path names the account {first!r}"
    if uri.path and os.path.lexists(in_bytes(uri.path)):
        return f"For the local file write ./{uri.path}"
    return how_to_name(uri)


def how_to_name(uri: DataUri) -> str | None:
    """The hint for a path of one component, which names an account: newcomers mean their own collection, or a file."""
    if uri.scheme != HOSTED or not uri.path.strip("/") or "/" in uri.path.strip("/") or uri.path.startswith("."):
        return None
    own = pasted(DataUri(HOSTED, f"{HOSTED_ROOTS[0]}/{uri.path.strip('/')}"))
    return f"{uri} is an account; your own collections are in data://.my, such as {own}, and local paths begin with ./"


def _how_to_connect(uri: DataUri) -> str:
    """The hint for connecting a store to the platform, or reaching it directly."""
    from algo_core.names import dotted

    key = pasted(dotted(("connectors", uri.connector, "direct")))
    return (
        f"Reach it from this machine with: `algo config set {key} true`; "
        f"or connect the platform to it, the embedded one with: algo local connector add {uri.connector} --help"
    )
