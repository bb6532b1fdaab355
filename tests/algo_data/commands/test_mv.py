"""`algo mv` on this machine: a rename where that is possible, with the rules of a copy; and what is never removed."""

from __future__ import annotations

import errno
import json
import os
import tempfile
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace

import pytest

from algo_core.errors import AlgoError, ExitCode, NotFoundError
from algo_core.storage.contract import Entry, Kind, Storage
from algo_core.storage.uri import LOCAL, DataUri
from algo_data.engine import CopyOptions
from algo_data.engine.run.worker import execute
from algo_data.engine.transfer import Place, Transfer
from algo_data.local.partial_file import open_partial_file
from algo_data.local.storage import LocalStorage

MIB = 1 << 20
STORAGE = LocalStorage()


def moved(source: Path, target: Path) -> int | None:
    places = (Place(STORAGE, DataUri(LOCAL, str(path))) for path in (source, target))
    return execute(Transfer(*places, removes_source=True), lambda position, size: None, CopyOptions()).size


@pytest.fixture
def reads(monkeypatch) -> list[str]:
    """The files that were read to be copied."""
    seen: list[str] = []

    def watch(method: str) -> None:
        real = getattr(LocalStorage, method)

        def watched(self, uri, *arguments, **options):
            seen.append(uri.name)
            return real(self, uri, *arguments, **options)

        monkeypatch.setattr(LocalStorage, method, watched)

    watch("open")
    watch("read_small")
    return seen


@pytest.fixture
def across_devices(monkeypatch) -> None:
    """Every other name is on another file system."""
    real = os.replace

    def replace(source, target):
        if not os.path.basename(source).endswith(".algo-part"):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)


def test_a_file_is_renamed_and_keeps_its_time_and_mode(work, reads):
    (work / "f").write_bytes(b"content")
    (work / "f").chmod(0o640)
    os.utime(work / "f", (1000, 1000))
    (work / "older").write_text("something else")
    before = (work / "f").stat()
    assert moved(work / "f", work / "older") == 7
    after = (work / "older").stat()
    assert (after.st_ino, after.st_mode, after.st_mtime) == (before.st_ino, before.st_mode, before.st_mtime)
    assert os.listdir(work) == ["older"]
    assert reads == []


def test_what_takes_the_name_of_a_renamed_file_stays(home, work, monkeypatch):
    """The source must not be removed after the rename: a file that has come there meanwhile is another one."""
    (work / "f").write_text("moved")
    real = os.replace

    def replace(source, target):
        real(source, target)
        Path(source).write_text("new")

    monkeypatch.setattr(os, "replace", replace)
    moved(work / "f", work / "g")
    assert ((work / "f").read_text(), (work / "g").read_text()) == ("new", "moved")


def test_across_file_systems_a_file_is_copied_and_removed(work, reads, across_devices):
    (work / "f").write_bytes(b"content")
    assert moved(work / "f", work / "g") == 7
    assert ((work / "g").read_bytes(), os.listdir(work), reads) == (b"content", ["g"], ["f"])


@pytest.mark.parametrize("size", [7, MIB, 9 * MIB], ids=["small", "streamed", "large"])
def test_a_file_that_is_copied_for_a_move_keeps_its_time_and_mode(work, across_devices, size):
    for name, mode in (("f", 0o640), ("older", 0o604)):
        (work / name).write_bytes(bytes(size))
        (work / name).chmod(mode)
    os.utime(work / "f", ns=(1_000_000_000_123_456_789, 1_100_000_000_987_654_321))
    before = (work / "f").stat()
    assert moved(work / "f", work / "older") == size
    after = (work / "older").stat()
    assert (after.st_mode, after.st_mtime_ns) == (before.st_mode, before.st_mtime_ns)
    assert os.listdir(work) == ["older"]


