"""The record of what failed: whole lines from any thread, all of them or none, and nothing after the end."""

from __future__ import annotations

import json
import os
import threading
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from algo_core.errors import AlgoError
from algo_core.uri import DataUri
from algo_data.engine.transfer import Place, Transfer
from algo_data.failures import Keeper, path_of


class Silent:
    def __getattr__(self, name: str):
        return lambda *facts: None


@pytest.fixture
def app(tmp_path: Path) -> SimpleNamespace:
    environ = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    return SimpleNamespace(environ=environ, profile=SimpleNamespace(address="http://platform"))


def transfer(name: str) -> Transfer:
    place = Place(None, DataUri("data", f".my/c/{name}"))  # type: ignore[arg-type]  # no storage is asked
    return Transfer(place, place)


def recorded(app: SimpleNamespace) -> list[dict[str, str]]:
    return [json.loads(line) for line in Path(path_of(app)).read_text().splitlines()]


def test_threads_write_one_after_the_other(app, monkeypatch):
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

    monkeypatch.setattr("algo_data.failures.replacing", replacing)
    with Keeper(app, Silent()) as keeper:
        threads = [
            threading.Thread(target=keeper.failed, args=(transfer(name).source, AlgoError("x"))) for name in "ab"
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert (most, keeper.count) == (1, 2)


def test_a_source_that_is_refused_while_it_is_copied_is_another_failure(app):
    one = transfer("f")
    with Keeper(app, Silent()) as keeper:
        keeper.started(one)
        keeper.failed(transfer("f").source, AlgoError("another source has the same name"))
        keeper.failed(one.source, AlgoError("it broke"))
    assert [list(record) for record in recorded(app)] == [["not_planned"], ["source", "target", "address"]]


def test_what_fails_after_the_end_leaves_nothing(app):
    with Keeper(app, Silent()) as keeper:
        pass
    keeper.failed(transfer("late").source, AlgoError("x"))
    assert not os.path.exists(os.path.dirname(path_of(app)))
    with Keeper(app, Silent()) as keeper:
        keeper.failed(transfer("f").source, AlgoError("x"))
    keeper.failed(transfer("late").source, AlgoError("x"))
    assert recorded(app) == [{"not_planned": "data://.my/c/f"}]
    assert os.listdir(os.path.dirname(path_of(app))) == [os.path.basename(path_of(app))]


def test_a_part_of_a_record_and_an_older_one_are_not_taken_for_all_that_failed(app, monkeypatch):
    with Keeper(app, Silent()) as keeper:
        keeper.failed(transfer("older").source, AlgoError("x"))
    with Keeper(app, Silent()) as keeper:
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
    assert os.listdir(os.path.dirname(path_of(app))) == []


def test_a_retry_that_ends_early_forgets_nothing(home, platform, work):
    for name in ("a", "b", "c"):
        (work / name).write_text(name)
        platform.fail("PUT", f"c/{name}", 403)
    assert home.run("cp", "a", "b", "c", "data://.my/c", cwd=work).code == 4
    platform.fail("PUT", "c/a", 401)
    assert home.run("cp", "--retry-failed").code == 4
    assert home.run("cp", "--retry-failed").code == 0
    assert set(platform.files) == {f"data/.my/c/{name}" for name in ("a", "b", "c")}


def test_a_copy_that_ended_early_cannot_be_completed_by_what_failed_of_it(home, platform, work):
    for name in ("a", "b", "c"):
        (work / name).write_text(name)
    platform.fail("PUT", "c/a", 401)
    assert home.run("cp", "--max-transfers", "1", "a", "b", "c", "data://.my/c", cwd=work).code == 4
    result = home.run("cp", "--retry-failed")
    assert (result.code, "Run the command again" in result.stderr) == (2, True)


@pytest.mark.parametrize("command", ["cp", "mv"])
@pytest.mark.parametrize("option", ["--no-clobber", "--update"])
def test_what_failed_leaves_what_is_there_as_it_was_to_when_it_is_tried_again(home, platform, work, command, option):
    for name in ("a", "b"):
        (work / name).write_text("mine")
        os.utime(work / name, (0, 0))
        platform.fail("PUT", f"c/{name}", 403, times=2)
    assert home.run(command, option, "a", "b", "data://.my/c", cwd=work).code == 4
    platform.files["data/.my/c/a"] = b"came meanwhile"
    for code in (4, 0):
        assert home.run(command, "--retry-failed").code == code
        assert platform.files["data/.my/c/a"] == b"came meanwhile"
    assert platform.files["data/.my/c/b"] == b"mine"
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
def test_what_failed_is_tried_again_by_no_other_rules(home, platform, work, command, options):
    (work / "f").write_text("x")
    platform.fail("PUT", "c/f", 403)
    assert home.run("cp", "f", "data://.my/c", cwd=work).code == 4
    result = home.run(command, "--retry-failed", *options)
    assert (result.code, "cannot be combined with --retry-failed" in result.stderr) == (2, True)
    assert platform.files == {}
    assert home.run(command, "--retry-failed", "--max-transfers", "1", "--no-check", "--json").code == 0
    assert platform.files == {"data/.my/c/f": b"x"}
