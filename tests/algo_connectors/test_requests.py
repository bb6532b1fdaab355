"""What many small files cost: one request each, whatever else."""

from __future__ import annotations

import os
import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from support.stores import Store

from algo_connectors import s3
from algo_connectors.aws.direct_client import DirectS3Client
from algo_connectors.aws.s3fs_client import moment
from algo_connectors.s3 import S3Storage
from algo_core import main
from algo_core.http.direct import DirectTransport
from algo_core.http.response import Response
from algo_core.http.transport import Request
from algo_core.storage.capabilities import ForkSafe
from algo_core.storage.contract import Entry, Kind
from algo_core.storage.uri import DataUri
from algo_core.testing import Home
from algo_core.testing.storage import read
from algo_data.engine.options import CopyOptions
from algo_data.engine.run.processes import CopyProcess
from algo_data.engine.transfer import Place, Transfer
from algo_data.local.storage import LocalStorage

COUNT = 30


@pytest.fixture
def requests() -> Iterator[Counter[str]]:
    """Requests that are really sent to a store, by method, listings apart."""
    sent: Counter[str] = Counter()
    send = DirectTransport.send

    def counted(transport: DirectTransport, request: Request) -> Response:
        is_list = any(part in request.url for part in ("list-type=2", "comp=list", "maxResults="))
        sent["LIST" if is_list else request.method] += 1
        return send(transport, request)

    with mock.patch.object(DirectTransport, "send", counted):
        yield sent


@pytest.mark.parametrize("scheme", ["s3", "azureblob", "gs"])
def test_small_files_take_one_request_each_way(
    algo_home: Home, stores: dict[str, Store], scheme: str, requests: Counter[str], tmp_path: Path
) -> None:
    algo_home.write_config(stores[scheme].toml)
    up, down = tmp_path / "up", tmp_path / "down"
    up.mkdir()
    down.mkdir()
    for number in range(COUNT):
        (up / f"{number:02}").write_bytes(b"%d" % number * 2000)
    place = str(stores[scheme].uri(f"requests-{uuid.uuid4().hex}"))

    def copied(*arguments: str) -> Counter[str]:
        requests.clear()
        with mock.patch.dict(os.environ, algo_home.environ, clear=True):
            assert main.run(["cp", *arguments]) == 0
        return Counter(requests)

    # What stands at the destination is asked once: anything below it, or an object of that name.
    asked = {"LIST": 1, "GET" if scheme == "gs" else "HEAD": 1}
    assert copied(*map(str, sorted(up.iterdir())), f"{place}/") == {"POST" if scheme == "gs" else "PUT": COUNT, **asked}
    assert copied(f"{place}/*", f"{down}/") == {"GET": COUNT, "LIST": 1}
    for number in range(COUNT):
        assert (down / f"{number:02}").read_bytes() == b"%d" % number * 2000
    heads = {"GET": COUNT + 1} if scheme == "gs" else {"GET": COUNT, "HEAD": 1}
    assert copied("-r", place, f"{down}/again") == {"LIST": 2, **heads}
    assert len(list((down / "again").iterdir())) == COUNT