def test_nobody_else_can_read_a_private_file_while_it_is_copied_for_a_move(work, across_devices, monkeypatch):
    (work / "f").write_bytes(bytes(MIB))
    (work / "f").chmod(0o600)
    modes = []
    real = os.write

    def write(descriptor, data):
        modes.append(os.fstat(descriptor).st_mode & 0o777)
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", write)
    moved(work / "f", work / "g")
    assert set(modes) == {0o600}


def test_rights_of_another_owner_are_not_passed_on(work, monkeypatch):
    (work / "f").write_bytes(b"x")
    (work / "f").chmod(0o6755)
    status = (work / "f").stat()
    facts = {name: getattr(status, name) for name in dir(status) if name.startswith("st_")}
    open_partial_file(str(work / "g"), SimpleNamespace(**facts | {"st_uid": status.st_uid + 1})).commit()
    assert (work / "g").stat().st_mode & 0o7777 == 0o755


def test_a_file_system_that_has_no_modes_and_times_is_no_obstacle(work, across_devices, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "fchmod", refuse)
    monkeypatch.setattr(os, "utime", refuse)
    (work / "f").write_bytes(b"content")
    assert moved(work / "f", work / "g") == 7
    assert os.listdir(work) == ["g"]


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="there is no second file system")
def test_a_tree_that_is_moved_to_another_file_system_keeps_times_and_modes_of_its_files(home, work):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as elsewhere:
        assert os.stat(elsewhere).st_dev != work.stat().st_dev
        (work / "t" / "s").mkdir(parents=True)
        for name, mode in (("t/a", 0o700), ("t/s/b", 0o444)):
            (work / name).write_text(name)
            (work / name).chmod(mode)
            os.utime(work / name, ns=(1, 1_100_000_000_987_654_321))
        assert home.run("mv", "t", elsewhere, cwd=work).code == ExitCode.OK
        found = {name: Path(elsewhere, name).stat() for name in ("t/a", "t/s/b")}
        assert [status.st_mode & 0o7777 for status in found.values()] == [0o700, 0o444]
        assert {status.st_mtime_ns for status in found.values()} == {1_100_000_000_987_654_321}
        assert os.listdir(work) == []


def test_a_copy_gets_the_time_of_the_copy_and_the_usual_mode(home, work):
    (work / "f").write_text("x")
    (work / "f").chmod(0o700)
    os.utime(work / "f", (1000, 1000))
    assert home.run("cp", "f", "g", cwd=work).code == ExitCode.OK
    assert ((work / "g").stat().st_mode & 0o100, (work / "g").stat().st_mtime > 1000) == (0, True)


def test_a_link_at_the_target_stays_and_leads_to_what_was_moved(work, reads):
    (work / "d").mkdir()
    (work / "d" / "real").write_text("old")
    (work / "link").symlink_to("d/real")
    (work / "dangling").symlink_to("d/new")
    for name in ("link", "dangling"):
        (work / "f").write_text("moved")
        moved(work / "f", work / name)
        assert (work / name).is_symlink()
        assert (work / name).read_text() == "moved"
    assert reads == []


def test_what_a_link_leads_to_is_copied_and_the_link_removed(work):
    (work / "real").write_text("x")
    (work / "d").mkdir()
    (work / "d" / "link").symlink_to("../real")
    moved(work / "d" / "link", work / "g")
    assert ((work / "g").read_text(), (work / "g").is_symlink()) == ("x", False)
    assert ((work / "real").read_text(), os.listdir(work / "d")) == ("x", [])


@pytest.mark.parametrize("target", ["d", "d/", "nothing/g", "g/"])
def test_what_a_copy_refuses_a_move_refuses_in_the_same_words(work, target):
    (work / "f").write_text("x")
    (work / "d").mkdir()
    source, to = Place(STORAGE, DataUri(LOCAL, f"{work}/f")), Place(STORAGE, DataUri(LOCAL, f"{work}/{target}"))
    said = []
    for removes in (False, True):
        with pytest.raises(AlgoError) as raised:
            execute(Transfer(source, to, removes_source=removes), lambda position, size: None, CopyOptions())
        said.append((type(raised.value), raised.value.message, raised.value.hint))
    assert said[0] == said[1]
    assert sorted(os.listdir(work)) == ["d", "f"]


