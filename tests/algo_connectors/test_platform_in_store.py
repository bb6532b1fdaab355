"""A whole platform whose hosted data is in an object store: over its API, by several processes, with a failing store."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
import textwrap
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import urllib3
from support.embedded import embedded_session
from support.relay import Relay
from support.stores import Store

from algo_core.errors import ConfigError, ExitCode
from algo_core.storage.contract import Storage
from algo_core.storage.uri import DataUri
from algo_core.testing import Home
from algo_local.backups.tables import DERIVED, KEYS
from algo_local.data import hosted
from algo_local.data.opening import EXTRA, open_store
from algo_local.maintenance import delete_everything
from algo_local.opening import open_platform
from algo_local.platform import Platform
from algo_local.serving.http.listener import listen
from algo_local.serving.http.server import Server
from algo_local.state import State
from algo_local.web.app import Application

CONTENT = os.urandom(300_000)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("HOME", "ALGO_CONFIG_DIR", "ALGO_CACHE_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.setenv("LOGNAME", "jane")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
    return tmp_path / "platform"


@pytest.fixture
def relay(s3: Store) -> Iterator[Relay]:
    relay = Relay(urlsplit(s3.options["endpoint_url"]).port or 0)
    yield relay
    relay.stop()


@pytest.fixture
def url(relay: Relay) -> str:
    return f"s3://bucket/{uuid.uuid4().hex}?endpoint_url=http://127.0.0.1:{relay.port}&region=us-east-1"


Call = Callable[..., requests.Response]


@pytest.fixture
def calls(root: Path, url: str) -> Iterator[Callable[[], tuple[Platform, Call]]]:
    """Opens the platform anew, as another process would; a function that sends requests to `/v1/data/PATH`."""
    opened: list[tuple[Platform, Any]] = []
    failures: list[str] = []

    def call() -> tuple[Platform, Call]:
        platform = open_platform(State(root, objects=url))
        session = embedded_session(Application(platform, trusted=True, on_failure=failures.append))
        opened.append((platform, session))
        return platform, lambda method, path="", kind="data", **options: session.request(
            method, f"local:/v1/{kind}/{path}", **options
        )

    yield call
    for platform, session in opened:
        session.close()
        platform.close()
    assert failures == []


def make(call: Call, name: str = "c") -> None:
    assert call("POST", ".my", json={"name": name}).status_code == 200


def test_the_routes_of_hosted_data(
    calls: Callable[[], tuple[Platform, Call]], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform, call = calls()
    make(call)
    assert call("POST", ".my", json={"name": "c"}).status_code == 409
    for name, content in (("small", b"0123456789"), ("large", CONTENT), ("ü %2F.txt", b""), ("..", b"dots")):
        path = f".my/c/{requests.utils.quote(name, safe='')}"
        if name == "..":
            assert call("PUT", path, data=content).status_code == 400
            continue
        md5 = hashlib.md5(content).hexdigest()
        put = call("PUT", path, data=content, headers={"Content-MD5": "x" * 5} if name == "bad" else {})
        assert (put.status_code, put.headers["ETag"]) == (200, md5)
        got = call("GET", path)
        assert (got.content, got.headers["ETag"], got.headers["Content-Length"]) == (content, md5, str(len(content)))
        head = call("HEAD", path)
        assert (head.status_code, head.headers["ETag"], head.headers["Content-Length"]) == (200, md5, str(len(content)))
        assert head.headers["Last-Modified"] == got.headers["Last-Modified"]
    for name, content in (("small", b"0123456789"), ("large", CONTENT)):
        for asked, start, stop in (("3-6", 3, 7), ("-4", len(content) - 4, len(content)), ("0-", 0, len(content))):
            part = call("GET", f".my/c/{name}", headers={"Range": f"bytes={asked}"})
            assert (part.status_code, part.content) == (206, content[start:stop])
        assert call("GET", f".my/c/{name}", headers={"Range": f"bytes={len(content)}-"}).status_code == 416
    listed = call("GET", ".my/c").json()
    assert sorted((file["filename"], file["size"]) for file in listed["files"]) == [
        ("large", 300_000),
        ("small", 10),
        ("ü %2F.txt", 0),
    ]
    refused = call("DELETE", ".my/c")
    assert (refused.status_code, refused.json()["error"]["deleted"]) == (400, 0)
    assert "not empty (3 files)" in refused.json()["error"]["message"]
    monkeypatch.setattr(hosted, "PAGE_SIZE", 2)
    assert "not empty (over 2 files)" in call("DELETE", ".my/c").json()["error"]["message"]
    assert call("DELETE", ".my/c/small").status_code == 200
    assert call("DELETE", ".my/c/small").status_code == 404
    assert call("GET", ".my/c/small").status_code == 404
    assert call("DELETE", ".my/c?force=true").json() == {"result": {"deleted": 2}}
    assert call("GET", ".my/c").status_code == 404
    assert call("PUT", ".my/c/f", data=b"x").status_code == 404
    assert not [path for path in (root / "data").rglob("*") if path.is_file()]
    assert list(platform.objects.leftovers()) == []


def test_front_ends_share_files_and_a_new_collection_is_empty(calls: Callable[[], tuple[Platform, Call]]) -> None:
    (_, one), (_, other) = calls(), calls()
    make(one)
    assert one("PUT", ".my/c/f", data=CONTENT).status_code == 200
    assert other("GET", ".my/c/f").content == CONTENT
    assert other("PUT", ".my/c/f", data=b"new").status_code == 200
    assert one("GET", ".my/c/f").content == b"new"
    assert other("DELETE", ".my/c?force=true").status_code == 200
    make(one)
    assert one("GET", ".my/c").json()["files"] == []
    assert one("GET", ".my/c/f").status_code == 404
    assert one("DELETE", ".my/c").json() == {"result": {"deleted": 0}}
    assert other("GET", ".my/c").status_code == 404


def test_pages_go_on_at_another_front_end(
    calls: Callable[[], tuple[Platform, Call]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosted, "PAGE_SIZE", 4)
    opened = [calls()[1], calls()[1]]
    make(opened[0])
    for number in range(10):
        opened[0]("PUT", f".my/c/f{number}", data=b"x")
    found, marker = [], ""
    for turn in range(3):
        page = opened[turn % 2]("GET", f".my/c{marker}").json()
        found += [file["filename"] for file in page["files"]]
        marker = f"?marker={page['marker']}" if "marker" in page else ""
    assert (found, marker) == ([f"f{number}" for number in range(10)], "")


def test_a_type_that_came_with_the_same_content_before_is_forgotten(
    calls: Callable[[], tuple[Platform, Call]],
) -> None:
    _, call = calls()
    make(call)
    for given, told in (("image/x-odd", "image/x-odd"), ("", "text/plain"), ("image/x-odd", "image/x-odd")):
        call("PUT", ".my/c/f.txt", data=b"same", headers={"Content-Type": given} if given else {})
        assert call("GET", ".my/c/f.txt").headers["Content-Type"] == told


@pytest.mark.parametrize("force", [True, False])
def test_a_file_that_comes_while_its_collection_is_deleted(
    calls: Callable[[], tuple[Platform, Call]], monkeypatch: pytest.MonkeyPatch, force: bool
) -> None:
    """It is refused, or it stays: what was acknowledged is never lost to a deletion that found no files."""
    (platform, one), (_, other) = calls(), calls()
    make(one)
    place = platform.objects.place

    def late(*given: Any, **options: Any) -> Any:
        assert other("DELETE", f".my/c?force={force}").status_code == 200
        return place(*given, **options)

    monkeypatch.setattr(platform.objects, "place", late)
    assert one("PUT", ".my/c/f", data=b"x").status_code == 404
    monkeypatch.undo()
    make(one)
    assert one("GET", ".my/c").json()["files"] == []
    remove_empty = platform.objects.remove_empty

    def found_empty(directory: str) -> bool:
        is_empty = remove_empty(directory)
        assert other("PUT", ".my/c/f", data=b"x").status_code == 200
        return is_empty

    monkeypatch.setattr(platform.objects, "remove_empty", found_empty)
    assert one("DELETE", ".my/c").status_code == 400
    assert other("GET", ".my/c/f").content == b"x"


def test_sessions_and_spaces_of_algorithms(
    calls: Callable[[], tuple[Platform, Call]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALGO_LOCAL_SANDBOX", "off")
    platform, call = calls()
    code = """
        import json, os, urllib.request

        def send(method, path, data=None):
            request = urllib.request.Request(
                os.environ["ALGORITHMIA_API"] + "/v1/data/" + path, data, method=method,
                headers={"Authorization": "Simple " + os.environ["ALGORITHMIA_API_KEY"]},
            )
            return urllib.request.urlopen(request).read().decode()

        def apply(input):
            for root in (".session", ".algo/temp", ".algo/perm"):
                send("PUT", root + "/f", input.encode())
            return [send("GET", root + "/f") for root in (".session", ".algo/temp", ".algo/perm")]
    """
    directory = tmp_path / "algorithm"
    (directory / "src").mkdir(parents=True)
    (directory / "src" / "Keep.py").write_text(textwrap.dedent(code))
    (directory / "src" / "__init__.py").touch()
    platform.publish(directory, "jane", "Keep", "1.0.0")
    done = call("POST", "jane/Keep", "algo", json="kept").json()
    assert done.get("result") == ["kept"] * 3, done
    spaces = [(space.kind, space.user) for space in platform.objects.algorithm_spaces()]
    assert sorted(spaces) == [("perm", "jane"), ("temp", "jane")]
    assert not platform.objects.exists("sessions")
    assert call("GET", ".algo/jane/Keep/perm/f").content == b"kept"
    from algo_local import removal

    assert removal.data_sizes(platform) == [("jane/Keep", 4, 4)]
    algorithm = platform.registry.algorithm("jane", "Keep")
    assert algorithm
    assert removal.remove_data(platform, algorithm) == 8
    assert list(platform.objects.algorithm_spaces()) == []


def test_a_store_that_goes_away_is_503_for_a_while(
    calls: Callable[[], tuple[Platform, Call]], relay: Relay, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("algo_core.http.retry.FIRST_SECONDS", 0.001)
    _, call = calls()
    make(call)
    assert call("PUT", ".my/c/f", data=CONTENT).status_code == 200
    relay.stop()
    for answer in (
        call("PUT", ".my/c/f", data=b"new"),
        call("GET", ".my/c/f"),
        call("GET", ".my/c"),
        call("DELETE", ".my/c/f"),
        call("DELETE", ".my/c"),
        call("DELETE", ".my/c?force=true"),
    ):
        assert (answer.status_code, answer.headers.get("Retry-After")) == (503, "1"), answer.text
        assert "The object store s3://bucket/" in answer.json()["error"]["message"]
        assert not any(secret in answer.text for secret in ("AKIAEXAMPLE", "wJalrXUtnFEMI"))
    assert call("HEAD", ".my/c/f").status_code == 503
    relay.start()
    assert call("GET", ".my/c/f").content == CONTENT
    large = os.urandom(9 << 20)
    relay.after = 1 << 20
    assert call("PUT", ".my/c/f", data=large).status_code == 503
    relay.start()
    assert call("GET", ".my/c/f").content == CONTENT
    assert call("PUT", ".my/c/f", data=large).status_code == 200
    assert call("GET", ".my/c/f").content == large
    assert list((root / "incoming").iterdir()) == []


def test_a_new_process_finds_the_store_again_after_its_first_request_failed(
    calls: Callable[[], tuple[Platform, Call]], relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("algo_core.http.retry.FIRST_SECONDS", 0.001)
    make(calls()[1])
    _, call = calls()
    relay.stop()
    assert call("PUT", ".my/c/f", data=b"x").status_code == 503
    relay.start()
    assert call("PUT", ".my/c/f", data=b"x").status_code == 200


def test_a_download_that_breaks_off_is_seen_to_be_incomplete(
    calls: Callable[[], tuple[Platform, Call]], relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("algo_core.http.retry.FIRST_SECONDS", 0.001)
    platform, call = calls()
    make(call)
    large = os.urandom(24 << 20)
    assert call("PUT", ".my/c/f", data=large).status_code == 200
    failures: list[str] = []
    listener = listen("127.0.0.1", 0)
    server = Server(Application(platform, on_failure=failures.append), listener, on_failure=failures.append)
    server.run()
    address = f"http://127.0.0.1:{listener.getsockname()[1]}/v1/data/.my/c/f"
    headers = {"Authorization": f"Simple {platform.keys.create('jane', 'test')[1]}"}
    with requests.get(address, headers=headers, stream=True, timeout=60) as answer:
        begun = answer.raw.read(1 << 20)
        relay.stop()
        with pytest.raises((requests.RequestException, urllib3.exceptions.HTTPError)):
            while block := answer.raw.read(1 << 20):
                begun += block
    assert len(begun) < len(large)
    assert begun == large[: len(begun)]
    relay.start()
    assert requests.get(address, headers=headers, timeout=60).content == large
    server.stop()
    assert failures == []


def test_clients_at_once_while_the_store_comes_and_goes(
    calls: Callable[[], tuple[Platform, Call]], relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that was acknowledged is lost, and nothing is mixed."""
    monkeypatch.setattr("algo_core.http.retry.FIRST_SECONDS", 0.001)
    opened = [calls()[1] for _ in range(4)]
    make(opened[0])
    acknowledged: dict[str, bytes] = {}
    faults: list[str] = []

    def work(number: int) -> None:
        call, name = opened[number], f"f{number}"
        maybe = set()
        for step in range(12):
            content = bytes([number, step]) * (200 if step % 2 else 40_000)
            put = call("PUT", f".my/c/{name}", data=content)
            if put.status_code == 200:
                acknowledged[name] = content
                maybe.clear()
            elif put.status_code == 503:
                maybe.add(content)
            else:
                faults.append(f"{put.status_code} {put.text}")
            got = call("GET", f".my/c/{name}")
            if got.status_code == 200 and got.content not in {acknowledged.get(name), *maybe}:
                faults.append(f"{name} has {got.content[:2]!r}, {len(got.content)} bytes")
            if got.status_code == 404 and name in acknowledged:
                faults.append(f"{name} is lost")

    workers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    while any(worker.is_alive() for worker in workers):
        relay.after = 100_000
        workers[0].join(0.05)
        relay.stop()
        relay.start()
    relay.after = None
    assert faults == []
    assert opened[0]("GET", ".my/c").status_code == 200
    assert set(acknowledged) <= {file["filename"] for file in opened[0]("GET", ".my/c").json()["files"]}


