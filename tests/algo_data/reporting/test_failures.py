"""The record of what failed: whole lines from any thread, all of them or none, and nothing after the end."""

from __future__ import annotations

import json
import os
import threading
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from algo_core.errors import AlgoError, ExitCode
from algo_core.storage.uri import DataUri
from algo_data.engine.transfer import Place, Transfer
from algo_data.reporting.failures import Keeper, path_of


class Silent:
    def __getattr__(self, name: str):
        return lambda *facts: None


@pytest.fixture
def fake_app(tmp_path: Path) -> SimpleNamespace:
    environ = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    return SimpleNamespace(environ=environ, profile=SimpleNamespace(address="http://platform"))


def transfer(name: str) -> Transfer:
    place = Place(None, DataUri("data", f".my/c/{name}"))  # type: ignore[arg-type]  # no storage is asked
    return Transfer(place, place)


def recorded(app: SimpleNamespace) -> list[dict[str, str]]:
    return [json.loads(line) for line in Path(path_of(app)).read_text().splitlines()]


def test_threads_write_one_after_the_other(fake_app, monkeypatch):
    """One that plans and one that copies: a write waits until the other has come to the file, or cannot."""
    others = threading.Event()
    inside: list[int] = []
    most = 0

    class Slow:
        def write(self, data: bytes) -> None:
            nonlocal most
            inside.append(1)
            most = max(most, len(inside))
            if most > 1:
                others.set()
            others.wait(0.5)
            inside.pop()

    @contextmanager
    def replacing(path, mode):
        yield Slow()

    monkeypatch.setattr("algo_data.reporting.failures.replacing", replacing)
    with Keeper(fake_app, Silent()) as keeper:
        threads = [
            threading.Thread(target=keeper.failed, args=(transfer(name).source, AlgoError("x"))) for name in "ab"
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert (most, keeper.count) == (1, 2)


def test_a_source_that_is_refused_while_it_is_copied_is_another_failure(fake_app):
    one = transfer("f")
    with Keeper(fake_app, Silent()) as keeper:
        keeper.started(one)
        keeper.failed(transfer("f").source, AlgoError("another source has the same name"))
        keeper.failed(one.source, AlgoError("it broke"))
    assert [list(record) for record in recorded(fake_app)] == [["not_planned"], ["source", "target", "address"]]


def test_what_fails_after_the_end_leaves_nothing(fake_app):
    with Keeper(fake_app, Silent()) as keeper:
        pass
    keeper.failed(transfer("late").source, AlgoError("x"))
    assert not os.path.exists(os.path.dirname(path_of(fake_app)))
    with Keeper(fake_app, Silent()) as keeper:
        keeper.failed(transfer("f").source, AlgoError("x"))
    keeper.failed(transfer("late").source, AlgoError("x"))
    assert recorded(fake_app) == [{"not_planned": "data://.my/c/f"}]
    assert os.listdir(os.path.dirname(path_of(fake_app))) == [os.path.basename(path_of(fake_app))]


def test_a_part_of_a_record_and_an_older_one_are_not_taken_for_all_that_failed(fake_app, monkeypatch):
    with Keeper(fake_app, Silent()) as keeper:
        keeper.failed(transfer("older").source, AlgoError("x"))
    with Keeper(fake_app, Silent()) as keeper:
        keeper.failed(transfer("a").source, AlgoError("x"))
        file = keeper._file

        class Full:
            def write(self, data: bytes) -> None:
                raise OSError(28, "No space left on device")

        keeper._file = Full()  # type: ignore[assignment]  # all that is called of it
        keeper.failed(transfer("b").source, AlgoError("x"))
        keeper._file = file
        keeper.failed(transfer("c").source, AlgoError("x"))
    assert keeper.count == 3
    assert os.listdir(os.path.dirname(path_of(fake_app))) == []


def test_a_retry_that_ends_early_forgets_nothing(home, data_platform, work):
    for name in ("a", "b", "c"):
        (work / name).write_text(name)
        data_platform.fail("PUT", f"c/{name}", 403)
    assert home.run("cp", "a", "b", "c", "data://.my/c", cwd=work).code == ExitCode.AUTHENTICATION
    data_platform.fail("PUT", "c/a", 401)
    assert home.run("cp", "--retry-failed").code == ExitCode.AUTHENTICATION
    assert home.run("cp", "--retry-failed").code == ExitCode.OK
    assert set(data_platform.files) == {f"data/.my/c/{name}" for name in ("a", "b", "c")}


def test_a_copy_that_ended_early_cannot_be_completed_by_what_failed_of_it(home, data_platform, work):
    for name in ("a", "b", "c"):
        (work / name).write_text(name)
    data_platform.fail("PUT", "c/a", 401)
    assert (
        home.run("cp", "--max-transfers", "1", "a", "b", "c", "data://.my/c", cwd=work).code == ExitCode.AUTHENTICATION
    )
    result = home.run("cp", "--retry-failed")
    assert (result.code, "Run the failed command again" in result.stderr) == (ExitCode.USAGE, True)


@pytest.mark.parametrize("command", ["cp", "mv"])
@pytest.mark.parametrize("option", ["--no-clobber", "--update"])
def test_what_failed_leaves_what_is_there_as_it_was_to_when_it_is_tried_again(
    home, data_platform, work, command, option
):
    for name in ("a", "b"):
        (work / name).write_text("mine")
        os.utime(work / name, (0, 0))
        data_platform.fail("PUT", f"c/{name}", 403, times=2)
    assert home.run(command, option, "a", "b", "data://.my/c", cwd=work).code == ExitCode.AUTHENTICATION
    data_platform.files["data/.my/c/a"] = b"came meanwhile"
    for code in (ExitCode.AUTHENTICATION, ExitCode.OK):
        assert home.run(command, "--retry-failed").code == code
        assert data_platform.files["data/.my/c/a"] == b"came meanwhile"
    assert data_platform.files["data/.my/c/b"] == b"mine"
    assert (work / "a").exists()


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("cp", ["-n"]),
        ("cp", ["-u"]),
        ("cp", ["-r"]),
        ("cp", ["--flatten"]),
        ("cp", ["--include", "*.txt"]),
        ("mv", ["--exclude", "*.txt"]),
        ("mv", ["--no-clobber"]),
        ("sync", ["--delete"]),
        ("sync", ["--checksum"]),
    ],
)
def test_what_failed_is_tried_again_by_no_other_rules(home, data_platform, work, command, options):
    (work / "f").write_text("x")
    data_platform.fail("PUT", "c/f", 403)
    assert home.run("cp", "f", "data://.my/c", cwd=work).code == ExitCode.AUTHENTICATION
    result = home.run(command, "--retry-failed", *options)
    assert (result.code, "cannot be combined with --retry-failed" in result.stderr) == (ExitCode.USAGE, True)
    assert data_platform.files == {}
    assert home.run(command, "--retry-failed", "--max-transfers", "1", "--no-check", "--json").code == ExitCode.OK
    assert data_platform.files == {"data/.my/c/f": b"x"}


