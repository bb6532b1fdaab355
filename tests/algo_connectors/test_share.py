"""`algo share`: links that any program can use, made with the credential of a store that is reached directly."""

from __future__ import annotations

import json
import time
import uuid
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest
from support.stores import Store

from algo_connectors.aws.signature import Keys, Signer
from algo_core.errors import ExitCode
from algo_core.storage.capabilities import SharingStorage
from algo_core.testing import Home

CONTENT = b"what is shared"


def fetched(url: str, content: bytes | None = None, **headers: str) -> bytes:
    """What a program without a credential gets."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with urlopen(Request(url, content, named, method="GET" if content is None else "PUT"), timeout=60) as answer:
        found: bytes = answer.read()
    return found


@pytest.fixture(params=["s3", "s3fs", "seaweed", "azureblob"])
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
    assert (put["method"], put["uri"]) == ("PUT", str(shared.uri(f"{key}2")))
    assert put["expires"] > "2020"
    fetched(put["url"], b"sent to it", **{"Content_Type": "text/plain", **put.get("headers", {})})
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


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (["s3://bucket/nothing"], ExitCode.NOT_FOUND, "There is no s3://bucket/nothing"),
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