@pytest.mark.parametrize(
    ("objects", "code", "words"),
    [
        ("s3://bucket/p?endpoint_url=http://127.0.0.1:9", ExitCode.NETWORK, "store s3://bucket/p cannot be used"),
        ("s3://none-such/p?endpoint_url={moto}", ExitCode.CONFIGURATION, "store s3://none-such/p cannot be used"),
        ("s3://USER:wJalrXUtnFEMI@bucket/p", ExitCode.CONFIGURATION, "holds no credential"),
    ],
)
def test_what_cannot_be_used_is_told_at_the_start(
    algo_home: Home, s3: Store, objects: str, code: ExitCode, words: str
) -> None:
    keys = {**os.environ, "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI"}
    url = objects.replace("{moto}", s3.options["endpoint_url"])
    done = algo_home.run("local", "serve", "--port", "0", "--objects", url, environ=keys)
    assert (done.code, words in done.stderr) == (code, True), done.stderr
    assert not any(secret in done.stderr for secret in ("AKIAEXAMPLE", "wJalrXUtnFEMI", "Traceback"))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("s3://", "s3:// does not name a place in a store"),
        ("s3:///", "does not name a place in a store"),
        ("s3://bucket/a//b", "does not name a place in a store"),
        ("s3://bucket/../b", "does not name a place in a store"),
        ("s3://USER:wJalrXUtnFEMI@bucket/p", r"holds no credential: s3://\*\*\*@bucket/p"),
        ("sftp://USER:wJalrXUtnFEMI/x@host/p", "holds no credential"),
        ("file:///tmp/x", "is not an object store"),
        ("memory://x", "is not shared: each process sees only what it stored itself by memory"),
        ("MEMORY://x/p", "No object store|is not shared"),
        ("memory+label://x/p", "is not shared"),
        ("s3://bucket/p?protocol=memory", "is not shared"),
        ("local://tmp/x", "is not shared"),
        ("simplecache://bucket/p?target_protocol=s3", "is not shared"),
        ("dir://x?target_protocol=memory", "is not shared"),
        ("data://.my/c", "is not an object store"),
        (".my/c", "is not an object store"),
        ("bucket", "is not an object store"),
        ("", "No object store can be opened at"),
        ("s3://bucket\0/p", "No object store can be opened at"),
        ("nosuch://bucket/p", "no file system for nosuch://"),
        ("s3://bucket/p?endpoint_url=nonsense", "no usable endpoint_url"),
        ("s3://bucket/p?endpoint_url=http://USER:wJalrXUtnFEMI@127.0.0.1:9", "holds no credential"),
        ("s3://bucket/p?secret_access_key=wJalrXUtnFEMI", "holds no credential"),
        ("s3://bucket/p?timeout=never", "timeout of s3:// must be a number of seconds"),
    ],
)
def test_a_url_that_names_no_store_is_refused(url: str, words: str, root: Path) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        open_store(url, root, set, str)
    assert "wJalrXUtnFEMI" not in f"{caught.value.message} {caught.value.hint}"


