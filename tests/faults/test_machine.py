"""The limits of this machine: full and read-only disks, and names that cannot be."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from faults import wrongs
from faults.matrix import DIRECT, REQUESTS
from faults.proxy import FaultProxy
from faults.scene import CONTENT, MIB, Collection, assert_untouched
from support.programs import lacks

from algo_core.errors import ExitCode
from algo_core.testing import Home

pytestmark = pytest.mark.parametrize("way", [DIRECT, REQUESTS], indirect=True)

IN_SMALL_DISK = """
mount -t tmpfs -o size="$SIZE" tmpfs "$DISK" || exit 99
printf older > "$DISK/f"
mount -o "remount,$STATE" "$DISK"
"$@"
code=$?
ls -A "$DISK" > "$SEEN"
cat "$DISK/f" >> "$SEEN"
exit $code
"""
"""Runs a command where `DISK` is a file system of `SIZE`, which only this command sees."""


@pytest.fixture
def on_small_disk(algo: Home, work: Path, tmp_path: Path) -> Callable[..., tuple[int, str, str]]:
    """Runs `algo` with a small disk at `work`, on which there is an older `f`: exit code, stderr, and what it holds."""
    if not shutil.which("unshare") or subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
        lacks("this system lets nobody mount a file system of their own: unshare -rm true (util-linux) has to work")

    def run(*words: str | Path, size: str = "1m", state: str = "rw") -> tuple[int, str, str]:
        settings = {"DISK": str(work), "SIZE": size, "STATE": state, "SEEN": str(tmp_path / "seen")}
        done = subprocess.run(
            ["unshare", "-rm", "sh", "-c", IN_SMALL_DISK, "sh", *algo.command(*words)],
            env={**algo.environ, **settings},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode != 99, done.stderr
        return done.returncode, done.stderr, (tmp_path / "seen").read_text()

    return run


def test_a_full_disk_keeps_the_older_file_and_nothing_else(
    on_small_disk: Callable[..., tuple[int, str, str]], collection: Collection, work: Path
) -> None:
    code, said, held = on_small_disk("cp", collection.put("f", CONTENT), work / "f")
    assert code == ExitCode.FAILURE
    assert "No space left on device" in said
    assert held == "f\nolder"


def test_on_a_full_disk_the_small_ones_fit(
    on_small_disk: Callable[..., tuple[int, str, str]], collection: Collection, work: Path
) -> None:
    for name, content in {"a": b"a", "b": CONTENT, "c": b"c"}.items():
        collection.put(name, content)
    code, said, held = on_small_disk("cp", f"{collection.uri}/*", work)
    assert code == ExitCode.FAILURE
    assert "/b" in said
    assert held == "a\nc\nf\nolder"


def test_a_read_only_disk_is_an_error(
    on_small_disk: Callable[..., tuple[int, str, str]], collection: Collection, work: Path
) -> None:
    code, said, held = on_small_disk("cp", collection.put("f", CONTENT), work / "f", state="ro")
    assert code == ExitCode.FAILURE
    assert "Read-only file system" in said
    assert held == "f\nolder"


def test_a_limit_on_file_sizes_keeps_the_older_file(algo: Home, collection: Collection, older: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, MIB))

    words = algo.command("cp", collection.put("f", CONTENT), older)
    done = subprocess.run(words, env=algo.environ, preexec_fn=limit, capture_output=True, text=True, check=False)
    assert done.returncode == ExitCode.FAILURE
    assert "File too large" in done.stderr
    assert_untouched(older)


@pytest.mark.parametrize("command", ["cp", "cat"])
def test_standard_output_that_is_full_is_an_error(algo: Home, collection: Collection, command: str) -> None:
    words = algo.command(command, collection.put("f", CONTENT), *["-"] * (command == "cp"))
    with open("/dev/full", "wb") as full:
        done = subprocess.run(words, env=algo.environ, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == ExitCode.FAILURE
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_standard_output_that_nobody_reads_is_the_closed_pipe(algo: Home, collection: Collection) -> None:
    words = algo.command("cat", collection.put("f", CONTENT))
    with subprocess.Popen(words, env=algo.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.read(10)
        process.stdout.close()
        assert process.wait(60) == 141
        assert process.stderr.read() == b""


def test_a_name_that_cannot_be_is_an_error_and_the_others_go(
    algo: Home, proxy: FaultProxy, collection: Collection, work: Path
) -> None:
    fitting, long = "b" * 255, "d" * 256
    for name in ("a", fitting, "c"):
        collection.put(name, b"x")
    proxy.fail("GET", collection.name, wrongs.with_file(long, 1))
    proxy.fail("GET", long, wrongs.file(b"x"))
    result = algo.run("cp", f"{collection.uri}/*", work)
    assert result.code == ExitCode.FAILURE
    assert "File name too long" in result.stderr
    assert sorted(os.listdir(work)) == ["a", fitting, "c"]


def test_a_directory_where_the_file_should_go_is_refused(
    algo: Home, proxy: FaultProxy, collection: Collection, work: Path
) -> None:
    (work / "f").mkdir()
    collection.put("e", b"e")
    collection.put("f", b"f")
    result = algo.run("cp", f"{collection.uri}/*", work)
    assert result.code == ExitCode.FAILURE
    assert "is a directory" in result.stderr
    assert sorted(os.listdir(work)) == ["e", "f"]
    assert os.listdir(work / "f") == []


def test_a_directory_that_is_not_there_is_said(algo: Home, collection: Collection, work: Path) -> None:
    result = algo.run("cp", collection.put("f", b"x"), work / "none" / "f")
    assert result.code == ExitCode.NOT_FOUND
    assert "mkdir -p" in result.stderr
    assert os.listdir(work) == []