@pytest.fixture
def tree_address(data_platform) -> str:
    """A tree in a bucket, on three levels."""
    names = ("f", "s/f", "s/u/f", "s/u/f.log", "s/v/f")
    data_platform.files |= {f"connector/s3/bucket/t/{name}": name.encode() for name in names}
    data_platform.directories |= {f"connector/s3/bucket{name}" for name in ("", "/t", "/t/s", "/t/s/u", "/t/s/v")}
    return "s3://bucket/t"


def content_below(directory: Path) -> dict[str, str]:
    files = (path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_text() for path in files}


@pytest.mark.parametrize("command", [["cp", "-r"], ["mv"]])
@pytest.mark.parametrize("unlisted", ["t", "t/s", "t/s/u"])
def test_a_directory_that_could_not_be_listed_is_planned_when_it_is_tried_again(
    home, data_platform, work, tree_address, command, unlisted
):
    data_platform.fail("GET", unlisted, 403)
    if unlisted == "t/s/u":
        data_platform.fail("GET", "s/v/f", 403)
    arguments = [*command, "--exclude", "u/*.log", "--exclude", "s/u/*.log", tree_address, "new"]
    assert home.run(*arguments, cwd=work).code == ExitCode.AUTHENTICATION
    assert "s/u/f" not in content_below(work / "new")
    data_platform.fail("GET", unlisted, 403)
    result = home.run(command[0], "--retry-failed", cwd=work.parent)
    assert (result.code, f"s3://bucket/{unlisted}" in result.stderr) == (ExitCode.AUTHENTICATION, True)
    assert home.run(command[0], "--retry-failed", cwd=work.parent).code == ExitCode.OK
    assert content_below(work / "new") == {name: name for name in ("f", "s/f", "s/u/f", "s/v/f")}
    left = [name for name in data_platform.files if not name.endswith(".log")]
    assert len(left) == (0 if command == ["mv"] else 4)
    assert home.run(command[0], "--retry-failed").code == ExitCode.USAGE


def test_a_directory_that_could_not_be_made_is_made_when_it_is_tried_again(home, work):
    (work / "t/s/u").mkdir(parents=True)
    (work / "t/s/u/f").write_text("x")
    (work / "new/t").mkdir(parents=True)
    (work / "new/t/s").write_text("in the way")
    assert home.run("cp", "-r", "t", "new", cwd=work).code == ExitCode.FAILURE
    assert home.run("cp", "--retry-failed").code == ExitCode.FAILURE
    (work / "new/t/s").unlink()
    assert home.run("cp", "--retry-failed").code == ExitCode.OK
    assert content_below(work / "new") == {"t/s/u/f": "x"}


def test_what_is_known_by_name_only_keeps_nothing_else_from_being_tried_again(home, data_platform, work):
    (work / "f").write_text("x")
    data_platform.fail("PUT", "c/f", 403)
    assert home.run("cp", "f", "nothing*", "data://.my/c", cwd=work).code == ExitCode.NOT_FOUND
    for text in ("Uploaded data://.my/c/f\n", ""):
        result = home.run("cp", "--retry-failed")
        assert (result.code, result.text) == (ExitCode.USAGE, text)
        assert "error: nothing* failed before any file of it was known" in result.stderr
        assert "Run the failed command again" in result.stderr


def test_what_leads_back_is_not_followed_when_it_is_tried_again(home, work):
    (work / "t/s").mkdir(parents=True)
    (work / "t/f").write_text("x")
    (work / "t/s/up").symlink_to("..")
    assert home.run("cp", "-r", "t", "new", cwd=work).code == ExitCode.FAILURE
    assert home.run("cp", "--retry-failed").code == ExitCode.USAGE
    assert content_below(work / "new") == {"f": "x"}


def test_trees_that_meet_are_not_planned_one_by_one(home, data_platform, work):
    """What one could not give yet must not replace what another has given."""
    data_platform.directories |= {f"connector/s3/{name}" for name in ("a", "a/t", "a/t/s", "b", "b/t", "b/t/s")}
    data_platform.files |= {f"connector/s3/{name}/t/s/f": name.encode() for name in ("a", "b")}
    data_platform.fail("GET", "a/t/s", 403)
    assert home.run("cp", "-r", "s3://a/t", "s3://b/t", ".", cwd=work).code == ExitCode.AUTHENTICATION
    assert home.run("cp", "--retry-failed").code == ExitCode.USAGE
    assert content_below(work) == {"t/s/f": "b"}
