"""A signature over each request: HMAC with a key that the company gives its machines."""

from __future__ import annotations

import functools
import hashlib
import hmac
import time
from pathlib import Path
from urllib.parse import urlsplit

from algo_core.errors import ConfigError
from algo_core.http.transport import Request

STREAMED = "streamed"
"""In place of the digest of a body that is read while it is sent; its size is signed."""


def signature_headers(request: Request, key_file: str) -> dict[str, str]:
    """The headers that prove who sent a request, when, and what.

    Raises:
        ConfigError: if the key cannot be read.
    """
    return signed(key(key_file), request.method, request.url, content_of(request), str(int(time.time())))


def content_of(request: Request) -> str:
    """What a signature says of a request's body: its digest, or its size where it is not in memory."""
    if request.body is None:
        return hashlib.sha256(b"").hexdigest()
    data = getattr(request.body, "data", None)
    return f"{STREAMED}:{request.body.size}" if data is None else hashlib.sha256(data).hexdigest()


def signed(key: bytes, method: str, url: str, content: str, at: str) -> dict[str, str]:
    """The headers for a request sent at a time, in seconds since 1970."""
    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    text = "\n".join([method, target, content, at])
    return {
        "X-Acme-Time": at,
        "X-Acme-Content": content,
        "X-Acme-Signature": hmac.new(key, text.encode(), "sha256").hexdigest(),
    }


@functools.lru_cache(maxsize=1)
def key(path: str) -> bytes:
    """The key in a file.

    Raises:
        ConfigError: if it cannot be read, or is empty.
    """
    try:
        found = Path(path).read_bytes().strip()
    except OSError as error:
        raise ConfigError(f"Cannot read the signing key {path}: {error.strerror} (acme.signing_key)") from None
    if not found:
        raise ConfigError(f"The signing key {path} is empty (acme.signing_key)")
    return found