def test_a_reset_deletes_what_the_platform_has_stored_and_nothing_else(
    calls: Callable[[], tuple[Platform, Call]], root: Path, url: str, s3: Store
) -> None:
    platform, call = calls()
    make(call)
    assert call("PUT", ".my/c/f", data=b"x").status_code == 200
    platform.objects.now()
    prefix = urlsplit(url).path.strip("/")
    other = s3.uri(f"{prefix}/other/file")
    store = s3.open()
    store.write_small(other, b"mine")
    platform.close()
    with pytest.raises(ConfigError, match="belongs to another platform"):
        elsewhere = State(root.with_name("elsewhere"), objects=url)
        with contextlib.closing(Platform(elsewhere)) as second:
            assert second.account
        delete_everything(elsewhere, [*KEYS, *DERIVED])
    assert len(keys_below(store, s3.uri(prefix))) > 2
    delete_everything(State(root, objects=url), [*KEYS, *DERIVED])
    assert keys_below(store, s3.uri(prefix)) == [str(other)]


def keys_below(store: Storage, place: DataUri) -> list[str]:
    """The URIs of all files below a place."""
    found: list[str] = []
    for entry in store.list(place):
        found += keys_below(store, entry.uri) if entry.is_directory else [str(entry.uri)]
    return found


