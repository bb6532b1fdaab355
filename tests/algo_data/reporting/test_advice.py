"""More of what is advised: where a directory is missing, or there can be none."""

from __future__ import annotations

import re
import subprocess

import pytest

from algo_core.errors import ExitCode
from algo_core.storage.uri import DataUri
from algo_data.hosted.storage import HostedStorage


@pytest.mark.parametrize("destination", [".my/c", ".my/new"])
@pytest.mark.parametrize("way", [0, 1])
def test_each_way_for_a_tree_can_be_gone_whether_the_collection_is_there_or_not(algo_home, work, destination, way):
    (work / "t" / "sub").mkdir(parents=True)
    (work / "t" / "top").write_text("1")
    (work / "t" / "sub" / "deep").write_text("2")
    assert algo_home.run("mkdir", ".my/c").code == ExitCode.OK
    refused = algo_home.run("cp", "-r", "t", destination, cwd=work)
    command = re.findall(r": (algo [^;]*);", refused.stderr)[way]
    path = f"{algo_home.program.parent}:{algo_home.environ['PATH']}"
    done = subprocess.run(["sh", "-c", command], cwd=work, env={**algo_home.environ, "PATH": path})
    assert done.returncode == ExitCode.OK
    there = algo_home.run("ls", destination).text.split()
    assert there == [f"{destination}/{name}" for name in (["deep", "top"] if way == 0 else ["top"])]


def test_a_file_below_a_collection_is_not_answered_with_a_directory_in_it(home, data_platform, work):
    (work / "f").touch()
    result = home.run("cp", "f", ".my/c/new/f", cwd=work)
    assert (result.code, "mkdir" in result.stderr) == (ExitCode.NOT_FOUND, False)
    assert "hint: data://.my/c holds files only: data://.my/c/f\n" in result.stderr
    dry = home.run("cp", "--dry-run", "f", ".my/c/new/f", cwd=work)
    assert (dry.code, "mkdir" in dry.stderr, "holds files only" in dry.stderr) == (ExitCode.NOT_FOUND, False, True)


def test_what_a_session_holds_is_for_the_platform_to_say(home, data_platform, work):
    (work / "f").touch()
    data_platform.directories.add("data/.session")
    home.run("cp", "f", "data://.session/", cwd=work)
    assert data_platform.requests("PUT") == ["PUT data/.session/f"]


def test_a_number_that_nothing_has_open_is_no_missing_directory(home, data_platform, work):
    (work / "f").touch()
    result = home.run("cp", "f", "/dev/fd/77", cwd=work)
    assert (result.code, result.stderr) == (ExitCode.FAILURE, "error: /dev/fd/77: Bad file descriptor\n")


def test_data_itself_is_the_same_as_no_other_place():
    storage = HostedStorage(None, "data")
    assert not storage.is_same(DataUri("data", ".my"), DataUri("data", ""))
    assert not storage.is_same(DataUri("data", ""), DataUri("data", ".my"))
