"""An upload is compared with what the platform says that it has stored, and costs nothing where it says nothing."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from algo_core.errors import ExitCode
from algo_core.storage.contract import Checksum, Entry
from algo_core.storage.uri import LOCAL, DataUri
from algo_data.engine import CopyOptions
from algo_data.engine.io.digest import Corrupted
from algo_data.engine.run import stored
from algo_data.engine.run.worker import execute
from algo_data.engine.transfer import Place, Transfer
from algo_data.local.storage import LocalStorage

MIB = 1 << 20
SIZES = pytest.mark.parametrize("size", [10, 3 * MIB + 7], ids=["small", "streamed"])


@pytest.fixture
def telling(data_platform):
    """A platform whose answers to uploads have an MD5."""
    data_platform.tells_stored = True
    return data_platform


def content(size: int) -> bytes:
    return bytes(range(251)) * (size // 251) + bytes(range(size % 251))


@SIZES
def test_an_upload_that_arrives_damaged_is_sent_again_once(home, telling, work, size):
    (work / "f").write_bytes(content(size))
    telling.fail("PUT", "/f", "damage_upload")
    assert home.run("cp", work / "f", "data://.my/c/f").code == ExitCode.OK
    assert telling.files == {"data/.my/c/f": content(size)}
    assert len(telling.requests("PUT")) == 2


@SIZES
def test_one_that_stays_damaged_is_an_error_and_no_file(home, telling, work, size):
    (work / "f").write_bytes(content(size))
    telling.fail("PUT", "/f", "damage_upload", times=9)
    result = home.run("cp", work / "f", "data://.my/c/f")
    assert (result.code, result.text, telling.files) == (ExitCode.PLATFORM, "", {})
    assert hashlib.md5(content(size)).hexdigest() in result.stderr
    assert "was removed" in result.stderr
    assert "--no-check" in result.stderr
    assert len(telling.requests("PUT")) == 2


@SIZES
def test_no_check_leaves_the_comparison_out(home, telling, work, size):
    (work / "f").write_bytes(content(size))
    telling.fail("PUT", "/f", "damage_upload")
    assert home.run("cp", "--no-check", work / "f", "data://.my/c/f").code == ExitCode.OK
    assert len(telling.requests("PUT")) == 1


@pytest.mark.parametrize("size", [10, 3 * MIB, 9 * MIB])
def test_what_comes_from_a_pipe_is_compared_as_well(home, telling, size):
    telling.fail("PUT", "/f", "damage_upload")
    assert home.run("cp", "-", "data://.my/c/f", input=content(size)).code == ExitCode.OK
    assert telling.files == {"data/.my/c/f": content(size)}
    telling.fail("PUT", "/f", "damage_upload", times=9)
    assert home.run("cp", "-", "data://.my/c/f", input=content(size)).code == ExitCode.PLATFORM
    assert telling.files == {}
    assert home.run("cp", "--no-check", "-", "data://.my/c/f", input=content(size)).code == ExitCode.OK


def test_a_file_that_is_standard_input_is_compared_as_well(home, telling, work):
    (work / "f").write_bytes(content(3 * MIB))
    telling.fail("PUT", "/f", "damage_upload")
    with (work / "f").open("rb") as file:
        words = home.command("cp", "-", "data://.my/c/f")
        assert subprocess.run(words, env=home.environ, stdin=file, check=False).returncode == ExitCode.OK
    assert telling.files == {"data/.my/c/f": content(3 * MIB)}
    assert len(telling.requests("PUT")) == 2


@SIZES
def test_a_copy_within_the_platform_is_compared_without_reading_it_twice(home, telling, size):
    telling.files["data/.my/c/f"] = content(size)
    telling.fail("PUT", "/g", "damage_upload")
    assert home.run("cp", "data://.my/c/f", "data://.my/c/g").code == ExitCode.OK
    assert telling.files["data/.my/c/g"] == content(size)
    assert (len(telling.requests("PUT")), len(telling.requests("GET"))) == (2, 2)


def test_what_could_not_be_moved_whole_stays(home, telling, work):
    (work / "f").write_bytes(content(10))
    telling.fail("PUT", "/f", "damage_upload", times=9)
    assert home.run("mv", work / "f", "data://.my/c/f").code == ExitCode.PLATFORM
    assert (work / "f").read_bytes() == content(10)


def test_many_small_files_are_compared_as_well_whoever_sends_them(home, telling, work):
    seen: set[str] = set()

    def damage_once(handler):
        if handler.where in seen:
            return False
        seen.add(handler.where)
        return handler.fault_damage_upload()

    for number in range(600):
        (work / f"f{number}").write_bytes(b"%d" % number)
    telling.fail("PUT", "", damage_once, times=9999)
    assert home.run("cp", work, "data://.my/c", "-r", "--flatten").code == ExitCode.OK
    assert telling.files == {f"data/.my/c/f{number}": b"%d" % number for number in range(600)}
    assert len(telling.requests("PUT")) == 1200


def test_what_somebody_else_has_stored_meanwhile_is_not_removed(home, telling, work):
    def damage_and_replace(handler):
        handler.fault_damage_upload()
        telling.files["data/.my/c/f"] = b"of somebody else"
        return True

    (work / "f").write_bytes(content(10))
    telling.fail("PUT", "/f", damage_and_replace, times=9)
    result = home.run("cp", work / "f", "data://.my/c/f")
    assert (result.code, telling.files) == (ExitCode.PLATFORM, {"data/.my/c/f": b"of somebody else"})
    assert "may still exist" in result.stderr
    assert "algo rm data://.my/c/f" in result.stderr


def digest_of(body: bytes) -> str:
    return base64.b64encode(hashlib.md5(body).digest()).decode()


def test_content_md5_is_compared(home, data_platform, work):
    def tell(handler):
        handler.store(handler._body(), **{"Content-MD5": digest_of(b"something else")})
        return True

    (work / "f").write_bytes(content(10))
    data_platform.fail("PUT", "/f", tell, times=9)
    assert home.run("cp", work / "f", "data://.my/c/f").code == ExitCode.PLATFORM


def test_a_content_md5_of_the_answer_itself_is_none_of_the_file(home, data_platform, work):
    def tell(handler):
        handler._body()
        handler.answer(200, b'{"result":"x"}', {"Content-MD5": digest_of(b'{"result":"x"}')})
        return True

    (work / "f").write_bytes(content(10))
    data_platform.fail("PUT", "/f", tell)
    assert home.run("cp", work / "f", "data://.my/c/f").code == ExitCode.OK


def test_an_etag_of_an_object_store_is_no_md5(home, telling, work):
    telling.directories.add("connector/s3/b")
    (work / "f").write_bytes(content(10))
    telling.fail("PUT", "/f", "damage_upload")
    assert home.run("cp", work / "f", "s3://b/f").code == ExitCode.OK
    assert len(telling.requests("PUT")) == 1


class Far(LocalStorage):
    """A storage elsewhere that tells the MD5 of what it has stored; `meanwhile` is what happens before it does."""

    def __init__(self, tells: bool) -> None:
        super().__init__()
        self.tells = tells
        self.written = 0
        self.meanwhile = lambda: None

    def write(self, uri: DataUri, source, size: int | None = None) -> Entry:
        return self._told(super().write(uri, source, size))

    def write_small(self, uri: DataUri, content: bytes) -> Entry:
        return self._told(super().write_small(uri, content))

    def place(self, uri: DataUri, size: int) -> None:
        return None

    def _told(self, entry: Entry) -> Entry:
        self.written += 1
        digest = hashlib.md5(Path(entry.uri.path).read_bytes()).hexdigest()
        self.meanwhile()
        return entry._replace(checksum=Checksum("md5", digest) if self.tells else None)


def copied(work: Path, far: Far) -> Entry:
    source = Place(LocalStorage(), DataUri(LOCAL, f"{work}/f"))
    target = Place(far, DataUri(LOCAL, f"{work}/g"))
    return execute(Transfer(source, target), lambda position, size: None, CopyOptions())


@SIZES
def test_nothing_is_hashed_or_read_again_where_no_checksum_is_given(work, monkeypatch, size):
    opened: list[str] = []
    real = LocalStorage.open
    monkeypatch.setattr(
        LocalStorage, "open", lambda self, uri, *a, **k: opened.append(uri.name) or real(self, uri, *a, **k)
    )
    monkeypatch.setattr(stored, "hasher", lambda checksum: pytest.fail("something was hashed"))
    (work / "f").write_bytes(content(size))
    copied(work, Far(tells=False))
    assert opened == (["f"] if size > MIB else [])


def test_a_source_that_changes_before_it_was_compared_is_copied_anew(work):
    far = Far(tells=True)

    def change() -> None:
        if far.written == 1:
            (work / "f").write_bytes(content(2 * MIB))
            os.utime(work / "f", ns=(1, 1))

    far.meanwhile = change
    (work / "f").write_bytes(content(3 * MIB))
    copied(work, far)
    assert (work / "g").read_bytes() == content(2 * MIB)
    assert far.written == 2


def test_a_checksum_of_an_unknown_kind_is_left_alone(work):
    far = Far(tells=True)
    far._told = lambda entry: entry._replace(checksum=Checksum("crc-of-somebody", "0"))  # type: ignore[method-assign]
    (work / "f").write_bytes(content(10))
    assert copied(work, far).size == 10


def test_what_a_storage_cannot_remove_is_told(work):
    far = Far(tells=True)
    far._told = lambda entry: entry._replace(checksum=Checksum("md5", "0" * 32))  # type: ignore[method-assign]
    (work / "f").write_bytes(content(10))
    with pytest.raises(Corrupted, match="may still exist"):
        copied(work, far)