def test_a_missing_package_is_told_with_the_command_that_installs_it(root: Path) -> None:
    script = """
        import sys
        from pathlib import Path
        from algo_core.plugins.manager import Plugins

        Plugins.allowed = property(lambda plugins: [])
        from algo_core.errors import ConfigError
        from algo_local.data.opening import open_store

        try:
            open_store("s3://bucket/prefix", Path("/nowhere"), set, str)
        except ConfigError as error:
            print(error.message, "|", error.hint)
        print([name for name in sys.modules if name.startswith("algo_connectors")])
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True)
    assert done.stderr == ""
    told, modules = done.stdout.splitlines()
    assert told.startswith("No plugin is installed that opens s3:// | Install it: ")
    assert told.endswith(f"'{EXTRA}'")
    assert modules == "[]"


def test_options_of_the_configuration_open_the_store(root: Path, s3: Store, tmp_path: Path) -> None:
    directory = tmp_path / "algo_config_dir"
    directory.mkdir()
    (directory / "config.toml").write_text(s3.toml)
    objects = open_store(f"s3://bucket/{uuid.uuid4().hex}/", root, set, lambda: "me")
    objects.check()
    with pytest.raises(ConfigError, match="nonsense"):
        open_store("s3://bucket/x?nonsense=1", root, set, str)
