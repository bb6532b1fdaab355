"""Google Cloud Storage over algo's own connections: credentials, tokens, and refusals."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

from algo_connectors.common.opening import open_store
from algo_connectors.google.direct_api import DirectGoogleApi
from algo_connectors.google.gcsfs_api import GcsfsApi
from algo_connectors.gs import GoogleStorage
from algo_core.errors import AuthError, ConfigError, NotFoundError, PermissionDenied, PlatformError
from algo_core.storage.uri import DataUri
from algo_core.testing import FakePlatform, FakeResponse

FILE = DataUri("gs", "bucket/a b/c")
PLACE = "/download/storage/v1/b/bucket/o/a%20b%2Fc"
FOUND = {"X-Goog-Generation": "7", "X-Goog-Stored-Content-Length": "3"}


@pytest.fixture(autouse=True)
def no_credential(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_OAUTH_ACCESS_TOKEN", "STORAGE_EMULATOR_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "gcloud"))


@pytest.fixture
def fake() -> Iterator[FakePlatform]:
    with FakePlatform() as store:
        yield store


def opened(fake: FakePlatform, **options: Any) -> GoogleStorage:
    storage = open_store("gs", {"endpoint_url": fake.address, **options})
    assert isinstance(storage, GoogleStorage)
    assert isinstance(storage.api, DirectGoogleApi)
    return storage


def credentials_of(fake: FakePlatform) -> list[str | None]:
    return [request.credential for request in fake.requests if request.path.startswith("/download")]


@pytest.fixture(scope="module")
def private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture
def robot(fake: FakePlatform, private_key: rsa.RSAPrivateKey) -> dict[str, str]:
    text = private_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {
        "type": "service_account",
        "client_email": "robot@project.example",
        "private_key_id": "k1",
        "private_key": text.decode(),
        "token_uri": f"{fake.address}/token",
        "project_id": "project",
    }


def granted(token: str) -> FakeResponse:
    return FakeResponse.json({"access_token": token, "expires_in": 3600, "token_type": "Bearer"})


def test_a_service_account_signs_for_its_token(
    fake: FakePlatform, robot: dict[str, str], private_key: rsa.RSAPrivateKey
) -> None:
    fake.on("POST", "/token", granted("t1"))
    fake.on("GET", PLACE, FakeResponse(200, b"abc", headers=FOUND))
    storage = opened(fake, token=robot)
    for _ in range(2):
        assert storage.fetch(FILE, 0, 10, None)[1] == b"abc"
    (asked,) = [request for request in fake.requests if request.path == "/token"]  # once for both
    form = parse_qs(asked.body.decode())
    assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    text, _, signature = form["assertion"][0].rpartition(".")
    private_key.public_key().verify(
        base64.urlsafe_b64decode(signature + "=="), text.encode(), PKCS1v15(), hashes.SHA256()
    )
    head, claim = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in text.split("."))
    assert head == {"alg": "RS256", "typ": "JWT", "kid": "k1"}
    assert (claim["iss"], claim["aud"]) == ("robot@project.example", robot["token_uri"])
    assert claim["exp"] - claim["iat"] == 3600
    assert credentials_of(fake) == ["Bearer t1", "Bearer t1"]


def test_a_token_that_is_refused_is_renewed_once(fake: FakePlatform, robot: dict[str, str]) -> None:
    fake.on("POST", "/token", granted("t1"), granted("t2"))
    fake.on("GET", PLACE, FakeResponse(401), FakeResponse(200, b"abc", headers=FOUND), FakeResponse(401))
    storage = opened(fake, token=robot)
    assert storage.fetch(FILE, 0, 10, None)[1] == b"abc"
    assert credentials_of(fake) == ["Bearer t1", "Bearer t2"]
    with pytest.raises(AuthError):
        storage.read_small(FILE, 10)
    assert len(credentials_of(fake)) == 4


@pytest.mark.parametrize("where", ["option", "GOOGLE_APPLICATION_CREDENTIALS", "gcloud"])
def test_the_credential_of_a_person_in_a_file_of_the_google_tools(
    fake: FakePlatform, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "gcloud" / "application_default_credentials.json"
    path.parent.mkdir()
    person = {"type": "authorized_user", "client_id": "i", "client_secret": "s", "refresh_token": "r"}
    path.write_text(json.dumps({**person, "token_uri": f"{fake.address}/token"}))
    if where == "GOOGLE_APPLICATION_CREDENTIALS":
        path = path.rename(tmp_path / "other.json")
        monkeypatch.setenv(where, str(path))
    fake.on("POST", "/token", granted("t1"))
    fake.on("GET", PLACE, FakeResponse(200, b"abc", headers=FOUND))
    opened(fake, **({"token": str(path)} if where == "option" else {})).fetch(FILE, 0, 10, None)
    (asked,) = [request for request in fake.requests if request.path == "/token"]
    assert parse_qs(asked.body.decode()) == {
        "grant_type": ["refresh_token"],
        "client_id": ["i"],
        "client_secret": ["s"],
        "refresh_token": ["r"],
    }
    assert credentials_of(fake) == ["Bearer t1"]


def test_a_token_at_hand(fake: FakePlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.on("GET", PLACE, FakeResponse(200, b"abc", headers=FOUND))
    opened(fake, access_token="given").fetch(FILE, 0, 10, None)
    monkeypatch.setenv("GOOGLE_OAUTH_ACCESS_TOKEN", "of the environment")
    opened(fake).fetch(FILE, 0, 10, None)
    opened(fake, anon=True).fetch(FILE, 0, 10, None)
    assert credentials_of(fake) == ["Bearer given", "Bearer of the environment", None]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"access_token": "t", "endpoint_url": "http://store.example"}, "unencrypted"),
        ({"access_token": "t", "endpoint_url": "ftp://store.example"}, "no usable endpoint_url"),
        ({"access_token": "t", "client": "boto"}, "client must be one of direct, gcsfs"),
        ({"access_token": "t", "client": "direct", "requester_pays": True}, "needs gcsfs"),
        ({"token": {"type": "service_account", "client_email": "e"}}, "no private_key"),
        ({"email": "e", "private_key_id": "i"}, "no private_key"),
        ({"token": {"type": "authorized_user", "client_id": "e"}}, "no client_secret"),
        (
            {
                "token": {
                    "type": "service_account",
                    "client_email": "e",
                    "private_key": "p",
                    "token_uri": "http://thief.example/token",
                }
            },
            "no usable token_uri",
        ),
    ],
)
def test_options_that_cannot_be_used(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        open_store("gs", options)
    assert message in error.value.message


def test_a_key_that_is_none(fake: FakePlatform, robot: dict[str, str]) -> None:
    storage = opened(fake, token={**robot, "private_key": "nonsense"})
    with pytest.raises(ConfigError, match="no RSA key"):
        storage.read_small(FILE, 10)
    assert fake.requests == []


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (FakeResponse(400, b'{"error": "invalid_grant", "error_description": "Bad key"}'), AuthError, "Bad key"),
        (FakeResponse(400, b"<html>"), AuthError, "status 400"),
        (FakeResponse(200, b"{}"), PlatformError, "did not return a token"),
        (FakeResponse(200, b"[]"), PlatformError, "did not return a token"),
    ],
)
def test_no_token_is_granted(
    fake: FakePlatform, robot: dict[str, str], answer: FakeResponse, error: type[Exception], message: str
) -> None:
    fake.on("POST", "/token", answer)
    with pytest.raises(error, match=message):
        opened(fake, token=robot).read_small(FILE, 10)


def test_what_needs_gcsfs() -> None:
    for options in ({"anon": True, "client": "gcsfs"}, {"anon": True, "requester_pays": True}):
        storage = open_store("gs", options)
        assert isinstance(storage, GoogleStorage)
        assert isinstance(storage.api, GcsfsApi)


def test_refusals_have_the_message_of_the_store(fake: FakePlatform) -> None:
    body = json.dumps({"error": {"message": "robot may not", "errors": [{"reason": "forbidden"}]}}).encode()
    fake.on("GET", PLACE, FakeResponse(403, body), FakeResponse(404), FakeResponse(403, b"<html>"))
    fake.on("GET", "/storage/v1/b/bucket/o", FakeResponse.json({}))
    storage = opened(fake, anon=True)
    with pytest.raises(PermissionDenied, match="robot may not"):
        storage.read_small(FILE, 10)
    with pytest.raises(NotFoundError):
        storage.read_small(FILE, 10)
    with pytest.raises(PermissionDenied):
        storage.read_small(FILE, 10)


def test_an_object_is_sent_again_unless_a_condition_says_that_there_is_none(
    fake: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("algo_core.http.retry.pause_after", lambda failures: 0.0)
    stored = FakeResponse.json({"name": "a b/c", "size": "3", "generation": "7"})
    fake.on("POST", "/upload/storage/v1/b/bucket/o", FakeResponse(503), stored)
    assert opened(fake, anon=True).write_small(FILE, b"abc").version == "7"
    assert [request.method for request in fake.requests] == ["POST", "POST"]
    assert b'"md5Hash": "kAFQmDzST7DWlj99KOF/cg=="' in fake.requests[0].body


def test_a_token_is_not_sent_to_the_address_of_an_upload_elsewhere(fake: FakePlatform) -> None:
    with FakePlatform() as other:
        other.on("PUT", "/session", FakeResponse.json({"name": "a b/c", "size": "3", "generation": "7"}))
        headers = {"Location": f"{other.address}/session"}
        fake.on("POST", "/upload/storage/v1/b/bucket/o", FakeResponse(200, headers=headers))
        upload = opened(fake, access_token="secret").begin(FILE, 3)
        upload.part(0, 0, b"abc")
        assert upload.finish(3).version == "7"
        assert fake.requests[0].credential == "Bearer secret"
        assert [request.credential for request in other.requests] == [None]
