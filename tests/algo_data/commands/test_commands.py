"""`cp -r`, `mv`, `sync`, `rm -r`, `du`, `stat`, `ls -R`, `mkdir -p`: what they do, and with how many requests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from algo_core.errors import ExitCode
from algo_core.storage.uri import LOCAL, DataUri
from algo_data.engine.options import CopyOptions
from algo_data.engine.plan.planner import plan
from algo_data.local.storage import LocalStorage

BUCKET = "connector/s3/bucket"


@pytest.fixture
def tree(work: Path) -> Path:
    """Files on three levels."""
    for name in ("a.txt", "s/b.txt", "s/u/c.log", ".hidden/d.txt"):
        path = work / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return work / "tree"


@pytest.fixture
def bucket_address(data_platform) -> str:
    """A connector that takes files below any prefix."""
    data_platform.directories |= {BUCKET, *(f"{BUCKET}/{d}" for d in ("tree", "tree/s", "tree/s/u", "tree/.hidden"))}
    return "s3://bucket"


def files_below(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())


NAMES = [".hidden/d.txt", "a.txt", "s/b.txt", "s/u/c.log"]


# cp -r


def test_a_tree_goes_up_to_a_connector_and_comes_down_again(home, data_platform, tree, bucket_address):
    assert home.run("cp", "-r", "tree", bucket_address, cwd=tree.parent).code == ExitCode.OK
    assert sorted(data_platform.files) == [f"{BUCKET}/tree/{name}" for name in NAMES]
    assert data_platform.requests("POST") == []
    assert home.run("cp", "-r", f"{bucket_address}/tree", "back", cwd=tree.parent).code == ExitCode.OK
    assert files_below(tree.parent / "back") == NAMES
    assert (tree.parent / "back/s/u/c.log").read_text() == "s/u/c.log"


def test_a_tree_into_a_collection_is_an_error_that_names_the_ways(home, data_platform, tree):
    for destination in ("data://.my/c", "data://.my/new", "data://.my"):
        result = home.run("cp", "-r", tree, destination)
        assert (result.code, result.text) == (ExitCode.USAGE, "")
        assert "--flatten" in result.stderr
        assert "s3://" in result.stderr
    assert data_platform.requests("PUT") == data_platform.requests("POST") == []


@pytest.mark.parametrize("command", [["sync", "t"], ["cp", "-r", "t/."], ["cp", "-r", "t/"], ["mv", "t"]])
@pytest.mark.parametrize("held", ["one/s/f", "one/s/u/f"])
def test_a_tree_that_an_account_cannot_hold_is_refused_before_anything(home, data_platform, work, command, held):
    for name in ("one/f", held):
        (work / "t" / name).parent.mkdir(parents=True, exist_ok=True)
        (work / "t" / name).write_text("x")
    for more in ([], ["--dry-run"]):
        result = home.run(*command, "data://.my", *more, cwd=work)
        assert (result.code, result.text) == (ExitCode.USAGE, "")
        assert "--flatten" in result.stderr
    assert data_platform.requests("POST") == data_platform.requests("PUT") == []
    assert files_below(work / "t") == ["one/f", held]


@pytest.mark.parametrize("command", [["sync", "t"], ["cp", "-r", "t/."]])
def test_an_account_holds_collections_and_no_files(home, data_platform, work, command):
    for name in ("one/f", "two/f"):
        (work / "t" / name).parent.mkdir(parents=True, exist_ok=True)
        (work / "t" / name).write_text(name)
    (work / "t/top").touch()
    result = home.run(*command, "data://.my", cwd=work)
    assert (result.code, result.text) == (ExitCode.USAGE, "")
    assert "data://.my/COLLECTION" in result.stderr
    assert data_platform.requests("POST") == data_platform.requests("PUT") == []
    assert home.run(*command, "data://.my", "--exclude", "top", cwd=work).code == ExitCode.OK
    assert data_platform.files == {f"data/.my/{name}": name.encode() for name in ("one/f", "two/f")}


@pytest.mark.parametrize(
    ("sources", "made"),
    [
        (["m1/sub", "m2/sub"], {"sub/f": "m1/sub/f", "sub/g": "m1/sub/g", "sub/h": "m2/sub/h"}),
        (["m1/sub/.", "m2/sub/."], {"f": "m1/sub/f", "g": "m1/sub/g", "h": "m2/sub/h"}),
        (["m1/sub/.", "f"], {"f": "m1/sub/f", "g": "m1/sub/g"}),
        (["f", "m1/sub/."], {"f": "f", "g": "m1/sub/g"}),
        (["m1/./", "m2/sub"], {"sub/f": "m1/sub/f", "sub/g": "m1/sub/g", "sub/h": "m2/sub/h"}),
    ],
)
@pytest.mark.parametrize("is_list", [False, True])
def test_a_file_that_was_just_made_is_not_replaced_by_one_of_another_tree(
    home, data_platform, work, sources, made, is_list
):
    for name in ("m1/sub/f", "m1/sub/g", "m2/sub/f", "m2/sub/h", "f"):
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_text(name)
    (work / "md").mkdir()
    (work / "list").write_text("\n".join(sources))
    given = ["--from-file", "list"] if is_list else sources
    result = home.run("cp", "-r", *given, "md", cwd=work)
    assert (result.code, result.stderr.count("another source has the same name")) == (ExitCode.FAILURE, 1)
    assert {name: (work / "md" / name).read_text() for name in files_below(work / "md")} == made


def test_paths_below_trees_are_remembered_only_where_trees_can_meet(work, monkeypatch):
    remembered: list[str] = []

    class Watched(set):
        def add(self, path: str) -> None:
            remembered.append(path)
            super().add(path)

    monkeypatch.setattr("algo_data.engine.plan.planner.set", Watched, raising=False)
    for name in ("one/f", "two/f", "three"):
        (work / name).parent.mkdir(exist_ok=True)
        (work / name).touch()
    (work / "d").mkdir()
    sources = [DataUri(LOCAL, str(work / name)) for name in ("one", "two", "three")]
    storage = LocalStorage()
    found = plan(
        sources, DataUri(LOCAL, str(work / "d")), lambda uri: storage, pytest.fail, CopyOptions(is_recursive=True)
    )
    assert len(list(found)) == 3
    assert remembered == [str(work / "d" / "three")]


def test_flatten_puts_all_files_into_the_collection(home, data_platform, tree):
    assert home.run("cp", "--flatten", tree, "data://.my/c").code == ExitCode.OK
    assert sorted(data_platform.files) == [f"data/.my/c/{name}" for name in ("a.txt", "b.txt", "c.log", "d.txt")]


def test_a_flat_directory_becomes_a_collection(home, data_platform, work):
    (work / "flat").mkdir()
    (work / "flat" / "f").write_text("x")
    assert home.run("cp", "-r", work / "flat", "data://.my/new").code == ExitCode.OK
    assert data_platform.files == {"data/.my/new/f": b"x"}
    assert data_platform.requests("POST") == ["POST data/.my"]


def test_one_failing_file_of_a_tree_does_not_stop_the_others_and_can_be_retried(
    home, data_platform, tree, bucket_address
):
    data_platform.fail("PUT", "s/b.txt", 403)
    result = home.run("cp", "-r", "tree", bucket_address, cwd=tree.parent)
    assert result.code == ExitCode.AUTHENTICATION
    assert "s/b.txt" in result.stderr
    assert len(data_platform.files) == 3
    data_platform.log.clear()
    result = home.run("cp", "--retry-failed", cwd=tree)
    assert (result.code, result.text) == (ExitCode.OK, "Uploaded s3://bucket/tree/s/b.txt\n")
    assert data_platform.requests("PUT") == [f"PUT {BUCKET}/tree/s/b.txt"]
    result = home.run("cp", "--retry-failed")
    assert result.code == ExitCode.USAGE
    assert "no failed transfers" in result.stderr


def test_a_retry_never_goes_to_another_platform(home, data_platform, work):
    (work / "f").write_text("x")
    data_platform.fail("PUT", "c/f", 403)
    assert home.run("cp", "f", "data://.my/c", cwd=work).code == ExitCode.AUTHENTICATION
    result = home.run("cp", "--retry-failed", environ={"ALGORITHMIA_API": "http://127.0.0.1:9"})
    assert (result.code, "--profile" in result.stderr) == (ExitCode.USAGE, True)
    assert home.run("cp", "--retry-failed").code == ExitCode.OK
    assert data_platform.files == {"data/.my/c/f": b"x"}


def test_what_was_never_planned_cannot_be_retried_alone(home, data_platform, tree):
    assert home.run("cp", tree / "a.txt", tree / "nothing*", "data://.my/c").code == ExitCode.NOT_FOUND
    result = home.run("cp", "--retry-failed")
    assert result.code == ExitCode.USAGE
    assert "Run the failed command again" in result.stderr


def test_a_dry_run_changes_nothing(home, data_platform, tree, bucket_address):
    result = home.run("cp", "-r", "--dry-run", "--json", tree, bucket_address)
    said = [json.loads(line) for line in result.text.splitlines()]
    assert sorted(item["destination"] for item in said) == [f"s3://bucket/tree/{name}" for name in NAMES]
    assert {item["action"] for item in said} == {"would copy"}
    assert [line for line in data_platform.log if line.startswith(("PUT", "POST"))] == []
    assert home.run("cp", "-r", "--dry-run", tree, tree.parent / "copy").code == ExitCode.OK
    assert not (tree.parent / "copy").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["cp", "f", "data://.my/nonexist/f"], "algo mkdir data://.my/nonexist"),
        (["cp", "f", "data://.my/f.txt"], "Files go into a collection"),
        (["cp", "f", "nonexist/f"], "Directory nonexist does not exist"),
        (["cp", "nothing", "data://.my/c/f"], "nothing does not exist"),
        (["cp", "data://.my/c/nothing", "."], "data not found"),
        (["cp", "data://.my/c", "new"], "algo cp -r data://.my/c"),
        (["cp", "d", "new"], "d is a directory"),
        (["cp", "pipe", "new"], "not a regular file"),
        (["cp", "g", "there"], "there/g is a directory"),
        (["cp", "-r", "t", "there"], "there/t/s is a file"),
        (["mv", "t", "there"], "there/t/s is a file"),
        (["mv", "t", "data://.my"], "--flatten"),
        (["sync", "deep", "data://.my", "--delete"], "--flatten"),
        (["cp", "-r", "t", "nonexist/new"], "Directory nonexist does not exist"),
        (["rm", "-r", "."], "is not removed"),
        (["rm", "-r", "./d/.."], "is not removed"),
    ],
)
def test_a_dry_run_says_what_the_command_would_refuse(home, data_platform, work, arguments, words):
    for name in ("t/s/f", "deep/t/s/f", "there/g/f", "there/t/s", "d/f", "f", "g"):
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_text(name)
    os.mkfifo(work / "pipe")
    before = sorted(work.rglob("*"))
    dry = home.run(*arguments, "--dry-run", cwd=work)
    assert sorted(work.rglob("*")) == before
    assert data_platform.requests("POST") == data_platform.requests("PUT") == data_platform.requests("DELETE") == []
    real = home.run(*arguments, cwd=work)
    assert (dry.code, dry.text) == (real.code, "")
    assert real.code != ExitCode.OK
    assert words in dry.stderr
    assert words in real.stderr


def test_a_dry_run_supposes_the_directories_that_would_be_made(home, data_platform, tree, bucket_address):
    for destination in ("new", f"{bucket_address}/new"):
        result = home.run("cp", "-r", "--dry-run", "tree", destination, cwd=tree.parent)
        assert (result.code, len(result.text.splitlines())) == (ExitCode.OK, 4)
    assert data_platform.log == [f"HEAD {BUCKET}/new"]
    result = home.run("cp", "--dry-run", "--json", tree / "a.txt", "data://.my/c/f")
    assert result.json["bytes"] == 5
    data_platform.log.clear()
    for number in range(40):
        (tree / str(number)).touch()
    assert home.run("cp", "--dry-run", *tree.glob("[0-9]*"), "data://.my/c").code == ExitCode.OK
    assert data_platform.log == ["HEAD data/.my/c"] * 2


def test_no_clobber_and_update_leave_what_is_there(home, data_platform, work):
    for name in ("new", "old"):
        (work / name).write_text("mine")
    os.utime(work / "old", (0, 0))
    data_platform.files["data/.my/c/old"] = b"theirs"
    assert home.run("cp", "--no-clobber", work / "new", work / "old", "data://.my/c").code == ExitCode.OK
    assert data_platform.files == {"data/.my/c/new": b"mine", "data/.my/c/old": b"theirs"}
    data_platform.files["data/.my/c/new"] = b"theirs"
    assert home.run("cp", "--update", work / "new", work / "old", "data://.my/c").code == ExitCode.OK
    assert data_platform.files == {"data/.my/c/new": b"mine", "data/.my/c/old": b"theirs"}
    result = home.run("cp", "-n", "-u", work / "new", "data://.my/c")
    assert (result.code, "contradict" in result.stderr) == (ExitCode.USAGE, True)


def test_standard_input_leaves_what_is_there_too(home, data_platform, work):
    data_platform.files["data/.my/c/f"] = b"theirs"
    (work / "f").write_text("theirs")
    for target in ("data://.my/c/f", "./f"):
        result = home.run("cp", "-n", "-", target, cwd=work, input="mine")
        assert (result.code, result.text) == (ExitCode.OK, "")
    assert (data_platform.files, (work / "f").read_text()) == ({"data/.my/c/f": b"theirs"}, "theirs")
    for target in ("data://.my/c/new", "./new"):
        assert home.run("cp", "-n", "-", target, cwd=work, input="mine").code == ExitCode.OK
    assert (data_platform.files["data/.my/c/new"], (work / "new").read_text()) == (b"mine", "mine")


def test_standard_input_is_neither_older_nor_newer(home, data_platform, work):
    (work / "f").write_text("theirs")
    result = home.run("cp", "-u", "-", "./f", cwd=work, input="mine")
    assert (result.code, "Leave out --update" in result.stderr) == (ExitCode.USAGE, True)
    assert (work / "f").read_text() == "theirs"


@pytest.mark.parametrize("separator", ["\n", "\r\n", "\0"])
def test_sources_from_a_list_are_names_and_no_patterns(home, data_platform, work, separator):
    for name in ("a*", "ab", "[x]", "café"):
        (work / name).write_text(name)
    (work / "list").write_bytes(separator.join(["a*", "[x]", "café", ""]).encode())
    assert home.run("cp", "--from-file", "list", "data://.my/c", cwd=work).code == ExitCode.OK
    assert set(data_platform.files) == {"data/.my/c/a*", "data/.my/c/[x]", "data/.my/c/café"}
    data_platform.files.clear()
    result = home.run("cp", "--from-file", "-", "data://.my/c", cwd=work, input="ab\nnope\n")
    assert result.code == ExitCode.NOT_FOUND
    assert set(data_platform.files) == {"data/.my/c/ab"}


def test_several_lists_are_all_read(home, data_platform, work):
    for name in ("a", "b"):
        (work / name).write_text(name)
        (work / f"list-{name}").write_text(name)
    assert (
        home.run("cp", "--from-file", "list-a", "--from-file", "list-b", "data://.my/c", cwd=work).code == ExitCode.OK
    )
    assert set(data_platform.files) == {"data/.my/c/a", "data/.my/c/b"}


def test_the_destination_of_a_list_is_a_directory(home, data_platform, work):
    """However many paths the list has: a script must not make a file of that name because there was only one."""
    (work / "a").write_text("a")
    (work / "list").write_text("a\n")
    for destination in ("new", "data://.my/new"):
        result = home.run("cp", "--from-file", "list", destination, cwd=work)
        assert (result.code, "mkdir" in result.stderr) == (ExitCode.NOT_FOUND, True)
    assert sorted(path.name for path in work.iterdir()) == ["a", "list"]
    assert data_platform.files == {}


def test_a_list_that_is_not_there_is_not_found(home, data_platform, work):
    result = home.run("cp", "--from-file", "nothing", "data://.my/c", cwd=work)
    assert (result.code, "nothing: No such file" in result.stderr) == (ExitCode.NOT_FOUND, True)


@pytest.mark.parametrize("pattern", [".my/c/nope*", ".my/nope/*", ".my/c/nope", "./nope*"])
def test_what_is_not_there_is_no_failure_with_force(home, data_platform, work, pattern):
    data_platform.files["data/.my/c/f"] = b"x"
    assert home.run("rm", pattern, cwd=work).code == ExitCode.NOT_FOUND
    result = home.run("rm", "-f", pattern, ".my/c/f", cwd=work)
    assert (result.code, result.stderr, data_platform.files) == (ExitCode.OK, "", {})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["a"], "Usage: algo cp"),
        ([], "Usage: algo cp"),
        (["--from-file", "list", "a", "b"], "only DEST"),
        (["--retry-failed", "a", "b"], "Leave out the paths"),
        (["--bwlimit", "fast", "a", "b"], "10M"),
        (["--bwlimit", "0", "a", "b"], "10M"),
        (["--max-transfers", "0", "a", "b"], "max-transfers"),
        (["--include", "[z-a]", "a", "b"], "Not a pattern"),
    ],
)
def test_a_command_line_that_means_nothing_does_nothing(home, data_platform, work, arguments, words):
    result = home.run("cp", *arguments, cwd=work)
    assert result.code in (ExitCode.FAILURE, ExitCode.USAGE)
    assert words in result.stderr
    assert "Traceback" not in result.stderr
    assert data_platform.log == []


@pytest.mark.parametrize("rate", ["500k", "10M", "1.5GiB/s", "1000000", "3 MB"])
def test_rates_are_written_in_many_ways(home, data_platform, work, rate):
    (work / "f").write_text("x")
    assert (
        home.run("cp", "--bwlimit", rate, "--max-transfers", "2", "--no-check", work / "f", "data://.my/c").code
        == ExitCode.OK
    )


def test_two_stars_copy_what_is_below_and_refuse_a_name_that_comes_twice(home, data_platform, tree):
    (tree / "s" / "a.txt").write_text("another")
    result = home.run("cp", f"{tree}/**/*.txt", "data://.my/c")
    assert result.code == ExitCode.FAILURE
    assert result.stderr.count("just written") == 1
    assert set(data_platform.files) == {"data/.my/c/a.txt", "data/.my/c/b.txt"}


# mv


def test_a_moved_file_is_removed_when_its_copy_is_there(home, data_platform, work):
    (work / "f").write_text("x")
    assert home.run("mv", "f", "data://.my/c", cwd=work).text == "Moved f to data://.my/c/f\n"
    assert data_platform.files == {"data/.my/c/f": b"x"}
    assert os.listdir(work) == []
    assert home.run("mv", "data://.my/c/f", "data://.my/c/g").code == ExitCode.OK
    assert data_platform.files == {"data/.my/c/g": b"x"}


def test_a_moved_tree_leaves_nothing_behind(home, data_platform, tree):
    assert home.run("mv", tree, tree.parent / "moved").code == ExitCode.OK
    assert files_below(tree.parent / "moved") == NAMES
    assert not tree.exists()


def test_what_could_not_be_moved_stays(home, data_platform, tree, bucket_address):
    data_platform.fail("PUT", "c.log", 403)
    assert home.run("mv", "tree", bucket_address, cwd=tree.parent).code == ExitCode.AUTHENTICATION
    assert files_below(tree) == ["s/u/c.log"]
    assert home.run("mv", "--retry-failed").code == ExitCode.OK
    assert files_below(tree) == []
    assert len(data_platform.files) == 4


def test_a_file_that_cannot_be_removed_was_copied_and_is_told(home, data_platform, work):
    data_platform.files["data/.my/c/f"] = b"x"
    data_platform.fail("DELETE", "c/f", 403)
    result = home.run("mv", "data://.my/c/f", work)
    assert result.code == ExitCode.AUTHENTICATION
    assert "could not be removed" in result.stderr
    assert (work / "f").read_bytes() == b"x"


def test_what_is_excluded_is_not_moved(home, data_platform, tree):
    assert home.run("mv", "--exclude", "*.log", tree, tree.parent / "moved").code == ExitCode.OK
    assert files_below(tree) == ["s/u/c.log"]


@pytest.mark.parametrize("arguments", [["f"], ["-", "data://.my/c/f"], ["f", "-"]])
def test_a_move_needs_two_places_that_last(home, data_platform, work, arguments):
    (work / "f").write_text("x")
    assert home.run("mv", *arguments, cwd=work).code == ExitCode.USAGE
    assert (work / "f").exists()


def test_a_file_moved_to_itself_stays(home, data_platform, work):
    (work / "f").write_text("x")
    (work / "link").symlink_to("f")
    assert home.run("mv", "f", "link", cwd=work).code == ExitCode.FAILURE
    assert home.run("mv", "f", "./f", cwd=work).code == ExitCode.FAILURE
    assert (work / "f").read_text() == "x"


# sync


def test_a_sync_moves_only_what_has_changed(home, data_platform, work):
    (work / "d").mkdir()
    for name in ("a", "b"):
        (work / "d" / name).write_text(name)
        os.utime(work / "d" / name, (0, 0))
    assert len(home.run("sync", "d", "data://.my/c", cwd=work).text.splitlines()) == 2
    data_platform.log.clear()
    result = home.run("sync", "d", "data://.my/c", cwd=work)
    assert (result.code, result.text) == (ExitCode.OK, "")
    assert data_platform.log == ["HEAD data/.my/c", "GET data/.my/c"]
    (work / "d" / "b").write_text("longer")
    assert home.run("sync", "d", "data://.my/c", cwd=work).text == "Uploaded data://.my/c/b\n"


def test_a_sync_down_is_up_to_date_afterwards(home, data_platform, work):
    data_platform.files |= {"data/.my/c/a": b"1", "data/.my/c/b": b"2"}
    assert home.run("sync", "data://.my/c", "new/dir", cwd=work).code == ExitCode.OK
    assert files_below(work / "new" / "dir") == ["a", "b"]
    assert home.run("sync", "data://.my/c", "new/dir", cwd=work).text == ""


def test_delete_removes_what_the_source_does_not_have_at_the_end(home, data_platform, work):
    (work / "d").mkdir()
    (work / "d" / "a").write_text("a")
    data_platform.files |= {"data/.my/c/a": b"old one", "data/.my/c/b": b"2", "data/.my/c/keep.log": b"3"}
    arguments = ["sync", "--delete", "--exclude", "*.log", "d", "data://.my/c"]
    dry = home.run(*arguments, "--dry-run", cwd=work)
    assert dry.text == "Would copy d/a to data://.my/c/a\nWould delete data://.my/c/b\n"
    assert len(data_platform.files) == 3
    result = home.run(*arguments, cwd=work)
    assert result.text == "Uploaded data://.my/c/a\nDeleted data://.my/c/b\n"
    assert set(data_platform.files) == {"data/.my/c/a", "data/.my/c/keep.log"}


def test_nothing_is_deleted_when_something_failed(home, data_platform, work):
    (work / "d").mkdir()
    (work / "d" / "a").write_text("a")
    data_platform.files["data/.my/c/b"] = b"2"
    data_platform.fail("PUT", "c/a", 403)
    result = home.run("sync", "--delete", "d", "data://.my/c", cwd=work)
    assert result.code == ExitCode.AUTHENTICATION
    assert "Nothing was removed" in result.stderr
    assert set(data_platform.files) == {"data/.my/c/b"}
    assert home.run("sync", "--delete", "d", "data://.my/c", cwd=work).code == ExitCode.OK
    assert set(data_platform.files) == {"data/.my/c/a"}


def test_a_source_that_breaks_off_in_its_listing_deletes_nothing(home, data_platform, work):
    (work / "d").mkdir()
    (work / "d" / "mine").write_text("x")
    data_platform.fail("GET", ".my/c", 403)
    assert home.run("sync", "--delete", "data://.my/c", "d", cwd=work).code == ExitCode.AUTHENTICATION
    assert (work / "d" / "mine").exists()


def test_a_sync_by_checksum_finds_what_time_and_size_hide(home, data_platform, work):
    (work / "d").mkdir()
    for name in ("same", "other"):
        (work / "d" / name).write_bytes(b"mine1")
        os.utime(work / "d" / name, (0, 0))
    data_platform.files |= {"data/.my/c/same": b"mine1", "data/.my/c/other": b"mine2"}
    assert home.run("sync", "d", "data://.my/c", cwd=work).text == ""
    assert home.run("sync", "--checksum", "d", "data://.my/c", cwd=work).text == "Uploaded data://.my/c/other\n"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["d"], ExitCode.USAGE),
        (["d", "-"], ExitCode.USAGE),
        (["nothing", "data://.my/c"], ExitCode.NOT_FOUND),
        (["d/f", "data://.my/c"], ExitCode.FAILURE),
        (["d", "data://.my/c/f"], ExitCode.FAILURE),
        (["--checksum", "--update", "d", "data://.my/c"], ExitCode.USAGE),
        (["d", "d/sub"], ExitCode.USAGE),
    ],
)
def test_a_sync_that_makes_no_sense_changes_nothing(home, data_platform, work, arguments, code):
    (work / "d").mkdir()
    (work / "d" / "f").write_text("x")
    data_platform.files["data/.my/c/f"] = b""
    result = home.run("sync", *arguments, cwd=work)
    assert result.code == code
    assert [line for line in data_platform.log if line.startswith(("PUT", "POST", "DELETE"))] == []
    assert files_below(work) == ["d/f"]


# ls -R, du, stat


def test_ls_lists_all_levels(home, data_platform, tree):
    lines = home.run("ls", "-R", "./tree", cwd=tree.parent).text.splitlines()
    assert lines == [
        "./tree/.hidden/",
        "./tree/.hidden/d.txt",
        "./tree/s/",
        "./tree/s/u/",
        "./tree/s/u/c.log",
        "./tree/s/b.txt",
        "./tree/a.txt",
    ]
    data_platform.files |= {"data/.my/c/f": b"", "data/jane/x": b""}
    assert home.run("ls", "-R", ".my").text == ".my/c/\n.my/c/f\n"
    assert home.run("ls", "-R", ".my/c/f").text == ".my/c/f\n"
    assert home.run("ls", "-R", ".my/nope").code == ExitCode.NOT_FOUND


def test_a_part_that_cannot_be_listed_is_told_and_the_rest_shown(home, data_platform):
    data_platform.directories |= {"data/.my/d"}
    data_platform.files |= {"data/.my/d/f": b""}
    data_platform.fail("GET", ".my/c", 403, times=9)
    result = home.run("ls", "-R", ".my")
    assert (result.code, result.text) == (ExitCode.AUTHENTICATION, ".my/c/\n.my/d/\n.my/d/f\n")


def test_du_adds_up_all_levels(home, data_platform, tree):
    data_platform.files |= {"data/.my/c/a": b"123", "data/.my/c/b": b"45"}
    assert home.run("du", ".my/c", ".my/c/a").text == "5\t2 files\tdata://.my/c\n3\t1 file\tdata://.my/c/a\n"
    assert home.run("du", "--json", "./tree", cwd=tree.parent).json == {"uri": "./tree", "bytes": 34, "files": 4}
    assert home.run("-q", "du", "--human", ".my/c").text == "5 B\t2 files\tdata://.my/c\n"
    assert home.run("du", ".my/nope").code == ExitCode.NOT_FOUND


def test_stat_shows_what_is_known(home, data_platform, work):
    data_platform.files["data/.my/c/f"] = b"x"
    assert home.run("stat", "--json", ".my/c/f").json == {
        "uri": "data://.my/c/f",
        "type": "file",
        "size": 1,
        "modified": "2016-01-06T10:22:34Z",
        "checksum": "md5:9dd4e461268c8034f5c8564e155c67a6",
        "version": "9dd4e461268c8034f5c8564e155c67a6",
    }
    assert home.run("stat", ".my/c").text == "uri:      data://.my/c\ntype:     directory\n"
    result = home.run("stat", ".my/c/nope", ".my/c/f")
    assert (result.code, "size:     1" in result.text) == (ExitCode.NOT_FOUND, True)


# rm -r, mkdir -p


def test_rm_removes_trees_only_when_it_is_told_to(home, data_platform, tree):
    data_platform.files |= {"data/.my/c/a": b"", "data/.my/c/b": b""}
    result = home.run("rm", ".my/c")
    assert (result.code, "algo rm" in result.stderr) == (ExitCode.FAILURE, True)
    assert home.run("rm", "-r", "--dry-run", ".my/c").text == "Would delete data://.my/c\n"
    assert len(data_platform.files) == 2
    assert home.run("rm", "-r", ".my/c").text == "Deleted data://.my/c\n"
    assert data_platform.files == {}
    assert data_platform.requests("DELETE")[-1] == "DELETE data/.my/c?force=true"
    (tree.parent / "link").symlink_to("tree")
    assert home.run("rm", "-r", "./link", cwd=tree.parent).code == ExitCode.OK
    assert files_below(tree) == NAMES
    assert home.run("rm", "-r", "./tree", cwd=tree.parent).code == ExitCode.OK
    assert not tree.exists()


def test_rm_removes_many_and_tells_each_in_order(home, data_platform):
    data_platform.files |= {f"data/.my/c/f{n:03d}": b"" for n in range(60)}
    data_platform.fail("DELETE", "f007", 403)
    result = home.run("rm", ".my/c/f*")
    assert result.code == ExitCode.AUTHENTICATION
    assert result.text.splitlines() == [f"Deleted data://.my/c/f{n:03d}" for n in range(60) if n != 7]
    assert set(data_platform.files) == {"data/.my/c/f007"}


@pytest.fixture
def counted_pages(data_platform, monkeypatch):
    """Short pages, whose markers say how many entries came before: what goes meanwhile shifts the rest."""
    monkeypatch.setattr(sys.modules[type(data_platform).__module__], "PAGE", 10)
    return data_platform


@pytest.mark.parametrize("command", [("rm", ".my/c/f*"), ("mv", "data://.my/c/f*", "."), ("mv", "data://.my/c", ".")])
def test_nothing_is_passed_over_while_files_go(home, counted_pages, work, command):
    counted_pages.files |= {f"data/.my/c/f{n:03d}": b"x" for n in range(120)}
    assert home.run(*command, cwd=work).code == ExitCode.OK
    assert counted_pages.files == {}


def test_a_sync_that_deletes_by_pattern_passes_nothing_over(home, counted_pages, work, bucket_address):
    (work / "d").mkdir()
    counted_pages.directories.add(f"{BUCKET}/gone")
    counted_pages.files |= {f"{BUCKET}/gone/f{n:03d}": b"x" for n in range(120)}
    assert home.run("sync", "--delete", "--exclude", "*.log", "d", bucket_address, cwd=work).code == ExitCode.OK
    assert counted_pages.files == {}


@pytest.mark.parametrize(
    ("method", "command"), [("HEAD", ("cp", "-n", "a", "b", "c", "data://.my/c")), ("DELETE", ("rm", ".my/c/*"))]
)
def test_an_interruption_waits_for_no_answer(home, data_platform, work, method, command):
    """The server never answers, and would be waited for twice as long as the test waits for the command to end."""
    asked = threading.Event()

    def stall(handler) -> bool:
        asked.set()
        handler.platform.flag.wait(60)
        handler.close_connection = True
        return True

    for name in ("a", "b", "c"):
        (work / name).write_text("mine")
        data_platform.files[f"data/.my/c/{name}"] = b"theirs"
    data_platform.fail(method, "c/b", stall, times=9)
    environ = home.environ | {"ALGO_TIMEOUT": "60"}
    process = subprocess.Popen(
        home.command(*command), env=environ, cwd=work, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert asked.wait(60)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == ExitCode.INTERRUPTED


def test_rm_force_forgives_what_is_not_there(home, data_platform):
    assert home.run("rm", ".my/c/nope").code == ExitCode.NOT_FOUND
    assert home.run("rm", "-f", ".my/c/nope").code == ExitCode.OK


@pytest.mark.parametrize("path", [".my/half/sub", ".my/half/sub/deeper", ".my/c/sub"])
def test_parents_are_not_made_for_what_no_collection_can_hold(home, data_platform, path):
    before = set(data_platform.directories)
    result = home.run("mkdir", "-p", path)
    assert (result.code, result.text) == (ExitCode.FAILURE, "")
    assert "cannot hold directories" in result.stderr
    assert data_platform.directories == before
    assert data_platform.requests("POST") == []


def test_mkdir_makes_parents_and_forgives_what_is_there(home, data_platform, work):
    assert home.run("mkdir", "./a/b", cwd=work).code == ExitCode.NOT_FOUND
    assert home.run("mkdir", "-p", "./a/b", cwd=work).text == "Created directory ./a/b\n"
    assert (work / "a" / "b").is_dir()
    assert home.run("mkdir", "-p", "./a/b", ".my/c", cwd=work).text == ""
    (work / "f").touch()
    assert home.run("mkdir", "-p", "./f", cwd=work).code == ExitCode.FAILURE


# acl, on the embedded platform


def test_an_acl_is_shown_and_changed(algo_home):
    algo_home.run("mkdir", ".my/one")
    assert algo_home.run("mkdir", "--acl", "public", ".my/two").code == ExitCode.OK
    assert algo_home.run("acl", "get", ".my/one").text == "my-algos\n"
    assert algo_home.run("acl", "get", ".my/*").text == "my-algos\tdata://.my/one\npublic\tdata://.my/two\n"
    assert algo_home.run("acl", "set", "private", ".my/one").text == "data://.my/one is private now\n"
    shown = algo_home.run("acl", "get", "--json", ".my/one")
    assert shown.json == {"uri": "data://.my/one", "acl": "private", "read": []}


def test_the_acl_holds_also_for_a_collection_that_is_there(algo_home):
    assert algo_home.run("mkdir", "--acl", "public", ".my/one").code == ExitCode.OK
    result = algo_home.run("mkdir", "-p", "--acl", "private", ".my/one", ".my/two")
    assert result.text == "data://.my/one is private now\nCreated directory data://.my/two\n"
    assert algo_home.run("acl", "get", ".my/*").text == "private\tdata://.my/one\nprivate\tdata://.my/two\n"


@pytest.mark.parametrize("path", ["s3://bucket/x", "./here", ".my", ".my/c/f", ".algo/a/b/temp"])
def test_only_collections_have_an_acl(algo_home, path):
    for arguments in (["acl", "get", path], ["acl", "set", "public", path], ["mkdir", "--acl", "public", path]):
        result = algo_home.run(*arguments)
        assert result.code == ExitCode.USAGE
        assert "has no ACL" in result.stderr


def test_a_directory_whose_acl_could_not_be_set_is_not_left_with_another(home, data_platform):
    result = home.run("mkdir", "--acl", "private", ".my/secret")
    assert result.code != ExitCode.OK
    assert "data/.my/secret" not in data_platform.directories
