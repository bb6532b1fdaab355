"""AWS Signature Version 4 in the `Authorization` header or a query, for S3: paths are used as written, encoded once."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import quote

ALGORITHM = "AWS4-HMAC-SHA256"
NO_CONTENT = hashlib.sha256(b"").hexdigest()
"""The digest of an empty body."""
UNSIGNED = "UNSIGNED-PAYLOAD"
"""In place of the digest of a body that TLS protects already."""

LONGEST = 7 * 86_400
"""Seconds for which a signature in a query can be valid."""


class Keys(NamedTuple):
    """A credential: an access key, its secret, and the token of a temporary one."""

    access: str
    secret: str
    token: str | None = None


class Signer:
    """Signs requests to one service in one region; a day's key is derived once."""

    def __init__(self, keys: Keys, region: str, service: str = "s3") -> None:
        self.keys = keys
        self.region = region
        self._service = service
        self._derived: tuple[str, bytes] = ("", b"")

    def headers(
        self,
        method: str,
        host: str,
        path: str,
        query: str,
        *,
        digest: str,
        more: Mapping[str, str] | None = None,
        moment: float | None = None,
    ) -> dict[str, str]:
        """The headers that make a request authentic; they hold for 15 minutes.

        `path` is encoded and `query` canonical (`encoded_path`, `encoded_query`), `digest` the body's SHA-256 in
        hexadecimal digits or `UNSIGNED`; `more` are headers, by names in lower case, that are signed and sent as well.
        `moment` is in seconds since the epoch.
        """
        stamp = _stamp(moment)
        signed = {"x-amz-content-sha256": digest, "x-amz-date": stamp, **(more or {})}
        if self.keys.token:
            signed["x-amz-security-token"] = self.keys.token
        lines = sorted({**signed, "host": host}.items())
        names = ";".join(name for name, _ in lines)
        fields = "".join(f"{name}:{' '.join(value.split())}\n" for name, value in lines)
        signature = self._signature(stamp, f"{method}\n{path}\n{query}\n{fields}\n{names}\n{digest}")
        credential = f"Credential={self.keys.access}/{self._scope(stamp)}, SignedHeaders={names}, Signature={signature}"
        return {**signed, "authorization": f"{ALGORITHM} {credential}"}

    def query(self, method: str, host: str, path: str, *, seconds: int, moment: float | None = None) -> str:
        """The query that makes an address authentic for so many seconds, at most `LONGEST`; any body may be sent."""
        stamp = _stamp(moment)
        members = {
            "X-Amz-Algorithm": ALGORITHM,
            "X-Amz-Credential": f"{self.keys.access}/{self._scope(stamp)}",
            "X-Amz-Date": stamp,
            "X-Amz-Expires": str(seconds),
            "X-Amz-SignedHeaders": "host",
            **({"X-Amz-Security-Token": self.keys.token} if self.keys.token else {}),
        }
        query = encoded_query(members.items())
        signature = self._signature(stamp, f"{method}\n{path}\n{query}\nhost:{host}\n\nhost\n{UNSIGNED}")
        return f"{query}&X-Amz-Signature={signature}"

    def _scope(self, stamp: str) -> str:
        return f"{stamp[:8]}/{self.region}/{self._service}/aws4_request"

    def _signature(self, stamp: str, request: str) -> str:
        digest = hashlib.sha256(request.encode()).hexdigest()
        text = f"{ALGORITHM}\n{stamp}\n{self._scope(stamp)}\n{digest}"
        return hmac.new(self._key(stamp[:8]), text.encode(), hashlib.sha256).hexdigest()

    def _key(self, day: str) -> bytes:
        if self._derived[0] != day:
            key = b"AWS4" + self.keys.secret.encode()
            for part in (day, self.region, self._service, "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._derived = (day, key)
        return self._derived[1]


def _stamp(moment: float | None) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(moment))


def encoded_path(*parts: str) -> str:
    """An absolute path of parts, percent-encoded as the signature wants it; slashes inside parts stay."""
    return "/" + quote("/".join(parts), safe="/~")


def encoded_query(members: Iterable[tuple[str, str]]) -> str:
    """A query in canonical form: encoded, and sorted by names."""
    encoded = sorted((quote(name, safe="~"), quote(value, safe="~")) for name, value in members)
    return "&".join(f"{name}={value}" for name, value in encoded)
