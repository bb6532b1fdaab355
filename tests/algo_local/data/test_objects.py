"""Hosted data on disk: whole or not at all, inside its directory, whoever else is at work."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest
from support.embedded import embedded_session

from algo_core.errors import NotFoundError, RequestRefused
from algo_local.data.contract import put
from algo_local.data.directory import DirectoryObjects
from algo_local.names import account_name_from, decode_file_name, encode_file_name
from algo_local.platform import Platform
from algo_local.refusals import ConditionFailed
from algo_local.testing import ObjectsContract
from algo_local.web.app import Application


class TestDirectory(ObjectsContract):
    def make(self, place: Path) -> DirectoryObjects:
        return DirectoryObjects(place)


@pytest.mark.parametrize("name", ["a", "..", ".", ".x", "%41", "a/b", "\0", "\n", "ü", "a b", "%", "%%2E", "x" * 255])
def test_file_names_come_back_as_they_were(name: str) -> None:
    encoded = encode_file_name(name)
    assert "/" not in encoded
    assert encoded not in {".", ".."}
    assert not encoded.startswith(".")
    assert decode_file_name(encoded) == name


@pytest.mark.parametrize("entry", [".DS_Store", "%41", "%2e", "a\n", "", "bad\udcff"])
def test_entries_that_the_platform_never_made_are_not_its_files(entry: str) -> None:
    assert decode_file_name(entry) is None


@pytest.mark.parametrize("name", ["", "x" * 256, "ü" * 128, "\ud800"])
def test_names_that_no_disk_could_keep_are_refused(name: str) -> None:
    with pytest.raises(RequestRefused):
        encode_file_name(name)


@pytest.mark.parametrize(
    ("login", "account"),
    [
        ("jane", "jane"),
        ("Jane.Doe-7", "Jane_Doe_7"),
        ("DOMAIN\\jane", "DOMAIN_jane"),
        ("7of9", "of9"),
        ("demo", "demo_user"),
        ("Demo", "Demo_user"),
        ("temp", "temp_user"),
        ("", "me"),
        ("日本", "me"),
        ("x" * 40, "x" * 30),
    ],
)
def test_an_account_is_named_after_its_person(login: str, account: str) -> None:
    assert account_name_from(login) == account


def read_from(content: bytes) -> Any:
    import io

    return io.BytesIO(content).read


def test_what_is_shorter_than_announced_is_not_stored(tmp_path: Path) -> None:
    objects = DirectoryObjects(tmp_path)
    with pytest.raises(RequestRefused, match="after 5 of 6 bytes"), objects.receive(read_from(b"12345"), 6):
        raise AssertionError("it must not be given out")
    assert list((tmp_path / "incoming").iterdir()) == []


def test_what_is_not_placed_is_thrown_away(tmp_path: Path) -> None:
    objects = DirectoryObjects(tmp_path)
    with objects.receive(read_from(b"12345")) as received:
        assert (received.size, received.md5) == (5, hashlib.md5(b"12345").hexdigest())
        with pytest.raises(NotFoundError):
            objects.place(received, tmp_path / "nowhere", "f")
    assert list((tmp_path / "incoming").iterdir()) == []


def test_nothing_comes_between_a_condition_and_its_replacement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    objects, another = DirectoryObjects(tmp_path), DirectoryObjects(tmp_path)
    directory = objects.collection("jane", "c")
    objects.make(directory)
    seen = put(objects, directory, "f", b"seen")
    outcomes: list[str] = []

    def attempt(what: str) -> None:
        try:
            if what == "replaced":
                put(another, directory, "f", b"other", replaces=seen.identity)
            elif what == "stored":
                put(another, directory, "f", b"other")
            else:
                another.remove(directory, "f")
            outcomes.append(what)
        except ConditionFailed:
            outcomes.append("refused")

    others = [threading.Thread(target=attempt, args=(what,)) for what in ("replaced", "stored", "removed")]
    info = objects.info

    def compared(*file: str) -> Any:
        found = info(*file)
        for other in others:
            other.start()
        others[0].join(0.2)  # they wait for the lock, or have done it by then
        outcomes.append("compared")
        return found

    monkeypatch.setattr(objects, "info", compared)
    put(objects, directory, "f", b"mine", replaces=seen.identity)
    for other in others:
        other.join()
    assert outcomes[0] == "compared"
    assert sorted(outcomes[1:]) == ["refused", "removed", "stored"]


def test_links_lead_nowhere(tmp_path: Path) -> None:
    objects = DirectoryObjects(tmp_path)
    (tmp_path / "secret").write_text("secret")
    directory = Path(objects.collection("jane", "c"))
    objects.make(directory)
    (directory / "link").symlink_to(tmp_path / "secret")
    (directory / "folder").mkdir()
    os.mkfifo(directory / "pipe")
    assert objects.names(directory) == []
    for name in ("link", "folder", "pipe"):
        assert objects.info(directory, name) is None
        assert objects.open(directory, name) is None


def test_left_overs_of_the_dead_are_swept_and_those_of_the_living_are_not(tmp_path: Path) -> None:
    import fcntl

    incoming = tmp_path / "incoming"
    incoming.mkdir()
    (incoming / "dead").write_bytes(b"x")
    (tmp_path / "trash" / "half").mkdir(parents=True)
    (tmp_path / "sessions" / "old").mkdir(parents=True)
    (tmp_path / "sessions" / "young").mkdir()
    os.utime(tmp_path / "sessions" / "old", (1, 1))
    with (incoming / "alive").open("wb") as alive:
        fcntl.flock(alive, fcntl.LOCK_EX)
        with DirectoryObjects(tmp_path).receive(read_from(b"x")):
            assert not (incoming / "dead").exists()
            assert (incoming / "alive").exists()
    assert list((tmp_path / "trash").iterdir()) == []
    assert [path.name for path in (tmp_path / "sessions").iterdir()] == ["young"]


def test_an_upload_that_is_killed_leaves_the_older_file(root: Path) -> None:
    script = """
        import os, sys
        from pathlib import Path
        from support.embedded import embedded_session
        from algo_local.platform import Platform
        from algo_local.web.app import Application

        session = embedded_session(Application(Platform(Path(sys.argv[1])), trusted=True))
        session.post("local:/v1/data/.my", json={"name": "c"})
        session.put("local:/v1/data/.my/c/f", data=b"old")

        def endless():
            while True:
                yield b"n" * 100_000
                print("more", flush=True)

        session.put("local:/v1/data/.my/c/f", data=endless())
    """
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", textwrap.dedent(script), str(root)]
    upload = subprocess.Popen(command, stdout=subprocess.PIPE, env=environ)
    assert upload.stdout
    for _ in range(20):
        assert upload.stdout.readline() == b"more\n"
    upload.send_signal(signal.SIGKILL)
    upload.wait()
    upload.stdout.close()
    assert len(list((root / "incoming").iterdir())) == 1
    platform = Platform(root)
    session = embedded_session(Application(platform, trusted=True))
    assert session.get("local:/v1/data/.my/c/f").content == b"old"
    assert session.put("local:/v1/data/.my/c/g", data=b"x").status_code == 200
    assert list((root / "incoming").iterdir()) == []
    platform.close()


STEPS = 140


def hammer(root: str, number: int, results: Any) -> None:
    """Write, read, list and delete in collections that everybody uses; report every answer that cannot be."""
    failures: list[str] = []
    platform = Platform(Path(root))
    session = embedded_session(Application(platform, trusted=True, on_failure=failures.append))
    for done in range(1, STEPS + 1):
        collection = f"local:/v1/data/.my/c{done % 3}"
        step = (done + number) % 7
        if step == 0:
            answer = session.post("local:/v1/data/.my", json={"name": f"c{done % 3}"})
            allowed = {200, 409}
        elif step == 1:
            answer = session.delete(f"{collection}?force={'true' if done % 2 else 'false'}")
            allowed = {200, 400, 404}
        elif step == 2:
            answer = session.get(collection)
            allowed = {200, 404}
        elif step == 3:
            answer = session.delete(f"{collection}/f{done % 5}")
            allowed = {200, 404}
        elif step == 4:
            answer = session.get(f"{collection}/f{done % 5}")
            allowed = {200, 404}
            if answer.status_code == 200 and (
                len(set(answer.content)) > 1 or answer.headers["ETag"] != hashlib.md5(answer.content).hexdigest()
            ):
                failures.append("a mixed file")
        else:
            size = 300_000 if done % 2 else 1000
            answer = session.put(f"{collection}/f{done % 5}", data=bytes([number]) * size)
            allowed = {200, 404}
        if answer.status_code not in allowed:
            failures.append(f"step {step}: {answer.status_code} {answer.text}")
    platform.close()
    results.put(failures)


def test_many_processes_at_once_see_whole_files_only(root: Path) -> None:
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    workers = [context.Process(target=hammer, args=(str(root), number, results)) for number in range(5)]
    for worker in workers:
        worker.start()
    found = [results.get(timeout=120) for _ in workers]
    for worker in workers:
        worker.join(30)
    assert [failure for failures in found for failure in failures] == []
    assert list((root / "incoming").iterdir()) == []
    platform = Platform(root)
    session = embedded_session(Application(platform, trusted=True))
    for collection in session.get("local:/v1/data/.my").json()["folders"]:
        answer = session.delete(f"local:/v1/data/.my/{collection['name']}?force=true")
        assert answer.status_code == 200
    assert not [path for path in (root / "data").rglob("*") if path.is_file()]
    platform.close()
