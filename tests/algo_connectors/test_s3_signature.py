"""Signatures of S3 requests: AWS's published examples, and whatever botocore signs."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st
from support.chance import generated

from algo_connectors.aws.signature import LONGEST, NO_CONTENT, Keys, Signer, encoded_path, encoded_query

PUBLISHED = Keys("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
"""The credential of the examples in AWS's documentation of Signature Version 4 for S3."""
HOST = "examplebucket.s3.amazonaws.com"
MOMENT = 1369353600.0  # 2013-05-24T00:00:00Z


@pytest.mark.parametrize(
    ("method", "key", "query", "digest", "more", "signature"),
    [
        (
            *("GET", "test.txt", [], NO_CONTENT, {"range": "bytes=0-9"}),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        (
            *("PUT", "test$file.text", [], "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"),
            {"date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"},
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ),
        (
            *("GET", "", [("lifecycle", "")], NO_CONTENT, {}),
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        ),
        (
            *("GET", "", [("max-keys", "2"), ("prefix", "J")], NO_CONTENT, {}),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ],
)
def test_the_published_examples(
    method: str, key: str, query: list[tuple[str, str]], digest: str, more: dict[str, str], signature: str
) -> None:
    signer = Signer(PUBLISHED, "us-east-1")
    headers = signer.headers(
        method, HOST, encoded_path(key), encoded_query(query), digest=digest, more=more, moment=MOMENT
    )
    assert headers["authorization"].endswith(f"Signature={signature}")
    assert f"Credential={PUBLISHED.access}/20130524/us-east-1/s3/aws4_request" in headers["authorization"]


def test_the_published_example_of_a_link() -> None:
    query = Signer(PUBLISHED, "us-east-1").query("GET", HOST, "/test.txt", seconds=86_400, moment=MOMENT)
    assert query.endswith("&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404")
    assert "X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request" in query


text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
header_values = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=20)


@generated(300)
@given(
    key=text,
    query=st.lists(st.tuples(st.text("abc-xyz", min_size=1), text), max_size=4, unique_by=lambda pair: pair[0]),
    meta=st.dictionaries(st.text("abcdef", min_size=1, max_size=5), header_values, max_size=3),
    token=st.none() | header_values,
    secret=header_values,
)
def test_whatever_botocore_signs(
    key: str, query: list[tuple[str, str]], meta: dict[str, str], token: str | None, secret: str
) -> None:
    keys = Keys("AKIAEXAMPLE", secret, token)
    path, canonical = encoded_path("bucket", key), encoded_query(query)
    more = {f"x-amz-meta-{name}": value for name, value in meta.items()}
    ours = Signer(keys, "eu-west-1").headers("PUT", "127.0.0.1:9000", path, canonical, digest=NO_CONTENT, more=more)

    url = f"http://127.0.0.1:9000{path}" + (f"?{canonical}" if canonical else "")
    request = AWSRequest("PUT", url, {**more, "X-Amz-Content-SHA256": NO_CONTENT}, b"")
    request.context["timestamp"] = ours["x-amz-date"]
    theirs = S3SigV4Auth(Credentials(keys.access, secret, token), "s3", "eu-west-1")
    if token:
        request.headers["X-Amz-Security-Token"] = token
    expected = theirs.signature(theirs.string_to_sign(request, theirs.canonical_request(with_date(request))), request)
    assert ours["authorization"].endswith(f"Signature={expected}")
    assert dict(parse_qsl(urlsplit(url).query, keep_blank_values=True)) == dict(query)


@generated(200)
@given(
    key=text,
    method=st.sampled_from(["GET", "PUT"]),
    token=st.none() | header_values,
    secret=header_values,
    seconds=st.integers(1, LONGEST),
)
def test_whatever_link_botocore_signs(key: str, method: str, token: str | None, secret: str, seconds: int) -> None:
    path = encoded_path("bucket", key)
    signer = Signer(Keys("AKIAEXAMPLE", secret, token), "eu-west-1")
    ours = signer.query(method, "127.0.0.1:9000", path, seconds=seconds, moment=MOMENT)

    request = AWSRequest(method, f"http://127.0.0.1:9000{path}")
    request.context["timestamp"] = "20130524T000000Z"
    theirs = S3SigV4QueryAuth(Credentials("AKIAEXAMPLE", secret, token), "s3", "eu-west-1", expires=seconds)
    theirs._modify_request_before_signing(request)
    canonical = theirs.canonical_request(request)
    expected = theirs.signature(theirs.string_to_sign(request, canonical), request)
    given = dict(parse_qsl(ours, strict_parsing=True))
    assert given.pop("X-Amz-Signature") == expected
    assert given == dict(parse_qsl(urlsplit(request.url).query))


def with_date(request: AWSRequest) -> AWSRequest:
    request.headers["X-Amz-Date"] = request.context["timestamp"]
    return request


def test_another_day_has_another_key() -> None:
    signer = Signer(PUBLISHED, "us-east-1")
    days = [MOMENT, MOMENT + 86_400, MOMENT]
    made = [signer.headers("GET", HOST, "/", "", digest=NO_CONTENT, moment=day)["authorization"] for day in days]
    assert made[0] == made[2] != made[1]
    assert made[1] == Signer(PUBLISHED, "us-east-1").headers(
        "GET", HOST, "/", "", digest=NO_CONTENT, moment=days[1]
    )["authorization"]  # fmt: skip
