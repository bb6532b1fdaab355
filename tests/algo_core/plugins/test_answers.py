"""An answer of a hook whose members are of the wrong type is the plugin's fault, and no part of a secret is shown."""

from __future__ import annotations

import math
from typing import Any

import pytest

from algo_core import Profile
from algo_core.errors import ConfigError
from algo_core.plugins import results
from algo_core.settings.credentials import Credential, Secret, classify

SECRET = "s3cret-of-acme"
KEY = Credential("bearer_token", Secret(SECRET), "vault", 1.5)
WORK = Profile("work", "https://api.acme.example", KEY, origin="acme-bundle")
WRONG: dict[str, Any] = {
    "a text": SECRET,
    "bytes": SECRET.encode(),
    "a bare tuple": ("bearer_token", SECRET),
    "a secret that is a text": KEY._replace(secret=SECRET),  # type: ignore[arg-type]
    "a secret of bytes": KEY._replace(secret=Secret(SECRET.encode())),  # type: ignore[arg-type]
    "an empty secret": KEY._replace(secret=Secret(" ")),
    "a secret of two lines": KEY._replace(secret=Secret(SECRET + "\n")),
    "an origin that is none": KEY._replace(origin=None),  # type: ignore[arg-type]
    "an expiry that is a text": KEY._replace(expires_at="2026-01-01"),  # type: ignore[arg-type]
    "an expiry that is no number": KEY._replace(expires_at=math.nan),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_credentials(wrong: Any) -> None:
    for check, answer in ((results.credential, wrong), (results.profile, WORK._replace(credential=wrong))):
        with pytest.raises((TypeError, ConfigError)) as raised:
            check(answer)
        assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    "wrong",
    [
        *({"name": value} for value in (None, "", 3)),
        *({"address": value} for value in (None, "", b"https://api.acme.example")),
        *({"origin": value} for value in (None, 3)),
        {"ca_cert": 3},
        {"notice": ["a", "b"]},
        {"network": None},
        {"network": {"proxy": "http://proxy.acme.example"}},
    ],
    ids=str,
)
def test_profiles(wrong: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="Profile"):
        results.profile(WORK._replace(**wrong))


def test_what_is_well_formed_is_taken() -> None:
    for credential in (None, KEY, KEY._replace(expires_at=None, origin=""), classify("sim" + "k" * 25)):
        results.credential(credential)
        results.profile(WORK._replace(credential=credential))
    results.profile(None)
