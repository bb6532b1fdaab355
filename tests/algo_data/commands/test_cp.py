"""`algo cp`: what goes where, with how many requests, and what it says."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from algo_core.errors import ExitCode

ODD = ["with space", "plus+sign", "hash#mark", "question?mark", "per%cent", "per%2Fcent", "ünï-日本", "a&b=c", "a[1]"]


# Uploads


def test_the_guides_upload_goes_into_the_collection_under_its_own_name(home, data_platform, work):
    (work / "friends.jpg").write_bytes(b"\xff\xd8picture")
    result = home.run("cp", "./friends.jpg", "data://.my/c", cwd=work)
    assert (result.code, result.text) == (ExitCode.OK, "Uploaded data://.my/c/friends.jpg\n")
    assert data_platform.files == {"data/.my/c/friends.jpg": b"\xff\xd8picture"}
    assert data_platform.log == ["HEAD data/.my/c", "PUT data/.my/c/friends.jpg"]


def test_a_bare_file_name_is_a_local_file(home, data_platform, work):
    (work / "friends.jpg").write_bytes(b"picture")
    assert home.run("cp", "friends.jpg", ".my/c/other.jpg", cwd=work).text == "Uploaded data://.my/c/other.jpg\n"


def test_many_uploads_cost_one_look_at_the_destination_and_one_put_each(home, data_platform, work):
    for number in range(20):
        (work / f"f{number}").write_text(str(number))
    assert home.run("cp", *sorted(work.iterdir()), "data://.my/c").code == ExitCode.OK
    assert len(data_platform.files) == 20
    assert len(data_platform.log) == 21
    assert len(data_platform.requests("PUT")) == 20


@pytest.mark.parametrize("content", [b"", b"{}", b'{"a": 1}', b"plain"])
def test_content_is_never_looked_into_and_an_empty_file_has_a_length(home, data_platform, work, content):
    (work / "f").write_bytes(content)
    assert home.run("cp", work / "f", "data://.my/c").code == ExitCode.OK
    put = data_platform.headers[-1]
    assert put["Content-Type"] == "application/octet-stream"
    assert put["Content-Length"] == str(len(content))
    assert "Transfer-Encoding" not in put
    assert data_platform.files["data/.my/c/f"] == content


@pytest.mark.parametrize("name", ODD)
def test_odd_names_survive_both_ways(home, data_platform, work, name):
    (work / name).write_text(name)
    (work / "back").mkdir()
    assert home.run("cp", work / name, "data://.my/c").code == ExitCode.OK
    assert data_platform.files == {f"data/.my/c/{name}": name.encode()}
    assert home.run("cp", f"data://.my/c/{name}", work / "back").code == ExitCode.OK
    assert (work / "back" / name).read_text() == name


def test_a_name_that_is_not_unicode_is_told_and_the_others_go(home, data_platform, work):
    (work / "caf\udce9").write_bytes(b"x")
    (work / "fine").write_bytes(b"y")
    result = home.run("cp", work / "*", "data://.my/c")
    assert result.code == ExitCode.USAGE
    assert "not valid UTF-8" in result.stderr
    assert set(data_platform.files) == {"data/.my/c/fine"}
    assert home.run("cp", work / "caf\udce9", "data://.my/c/cafe").code == ExitCode.OK


def test_an_upload_into_a_missing_collection_says_how_to_make_it(home, data_platform, work):
    (work / "f").write_text("x")
    result = home.run("cp", work / "f", "data://.my/nope/f")
    assert result.code == ExitCode.NOT_FOUND
    assert "algo mkdir data://.my/nope" in result.stderr
    result = home.run("cp", work / "f", "data://.my/nope")
    assert result.code == ExitCode.NOT_FOUND
    assert "Directory data://.my/nope does not exist" in result.stderr
    assert "algo mkdir data://.my/nope" in result.stderr
    result = home.run("cp", work / "f", "data://.my/f.txt")
    assert result.code == ExitCode.NOT_FOUND
    assert "data://.my/COLLECTION/FILE" in result.stderr
    data_platform.log.clear()
    result = home.run("cp", work / "f", "data://.my/nope/")
    assert result.code == ExitCode.NOT_FOUND
    assert data_platform.requests("PUT") == []


# Downloads


def test_the_guides_download(home, data_platform, work):
    data_platform.files["data/.algo/dlib/FaceDetection/temp/detected_faces.png"] = b"png"
    result = home.run("cp", "data://.algo/dlib/FaceDetection/temp/detected_faces.png", "./detected_faces.png", cwd=work)
    assert (result.code, result.text) == (ExitCode.OK, "Downloaded ./detected_faces.png\n")
    assert (work / "detected_faces.png").read_bytes() == b"png"
    assert data_platform.log == ["GET data/.algo/dlib/FaceDetection/temp/detected_faces.png"]


def test_a_local_destination_is_never_looked_up_on_the_platform(home, data_platform, work):
    data_platform.directories |= {"data/out", "data/.my/out"}
    data_platform.files["data/.my/c/f"] = b"x"
    assert home.run("cp", "data://.my/c/f", "out", cwd=work).text == "Downloaded out\n"
    assert (work / "out").read_bytes() == b"x"
    assert data_platform.log == ["GET data/.my/c/f"]


def test_wildcards_take_what_matches_and_nothing_else(home, data_platform, work):
    data_platform.files |= {f"data/.my/c/{n}": n.encode() for n in ("a1", "b1", "b2", "b22", "c", ".b3")}
    said = home.run("cp", "data://.my/c/b?", work).text.splitlines()
    assert sorted(said) == [f"Downloaded {work}/b1", f"Downloaded {work}/b2"]
    assert sorted(os.listdir(work)) == ["b1", "b2"]
    assert sorted(data_platform.log) == ["GET data/.my/c", "GET data/.my/c/b1", "GET data/.my/c/b2"]
    assert home.run("cp", "data://.my/c/[ac]*", work).code == ExitCode.OK
    assert sorted(os.listdir(work)) == ["a1", "b1", "b2", "c"]


def test_wildcards_beyond_the_first_page(home, data_platform, work):
    data_platform.files |= {f"data/.my/c/f{n:04d}": b"" for n in range(1100)}
    assert len(home.run("cp", "data://.my/c/f*[05]99", work).text.splitlines()) == 3


def test_a_wildcard_for_one_file_can_give_it_a_name(home, data_platform, work):
    data_platform.files["data/.my/c/only.txt"] = b"x"
    assert home.run("cp", "data://.my/c/*.txt", work / "name").text == f"Downloaded {work}/name\n"


def test_a_wildcard_that_matches_nothing_is_not_found(home, data_platform, work):
    for source in ("data://.my/c/*.gif", f"{work}/*.gif"):
        result = home.run("cp", source, "data://.my/c")
        assert (result.code, result.text) == (ExitCode.NOT_FOUND, "")
        assert "Nothing matches" in result.stderr


def test_the_older_file_stays_until_the_new_one_is_whole_and_keeps_its_mode(home, data_platform, work):
    (work / "f").write_text("older")
    (work / "f").chmod(0o640)
    assert home.run("cp", "data://.my/c/nope", work / "f").code == ExitCode.NOT_FOUND
    assert (work / "f").read_text() == "older"
    data_platform.files["data/.my/c/f"] = b"new"
    assert home.run("cp", "data://.my/c/f", work).code == ExitCode.OK
    assert (work / "f").read_bytes() == b"new"
    assert (work / "f").stat().st_mode & 0o777 == 0o640


def test_an_error_page_is_never_saved(home, data_platform, work):
    data_platform.files["data/.my/c/f"] = b"x"
    for action in (500, 403, "page"):
        data_platform.fail("GET", "f", action)
        result = home.run("cp", "data://.my/c/f", work, environ={"ALGO_RETRIES": "0"})
        assert result.code in {ExitCode.AUTHENTICATION, ExitCode.PLATFORM}
        assert list(work.iterdir()) == []


# Everything else that can be copied


def test_remote_to_remote_streams_through(home, data_platform, work):
    data_platform.directories.add("connector/s3/bucket")
    data_platform.files["data/.my/c/f"] = bytes(3_000_000)
    result = home.run("cp", "data://.my/c/f", "s3://bucket", cwd=work)
    assert (result.code, result.text) == (ExitCode.OK, "Copied data://.my/c/f to s3://bucket/f\n")
    assert data_platform.files["connector/s3/bucket/f"] == bytes(3_000_000)
    assert data_platform.log == ["HEAD connector/s3/bucket", "GET data/.my/c/f", "PUT connector/s3/bucket/f"]
    assert data_platform.headers[-1]["Content-Length"] == "3000000"
    assert list(work.iterdir()) == []


@pytest.mark.parametrize("connector", ["s3", "s3+label", "azureblob", "gs+x1", "dropbox"])
def test_every_connector_of_the_platform_works(home, data_platform, work, connector):
    data_platform.directories.add(f"connector/{connector}/top")
    (work / "f").write_text("x")
    assert home.run("cp", work / "f", f"{connector}://top/dir.txt").text == f"Uploaded {connector}://top/dir.txt\n"
    assert home.run("cat", f"{connector}://top/dir.txt").stdout == b"x"


def test_local_to_local_needs_no_platform(algo_home, work):
    algo_home.environ["ALGORITHMIA_API"] = "http://127.0.0.1:9"
    (work / "a").write_text("x")
    assert algo_home.run("cp", "a", "b", cwd=work).text == "Copied a to b\n"
    assert (work / "b").read_text() == "x"


@pytest.mark.parametrize("content", [b"from a pipe", b"", bytes(3_000_000)])
def test_standard_input_and_output(home, data_platform, content):
    result = home.run("cp", "-", "data://.my/c/piped", input=content)
    assert (result.code, result.text) == (ExitCode.OK, "Uploaded data://.my/c/piped\n")
    assert data_platform.files["data/.my/c/piped"] == content
    assert data_platform.headers[-1]["Content-Length"] == str(len(content))
    result = home.run("cp", "data://.my/c/piped", "-")
    assert (result.code, result.stdout, result.stderr) == (ExitCode.OK, content, "")


def test_a_file_on_standard_input_has_a_length_and_starts_where_it_stands(home, data_platform, work):
    (work / "f").write_bytes(b"0123456789" * 100_000)
    with (work / "f").open("rb") as file:
        file.seek(5)
        subprocess.run(home.command("-q", "cp", "-", ".my/c/f"), stdin=file, env=home.environ, check=True)
    assert data_platform.files["data/.my/c/f"] == (b"0123456789" * 100_000)[5:]
    assert data_platform.headers[-1]["Content-Length"] == "999995"


def test_a_dash_can_be_a_file_name(home, data_platform, work):
    (work / "-").write_text("x")
    assert home.run("cp", "./-", "data://.my/c", cwd=work).text == "Uploaded data://.my/c/-\n"


# What cannot mean anything


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["x"], ExitCode.USAGE),
        ([], ExitCode.USAGE),
        (["x", "y", "data://.my/c/file"], ExitCode.USAGE),
        (["x", "y", "./x"], ExitCode.USAGE),
        (["x", "./x/"], ExitCode.USAGE),
        (["x", "y", "-"], ExitCode.USAGE),
        (["-", "data://.my/c"], ExitCode.USAGE),
        (["-", "-", "data://.my/c"], ExitCode.USAGE),
        (["x", "data://.my/c/**"], ExitCode.USAGE),
        (["data://.my/../x", "."], ExitCode.USAGE),
        (["data+label://.my/c/x", "."], ExitCode.USAGE),
        (["", "."], ExitCode.USAGE),
        (["x", "y", "./nope"], ExitCode.NOT_FOUND),
        (["x", "./nope/"], ExitCode.NOT_FOUND),
        (["x", "./nope/name"], ExitCode.NOT_FOUND),
        (["x", "y", "data://.my/nope"], ExitCode.NOT_FOUND),
        (["x", "x"], ExitCode.FAILURE),
        (["x", "./"], ExitCode.FAILURE),
        (["data://.my/c/file", "data://.my/c"], ExitCode.FAILURE),
        (["data://.my/c/file", "data://jane/c/file"], ExitCode.FAILURE),
        (["data://.my/c", "."], ExitCode.FAILURE),
        (["data://.my/c/", "."], ExitCode.FAILURE),
        (["./", "data://.my/c"], ExitCode.FAILURE),
        (["/dev/zero", "data://.my/c"], ExitCode.FAILURE),
    ],
)
def test_what_cannot_be_copied_is_refused_and_changes_nothing(home, data_platform, work, arguments, code):
    data_platform.files["data/.my/c/file"] = b"remote"
    for name in ("x", "y"):
        (work / name).write_text(name)
    if "data://jane/c/file" in arguments:
        data_platform.fail("GET", "data/", _account_is_jane)
    result = home.run("cp", *arguments, cwd=work, input=b"")
    assert (result.code, result.text) == (code, "")
    assert result.stderr.startswith("error: ")
    assert "Traceback" not in result.stderr
    assert sorted(os.listdir(work)) == ["x", "y"]
    assert data_platform.files == {"data/.my/c/file": b"remote"}
    assert [(work / name).read_text() for name in ("x", "y")] == ["x", "y"]


def _account_is_jane(handler):
    handler.answer(200, b'{"folders": [{"name": "jane"}]}', {"X-Data-Type": "directory"})
    return True


def test_a_directory_as_a_source_names_the_way(home, data_platform, work):
    for source in ("data://.my/c", "./"):
        result = home.run("cp", source, work, cwd=work)
        assert result.code == ExitCode.FAILURE
        assert "is a directory" in result.stderr
        assert "algo cp " in result.stderr


def test_special_files_are_refused_as_a_source_and_written_to_as_a_destination(home, data_platform, work):
    data_platform.files["data/.my/c/f"] = b"x"
    os.mkfifo(work / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(work)
        server.bind("socket")
        for name in ("pipe", "socket"):
            result = home.run("cp", work / name, "data://.my/c")
            assert result.code == ExitCode.FAILURE
            assert "not a regular file" in result.stderr
    assert home.run("cp", "data://.my/c/f", "/dev/null").code == ExitCode.OK
    assert Path("/dev/null").is_char_device()


def test_two_sources_of_one_name_do_not_replace_each_other(home, data_platform, work):
    for directory in ("a", "b"):
        (work / directory).mkdir()
        (work / directory / "f").write_text(directory)
    result = home.run("cp", "a/f", "b/f", "data://.my/c", cwd=work)
    assert (result.code, result.text) == (ExitCode.FAILURE, "Uploaded data://.my/c/f\n")
    assert "another source has the same name" in result.stderr
    assert data_platform.files["data/.my/c/f"] == b"a"


# What it says


def test_one_failed_file_does_not_stop_the_others(home, data_platform, work):
    for name in ("a", "b", "c"):
        (work / name).write_text(name)
    data_platform.fail("PUT", "/a", 403, times=9)
    result = home.run("cp", "a", "nope", "b", "c", "data://.my/c", cwd=work)
    assert result.code in {ExitCode.AUTHENTICATION, ExitCode.NOT_FOUND}
    assert sorted(result.text.splitlines()) == ["Uploaded data://.my/c/b", "Uploaded data://.my/c/c"]
    assert "nope does not exist" in result.stderr
    assert "a: " in result.stderr
    assert set(data_platform.files) == {"data/.my/c/b", "data/.my/c/c"}


def test_a_wrong_key_ends_it_at_once(home, data_platform, work):
    names = [f"f{number}" for number in range(30)]
    for name in names:
        (work / name).write_text(name)
    data_platform.fail("PUT", "", 401, times=99)
    result = home.run("cp", *names, "data://.my/c", cwd=work)
    assert result.code == ExitCode.AUTHENTICATION
    assert result.stderr.count("unset ALGORITHMIA_API_KEY") == 1
    assert len(data_platform.requests("PUT")) <= 8


def test_json_has_one_object_for_each_file(home, data_platform, work):
    (work / "a").write_text("12345")
    result = home.run("--json", "cp", "a", "nope", "data://.my/c", cwd=work)
    assert result.code == ExitCode.NOT_FOUND
    assert [json.loads(line) for line in result.text.splitlines()] == [
        {"action": "uploaded", "source": "a", "destination": "data://.my/c/a", "bytes": 5}
    ]
    assert (result.error["type"], result.error["path"]) == ("NotFoundError", "nope")


def test_quiet_says_nothing(home, data_platform, work):
    (work / "a").write_text("x")
    result = home.run("-q", "cp", "a", "data://.my/c", cwd=work)
    assert (result.code, result.text, result.stderr) == (ExitCode.OK, "", "")


# Memory


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads what the kernel knows of a process")
@pytest.mark.parametrize("direction", ["up", "down", "through", "cat"])
def test_memory_does_not_grow_with_the_file(home, data_platform, work, direction):
    size = 64 << 20
    (work / "f").write_bytes(bytes(size))
    data_platform.files["data/.my/c/there"] = bytes(size)
    arguments = {
        "up": ["cp", "f", "data://.my/c/f"],
        "down": ["cp", "data://.my/c/there", "g"],
        "through": ["cp", "data://.my/c/there", "data://.my/c/again"],
        "cat": ["cat", "data://.my/c/there", "./f"],
    }[direction]
    peaks = {name: _peak(home, work, *given) for name, given in {"small": ["ls", ".my"], "large": arguments}.items()}
    assert peaks["large"] - peaks["small"] < size // 4


def _peak(home, work: Path, *arguments: str) -> int:
    """The largest resident size of an `algo` process in bytes, as the kernel counted it."""
    with subprocess.Popen(home.command(*arguments), env=home.environ, cwd=work, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == ExitCode.OK
    return usage.ru_maxrss * 1024