def test_a_pipe_is_neither_moved_nor_replaced(work):
    os.mkfifo(work / "pipe")
    (work / "f").write_text("x")
    with pytest.raises(AlgoError, match="not a regular file"):
        moved(work / "pipe", work / "g")
    reader = os.open(work / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        moved(work / "f", work / "pipe")
        assert os.read(reader, 10) == b"x"
    finally:
        os.close(reader)
    assert os.listdir(work) == ["pipe"]


def test_two_names_of_one_file_are_no_move(home, work):
    (work / "f").write_text("x")
    os.link(work / "f", work / "g")
    assert home.run("mv", "f", "g", cwd=work).code == ExitCode.FAILURE
    assert sorted(os.listdir(work)) == ["f", "g"]


def test_a_rename_is_told_as_any_move_is(home, work):
    (work / "f").write_text("12345")
    number = (work / "f").stat().st_ino
    result = home.run("mv", "--json", "f", "g", cwd=work)
    assert json.loads(result.text) == {"action": "moved", "source": "f", "destination": "g", "bytes": 5}
    assert (work / "g").stat().st_ino == number
    assert home.run("mv", "g", "f", cwd=work).text == "Moved g to f\n"
    (work / "new").write_text("new")
    assert home.run("mv", "--no-clobber", "new", "f", cwd=work).text == ""
    assert (work / "f").read_text() == "12345"
    os.utime(work / "new", (0, 0))
    assert home.run("mv", "--update", "new", "f", cwd=work).text == ""
    assert sorted(os.listdir(work)) == ["f", "new"]


def test_a_tree_is_moved_by_renaming_its_files(home, work):
    for name in ("t/a", "t/s/b"):
        (work / name).parent.mkdir(exist_ok=True)
        (work / name).write_text(name)
    numbers = {(work / name).stat().st_ino for name in ("t/a", "t/s/b")}
    assert home.run("mv", "t", "u", cwd=work).code == ExitCode.OK
    assert {(work / name).stat().st_ino for name in ("u/a", "u/s/b")} == numbers
    assert os.listdir(work) == ["u"]


def test_nothing_is_moved_or_removed_through_a_link_to_a_directory(home, work):
    (work / "outside" / "empty").mkdir(parents=True)
    (work / "outside" / "f").write_text("x")
    (work / "t" / "s").mkdir(parents=True)
    (work / "t" / "link").symlink_to("../outside")
    (work / "t" / "s" / "g").write_text("x")
    result = home.run("mv", "t", "u", cwd=work)
    assert (result.code, "t/link is a link to a directory" in result.stderr) == (ExitCode.FAILURE, True)
    assert sorted(os.listdir(work / "outside")) == ["empty", "f"]
    assert os.listdir(work / "t") == ["link"]
    assert os.listdir(work / "u") == ["s"]
    for name in ("t/link", "t/link/"):
        assert home.run("mv", name, "v", cwd=work).code == ExitCode.FAILURE
    assert sorted(os.listdir(work / "outside")) == ["empty", "f"]
    assert not (work / "v").exists()


def test_empty_directories_that_are_excluded_stay(home, work):
    for name in ("t/keep", "t/go"):
        (work / name).mkdir(parents=True)
    assert home.run("mv", "--exclude", "keep", "t", "u", cwd=work).code == ExitCode.OK
    assert (os.listdir(work / "t"), os.listdir(work / "u")) == (["keep"], ["go"])


@pytest.mark.parametrize(
    ("sources", "refused"),
    [
        (["m1/sub", "m2/sub"], {"m2/sub/f", "m2/sub/s/f"}),
        (["m1/sub/", "m2/sub/"], {"m2/sub/f", "m2/sub/s/f"}),
        (["m1", "m2/sub", "m3/m1"], {"m3/m1/sub/f"}),
        (["m?/sub"], {"m2/sub/f", "m2/sub/s/f"}),
    ],
)
def test_of_two_trees_that_land_on_one_place_nothing_is_replaced_and_the_rest_is_moved(home, work, sources, refused):
    names = {"m1/sub/f", "m1/sub/s/f", "m1/sub/g", "m2/sub/f", "m2/sub/s/f", "m2/sub/h", "m3/m1/sub/f"}
    for name in names:
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_text(name)
    (work / "md").mkdir()
    result = home.run("mv", *sources, "md", cwd=work)
    assert result.code == ExitCode.FAILURE
    assert result.stderr.count("another source has the same name") == len(refused)
    everything = {path.read_text() for path in work.rglob("*") if path.is_file()}
    assert everything == names
    assert {name for name in refused if (work / name).read_text() == name} == refused
    assert (work / "md/sub/h").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["sync", "lnk", "lt", "--delete"],
        ["sync", "lt", "lnk", "--delete"],
        ["sync", "lt", "lnk/new/deep", "--delete"],
        ["sync", "whole", "lt/sub", "--delete"],
        ["cp", "-r", "lt", "lnk/new"],
        ["cp", "-r", "whole", "lt/sub/new"],
        ["mv", "lt", "lnk"],
        ["mv", "lt", "lnk/new"],
    ],
)
def test_a_link_hides_no_directory_that_is_in_the_other(home, work, arguments):
    (work / "lt" / "sub").mkdir(parents=True)
    (work / "lt" / "f").write_text("x")
    (work / "lt" / "sub" / "g").write_text("y")
    (work / "lnk").symlink_to("lt/sub")
    (work / "whole").symlink_to("lt")
    result = home.run(*arguments, cwd=work)
    assert (result.code, "itself, or in it" in result.stderr) == (ExitCode.USAGE, True)
    assert sorted(str(path.relative_to(work)) for path in work.rglob("*")) == [
        "lnk",
        "lt",
        "lt/f",
        "lt/sub",
        "lt/sub/g",
        "whole",
    ]


