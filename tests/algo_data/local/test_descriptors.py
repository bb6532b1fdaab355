"""`/dev/stdout` and the like: written to where they stand, never replaced."""

from __future__ import annotations

import os
import subprocess

import pytest

from algo_core.errors import ExitCode

CONTENT = {"small": b"content\n", "large": b"0123456\n" * (3 << 17)}


@pytest.fixture(params=CONTENT)
def content(request, data_platform):
    data_platform.files["data/.my/c/f"] = CONTENT[request.param]
    return CONTENT[request.param]


def script(home, work, text: str) -> subprocess.CompletedProcess[bytes]:
    algo = " ".join(home.command())
    return subprocess.run(
        ["bash", "-c", text.replace("algo", algo)], env=home.environ, cwd=work, capture_output=True, check=False
    )


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "./link"])
def test_a_script_keeps_what_it_has_written_before_and_after(home, work, content, name):
    (work / "link").symlink_to("/dev/stdout")
    (work / "out").touch()
    before = os.stat(work / "out").st_ino
    done = script(home, work, f"{{ echo before; algo -q cp .my/c/f {name}; echo after; }} > out")
    assert (done.returncode, done.stderr) == (ExitCode.OK, b"")
    assert (work / "out").read_bytes() == b"before\n" + content + b"after\n"
    assert os.stat(work / "out").st_ino == before
    assert sorted(os.listdir(work)) == ["link", "out"]


@pytest.mark.parametrize(("name", "opened"), [("/dev/stderr", "2>out"), ("/dev/fd/5", "5>out")])
def test_other_descriptors_too(home, work, content, name, opened):
    done = script(home, work, f"{{ echo before > {name}; algo -q cp .my/c/f {name}; }} {opened}")
    assert done.returncode == ExitCode.OK
    assert (work / "out").read_bytes().endswith(content)
    assert os.listdir(work) == ["out"]


def test_results_are_not_mixed_with_the_file(home, work, content):
    assert script(home, work, "algo cp .my/c/f /dev/stdout").stdout == content
    assert script(home, work, "algo cp .my/c/f /dev/stdout > out").returncode == ExitCode.OK
    assert (work / "out").read_bytes() == content
    assert script(home, work, "algo --json cp .my/c/f /dev/stdout").returncode == ExitCode.USAGE


def test_a_move_leaves_the_file_behind_it_in_its_place(home, work):
    (work / "f").write_text("content\n")
    done = script(home, work, "{ echo before; algo -q mv ./f /dev/stdout; echo after; } > out")
    assert done.returncode == ExitCode.OK, done.stderr
    assert (work / "out").read_text() == "before\ncontent\nafter\n"


def test_one_that_is_not_open_is_an_error(home, work, content):
    done = script(home, work, "algo cp .my/c/f /dev/fd/77")
    assert done.returncode != ExitCode.OK
    assert done.stderr.startswith(b"error: ")


@pytest.mark.parametrize("command", ["cp .my/c/f -", "cp .my/c/f /dev/stdout", "cat .my/c/f", "ls .my/c"])
def test_without_a_standard_output_results_are_not_lost_in_silence(home, work, content, command):
    done = script(home, work, f"algo {command} >&-")
    assert (done.returncode, done.stderr) == (ExitCode.FAILURE, b"error: Standard output is closed\n")


def test_without_a_standard_output_files_are_copied_all_the_same(home, work, content):
    done = script(home, work, "algo cp .my/c/f ./one >&-")
    assert (done.returncode, done.stderr) == (ExitCode.FAILURE, b"error: Standard output is closed\n")
    assert (work / "one").read_bytes() == content
    assert script(home, work, "algo --quiet cp .my/c/f ./two >&-").returncode == ExitCode.OK
    assert (work / "two").read_bytes() == content
