"""Signatures of requests to Azure Blob Storage, and of links: whatever the Azure SDK signs."""

from __future__ import annotations

import base64
import time
from datetime import datetime, timezone
from email.utils import formatdate
from types import SimpleNamespace
from unittest import mock
from urllib.parse import parse_qs, quote

import pytest
from azure.storage.blob import BlobSasPermissions, generate_blob_sas
from azure.storage.blob._shared.authentication import SharedKeyCredentialPolicy
from azure.storage.blob._shared.constants import X_MS_VERSION
from hypothesis import given
from hypothesis import strategies as st
from support.chance import generated

from algo_connectors.azure import shared_key
from algo_connectors.azure.shared_key import VERSION, SharedKey

KEY = base64.b64encode(bytes(range(64))).decode()
MOMENT = 1369353600.0  # 2013-05-24T00:00:00Z

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
header_values = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=20)
standard = st.dictionaries(
    st.sampled_from(["content-md5", "content-type", "if-match", "if-none-match"]), header_values, max_size=4
)


@generated(300)
@given(
    method=st.sampled_from(["GET", "HEAD", "PUT", "DELETE"]),
    name=text,
    query=st.dictionaries(st.sampled_from(["blockid", "comp", "marker", "prefix", "restype"]), text, max_size=5),
    headers=standard,
    meta=st.dictionaries(st.text("abcdef", min_size=1, max_size=5), header_values, max_size=3),
    length=st.none() | st.integers(0, 1 << 30),
)
def test_requests_are_signed_as_by_the_sdk(
    method: str, name: str, query: dict[str, str], headers: dict[str, str], meta: dict[str, str], length: int | None
) -> None:
    path = "/devstoreaccount1/box/" + quote(name, safe="/~")
    given_ = {**headers, **{f"x-ms-meta-{key}": value for key, value in meta.items()}}
    ours = SharedKey("devstoreaccount1", KEY).headers(
        method, path, list(query.items()), given_, length=length, moment=MOMENT
    )
    sent = {**given_, "x-ms-date": formatdate(MOMENT, usegmt=True), "x-ms-version": VERSION}
    if length is not None:
        sent["Content-Length"] = str(length)
    request = SimpleNamespace(
        http_request=SimpleNamespace(
            method=method,
            url=f"http://127.0.0.1:10000{path}",
            headers=dict(sent),
            query={key: quote(value, safe="") for key, value in query.items()},
        ),
        context=SimpleNamespace(transport=None),
    )
    SharedKeyCredentialPolicy("devstoreaccount1", KEY).on_request(request)
    assert ours["authorization"] == request.http_request.headers["Authorization"]
    assert {name: ours[name] for name in given_} == given_


@generated(200)
@given(name=text.filter(lambda name: name.strip("/") != ""), writes=st.booleans(), seconds=st.integers(1, 10_000_000))
def test_links_are_signed_as_by_the_sdk(name: str, writes: bool, seconds: int) -> None:
    permissions = BlobSasPermissions(read=not writes, write=writes, create=writes)
    with mock.patch.object(shared_key, "VERSION", X_MS_VERSION):
        ours = SharedKey("account", KEY).query("box", name, str(permissions), seconds, MOMENT)
    theirs = generate_blob_sas(
        "account",
        "box",
        name,
        account_key=KEY,
        permission=permissions,
        expiry=datetime.fromtimestamp(MOMENT + seconds, timezone.utc),
    )
    assert parse_qs(ours) == parse_qs(theirs)


def test_a_signature_holds_from_now_on() -> None:
    found = parse_qs(SharedKey("account", KEY).query("box", "a", "r", 60))["se"][0]
    end = datetime.strptime(found, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc).timestamp()
    assert time.time() + 50 < end < time.time() + 70


@pytest.mark.parametrize("key", ["no base64", "YWJj*", "ä"])
def test_a_key_that_is_none(key: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        SharedKey("account", key)