@pytest.mark.parametrize("name", ["seaweed", "azureblob", "gs"])
def test_helper_processes_copy_small_files_from_and_to_the_store(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    store: Store = request.getfixturevalue(name)
    storage, local, key = store.open(), LocalStorage(), f"processes-{uuid.uuid4().hex}"
    assert isinstance(storage, ForkSafe)
    names = [f"{number} ä+%" for number in range(COUNT)]
    up, down = tmp_path / "up", tmp_path / "down"
    up.mkdir()
    down.mkdir()
    for name in names:
        (up / name).write_text(name)
    here, there = DataUri("file", str(up)), store.uri(key)
    sent = [Transfer(Place(local, here.child(name)), Place(storage, there.child(name))) for name in names]
    fetched = [
        Transfer(each.target, Place(local, DataUri("file", str(down / name))), Entry(each.target.uri, Kind.FILE, 9))
        for each, name in zip(sent, names, strict=True)
    ]
    storage.stat(store.uri(""))  # so that there is a connection, which the process must not use
    assert storage.can_fork()
    process = CopyProcess([sent[0].source, sent[0].target], CopyOptions(tries=0))
    try:
        for transfers in (sent, fetched):
            assert all(process.takes(each) for each in transfers)
            assert [entry and entry.size for entry in process.copy(transfers)] == [len(n.encode()) for n in names]
    finally:
        process.end()
    assert {path.name: path.read_text() for path in down.iterdir()} == {name: name for name in names}
    assert len(list(storage.list(there))) == COUNT


def test_the_next_page_of_a_listing_is_under_way(seaweed: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "PAGE", 2)
    storage, there = seaweed.open(), seaweed.uri(f"pages-{uuid.uuid4().hex}")
    assert isinstance(storage, S3Storage)
    names = ["a", "b", "c", "d", "e"]
    for name in names:
        storage.write_small(there.child(name), b"x")
    asked = mock.Mock(side_effect=storage.client.list_objects)
    monkeypatch.setattr(storage.client, "list_objects", asked)
    bucket, key = storage.locate(there)
    pages = list(storage.pages(there, bucket, f"{key}/", limit=2))
    assert [found.rpartition("/")[2] for _, objects in pages for found, _ in objects] == names
    assert asked.call_count == 1  # the others had been asked for ahead


@pytest.fixture
def traffic() -> Iterator[Counter[str]]:
    """Bytes of bodies that are sent to S3 and received from it, those of listings and other documents apart."""
    seen: Counter[str] = Counter()
    send, get = DirectTransport.send, DirectS3Client.get_object

    def sending(transport: DirectTransport, request: Request) -> Response:
        seen[request.method] += 1
        content = b"".join(request.body or ())
        seen["sent"] += 0 if content.startswith(b"<") else len(content)
        return send(transport, request)

    def getting(client: DirectS3Client, *arguments: Any) -> Any:
        found = get(client, *arguments)
        seen["received"] += len(found[1])
        return found

    with mock.patch.multiple(DirectTransport, send=sending), mock.patch.object(DirectS3Client, "get_object", getting):
        yield seen


@pytest.mark.parametrize("size", [3000, 600_000])
def test_nothing_of_a_copy_within_the_store_passes_through_here(
    algo_home: Home, s3: Store, traffic: Counter[str], monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """For `cp`, `mv` and `sync`, of small files and of such that are copied in parts."""
    monkeypatch.setattr(S3Storage, "copy_limit", 500_000)
    monkeypatch.setattr(S3Storage, "copy_part", 300_000)
    algo_home.write_config(s3.toml)
    place, content = f"s3://bucket/within-{uuid.uuid4().hex}", os.urandom(size)
    key = place.removeprefix("s3://bucket/")
    call = partial(s3.open(client="s3fs").client.call, Bucket="bucket")  # type: ignore[attr-defined]  # an S3Storage
    for name in ("a", "b c+%"):
        call("put_object", Key=f"{key}/one/{name}", Body=content, ContentType="image/png",
            Metadata={"kept": "yes"},
        )  # fmt: skip

    def ran(*arguments: str) -> Counter[str]:
        traffic.clear()
        with mock.patch.dict(os.environ, algo_home.environ, clear=True):
            assert main.run([*arguments]) == 0
        return Counter(traffic)

    parts = 2 if size > 500_000 else 1
    for number, command in enumerate((["cp", "-r"], ["sync"], ["mv"])):
        source, target = f"{place}/{'one' if number < 2 else 'copy0'}", f"{place}/copy{number}"
        seen = ran(*command, "--bwlimit", "100k", source, target)
        assert (seen["received"], seen["sent"]) == (0, 0)
        assert seen["PUT"] == 2 * parts
        for name in ("a", "b c+%"):
            assert read(s3.open(), s3.uri(f"{key}/copy{number}/{name}")) == content
            found = call("head_object", Key=f"{key}/copy{number}/{name}")
            assert (found["ContentType"], found["Metadata"]) == ("image/png", {"kept": "yes"})
    assert call("list_objects_v2", Prefix=f"{key}/copy0/")["KeyCount"] == 0
    assert "Uploads" not in call("list_multipart_uploads", Prefix=key)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2016-01-06T10:22:34.000Z", datetime(2016, 1, 6, 10, 22, 34, tzinfo=timezone.utc)),
        ("2016-01-06T10:22:34Z", datetime(2016, 1, 6, 10, 22, 34, tzinfo=timezone.utc)),
        ("2016-01-06T10:22:34.1234567Z", datetime(2016, 1, 6, 10, 22, 34, 123456, tzinfo=timezone.utc)),
        ("Wed, 06 Jan 2016 10:22:34 GMT", datetime(2016, 1, 6, 10, 22, 34, tzinfo=timezone.utc)),
        ("1452075754", datetime(2016, 1, 6, 10, 22, 34, tzinfo=timezone.utc)),
        (1452075754, datetime(2016, 1, 6, 10, 22, 34, tzinfo=timezone.utc)),
    ],
)
def test_times_are_read_in_every_form(text: Any, expected: datetime) -> None:
    assert moment(text) == expected


def test_what_is_no_time_is_refused() -> None:
    with pytest.raises(ValueError, match="sometime"):
        moment("sometime")
