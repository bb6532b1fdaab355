"""Sources that change, vanish or cannot be read twice while they are sent."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from faults import wrongs
from faults.matrix import DIRECT, REQUESTS
from faults.proxy import FaultProxy
from faults.scene import CONTENT, MIB, Collection, Running, When

from algo_core.errors import ExitCode
from algo_core.testing import Home

pytestmark = pytest.mark.parametrize("way", [DIRECT, REQUESTS], indirect=True)

LARGE = 24 * MIB
"""More than waits in the buffers of the system between two processes."""


def _grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def _shrink(path: Path) -> None:
    os.truncate(path, 20 * MIB)


def _empty(path: Path) -> None:
    os.truncate(path, 0)


def _rewrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"other")
    os.utime(path, ns=(1, 1))


@pytest.mark.parametrize("change", [_grow, _shrink, _empty, _rewrite])
def test_a_source_that_changes_while_it_is_sent_makes_no_file(
    start: Callable[..., Running],
    algo: Home,
    proxy: FaultProxy,
    collection: Collection,
    work: Path,
    change: Callable[[Path], None],
) -> None:
    remote = collection.put("f", b"older")
    (work / "f").write_bytes(bytes(LARGE))
    moment = When(proxy, "PUT", "/f", "asked")
    running = start("cp", work / "f", remote)
    moment.wait()
    change(work / "f")
    moment.go_on()
    result = running.result()
    assert result.code == ExitCode.FAILURE
    assert "while it was read" in result.stderr
    assert collection.get("f") == b"older"
    assert algo.run("cp", work / "f", remote).code == ExitCode.OK
    assert collection.get("f") == (work / "f").read_bytes()


def _unlink(path: Path) -> None:
    path.unlink()


def _replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_text("other")
    other.replace(path)


@pytest.mark.parametrize("change", [_unlink, _replace])
def test_a_source_whose_name_goes_while_it_is_sent_arrives_whole(
    start: Callable[..., Running], proxy: FaultProxy, collection: Collection, work: Path, change: Callable[[Path], None]
) -> None:
    content = os.urandom(MIB) * (LARGE // MIB)
    (work / "f").write_bytes(content)
    moment = When(proxy, "PUT", "/f", "asked")
    running = start("cp", work / "f", collection.uri)
    moment.wait()
    change(work / "f")
    moment.go_on()
    assert running.result().code == ExitCode.OK
    assert collection.get("f") == content


def test_a_source_that_is_not_there_does_not_stop_the_others(algo: Home, collection: Collection, work: Path) -> None:
    for name in "ac":
        (work / name).write_text(name)
    result = algo.run("cp", work / "a", work / "b", work / "c", collection.uri)
    assert result.code == ExitCode.NOT_FOUND
    assert str(work / "b") in result.stderr
    assert collection.names == ["a", "c"]


def test_a_source_that_cannot_be_read_does_not_stop_the_others(algo: Home, collection: Collection, work: Path) -> None:
    os.mkfifo(work / "b")
    for name in "ac":
        (work / name).write_text(name)
    result = algo.run("cp", *(work / name for name in "abc"), collection.uri)
    assert result.code == ExitCode.FAILURE
    assert "not a regular file" in result.stderr
    assert collection.names == ["a", "c"]


# Standard input


@pytest.mark.parametrize("size", [10, len(CONTENT)])
def test_what_comes_from_a_pipe_is_sent_again(algo: Home, proxy: FaultProxy, collection: Collection, size: int) -> None:
    proxy.fail("PUT", "/f", wrongs.reset_in_upload, wrongs.status(503))
    result = algo.run("cp", "-", f"{collection.uri}/f", input=CONTENT[:size])
    assert result.code == ExitCode.OK, result.stderr
    assert collection.get("f") == CONTENT[:size]
    assert len(proxy.tries("PUT")) == 3


def test_a_file_that_the_shell_has_opened_is_sent_again(
    algo: Home, proxy: FaultProxy, collection: Collection, work: Path
) -> None:
    (work / "f").write_bytes(CONTENT)
    proxy.fail("PUT", "/f", wrongs.reset_in_upload, wrongs.drop)
    with (work / "f").open("rb") as file:
        done = subprocess.run(algo.command("cp", "-", f"{collection.uri}/f"), env=algo.environ, stdin=file, check=False)
    assert done.returncode == ExitCode.OK
    assert collection.get("f") == CONTENT


# Copies between two places of the platform


def test_a_copy_is_read_and_sent_again(algo: Home, proxy: FaultProxy, collection: Collection) -> None:
    remote = collection.put("f", CONTENT)
    proxy.fail("GET", "/f", wrongs.cut, wrongs.reset_in_body)
    proxy.fail("PUT", "/copy", wrongs.reset_in_upload)
    assert algo.run("cp", remote, f"{collection.uri}/copy").code == ExitCode.OK
    assert collection.get("copy") == CONTENT


def test_a_copy_that_is_damaged_on_its_way_makes_no_file(algo: Home, proxy: FaultProxy, collection: Collection) -> None:
    remote = collection.put("f", CONTENT)
    proxy.fail("GET", "/f", *[wrongs.damage] * 20)
    result = algo.run("cp", remote, f"{collection.uri}/copy")
    assert result.code == ExitCode.PLATFORM
    assert "damaged in transfer" in result.stderr
    assert collection.names == ["f"]


# Standard output


def test_standard_output_goes_on_where_it_stopped(algo: Home, proxy: FaultProxy, collection: Collection) -> None:
    remote = collection.put("f", CONTENT)
    proxy.fail("GET", "/f", wrongs.cut, wrongs.reset_in_body)
    result = algo.run("cat", remote)
    assert (result.code, result.stdout) == (ExitCode.OK, CONTENT)


def test_standard_output_never_mixes_two_versions(algo: Home, proxy: FaultProxy, collection: Collection) -> None:
    remote = collection.put("f", CONTENT)
    proxy.fail("GET", "/f", wrongs.cut, *[wrongs.other_version] * 20)
    result = algo.run("cp", remote, "-")
    assert result.code == ExitCode.NETWORK
    assert "changed while it was read" in result.stderr
    assert CONTENT.startswith(result.stdout)
