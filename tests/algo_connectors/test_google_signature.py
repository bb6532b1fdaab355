"""Signed URLs of Google Cloud Storage are those of Google's own package."""

from __future__ import annotations

from typing import Any

import google.auth.credentials
from google.cloud.storage._signing import generate_signed_url_v4
from hypothesis import given
from hypothesis import strategies as st
from support.chance import generated

from algo_connectors.google.signature import LONGEST, Signatory, signed_url

KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)


class Signing(google.auth.credentials.Signing):  # type: ignore[misc]  # it has no types
    """A credential whose signature is the text itself, so that a difference shows."""

    signer_email = "share+x@project.iam.gserviceaccount.com"
    signer = None

    def sign_bytes(self, message: bytes) -> bytes:
        return message


@generated(150)
@given(key=KEYS, seconds=st.integers(1, LONGEST), method=st.sampled_from(["GET", "PUT"]), moment=st.integers(0, 2**32))
def test_every_object_has_the_address_that_google_s_package_gives_it(
    key: str, seconds: int, method: str, moment: int
) -> None:
    for location in ("https://storage.googleapis.com", "http://127.0.0.1:4443"):
        signatory = Signatory(Signing.signer_email, Signing().sign_bytes)
        ours = signed_url(
            location, "bucket", key, method=method, seconds=seconds, signatory=signatory, moment=float(moment)
        )
        stamp = ours.partition("X-Goog-Date=")[2].partition("&")[0]
        theirs: Any = generate_signed_url_v4(
            Signing(),
            f"/bucket/{_quoted(key)}",
            seconds,
            api_access_endpoint=location,
            method=method,
            _request_timestamp=stamp,
        )
        assert ours == theirs


def _quoted(key: str) -> str:
    from google.cloud.storage.blob import _quote

    quoted: str = _quote(key, safe=b"/~")
    return quoted
