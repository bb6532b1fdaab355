"""Small new files appear whole, without a hidden one before; everything else goes the ordinary way."""

import errno
import os
import stat
import sys

import pytest

from algo_core.errors import AlgoError
from algo_core.storage.uri import DataUri
from algo_data.local.partial_file import LocalPartialFile
from algo_data.local.storage import LocalStorage
from algo_data.local.unnamed_file import UnnamedFiles

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has files without a name")


def at(path) -> DataUri:
    return DataUri("file", str(path))


@pytest.fixture
def hidden_paths(monkeypatch) -> list[str]:
    """The paths for which hidden files were made."""
    made: list[str] = []
    begin = LocalPartialFile.__init__

    def watch(self, path, *rest) -> None:
        made.append(path)
        begin(self, path, *rest)

    monkeypatch.setattr(LocalPartialFile, "__init__", watch)
    return made


@linux_only
def test_a_new_file_is_never_seen_unfinished(tmp_path, hidden_paths, monkeypatch) -> None:
    seen = []
    link = os.link
    monkeypatch.setattr(os, "link", lambda *a, **o: (seen.append(os.listdir(tmp_path)), link(*a, **o)))
    entry = LocalStorage().write_small(at(tmp_path / "new"), b"content")
    assert (tmp_path / "new").read_bytes() == b"content"
    assert entry.size == 7
    assert (seen, hidden_paths) == ([[]], [])


@linux_only
def test_it_gets_the_mode_of_any_new_file(tmp_path) -> None:
    before = os.umask(0o027)
    try:
        LocalStorage().write_small(at(tmp_path / "new"), b"x")
    finally:
        os.umask(before)
    status = (tmp_path / "new").stat()
    assert stat.S_IMODE(status.st_mode) == 0o640
    assert status.st_nlink == 1


@pytest.mark.parametrize("there", ["file", "link", "dangling link"])
def test_what_is_there_is_replaced_as_ever(tmp_path, there, hidden_paths) -> None:
    target = tmp_path / "target"
    if there != "dangling link":
        target.write_text("older")
        target.chmod(0o600)
    path = target if there == "file" else tmp_path / "link"
    if path != target:
        path.symlink_to(target)
    storage = LocalStorage()
    storage.write_small(at(path), b"newer")
    assert target.read_bytes() == b"newer"
    assert path.is_symlink() == (there != "file")
    assert hidden_paths == [str(target)]
    if there != "dangling link":
        assert stat.S_IMODE(target.stat().st_mode) == 0o600
    storage.write_small(at(path), b"newest")
    assert target.read_bytes() == b"newest"
    assert sorted(os.listdir(tmp_path)) == sorted({"target", path.name})


@linux_only
def test_where_names_are_taken_nothing_is_tried_in_vain_until_one_is_free(tmp_path, monkeypatch) -> None:
    tried = []
    make = UnnamedFiles.make
    monkeypatch.setattr(os, "link", lambda *a, _link=os.link, **o: (tried.append(a[1]), _link(*a, **o)))
    assert make
    storage = LocalStorage()
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text("older")
    for name in ("a", "b", "c", "d", "e"):
        storage.write_small(at(tmp_path / name), b"newer")
    assert [path.rpartition("/")[2] for path in tried] == ["a", "e"]
    assert {path.read_bytes() for path in tmp_path.iterdir()} == {b"newer"}


@pytest.mark.parametrize("code", [errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL])
def test_file_systems_that_know_no_such_files_are_asked_once(tmp_path, monkeypatch, code, hidden_paths) -> None:
    asked = []
    unpatched = os.open

    def open_(path, flags, *rest, **options):
        if hasattr(os, "O_TMPFILE") and flags & os.O_TMPFILE == os.O_TMPFILE:
            asked.append(path)
            raise OSError(code, os.strerror(code))
        return unpatched(path, flags, *rest, **options)

    monkeypatch.setattr(os, "open", open_)
    storage = LocalStorage()
    for name in ("a", "b"):
        storage.write_small(at(tmp_path / name), b"x")
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]
    assert hidden_paths == [str(tmp_path / "a"), str(tmp_path / "b")]
    assert len(asked) <= 1


@linux_only
@pytest.mark.parametrize("fails", ["write", "link", "short"])
def test_what_goes_wrong_is_done_again_in_the_ordinary_way(tmp_path, monkeypatch, fails, hidden_paths) -> None:
    def refuse(*arguments, **options):
        raise OSError(errno.ENOENT if fails == "link" else errno.ENOSPC, "no")

    real = os.write
    once = iter([True])
    if fails == "short":
        monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[:1] if next(once, False) else data))
    else:
        monkeypatch.setattr(
            os, fails, refuse if fails == "link" else lambda fd, d: refuse() if next(once, 0) else real(fd, d)
        )
    LocalStorage().write_small(at(tmp_path / "f"), b"whole")
    assert (tmp_path / "f").read_bytes() == b"whole"
    assert os.listdir(tmp_path) == ["f"]
    assert hidden_paths == [str(tmp_path / "f")]


def test_why_it_fails_is_said(tmp_path) -> None:
    with pytest.raises(AlgoError, match=r"Directory .* does not exist"):
        LocalStorage().write_small(at(tmp_path / "none" / "f"), b"x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(AlgoError, match="is a directory"):
        LocalStorage().write_small(at(tmp_path / "folder"), b"x")


def test_what_a_killed_process_has_left_behind_is_taken_over(tmp_path) -> None:
    (tmp_path / ".f.algo-part").write_text("half of it, and much longer than what comes")
    LocalStorage().write_small(at(tmp_path / "f"), b"whole")
    assert os.listdir(tmp_path) == ["f"]
    assert (tmp_path / "f").read_bytes() == b"whole"


def test_no_descriptor_stays_open(tmp_path) -> None:
    before = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0
    storage = LocalStorage()
    for number in range(5):
        storage.write_small(at(tmp_path / str(number % 3)), b"x")
    assert sys.platform != "linux" or len(os.listdir("/proc/self/fd")) == before


@linux_only
@pytest.mark.parametrize("many", [3, 1000])
def test_what_was_left_behind_is_found_however_many_files_come(tmp_path, monkeypatch, many) -> None:
    monkeypatch.setattr("algo_data.local.unnamed_file.MANY", many)
    for name in ("f1", "f30"):
        (tmp_path / f".{name}.algo-part").write_text("half")
    storage = LocalStorage()
    for number in range(40):
        storage.write_small(at(tmp_path / f"f{number}"), b"whole")
    assert len(os.listdir(tmp_path)) == 40
    assert {path.read_bytes() for path in tmp_path.iterdir()} == {b"whole"}