@pytest.mark.parametrize("destination", ["t/sub", "t/new", "data://.my/c", "data://.my", "file", "nothing/u"])
def test_a_move_that_is_refused_leaves_empty_directories_too(home, data_platform, work, destination):
    for name in ("t/empty", "t/sub/empty"):
        (work / name).mkdir(parents=True)
    (work / "t/sub/f").write_text("x")
    (work / "file").touch()
    before = sorted(work.rglob("*"))
    assert home.run("mv", "t", destination, cwd=work).code != ExitCode.OK
    assert sorted(work.rglob("*")) == before


def test_what_is_in_a_directory_that_could_not_be_made_stays(home, work):
    (work / "t/sub/empty").mkdir(parents=True)
    (work / "t/other/empty").mkdir(parents=True)
    (work / "there/t").mkdir(parents=True)
    (work / "there/t/sub").touch()
    assert home.run("mv", "t", "there", cwd=work).code == ExitCode.FAILURE
    assert sorted(str(path.relative_to(work / "t")) for path in (work / "t").rglob("*")) == ["sub", "sub/empty"]


class Store(Storage):
    """Files in memory, whose times have no fractions and whose versions are their contents, as in many stores."""

    def __init__(self, files: dict[str, tuple[bytes, datetime]]) -> None:
        self.files = files
        self.looks = 0

    def stat(self, uri: DataUri) -> Entry:
        self.looks += 1
        if uri.path not in self.files:
            raise NotFoundError(f"{uri} does not exist")
        content, modified = self.files[uri.path]
        return Entry(uri, Kind.FILE, len(content), modified.replace(microsecond=0), version=content.decode())

    def read_small(self, uri: DataUri, limit: int) -> tuple[Entry, bytes]:
        entry = self.stat(uri)
        self.looks -= 1
        return entry, self.files[uri.path][0]

    def write_small(self, uri: DataUri, content: bytes) -> Entry:
        self.files[uri.path] = content, datetime.now(timezone.utc)
        return Entry(uri, Kind.FILE, len(content))

    def remove(self, uri: DataUri) -> None:
        del self.files[uri.path]

    list = open = write = mkdir = rmdir = None  # type: ignore[assignment]  # not called


