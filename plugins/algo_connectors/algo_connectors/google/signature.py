"""Signed URLs of Google Cloud Storage, of version 4: with them a program needs no credential."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import quote, urlencode, urlsplit

ALGORITHM = "GOOG4-RSA-SHA256"

LONGEST = 7 * 86_400
"""Seconds for which a signed URL can be valid."""


class Signatory(NamedTuple):
    """A service account's address, and what signs bytes with its key (RSA with PKCS #1 v1.5 and SHA-256)."""

    email: str
    sign: Callable[[bytes], bytes]


def signed_url(
    location: str,
    bucket: str,
    key: str,
    *,
    method: str,
    seconds: int,
    signatory: Signatory,
    moment: float | None = None,
) -> str:
    """The address of an object below `location` for one kind of request; any body may be sent.

    It is valid for so many seconds, at most `LONGEST`, from `moment`, in seconds since the epoch, else from now.
    """
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(moment))
    scope = f"{stamp[:8]}/auto/storage/goog4_request"
    path = f"/{quote(bucket, safe='')}/{quote(key, safe='/~')}"
    members = {
        "X-Goog-Algorithm": ALGORITHM,
        "X-Goog-Credential": f"{signatory.email}/{scope}",
        "X-Goog-Date": stamp,
        "X-Goog-Expires": str(seconds),
        "X-Goog-SignedHeaders": "host",
    }
    query = urlencode(members, quote_via=quote, safe="~")
    request = f"{method}\n{path}\n{query}\nhost:{urlsplit(location).netloc}\n\nhost\nUNSIGNED-PAYLOAD"
    digest = hashlib.sha256(request.encode()).hexdigest()
    signature = signatory.sign(f"{ALGORITHM}\n{stamp}\n{scope}\n{digest}".encode()).hex()
    return f"{location}{path}?{query}&X-Goog-Signature={signature}"
