"""Connectors of the embedded and the served platform: rules, secrets, and the API's routes."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from support.stores import Store

from algo_core.errors import AlgoError, ExitCode
from algo_core.storage.contract import Entry, IncompleteListing, Kind
from algo_core.storage.uri import DataUri
from algo_core.testing import Home
from algo_core.testing.platform import Platform, Served
from algo_local.web.handlers.connector_pages import Listings


@pytest.fixture
def home(algo_home: Home) -> Home:
    algo_home.write_config('[profiles.default]\naddress = "local:"\n')
    return algo_home


@pytest.fixture
def served(home: Home) -> Iterator[Served]:
    platform = Platform(home)
    yield platform.serve("tester")
    platform.close()


def connect(home: Home, store: Store, name: str, *flags: str) -> None:
    done = home.run("local", "connector", "add", name, *store.flags, *flags)
    assert done.code == ExitCode.OK, done.stderr


def api(served: Served, method: str, path: str, **options: Any) -> requests.Response:
    headers = {"Authorization": f"Simple {served.key}", **options.pop("headers", {})}
    return requests.request(method, f"{served.address}/v1/{path}", headers=headers, timeout=60, **options)


def put(store: Store, path: str, content: bytes) -> None:
    import io

    store.open().write(store.uri(path), io.BytesIO(content), len(content))


def test_secrets_are_kept_encrypted_and_never_shown(home: Home, s3: Store) -> None:
    connect(home, s3, "s3+test")
    secret = s3.options["secret"]
    assert not any(secret.encode() in path.read_bytes() for path in (home.root / "local").rglob("*") if path.is_file())
    for arguments in (("list",), ("list", "--json"), ("test", "s3+test"), ("remove", "s3+test")):
        done = home.run("local", "connector", *arguments)
        assert done.code == ExitCode.OK, done.stderr
        assert secret not in done.text + done.stderr


def test_options_can_come_from_stdin(home: Home, s3: Store) -> None:
    lines = "\n".join(f"{name}={value}" for name, value in s3.options.items())
    assert home.run("local", "connector", "add", "s3+stdin", "--options-stdin", input=lines).code == ExitCode.OK
    assert home.run("local", "connector", "test", "s3+stdin").code == ExitCode.OK
    wrong = home.run("local", "connector", "add", "s3+other", "--option", "topsecret")
    assert (wrong.code, "topsecret" in wrong.stderr) == (ExitCode.USAGE, False)


def test_only_a_writable_connector_is_written_to(home: Home, s3: Store) -> None:
    connect(home, s3, "s3+ro")
    put(s3, "readable.txt", b"content")
    assert home.run("cat", "s3+ro://bucket/readable.txt").stdout == b"content"
    for command in (
        ("cp", "-", "s3+ro://bucket/new"),
        ("rm", "s3+ro://bucket/readable.txt"),
        ("mkdir", "s3+ro://bucket/d"),
    ):
        done = home.run(*command, input=b"x")
        assert done.code == ExitCode.AUTHENTICATION, (command, done.stderr)
        assert "read-only" in done.stderr
    assert home.run("cat", "s3+ro://bucket/readable.txt").stdout == b"content"


def test_a_restriction_holds_for_reading_writing_and_deleting(home: Home, s3: Store) -> None:
    connect(home, s3, "s3+in", "--path", "bucket/inside/*", "--writable")
    put(s3, "outside.txt", b"outside")
    put(s3, "inside-not.txt", b"outside")
    assert home.run("cp", "-", "s3+in://bucket/inside/file", input=b"x").code == ExitCode.OK
    assert home.run("ls", "s3+in://bucket/inside").text.split() == ["s3+in://bucket/inside/file"]
    for command in (
        ("cat", "s3+in://bucket/outside.txt"),
        ("cat", "s3+in://bucket/inside-not.txt"),
        ("ls", "s3+in://bucket"),
        ("cp", "-", "s3+in://bucket/outside.txt"),
        ("rm", "s3+in://bucket/outside.txt"),
        ("rmdir", "-f", "s3+in://bucket"),
    ):
        done = home.run(*command, input=b"x")
        assert done.code == ExitCode.AUTHENTICATION, (command, done.stderr)
    assert home.run("rmdir", "-f", "s3+in://bucket/inside").code == ExitCode.OK


def test_a_uri_without_a_label_means_the_default_connector(home: Home, s3: Store, seaweed: Store) -> None:
    connect(home, s3, "s3+first")
    connect(home, seaweed, "s3+second", "--writable", "--default")
    name = f"default-{uuid.uuid4().hex}"
    assert home.run("cp", "-", f"s3://bucket/{name}", input=b"x").code == ExitCode.OK
    assert home.run("cat", f"s3+second://bucket/{name}").stdout == b"x"
    assert home.run("cat", f"s3+first://bucket/{name}").code == ExitCode.NOT_FOUND
    assert home.run("local", "connector", "add", "s3+first").code == ExitCode.FAILURE
    assert home.run("local", "connector", "add", "data").code == ExitCode.FAILURE
    missing = home.run("ls", "gs://bucket")
    assert (missing.code, "No connector gs" in missing.stderr) == (ExitCode.NOT_FOUND, True)


def test_connectors_are_made_and_listed_over_the_api(served: Served, s3: Store) -> None:
    credential = {"access_key_id": s3.options["key"], "secret_access_key": s3.options["secret"]}
    body = {
        "username": "tester",
        "label": "api",
        "protocol": "s3",
        "is_default": True,
        "cred_type": "iam",
        "cred_data": json.dumps(credential),
        "path": "bucket/*",
        "writeable": True,
        "options": {"endpoint_url": s3.options["endpoint_url"], "region": "us-east-1"},
    }
    made = api(served, "POST", "users/tester/connectors", json=body)
    assert made.status_code == 200, made.text
    assert made.json() | {"connector_id": 0} == {
        "connector_id": 0,
        "username": "tester",
        "label": "api",
        "protocol": "s3",
        "is_default": True,
        "path": "bucket/*",
        "writeable": True,
        "permissions": ["read", "write"],
    }
    assert api(served, "POST", "users/tester/connectors", json=body).status_code == 409
    listed = api(served, "GET", "users/tester/connectors")
    assert [found["label"] for found in listed.json()["results"]] == ["api"]
    assert s3.options["secret"] not in listed.text + made.text
    assert api(served, "GET", "users/demo/connectors").status_code == 403
    for wrong in (
        {"protocol": "ftp"},
        {"cred_type": "password"},
        {"cred_data": "no JSON"},
        {"label": "a/b"},
        {"label": 1},
    ):
        assert api(served, "POST", "users/tester/connectors", json={**body, "label": "w", **wrong}).status_code == 400


def test_the_data_routes_answer_as_for_hosted_data(served: Served, home: Home, s3: Store) -> None:
    connect(home, s3, "s3+test", "--writable", "--owner", "tester")
    name, content = f"routes-{uuid.uuid4().hex}", os.urandom(9 << 20)
    made = api(served, "POST", "connector/s3+test/bucket", json={"name": name})
    assert made.json() == {"result": f"s3+test://bucket/{name}"}
    where = f"s3+test/bucket/{name}/file with %2B"
    md5 = base64.b64encode(hashlib.md5(content).digest()).decode()
    stored = api(served, "PUT", f"connector/{where}", data=content, headers={"Content-MD5": md5})
    assert stored.status_code == 200, stored.text
    wrong = api(served, "PUT", f"connector/{where}", data=b"other", headers={"Content-MD5": md5})
    assert (wrong.status_code, "MD5" in wrong.json()["error"]["message"]) == (400, True)
    for prefix in ("connector/s3+test/bucket", "data/s3+test://bucket", "data/s3%2Btest:/bucket"):
        assert api(served, "GET", f"{prefix}/{name}/file%20with%20%2B").content == content, prefix
    head = api(served, "HEAD", f"connector/{where}")
    assert (head.headers["X-Data-Type"], head.headers["Content-Length"]) == ("file", str(len(content)))
    part = api(
        served, "GET", f"connector/{where}", headers={"Range": "bytes=8999990-", "If-Range": head.headers["ETag"]}
    )
    assert (part.status_code, part.content) == (206, content[8999990:])
    changed = api(served, "GET", f"connector/{where}", headers={"Range": "bytes=5-", "If-Range": '"other"'})
    assert (changed.status_code, changed.content) == (200, content)
    assert api(served, "GET", f"connector/{where}", headers={"Range": f"bytes={len(content)}-"}).status_code == 416
    listing = api(served, "GET", f"connector/s3+test/bucket/{name}")
    assert listing.headers["X-Data-Type"] == "directory"
    (entry,) = listing.json()["files"]
    assert (entry["filename"], entry["size"], entry["last_modified"][-5:]) == ("file with +", len(content), ".000Z")
    refused = api(served, "DELETE", f"connector/s3+test/bucket/{name}")
    assert (refused.status_code, refused.json()["error"]["deleted"]) == (400, 0)
    assert api(served, "DELETE", f"connector/s3+test/bucket/{name}?force=true").json() == {"result": {"deleted": 1}}
    gone = api(served, "HEAD", f"connector/s3+test/bucket/{name}")
    assert (gone.status_code, gone.headers["X-Error-Message"]) == (404, f"s3+test://bucket/{name} does not exist")


def test_a_long_listing_comes_in_pages_of_which_none_is_lost(served: Served, home: Home, gs: Store, s3: Store) -> None:
    connect(home, s3, "s3+test", "--owner", "tester")
    name, storage = f"pages-{uuid.uuid4().hex}", s3.open()
    names = [f"{number:04}" for number in range(1100)]
    list(storage.pool.map(lambda each: storage.put(s3.uri(f"{name}/{each}"), b"x"), names))  # type: ignore[attr-defined]
    first = api(served, "GET", f"connector/s3+test/bucket/{name}").json()
    marker = first["marker"]
    second = api(served, "GET", f"connector/s3+test/bucket/{name}?marker={marker}").json()
    again = api(served, "GET", f"connector/s3+test/bucket/{name}?marker={marker}").json()
    assert [found["filename"] for found in first["files"] + second["files"]] == names
    assert "marker" not in second
    assert again == second
    assert api(served, "GET", f"connector/s3+test/bucket/{name}?marker=YQ").status_code == 400


def test_an_algorithm_reaches_its_callers_connectors(home: Home, s3: Store, tmp_path: Path) -> None:
    connect(home, s3, "s3+test")
    put(s3, "for-algorithm.txt", b"from the bucket")
    source = tmp_path / "reader" / "src"
    source.mkdir(parents=True)
    (source / "__init__.py").write_text("")
    (source / "Reader.py").write_text(
        "import os, urllib.request\n"
        "def apply(path):\n"
        "    address = os.environ['ALGORITHMIA_API'] + '/v1/data/' + path\n"
        "    key = os.environ['ALGORITHMIA_API_KEY']\n"
        "    request = urllib.request.Request(address, headers={'Authorization': 'Simple ' + key})\n"
        "    return urllib.request.urlopen(request).read().decode()\n"
    )
    (tmp_path / "reader" / "requirements.txt").write_text("")
    published = home.run("local", "publish", tmp_path / "reader", "demo/Reader", "--version", "1.0.0")
    assert published.code == ExitCode.OK, published.stderr
    done = home.run("run", "demo/Reader", "-d", "s3+test://bucket/for-algorithm.txt")
    assert done.text == "from the bucket\n", done.stderr


def test_a_path_behind_a_connector_counts_as_it_is_written_on_every_route(
    served: Served, home: Home, s3: Store
) -> None:
    connect(home, s3, "s3+keys", "--writable", "--owner", "tester")
    top = f"routes-{uuid.uuid4().hex[:12]}"
    for key in ("p/ok", "p//ok", "m/body/", "m/body", "d/../ok"):
        s3.open().put(s3.uri(top)._replace(path=f"bucket/{top}/{key}"), key.encode())  # type: ignore[attr-defined]
    where = f"connector/s3+keys/bucket/{top}"
    ways = {
        f"{where}/p//ok": b"p//ok",
        f"data/s3+keys://bucket/{top}/p//ok": b"p//ok",
        f"data/s3%2Bkeys%3A%2F%2Fbucket%2F{top}%2Fp%2F%2Fok": b"p//ok",
        f"connector/s3%2Bkeys%2Fbucket%2F{top}%2Fp%2F%2Fok": b"p//ok",
        f"{where}/p/ok": b"p/ok",
        f"{where}/m/body/": b"m/body/",
        f"{where}/m/body": b"m/body",
        f"{where}/d%2F../ok": b"d/../ok",
    }
    for path, content in ways.items():
        found = api(served, "GET", path)
        assert (found.status_code, found.content) == (200, content), path
    listed = api(served, "GET", f"{where}/m/body?type=directory").json()
    assert [file["filename"] for file in listed["files"]] == [""]
    assert [folder["name"] for folder in api(served, "GET", f"{where}/p").json()["folders"]] == [""]
    assert api(served, "HEAD", f"{where}/p//ok").headers["X-Data-Path"] == f"bucket/{top}/p//ok"
    assert api(served, "DELETE", f"{where}/p///ok").status_code == 404
    assert api(served, "DELETE", f"{where}/p//ok").json() == {"result": {"deleted": 1}}
    assert api(served, "GET", f"{where}/p/ok").content == b"p/ok"
    assert api(served, "POST", "data/.my", json={"name": "c"}).status_code == 200
    assert api(served, "PUT", "data/.my//c///f", data=b"hosted").status_code == 200
    assert api(served, "GET", "connector/data//.my/c//f").content == b"hosted"


@pytest.mark.parametrize(
    "path", ["inside/../outside", "inside%2F..%2Foutside", "inside%2F%2F..%2Foutside", "inside%2F.%2F../outside"]
)
def test_no_path_leads_out_of_a_restriction(served: Served, home: Home, tmp_path: Path, path: str) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "outside").write_text("secret")
    store = Store("local", {"root": str(tmp_path)}, "")
    connect(home, store, "local", "--path", "inside/*", "--writable", "--owner", "tester")
    for method in ("GET", "HEAD", "PUT", "DELETE"):
        assert api(served, method, f"connector/local/{path}", data=b"x").status_code in {400, 403, 404}
    assert (tmp_path / "outside").read_text() == "secret"


def test_a_listing_that_ends_early_gives_what_it_had_before() -> None:
    class Data:
        def list(self, path: str) -> Iterator[Entry]:
            for number in range(3):
                yield Entry(DataUri("acme", f"{path}/{number}"), Kind.FILE, 1)
            raise IncompleteListing(DataUri("acme", path), {"odd": AlgoError("acme://d/odd cannot be looked at")})

    data: Any = Data()
    first, another = Listings(), Listings()
    for following in (first, another):  # another process knows nothing of what the first has kept open
        entries, marker = first.page(data, "d", None)
        assert [entry.name for entry in entries] == ["0", "1", "2"]
        assert marker
        with pytest.raises(IncompleteListing):
            following.page(data, "d", marker)