def moved_between(source: Store, target: Store, name: str = "f") -> Entry:
    uri = DataUri("store", "f")
    places = Place(source, uri), Place(target, DataUri("other", name))
    entry = Entry(uri, Kind.FILE, size=1)
    return execute(Transfer(*places, entry, removes_source=True), lambda position, size: None, CopyOptions())


LONG_AGO = datetime(2020, 1, 1, tzinfo=timezone.utc)


@pytest.mark.parametrize("modified", [LONG_AGO, None])
def test_a_file_under_another_name_of_its_store_is_not_removed_by_a_move(modified):
    """The time tells, and one from the same second is let pass."""
    files = {"f": (b"x", modified or datetime.now(timezone.utc))}
    with pytest.raises(AlgoError, match="f stays") as raised:
        moved_between(Store(files), Store(files))
    assert "names of one file" in str(raised.value.hint)
    assert files["f"][0] == b"x"


def test_a_new_file_is_moved_to_another_store_though_both_are_of_one_second():
    files, others = {"f": (b"x", datetime.now(timezone.utc))}, {}
    moved_between(Store(files), Store(others))
    assert (files, others["f"][0]) == ({}, b"x")


def test_a_move_between_stores_costs_one_look_at_the_source():
    source, target = Store({"f": (b"x", LONG_AGO)}), Store({})
    moved_between(source, target)
    assert (source.looks, target.looks, source.files) == (1, 0, {})
    same = Store({"f": (b"x", LONG_AGO)})
    moved_between(same, same, "g")
    assert (same.looks, list(same.files)) == (0, ["g"])


def test_a_source_that_was_replaced_while_it_was_moved_stays():
    class Busy(Store):
        def write_small(self, uri: DataUri, content: bytes) -> Entry:
            source.files["f"] = b"newer", LONG_AGO
            return super().write_small(uri, content)

    source = Store({"f": (b"x", LONG_AGO)})
    with pytest.raises(AlgoError, match="f stays"):
        moved_between(source, Busy({}))
    assert source.files["f"][0] == b"newer"


def test_a_source_that_cannot_be_looked_at_again_stays():
    class Blind(Store):
        def stat(self, uri: DataUri) -> Entry:
            if self.files is not target.files and target.files:
                raise AlgoError("it broke")
            return super().stat(uri)

    source, target = Blind({"f": (b"x", LONG_AGO)}), Store({})
    with pytest.raises(AlgoError) as raised:
        moved_between(source, target)
    assert raised.value.message == "store://f was copied to other://f, and stays: it broke"
    assert "f" in source.files


def test_a_file_of_this_machine_that_a_store_also_has_is_not_removed_by_a_move(work):
    """A connector can lead back to the directory that the file is in."""
    (work / "f").write_text("x")
    uri = DataUri(LOCAL, f"{work}/f")
    with pytest.raises(AlgoError, match="f stays"):
        execute(
            Transfer(Place(LocalStorage(), uri), Place(LocalStorage(), uri), removes_source=True),
            lambda position, size: None,
            CopyOptions(),
        )
    assert (work / "f").read_text() == "x"


@pytest.mark.parametrize("source", [".", "..", "./", "d/..", "../work/.", "/", "data://", "data://.my/c/."])
def test_what_has_no_name_is_not_moved(home, data_platform, work, source):
    (work / "d").mkdir()
    (work / "f").write_text("x")
    data_platform.files["data/.my/c/f"] = b"x"
    for target in ("d", f"{work.parent}/elsewhere"):
        result = home.run("mv", "f", source, target, cwd=work)
        assert (result.code, "no name" in result.stderr) == (ExitCode.USAGE, True)
    assert sorted(os.listdir(work)) == ["d", "f"]
    assert (work.parent / "elsewhere").exists() is False
    assert data_platform.log == []
