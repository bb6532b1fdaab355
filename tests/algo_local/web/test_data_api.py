"""The data routes as clients see them, in process and over sockets (API section 4)."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from algo_local.data.open_listings import OpenListings

NAMES = [
    "plain.txt",
    "with blank.txt",
    "ümläut-日本語.txt",
    "100%.txt",
    "a+b.txt",
    "q?x=1&y#z",
    ".hidden",
    "..",
    "...",
    "%2e%2e",
    "%2F",
    "new\nline",
    "tab\t",
    "a:b",
    "'quote\"",
    "back\\slash",
    "~tilde",
    "-dash",
    "x" * 250,
    "日" * 80,
]


def quoted(name: str) -> str:
    return "".join(f"%{byte:02X}" for byte in name.encode())


@pytest.mark.parametrize(
    ("name", "sent", "accept", "got"),
    [
        ("a.txt", None, "*/*", "text/plain"),
        ("a.JPG", "application/octet-stream", "*/*", "image/jpeg"),
        ("a", None, "*/*", "application/octet-stream"),
        ("a", "application/x-www-form-urlencoded", "*/*", "application/octet-stream"),
        ("a", "text/plain; charset=utf-8", "*/*", "text/plain; charset=utf-8"),
        ("a.txt", "application/json", "*/*", "application/json"),
        ("a.txt", "application/json", "application/octet-stream", "application/octet-stream"),
        ("a", None, "text/plain", "text/plain"),
        ("a.json", None, "text/plain", "application/json"),
        ("a", "x", "*/*", "application/octet-stream"),
        ("a", "a/b; c=d, e", "*/*", "application/octet-stream"),
        ("a", f"text/{'x' * 200}", "*/*", "application/octet-stream"),
    ],
)
def test_a_file_has_the_type_that_came_with_it_or_that_its_name_says(
    embedded: Any, name: str, sent: str | None, accept: str, got: str
) -> None:
    embedded.mkdir("c")
    embedded.put(f".my/c/{name}", b"1", headers={"Content-Type": sent} if sent else {})
    for method in ("GET", "HEAD"):
        assert embedded(method, f"data/.my/c/{name}", headers={"Accept": accept}).headers["Content-Type"] == got
    embedded.put(f".my/c/{name}", b"other")
    assert embedded("GET", f"data/.my/c/{name}").headers["Content-Type"] in {
        "text/plain", "application/json", "application/octet-stream", "image/jpeg",
    } - ({sent} if name == "a" else set()), "another file has not the type of the one before"  # fmt: skip


def test_the_name_of_a_collection_may_be_long(client: Any) -> None:
    name = "collection_" + "x" * 89
    assert client.mkdir(name).json() == {"result": f"data://.my/{name}"}
    assert client.put(f".my/{name}/f").status_code == 200


def test_the_root_begins_with_the_callers_account(client: Any) -> None:
    answer = client("GET", "data/")
    assert answer.status_code == 200
    assert answer.text == '{"folders":[{"name":"jane"},{"name":".algo"}],"files":[]}'
    assert answer.headers["X-Data-Type"] == "directory"
    assert client("GET", "data").json() == client("GET", "connector/data").json() == answer.json()
    assert client("GET", "connector/data/").json() == answer.json()


def test_a_file_goes_up_and_down(client: Any) -> None:
    assert client.mkdir("robots").text == '{"result":"data://.my/robots"}'
    answer = client.put(".my/robots/r2.txt", b"beep")
    assert (answer.status_code, answer.text) == (200, '{"result":"data://.my/robots/r2.txt"}')
    assert answer.headers["ETag"] == hashlib.md5(b"beep").hexdigest()
    answer = client("GET", "data/jane/robots/r2.txt")
    assert answer.content == b"beep"
    assert answer.headers["X-Data-Type"] == "file"
    assert answer.headers["Content-Length"] == "4"
    assert answer.headers["ETag"] == hashlib.md5(b"beep").hexdigest()
    assert answer.headers["Content-Type"] == "text/plain"
    assert answer.headers["Last-Modified"]
    assert answer.headers["Date"]
    assert client.put(".my/robots/r2.txt", b"boop").status_code == 200
    assert client("GET", "connector/data/.my/robots/r2.txt").content == b"boop"


def test_listing_has_the_shape_that_strict_clients_parse(client: Any) -> None:
    client.mkdir("robots")
    client.put(".my/robots/b", b"22")
    client.put(".my/robots/a", b"1")
    listing = client("GET", "data/.my/robots/").json()
    assert list(listing) == ["folders", "files"]
    assert listing["folders"] == []
    assert [(entry["filename"], entry["size"]) for entry in listing["files"]] == [("a", 1), ("b", 2)]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z", e["last_modified"]) for e in listing["files"])
    assert client("GET", "data/.my").json() == {"folders": [{"name": "robots"}], "files": []}
    assert client("GET", "data/jane/").json() == client("GET", "data/.my").json()


@pytest.mark.parametrize("name", NAMES)
def test_any_name_without_a_slash_is_kept_and_stays_inside(client: Any, platform: Any, name: str) -> None:
    client.mkdir("c")
    path = f".my/c/{quoted(name)}"
    if "/" in name or name in {"..", "."}:
        assert client.put(path, b"x").status_code == 400
    else:
        assert client.put(path, b"x").status_code == 200, name
        assert client("GET", f"data/{path}").content == b"x"
        assert [entry["filename"] for entry in client("GET", "data/.my/c").json()["files"]] == [name]
        assert client("DELETE", f"data/{path}").text == '{"result":{"deleted":1}}'
    inside = platform.root / "data" / "jane" / "c"
    assert not [path for path in platform.root.rglob("*") if path.is_file() and path.read_bytes() == b"x"]
    assert list(inside.iterdir()) == []


@pytest.mark.parametrize(
    "path",
    [
        ".my/c/..%2F..%2F..%2Fescaped",
        ".my/c/%2E%2E",
        ".my/%2e%2e/c/x",
        "..%2f..%2fetc%2fpasswd",
        ".my/c/a%00b",
        ".my/c/%FF%FE",
        ".my/c/" + "x" * 256,
        ".my/c/" + "%25" * 100,
        ".my/c/sub/file",
        ".algo/demo/Hello/temp/a/b",
        ".algo/demo/Hello/other/a",
        ".algo/..%2F..%2Fx/Hello/temp/a",
        ".session/x",
        "nobody/c/x",
        ".my/c",
        ".my",
        "",
    ],
)
def test_paths_that_cannot_be_files_are_refused(client: Any, platform: Any, path: str) -> None:
    client.mkdir("c")
    answer = client.put(path, b"planted")
    assert answer.status_code in {400, 404}
    assert answer.json()["error"]["message"]
    assert not [p for p in platform.root.parent.rglob("*") if p.is_file() and p.read_bytes() == b"planted"]


def test_encoded_paths_of_all_clients_mean_the_same(client: Any) -> None:
    client.mkdir("c")
    client.put(".my/c/a+b%20c", b"x")  # a literal plus is a plus
    for path in [
        "data/.my/c/a+b%20c",
        "data/.my%2Fc%2Fa%2Bb+c",
        "data//.my//c/a%2bb%20c/",
        "data/data://.my/c/a+b c",
        "data/data%3A%2F%2F.my%2Fc%2Fa%2Bb+c",
        "data/data:/.my/c/a+b%20c",
        "connector/data/.my/c/a+b%20c",
        "connector/data/.my%2Fc%2Fa%2Bb+c",
        "connector/data%2F.my%2Fc%2Fa%2Bb+c",
    ]:
        assert client("GET", path).content == b"x", path


def test_collection_and_file_names_keep_their_case(client: Any) -> None:
    client.mkdir("Robots")
    client.put(".my/Robots/A", b"upper")
    assert client("GET", "data/.my/Robots/a").status_code == 404
    assert client("GET", "data/.my/robots").status_code == 404


def test_pages_of_1000_with_markers_that_need_no_quoting(client: Any, platform: Any) -> None:
    client.mkdir("many")
    directory = Path(platform.objects.collection("jane", "many"))
    for number in range(2100):
        (directory / f"f{number:04}?>").write_bytes(b"")
    found, marker, pages = [], None, 0
    while True:
        listing = client("GET", f"data/.my/many{f'?marker={marker}' if marker else ''}").json()
        found += [entry["filename"] for entry in listing["files"]]
        pages += 1
        if "marker" not in listing:
            break
        marker = listing["marker"]
        assert re.fullmatch(r"[A-Za-z0-9_-]+", marker)
    assert pages == 3
    assert found == [f"f{number:04}?>" for number in range(2100)]
    assert client("GET", "data/.my/many?marker=!!").json()["error"]["code"] == 5002


def pages_of(client: Any, between: Callable[[], object] = lambda: None) -> Iterator[list[str]]:
    """The pages of the collection `many`, and what happens before each page but the first."""
    marker = ""
    while True:
        listing = client("GET", f"data/.my/many?marker={marker}" if marker else "data/.my/many").json()
        yield [entry["filename"] for entry in listing["files"]]
        if "marker" not in listing:
            return
        marker = listing["marker"]
        between()


@pytest.mark.parametrize("kept", [True, False], ids=["same process", "another process"])
def test_a_listing_reads_its_directory_once_and_is_right_under_changes(
    client: Any, platform: Any, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    client.mkdir("many")
    directory = Path(platform.objects.collection("jane", "many"))
    for number in range(5000):
        (directory / f"f{number:05}").touch()
    steady = {f"f{number:05}" for number in range(5000) if number % 7}
    gone = iter([0, 2002, 3003, 4004])  # listed already, or behind the pages so far
    read: list[Path] = []
    names = platform.objects.names
    monkeypatch.setattr(platform.objects, "names", lambda place: read.append(place) or names(place))

    def change() -> None:
        number = next(gone)
        (directory / f"f{number:05}").unlink()
        (directory / f"f{number:05}-new").touch()
        if not kept:
            platform.objects._listings = OpenListings()

    found = list(pages_of(client, change))
    flat = [name for page in found for name in page]
    assert flat == sorted(set(flat))
    assert steady <= set(flat)
    assert "f04004" not in flat
    assert len(read) == (1 if kept else len(found))


def test_an_old_marker_is_answered_from_the_directory_as_it_is(client: Any, platform: Any) -> None:
    client.mkdir("many")
    directory = Path(platform.objects.collection("jane", "many"))
    for number in range(1500):
        (directory / f"f{number:05}").touch()
    marker = client("GET", "data/.my/many").json()["marker"]
    first = client("GET", f"data/.my/many?marker={marker}").json()
    (directory / "later").touch()
    again = client("GET", f"data/.my/many?marker={marker}").json()
    assert len(first["files"]) == 500
    assert [entry["filename"] for entry in again["files"]] == [*(e["filename"] for e in first["files"]), "later"]


def test_many_collections_are_paged_too(client: Any, platform: Any) -> None:
    client("GET", "data/")
    with platform.database.write() as rows:
        for number in range(1001):
            platform.metadata.insert_collection(rows, "jane", f"c{number:04}", ())
    first = client("GET", "data/.my").json()
    second = client("GET", f"data/.my?marker={first['marker']}").json()
    assert len(first["folders"]) == 1000
    assert second == {"folders": [{"name": "c1000"}], "files": []}


@pytest.mark.parametrize(
    "body",
    [
        {"json": {"name": "made"}},
        {"json": {"name": "made", "acl": None}},
        {"json": {"name": "made", "acl": {"read": ["algo://.my/*"], "_dummy": None}, "more": 1}},
        {"data": b"made", "headers": {"Content-Type": "text/plain; charset=utf-8"}},
        {"data": b'{"name":"made"}'},
        {"data": b'"made"', "headers": {"Content-Type": "application/json"}},
    ],
)
def test_directories_are_made_from_every_body_that_clients_send(client: Any, body: Any) -> None:
    answer = client("POST", "data/.my/", **body)
    assert (answer.status_code, answer.text) == (200, '{"result":"data://.my/made"}')
    assert client("GET", "data/.my/made?acl=true").json()["acl"] == {"read": ["algo://.my/*"]}
    assert "acl" not in client("GET", "data/.my/made?acl=false").json()


@pytest.mark.parametrize(
    ("parent", "body", "status"),
    [
        ("data/.my", {"name": "1st"}, 400),
        ("data/.my", {"name": "a-b"}, 400),
        ("data/.my", {"name": "a" * 101}, 400),
        ("data/.my", {"name": "../x"}, 400),
        ("data/.my", {"name": ""}, 400),
        ("data/.my", {"name": 7}, 400),
        ("data/.my", {"name": "\ud800"}, 400),
        ("data/.my", {}, 400),
        ("data/.my", [], 400),
        ("data/.my", {"name": "x", "acl": {"read": ["user://bob"]}}, 400),
        ("data/.my", {"name": "x", "acl": {"read": ["user://*", "algo://.my/*"]}}, 400),
        ("data/.my", {"name": "x", "acl": "public"}, 400),
        ("data/", {"name": "x"}, 400),
        ("data/.algo/demo/Hello", {"name": "x"}, 400),
        ("data/.my/c", {"name": "x"}, 400),
        ("data/demo", {"name": "x"}, 403),
        ("data/nobody", {"name": "x"}, 404),
        ("data/.my", {"name": "c"}, 409),
    ],
)
def test_directories_that_cannot_be_made(client: Any, parent: str, body: Any, status: int) -> None:
    client.mkdir("c")
    answer = client("POST", parent, json=body)
    assert answer.status_code == status
    assert answer.json()["error"]["message"]
    assert client("GET", "data/.my").json()["folders"] == [{"name": "c"}]


def test_acl_is_changed_and_shown(client: Any) -> None:
    client.mkdir("c", acl={"read": []})
    assert client("GET", "data/.my/c?acl=true").json()["acl"] == {"read": []}
    answer = client("PATCH", "data/.my/c", json={"acl": {"read": ["user://*"]}})
    assert (answer.status_code, answer.content) == (200, b"")
    assert client("GET", "data/.my/c?acl=True").json()["acl"] == {"read": ["user://*"]}
    for path, body, status in [
        (".my/c", {"acl": {}}, 400),
        (".my/c", {"acl": {"read": "user://*"}}, 400),
        (".my/nope", {"acl": {"read": []}}, 404),
        (".my", {"acl": {"read": []}}, 400),
        (".algo/demo/Hello/perm", {"acl": {"read": []}}, 400),
    ]:
        assert client("PATCH", f"data/{path}", json=body).status_code == status
    assert client("GET", "data/.my/c?acl=true").json()["acl"] == {"read": ["user://*"]}


def test_head_says_what_is_there_and_why_not(client: Any) -> None:
    client.mkdir("c")
    client.put(".my/c/f", b"12345")
    answer = client("HEAD", "data/.my/c/f")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["X-Data-Type"] == "file"
    assert answer.headers["Content-Length"] == "5"
    assert answer.headers["ETag"] == hashlib.md5(b"12345").hexdigest()
    for directory in ["", ".my", "jane/", ".my/c", ".my/c/", ".algo", ".algo/demo/Hello/temp/"]:
        answer = client("HEAD", f"data/{directory}")
        assert (answer.status_code, answer.headers["X-Data-Type"]) == (200, "directory"), directory
    for path, status in [(".my/c/none", 404), (".my/none", 404), ("nobody", 404), ("s3://b/x", 404)]:
        answer = client("HEAD", f"data/{path}")
        assert (answer.status_code, answer.content) == (status, b"")
        assert answer.headers["X-Error-Message"]


def test_an_error_that_no_header_can_carry_is_made_printable(client: Any) -> None:
    client.mkdir("c")
    answer = client("HEAD", "data/.my/c/" + quoted("日\r\nSet-Cookie: x"))
    assert answer.status_code == 404
    assert "Set-Cookie" not in answer.headers
    assert "?Set-Cookie: x" in answer.headers["X-Error-Message"]


def test_deleting_counts_files(client: Any) -> None:
    client.mkdir("c")
    assert client("DELETE", "data/.my/c?force=false").text == '{"result":{"deleted":0}}'
    assert client("GET", "data/.my/c").status_code == 404
    client.mkdir("c")
    for name in "abc":
        client.put(f".my/c/{name}")
    answer = client("DELETE", "data/.my/c?force=false")
    assert answer.status_code == 400
    assert answer.json()["error"]["deleted"] == 0
    assert "not empty" in answer.json()["error"]["message"]
    assert len(client("GET", "data/.my/c").json()["files"]) == 3
    assert client("DELETE", "data/.my/c/a").text == '{"result":{"deleted":1}}'
    assert client("DELETE", "data/.my/c?force=true").text == '{"result":{"deleted":2}}'
    for path, status in [(".my/c", 404), (".my/c/a", 404), (".my", 400), ("", 400), (".algo", 400), ("demo", 400)]:
        answer = client("DELETE", f"data/{path}?force=true")
        assert answer.status_code == status
        assert answer.json()["error"]["message"]


def test_a_new_directory_does_not_inherit_from_a_deleted_one(client: Any) -> None:
    client.mkdir("c", acl={"read": ["user://*"]})
    client.put(".my/c/f", b"x" * 500_000)
    client("DELETE", "data/.my/c?force=true")
    client.mkdir("c")
    listing = client("GET", "data/.my/c?acl=true").json()
    assert (listing["files"], listing["acl"]) == ([], {"read": ["algo://.my/*"]})


def test_uploads_of_unknown_length(client: Any) -> None:
    client.mkdir("c")

    def chunks() -> Iterator[bytes]:
        for number in range(100):
            yield bytes([number]) * 10_007

    assert client.put(".my/c/chunked", chunks()).status_code == 200
    assert client("GET", "data/.my/c/chunked").content == b"".join(chunks())
    assert client.put(".my/c/empty", iter([])).status_code == 200
    assert client.put(".my/c/nothing", b"").status_code == 200
    assert client("GET", "data/.my/c/empty").content == client("GET", "data/.my/c/nothing").content == b""


def test_uploads_from_files_are_streamed(client: Any) -> None:
    client.mkdir("c")

    class Watched(io.BytesIO):
        largest = 0

        def read(self, size: int | None = -1) -> bytes:
            data = super().read(size)
            Watched.largest = max(Watched.largest, len(data))
            return data

    content = bytes(range(256)) * 20_000
    assert client.put(".my/c/big", Watched(content)).status_code == 200
    assert client("GET", "data/.my/c/big").content == content
    assert 0 < Watched.largest <= 1 << 20


def test_announced_digest_is_checked(client: Any) -> None:
    client.mkdir("c")
    right = base64.b64encode(hashlib.md5(b"content").digest()).decode()
    wrong = base64.b64encode(hashlib.md5(b"other").digest()).decode()
    assert client.put(".my/c/f", b"old").status_code == 200
    assert client.put(".my/c/f", b"content", headers={"Content-MD5": wrong}).status_code == 400
    assert client.put(".my/c/f", b"content", headers={"Content-MD5": "no digest"}).status_code == 400
    assert client("GET", "data/.my/c/f").content == b"old"
    assert client.put(".my/c/f", b"content", headers={"Content-MD5": right}).status_code == 200


def test_digest_follows_the_content_of_large_files(client: Any, platform: Any) -> None:
    client.mkdir("c")
    for content in (b"a" * 400_000, b"b" * 400_000):
        client.put(".my/c/big", content)
        assert client("HEAD", "data/.my/c/big").headers["ETag"] == hashlib.md5(content).hexdigest()
    path = Path(platform.objects.collection("jane", "c")) / "big"
    path.write_bytes(b"changed by hand" * 40_000)
    expected = hashlib.md5(path.read_bytes()).hexdigest()
    assert client("HEAD", "data/.my/c/big").headers["ETag"] == expected
    assert client("GET", "data/.my/c/big").headers["ETag"] == expected


@pytest.mark.parametrize(
    ("asked", "status", "content", "content_range"),
    [
        ("bytes=0-0", 206, b"0", "bytes 0-0/10"),
        ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=7-99", 206, b"789", "bytes 7-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=-99", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=10-", 416, None, "bytes */10"),
        ("bytes=-0", 416, None, "bytes */10"),
        ("bytes=4-2", 200, b"0123456789", None),
        ("bytes=0-1,3-4", 200, b"0123456789", None),
        ("bytes=-", 200, b"0123456789", None),
        ("lines=1-2", 200, b"0123456789", None),
    ],
)
def test_ranges(client: Any, asked: str, status: int, content: bytes | None, content_range: str | None) -> None:
    client.mkdir("c")
    client.put(".my/c/digits", b"0123456789")
    answer = client("GET", "data/.my/c/digits", headers={"Range": asked})
    assert (answer.status_code, answer.headers.get("Content-Range")) == (status, content_range)
    if content is not None:
        assert answer.content == content
        assert int(answer.headers["Content-Length"]) == len(content)


@pytest.mark.parametrize("size", [0, 1, (64 << 10) - 1, 64 << 10, (64 << 10) + 1, 300_000])
def test_small_and_large_files_are_served_alike(client: Any, size: int) -> None:
    content = bytes(range(256)) * 1200
    content = content[:size]
    client.mkdir("c")
    tag = client.put(".my/c/f", content).headers["ETag"]
    whole = client("GET", "data/.my/c/f")
    head = client("HEAD", "data/.my/c/f")
    assert whole.content == content
    assert tag == whole.headers["ETag"] == head.headers["ETag"] == hashlib.md5(content).hexdigest()
    assert whole.headers["Content-Length"] == head.headers["Content-Length"] == str(size)
    for asked, part in {"0-0": content[:1], f"{size - 1}-": content[-1:], "-5": content[-5:]}.items():
        answer = client("GET", "data/.my/c/f", headers={"Range": f"bytes={asked}"})
        if size:
            assert (answer.status_code, answer.content) == (206, part)


def test_if_range_gives_all_of_a_file_that_has_changed(client: Any) -> None:
    client.mkdir("c")
    client.put(".my/c/f", b"0123456789")
    head = client("HEAD", "data/.my/c/f").headers
    for condition in [head["ETag"], f'"{head["ETag"]}"', head["Last-Modified"]]:
        answer = client("GET", "data/.my/c/f", headers={"Range": "bytes=5-", "If-Range": condition})
        assert (answer.status_code, answer.content) == (206, b"56789")
    for condition in ["0" * 32, "Thu, 01 Jan 1970 00:00:00 GMT"]:
        answer = client("GET", "data/.my/c/f", headers={"Range": "bytes=5-", "If-Range": condition})
        assert (answer.status_code, answer.content) == (200, b"0123456789")


def test_a_download_goes_on_unchanged_while_the_file_is_replaced_and_deleted(client: Any) -> None:
    client.mkdir("c")
    old = b"o" * (5 << 20)
    client.put(".my/c/f", old)
    answer = client("GET", "data/.my/c/f", stream=True)
    first = next(answer.iter_content(1000))
    client.put(".my/c/f", b"new")
    client("DELETE", "data/.my/c?force=true")
    assert first + b"".join(answer.iter_content(100_000)) == old


@pytest.mark.parametrize("path", ["s3://bucket/key", "s3+label://bucket/key", "dropbox:/x", "s3%2Blabel%3A%2F%2Fb%2Fk"])
def test_other_connectors_are_said_to_be_missing(client: Any, path: str) -> None:
    answer = client("GET", f"data/{path}")
    assert answer.status_code == 404
    assert "data://" in answer.json()["error"]["message"]
    assert client("GET", "connector/s3+label/bucket").json()["error"]["message"].startswith("No connector s3+label")


def test_data_cannot_be_asked_for_what_it_has_not(client: Any) -> None:
    assert client("MOVE", "data/.my").status_code == 405
    answer = client("GET", "nonsense")
    assert answer.status_code == 404
    assert answer.json()["error"]["message"]
    assert answer.headers["Content-Type"] == "application/json"


def test_spaces_of_an_algorithm_always_exist_and_are_emptied_not_removed(client: Any) -> None:
    assert client("GET", "data/.algo").json()["folders"] == [{"name": "demo"}]
    assert client("GET", "data/.algo/demo").json()["folders"] == [{"name": "Hello"}]
    assert client("GET", "data/.algo/demo/Hello").json()["folders"] == [{"name": "perm"}, {"name": "temp"}]
    assert client("GET", "data/.algo/demo/hello/temp?acl=true").json() == {"folders": [], "files": []}
    answer = client.put(".algo/demo/hello/temp/f", b"x")
    assert answer.json() == {"result": "data://.algo/demo/hello/temp/f"}
    assert client("GET", "data/.algo/demo/Hello/temp/f").content == b"x"
    assert client("DELETE", "data/.algo/demo/Hello/temp").status_code == 400
    assert client("DELETE", "data/.algo/demo/Hello/temp?force=true").json() == {"result": {"deleted": 1}}
    assert client("GET", "data/.algo/demo/Hello/temp").json() == {"folders": [], "files": []}
    for path in [".algo/nobody", ".algo/demo/Nope", ".algo/demo/Nope/temp", ".algo/temp/x", ".algo/default"]:
        assert client("GET", f"data/{path}").status_code == 404


def test_temporary_files_go_after_a_day_and_permanent_ones_stay(client: Any, platform: Any) -> None:
    import os
    import time

    for kind in ("temp", "perm"):
        long_ago = time.time() - 25 * 3600
        for name in ("old", "older", "young"):
            client.put(f".algo/demo/Hello/{kind}/{name}", b"x")
            path = Path(platform.objects.algorithm_space("demo", "Hello", kind, "jane")) / name
            if name != "young":
                os.utime(path, (long_ago, long_ago))
    assert client("GET", "data/.algo/demo/Hello/temp/old").status_code == 404
    assert client("GET", "data/.algo/demo/Hello/perm/old").content == b"x"
    kept = {
        kind: [e["filename"] for e in client("GET", f"data/.algo/demo/Hello/{kind}").json()["files"]]
        for kind in ("temp", "perm")
    }
    assert kept == {"temp": ["young"], "perm": ["old", "older", "young"]}


def test_digests_of_what_is_gone_are_forgotten(client: Any, platform: Any) -> None:
    for name in ("c", "c0"):
        client.mkdir(name)
        client.put(f".my/{name}/big", b"x" * 500_000)
    client("DELETE", "data/.my/c?force=true")
    with platform.database.read() as rows:
        assert rows.execute("SELECT path FROM digests").fetchall() == [("data/jane/c0/big",)]


def test_a_file_is_replaced_if_it_is_the_one_that_was_seen(client: Any) -> None:
    client.mkdir("c")
    for name, content in (("small", b"one"), ("large", b"x" * 300_000)):
        path, absent = f".my/c/{name}", {"If-None-Match": "*"}
        assert client.put(path, content, headers={"If-Match": "*"}).status_code == 412
        first = client.put(path, content, headers=absent)
        assert first.status_code == 200
        assert client.put(path, b"two", headers=absent).status_code == 412
        for match, status in ((f'"{"0" * 32}"', 412), (f'"{"0" * 32}", "{first.headers["ETag"]}"', 200), ("*", 200)):
            answer = client.put(path, content, headers={"If-Match": match})
            assert answer.status_code == status, answer.text
        second = client.put(path, b"two", headers={"If-Match": first.headers["ETag"]})
        assert second.status_code == 200
        stale = client.put(path, b"three", headers={"If-Match": first.headers["ETag"]})
        assert (stale.status_code, client("GET", f"data/{path}").content) == (412, b"two")
        assert first.headers["ETag"] in stale.request.headers["If-Match"]
        assert second.headers["ETag"] in stale.json()["error"]["message"]
    for odd in ({"If-None-Match": "abc"}, {"If-None-Match": "*", "If-Match": "*"}):
        assert client.put(".my/c/small", b"x", headers=odd).status_code == 400
