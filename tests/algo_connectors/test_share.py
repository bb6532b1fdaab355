"""`algo share`: links that any program can use, made with the credential of a store that is reached directly."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import parse_qsl, unquote, urlsplit
from urllib.request import Request, urlopen

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from support.stores import Store

from algo_connectors.aws.signature import Keys, Signer
from algo_core.errors import ExitCode
from algo_core.storage.capabilities import SharingStorage
from algo_core.testing import FakePlatform, FakeResponse, Home

CONTENT = b"what is shared"
ACCOUNT = "share@project.iam.gserviceaccount.com"


def fetched(url: str, content: bytes | None = None, method: str = "PUT", **headers: str) -> bytes:
    """What a program without a credential gets."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with urlopen(Request(url, content, named, method="GET" if content is None else method), timeout=60) as answer:
        found: bytes = answer.read()
    return found


@pytest.fixture(scope="session")
def signing_gs(gs: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Google Cloud Storage with the key of a service account, and a server that gives it tokens."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    encoding = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    with FakePlatform() as tokens:
        answer = FakeResponse.json({"access_token": "token", "expires_in": 3600})
        tokens.serve("POST", "/token", lambda request: answer)
        account = {"type": "service_account", "client_email": ACCOUNT, "private_key_id": "1"}
        account |= {"private_key": key.private_bytes(*encoding).decode(), "token_uri": f"{tokens.address}/token"}
        path = tmp_path_factory.mktemp("account") / "key.json"
        path.write_text(json.dumps(account))
        options = {"endpoint_url": gs.options["endpoint_url"], "project": "project", "token": str(path)}
        yield Store("gs", options, "bucket")


@pytest.fixture(params=["s3", "s3fs", "seaweed", "azureblob", "signing_gs", "dropbox"])
def shared(request: pytest.FixtureRequest) -> Store:
    """A store that makes links."""
    found: Store = request.getfixturevalue(request.param)
    return found


def test_anybody_can_use_a_link(algo_home: Home, shared: Store) -> None:
    algo_home.write_config(shared.toml)
    storage, key = shared.open(), f"share-{uuid.uuid4().hex}/ä b+%#"
    storage.write_small(shared.uri(key), CONTENT)
    link = algo_home.run("share", str(shared.uri(key)), "--expires", "10m").text.strip()
    assert fetched(link) == CONTENT

    put = json.loads(algo_home.run("share", "--put", "--json", str(shared.uri(f"{key}2"))).text)
    method = "POST" if shared.scheme == "dropbox" else "PUT"
    assert (put["method"], put["uri"]) == (method, str(shared.uri(f"{key}2")))
    assert put["expires"] > "2020"
    fetched(put["url"], b"sent to it", method, **{"Content-Type": "text/plain", **put.get("headers", {})})
    found = storage.read_small(shared.uri(f"{key}2"), 100)
    assert found
    assert found[1] == b"sent to it"


def test_a_link_is_for_one_file_and_for_some_time(seaweed: Store) -> None:
    """SeaweedFS checks what moto does not."""
    storage, uri = seaweed.open(), seaweed.uri(f"share-{uuid.uuid4().hex}")
    assert isinstance(storage, SharingStorage)
    storage.write_small(uri, CONTENT)
    storage.write_small(uri._replace(path=f"{uri.path}2"), b"another")
    link = storage.link(uri, 60).url
    assert fetched(link) == CONTENT
    address = urlsplit(link)
    signer = Signer(Keys(seaweed.options["key"], seaweed.options["secret"]), seaweed.options["region"])
    query = signer.query("GET", address.netloc, address.path, seconds=60, moment=time.time() - 3600)
    old = address._replace(query=query).geturl()
    for refused in (link.replace("?", "2?"), link.replace("X-Amz-Expires=60", "X-Amz-Expires=9999"), old):
        with pytest.raises(HTTPError, match="403"):
            fetched(refused)
    with pytest.raises(HTTPError, match="403"):
        fetched(link, b"a link for reading")


@pytest.mark.parametrize("key", ["plain", "ä b+%#/?&=~.txt", "a//b", "100%25"])
@pytest.mark.parametrize(("writes", "client"), [(False, "direct"), (True, "direct"), (False, "gcsfs")])
def test_a_link_of_google_is_signed_with_the_account_s_key(
    signing_gs: Store, key: str, writes: bool, client: str
) -> None:
    """The signature is over the request that the address itself describes."""
    storage, uri = signing_gs.open(client=client), signing_gs.uri(key)
    assert isinstance(storage, SharingStorage)
    storage.write_small(uri, CONTENT)
    link = storage.link(uri, 90, writes=writes)
    address = urlsplit(link.url)
    query, _, signature = address.query.rpartition("&X-Goog-Signature=")
    members = dict(parse_qsl(query))
    day = members["X-Goog-Date"][:8]
    assert members["X-Goog-Expires"] == "90"
    assert members["X-Goog-Credential"] == f"{ACCOUNT}/{day}/auto/storage/goog4_request"
    assert unquote(address.path) == f"/bucket/{key}"
    request = f"{link.method}\n{address.path}\n{query}\nhost:{address.netloc}\n\nhost\nUNSIGNED-PAYLOAD"
    digest = hashlib.sha256(request.encode()).hexdigest()
    text = f"GOOG4-RSA-SHA256\n{members['X-Goog-Date']}\n{day}/auto/storage/goog4_request\n{digest}"
    account = json.loads(Path(signing_gs.options["token"]).read_text())
    public = serialization.load_pem_private_key(account["private_key"].encode(), None).public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    public.verify(bytes.fromhex(signature), text.encode(), padding.PKCS1v15(), hashes.SHA256())


@pytest.mark.parametrize(
    ("arguments", "seconds"), [(["--expires", "1h"], 14_400), (["--put", "--expires", "30s"], 60), (["--put"], 3600)]
)
def test_a_link_of_dropbox_says_how_long_it_is_valid(
    algo_home: Home, dropbox: Store, arguments: list[str], seconds: int
) -> None:
    algo_home.write_config(dropbox.toml)
    uri = dropbox.uri(f"share-{uuid.uuid4().hex}")
    dropbox.open().write_small(uri, CONTENT)
    done = algo_home.run("share", "--json", str(uri), *arguments)
    until = datetime.fromisoformat(json.loads(done.text)["expires"].replace("Z", "+00:00"))
    left = (until - datetime.now(timezone.utc)).total_seconds()
    assert seconds - 60 < left <= seconds
    assert ("has no other duration" in done.stderr) is (seconds != 3600)


def test_links_of_stores_that_cannot_be_made(algo_home: Home, gs: Store, dropbox: Store) -> None:
    algo_home.write_config(gs.toml + dropbox.toml)
    for arguments, exit_code, message in (
        (["gs://bucket/x"], ExitCode.FAILURE, "the key of a service account"),
        (["gs://bucket/x", "--expires", "8d"], ExitCode.USAGE, "--expires 7d"),
        (["dropbox://x", "--expires", "5h"], ExitCode.USAGE, "--expires 4h"),
        (["dropbox://nothing"], ExitCode.NOT_FOUND, "dropbox://nothing does not exist"),
        (["dropbox://"], ExitCode.FAILURE, "is a directory"),
        (["dropbox://", "--put"], ExitCode.FAILURE, "is a directory"),
    ):
        done = algo_home.run("share", *arguments)
        assert (done.code, done.stdout) == (exit_code, b"")
        assert message in done.stderr


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (["s3://bucket/nothing"], ExitCode.NOT_FOUND, "s3://bucket/nothing does not exist"),
        (["s3://no-such-bucket/nothing"], ExitCode.NOT_FOUND, "no such bucket"),
        (["s3://bucket/"], ExitCode.FAILURE, "is a directory"),
        (["s3://bucket/x", "--expires", "8d"], ExitCode.USAGE, "--expires 7d"),
        (["s3://bucket/x", "--expires", "soon"], ExitCode.USAGE, "write 90s"),
        (["s3://bucket/x", "--expires", "0h"], ExitCode.USAGE, "write 90s"),
        (["data://.my/c/x"], ExitCode.FAILURE, "algo acl set public data://.my/c"),
        (["gs://bucket/x"], ExitCode.FAILURE, "connectors.gs.direct true"),
        (["./x"], ExitCode.FAILURE, "no links to files"),
    ],
)
def test_links_that_cannot_be_made(
    algo_home: Home, s3: Store, arguments: list[str], exit_code: ExitCode, message: str
) -> None:
    algo_home.write_config(s3.toml)
    done = algo_home.run("share", *arguments)
    assert (done.code, done.stdout) == (exit_code, b"")
    assert message in done.stderr
