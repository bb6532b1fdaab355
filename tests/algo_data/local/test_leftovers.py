"""Hidden files that another process is writing, or was killed in: never a source, and never removed under its hands."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from algo_core.errors import ExitCode
from algo_core.storage.uri import LOCAL, DataUri
from algo_data.local.leftovers import in_use_below, is_in_use, is_leftover, remove_leftover
from algo_data.local.partial_file import open_partial_file


def uri(path: object) -> DataUri:
    return DataUri(LOCAL, str(path))


@pytest.fixture
def tree(work: Path) -> Path:
    (work / "d" / "s").mkdir(parents=True)
    for name in ("f", ".f.algo-part", "s/g", "s/.g.algo-part", "s/.g.algo-part0123456789ab"):
        (work / "d" / name).write_text(name)
    return work / "d"


@pytest.fixture
def written(work: Path) -> Iterator[Path]:
    """A file in the directory `there` that is being written, under the name that it has until it is whole."""
    (work / "there").mkdir()
    partial = open_partial_file(str(work / "there" / "w"))
    assert partial
    yield work / "there" / ".w.algo-part"
    partial.discard()


def files_below(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())


def test_the_names_of_unfinished_files_are_known(work):
    names = ["f", "x" * 250, ".hidden", "ü\n"]
    for name in names:
        besides = [open_partial_file(str(work / name)) for _ in range(2)]
        found = [entry for entry in os.listdir(work) if entry not in names]
        assert len(found) == 2
        assert all(is_leftover(uri(work / entry)) and is_in_use(uri(work / entry)) for entry in found)
        for partial in besides:
            assert partial
            partial.discard()
    for name in (*names, ".algo-part", "f.algo-part", ".f.algo-parts", ".f.algo-part0123", ".f.algo-part.txt"):
        assert not is_leftover(uri(work / name))
    assert not is_leftover(DataUri("data", ".my/c/.f.algo-part"))


@pytest.mark.parametrize("command", [["cp", "-r"], ["mv"], ["sync"]])
def test_a_tree_is_copied_without_them(home, work, tree, command):
    assert home.run(*command, "d", "new", cwd=work).code == ExitCode.OK
    assert files_below(work / "new") == ["f", "s/g"]
    left = [name for name in files_below(tree) if "part" in name]
    assert left == [".f.algo-part", "s/.g.algo-part", "s/.g.algo-part0123456789ab"]


def test_wildcards_and_flattening_leave_them_out_and_their_own_name_does_not(home, data_platform, work, tree):
    assert home.run("cp", "--flatten", "d", "data://.my/c", cwd=work).code == ExitCode.OK
    assert home.run("cp", f"{tree}/.*", f"{tree}/**", "data://.my/c").code == ExitCode.OK
    assert set(data_platform.files) == {"data/.my/c/f", "data/.my/c/g"}
    assert home.run("cp", tree / ".f.algo-part", "data://.my/c/kept").code == ExitCode.OK
    assert data_platform.files["data/.my/c/kept"] == b".f.algo-part"


def test_a_sync_that_deletes_leaves_what_is_being_written_and_removes_what_was_given_up(home, work, tree, written):
    (work / "there" / ".old.algo-part").write_text("given up")
    dry = home.run("sync", "--delete", "--dry-run", "d", "there", cwd=work)
    assert dry.text.splitlines()[-1] == "Would delete there/.old.algo-part"
    result = home.run("sync", "--delete", "d", "there", cwd=work)
    assert (result.code, result.text.splitlines()[-1]) == (ExitCode.OK, "Deleted there/.old.algo-part")
    assert files_below(work / "there") == [".w.algo-part", "f", "s/g"]
    assert written.exists()


def test_a_directory_in_which_something_is_being_written_stays(home, work, tree, written):
    (work / "all" / "gone").mkdir(parents=True)
    (work / "there" / "x").touch()
    (work / "there").rename(work / "all" / "there")
    result = home.run("sync", "--delete", "d", "all", cwd=work)
    assert (result.code, "another process is writing all/there/.w.algo-part" in result.stderr) == (
        ExitCode.FAILURE,
        True,
    )
    assert files_below(work / "all") == ["f", "s/g", "there/.w.algo-part", "there/x"]
    assert not (work / "all" / "gone").exists()
    (work / "all" / "there").rename(work / "there")


def test_what_is_taken_over_before_it_would_be_removed_stays(work, written):
    assert remove_leftover(uri(written)) is False
    assert in_use_below(uri(work)) == str(written)
    (work / "link").symlink_to("there")
    assert in_use_below(uri(work / "link")) is None
    (work / ".o.algo-part").touch()
    with open(work / ".o.algo-part") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert remove_leftover(uri(work / ".o.algo-part")) is False
    assert remove_leftover(uri(work / ".o.algo-part")) is True
    assert remove_leftover(uri(work / ".o.algo-part")) is False
    assert written.exists()
