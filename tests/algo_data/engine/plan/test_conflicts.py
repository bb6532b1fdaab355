"""A sync onto a directory where a file should go, or a file where a directory should: an error, or removed by `--delete`."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

import pytest

from algo_core.errors import ExitCode
from algo_core.storage.contract import Entry, Kind
from algo_core.storage.uri import DataUri
from algo_data.engine.io.spool import Spool
from algo_data.engine.options import CopyOptions
from algo_data.engine.plan.conflicts import Directories, may_be_removed
from algo_data.engine.plan.removal import remove_extra
from algo_data.engine.plan.sync import plan_sync
from algo_data.engine.selection import EVERYTHING
from algo_data.engine.transfer import Place
from algo_data.local.storage import LocalStorage


def make(top: Path, *names: str) -> None:
    """Files that hold their names, and directories, whose names end with a slash."""
    for name in names:
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            path.mkdir(exist_ok=True)
        else:
            path.write_text(name)


def tree(top: Path) -> list[str]:
    """All that is below a directory, in the form of `make`."""
    return sorted(str(path.relative_to(top)) + "/" * path.is_dir() for path in top.rglob("*"))


@pytest.fixture
def clashing(work: Path) -> Path:
    """`a` is a file in the source and a directory in the target, `b` the other way round."""
    make(work / "src", "a", "b/x", "b/s/y", "new")
    make(work / "dst", "a/deep/old", "a/old", "b", "extra")
    return work


def test_without_delete_it_is_an_error_that_says_what_to_do(home, clashing):
    before = tree(clashing / "dst")
    result = home.run("sync", "src", "dst", cwd=clashing)
    assert result.code == ExitCode.FAILURE
    assert "dst/a is a directory, and src/a a file" in result.stderr
    assert "algo rm -r ./dst/a" in result.stderr
    assert "dst/b is a file, and src/b a directory" in result.stderr
    assert "algo rm ./dst/b" in result.stderr
    assert result.stderr.count("--delete") == 2
    assert "algo cp" not in result.stderr
    assert tree(clashing / "dst") == sorted([*before, "new"])


def test_the_command_that_it_names_mends_it(home, clashing):
    stderr = home.run("sync", "src", "dst", cwd=clashing).stderr
    for line in stderr.splitlines():
        if ": algo rm " in line:
            assert home.run(*line.partition(": algo ")[2].split(), cwd=clashing).code == ExitCode.OK
    assert home.run("sync", "src", "dst", cwd=clashing).code == ExitCode.OK
    assert set(tree(clashing / "src")) < set(tree(clashing / "dst"))


@pytest.mark.parametrize("options", [[], ["--checksum"], ["--update"], ["--no-clobber"], ["--max-transfers", "1"]])
def test_with_delete_it_is_removed_and_the_copy_made(home, clashing, options):
    result = home.run("sync", "--delete", *options, "src", "dst", cwd=clashing)
    assert result.code == ExitCode.OK
    assert tree(clashing / "dst") == tree(clashing / "src")
    assert (clashing / "dst" / "b" / "s" / "y").read_text() == "b/s/y"
    lines = result.text.splitlines()
    deleted = [line for line in lines if line.startswith("Deleted")]
    assert (sorted(deleted), deleted[-1]) == (
        [f"Deleted dst/{name}" for name in ("a", "b", "extra")],
        "Deleted dst/extra",
    )
    assert lines.index("Deleted dst/a") < lines.index("Copied src/a to dst/a")
    assert lines.index("Deleted dst/b") < lines.index("Copied src/b/x to dst/b/x")
    assert lines.index("Copied src/new to dst/new") < lines.index("Deleted dst/a")
    assert home.run("sync", "--delete", "src", "dst", cwd=clashing).text == ""


def test_a_dry_run_says_it_and_does_nothing(home, clashing):
    before = tree(clashing / "dst")
    result = home.run("sync", "--dry-run", "src", "dst", cwd=clashing)
    assert (result.code, result.stderr.count("--delete")) == (ExitCode.FAILURE, 2)
    result = home.run("sync", "--dry-run", "--delete", "src", "dst", cwd=clashing)
    assert result.code == ExitCode.OK
    assert sorted(result.text.splitlines()) == [
        *(f"Would copy src/{name} to dst/{name}" for name in ("a", "b/s/y", "b/x", "new")),
        *(f"Would delete dst/{name}" for name in ("a", "b", "extra")),
    ]
    assert tree(clashing / "dst") == before


def test_it_is_told_as_json(home, clashing):
    lines = home.run("sync", "--delete", "--json", "src", "dst", cwd=clashing).text.splitlines()
    told = {(row["action"], row["destination"]) for row in map(json.loads, lines)}
    assert {("deleted", "dst/a"), ("copied", "dst/a"), ("deleted", "dst/b"), ("copied", "dst/b/x")} <= told


def test_nothing_is_removed_when_a_copy_has_failed(home, clashing):
    before = tree(clashing / "dst")
    os.mkfifo(clashing / "src" / "pipe")
    result = home.run("sync", "--delete", "src", "dst", cwd=clashing)
    assert result.code == ExitCode.FAILURE
    assert "Nothing was removed" in result.stderr
    assert tree(clashing / "dst") == sorted([*before, "new"])


@pytest.mark.parametrize(
    ("pattern", "held"),
    [
        (["--exclude", "*.log"], "a/deep/keep.log"),
        (["--exclude", "keep"], "a/keep/"),
        (["--exclude", "a/"], "a/"),
        (["--include", "a", "--include", "x"], "a/old"),
    ],
)
def test_what_the_patterns_leave_out_stays_and_so_does_all_else(home, work, pattern, held):
    make(work / "src", "a", "b/x")
    make(work / "dst", "a/old", "x", "b/gone", held)
    before = tree(work / "dst")
    result = home.run("sync", "--delete", *pattern, "src", "dst", cwd=work)
    assert result.code == ExitCode.FAILURE
    assert "excludes dst/" + held.rstrip("/") in result.stderr
    assert "Nothing was removed" in result.stderr
    assert tree(work / "dst") == sorted([*before, "b/x"])


def test_a_file_that_is_excluded_stays_in_the_way_of_a_directory(home, work):
    make(work / "src", "b/x.txt")
    make(work / "dst", "b", "extra.txt")
    result = home.run("sync", "--delete", "--include", "*.txt", "src", "dst", cwd=work)
    assert (result.code, "is kept" in result.stderr) == (ExitCode.FAILURE, True)
    assert tree(work / "dst") == ["b", "extra.txt"]


def test_what_the_patterns_leave_out_elsewhere_does_not_matter(home, work):
    make(work / "src", "a", "b/x", "b/x.log")
    make(work / "dst", "a/old", "b", "keep.log")
    assert home.run("sync", "--delete", "--exclude", "*.log", "src", "dst", cwd=work).code == ExitCode.OK
    assert tree(work / "dst") == ["a", "b/", "b/x", "keep.log"]


def test_a_directory_in_which_a_process_writes_stays(home, work):
    make(work / "src", "a")
    make(work / "dst", "a/.f.algo-part", "a/old")
    with (work / "dst" / "a" / ".f.algo-part").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        result = home.run("sync", "--delete", "src", "dst", cwd=work)
        assert (result.code, "another process is writing" in result.stderr) == (ExitCode.FAILURE, True)
        assert tree(work / "dst") == ["a/", "a/.f.algo-part", "a/old"]
    assert home.run("sync", "--delete", "src", "dst", cwd=work).code == ExitCode.OK
    assert tree(work / "dst") == ["a"]


def test_of_a_link_only_the_link_is_removed(home, work):
    make(work / "real", "f.log", "g")
    make(work / "src", "a", "b/x")
    make(work / "dst", "plain")
    (work / "dst" / "a").symlink_to("../real")
    (work / "dst" / "b").symlink_to("plain")
    assert home.run("sync", "--delete", "--exclude", "*.log", "src", "dst", cwd=work).code == ExitCode.OK
    assert tree(work / "dst") == ["a", "b/", "b/x"]
    assert not (work / "dst" / "a").is_symlink()
    assert tree(work / "real") == ["f.log", "g"]


def test_names_that_a_shell_would_read_otherwise_are_quoted(home, work):
    make(work / "src", "a file")
    make(work / "dst", "a file/x")
    stderr = home.run("sync", "src", "dst", cwd=work).stderr
    assert "algo rm -r './dst/a file'" in stderr


def test_hosted_data_comes_onto_a_directory(home, data_platform, work):
    data_platform.files |= {f"data/.my/c/{name}": name.encode() for name in ("a", "b", "z")}
    make(work / "dst", "b/old")
    assert home.run("sync", "data://.my/c", "dst", cwd=work).code == ExitCode.FAILURE
    assert tree(work / "dst") == ["a", "b/", "b/old", "z"]
    assert home.run("sync", "--delete", "data://.my/c", "dst", cwd=work).code == ExitCode.OK
    assert tree(work / "dst") == ["a", "b", "z"]


def test_nothing_is_removed_for_what_cannot_be_had(home, data_platform, work):
    data_platform.files["data/.my/c/a"] = b"x"
    data_platform.fail("GET", "/a", 403, times=99)
    make(work / "dst", "a/old", "extra")
    result = home.run("sync", "--delete", "data://.my/c", "dst", cwd=work)
    assert (result.code, "Nothing was removed" in result.stderr) == (ExitCode.AUTHENTICATION, True)
    assert tree(work / "dst") == ["a/", "a/old", "extra"]


def test_when_the_copy_itself_fails_only_what_stood_in_its_way_has_gone(home, data_platform, work):
    data_platform.files["data/.my/c/a"] = b"x"
    data_platform.fail("GET", "/a", lambda handler: False)
    data_platform.fail("GET", "/a", 403, times=99)
    make(work / "dst", "a/old", "extra")
    result = home.run("sync", "--delete", "data://.my/c", "dst", cwd=work)
    assert (result.code, result.text) == (ExitCode.AUTHENTICATION, "Deleted dst/a\n")
    assert tree(work / "dst") == ["extra"]


def test_nothing_is_removed_for_a_directory_that_cannot_be_listed(home, work):
    make(work / "src", "b/s/x")
    (work / "src" / "b" / "s" / "up").symlink_to("../../b")
    make(work / "dst", "b")
    result = home.run("sync", "--delete", "src", "dst", cwd=work)
    assert (result.code, "leads back" in result.stderr) == (ExitCode.FAILURE, True)
    assert tree(work / "dst") == ["b"]


class Store:
    """An object store, where a file and a directory can have one name."""

    has_folders = True
    needs_directories = False
    paths_are_keys = False

    def __init__(self, *names: str) -> None:
        self._names = names

    def stat(self, uri: DataUri) -> Entry:
        return Entry(uri, Kind.DIRECTORY)

    def scan(self, uri: DataUri):
        for name in self._names if uri.path == "a" else ["y"]:
            yield Entry(uri.child(name.rstrip("/")), Kind.DIRECTORY if name.endswith("/") else Kind.FILE, size=1)


@pytest.mark.parametrize("theirs", ["x", "x/old"])
@pytest.mark.parametrize("names", [("x/", "x"), ("x", "x/")], ids=["sorted", "unsorted"])
def test_what_is_both_in_the_source_makes_nothing_go(work, theirs, names):
    make(work, theirs)
    source, target = Place(Store(*names), DataUri("from", "a")), Place(LocalStorage(), DataUri("file", str(work)))
    refused: list[str] = []
    with Spool() as obstructed:
        list(plan_sync(source, target, pytest.fail, None, CopyOptions(), obstructed.add))
        told = may_be_removed(obstructed, source, target, EVERYTHING, lambda what, error: refused.append(error.message))
        assert told == (obstructed.count == 0)
        assert all("is both a file and a directory" in message for message in refused)


def test_names_are_found_in_order_however_many_there_are():
    with Directories() as directories:
        assert not directories.has("a")
    with Directories() as directories:
        for number in range(0, 5000, 2):
            directories.add(f"{number:05d}")
        assert [n for n in range(5002) if directories.has(f"{n:05d}")] == list(range(0, 5000, 2))


def test_what_has_become_the_other_kind_since_it_was_extra_stays(work):
    make(work, "f", "d/x")
    place = Place(LocalStorage(), DataUri("file", str(work)))
    assert not remove_extra(place.child("f"), True)
    assert not remove_extra(place.child("d"), False)
    assert tree(work) == ["d/", "d/x", "f"]
