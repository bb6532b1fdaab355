"""What goes wrong on the way: retried to success, or refused with its reason, and nothing half done left behind."""

from __future__ import annotations

import gzip
import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from algo_core.errors import ExitCode

MIB = 1 << 20
CONTENT = bytes(range(256)) * 4096 * 3


@pytest.fixture
def older(work: Path) -> Path:
    """A file that a download would replace."""
    path = work / "f"
    path.write_text("older")
    return path


@pytest.fixture
def remote(data_platform) -> str:
    data_platform.files["data/.my/c/f"] = CONTENT
    return "data://.my/c/f"


def assert_untouched(older: Path) -> None:
    assert os.listdir(older.parent) == [older.name]
    assert older.read_text() == "older"


# Downloads that break off


def test_a_download_that_breaks_off_goes_on_where_it_stopped(home, data_platform, remote, older):
    data_platform.fail("GET", "/f", "cut", times=6)
    assert home.run("cp", remote, older).code == ExitCode.OK
    assert older.read_bytes() == CONTENT
    assert data_platform.sent == len(CONTENT)
    assert len(data_platform.requests("GET")) == 7
    assert all(headers["If-Range"] for headers in data_platform.headers[1:])


def test_one_that_gets_nowhere_ends(home, data_platform, remote, older):
    data_platform.fail("GET", "/f", "cut")
    data_platform.fail("GET", "/f", "reset", times=99)
    result = home.run("cp", remote, older, environ={"ALGO_RETRIES": "2"})
    assert result.code == ExitCode.NETWORK
    assert_untouched(older)


def test_a_stalled_download_is_given_up_and_goes_on(home, data_platform, remote, older):
    data_platform.fail("GET", "/f", "stop_halfway")
    assert home.run("cp", remote, older, environ={"ALGO_TIMEOUT": "3"}).code == ExitCode.OK
    assert older.read_bytes() == CONTENT
    assert data_platform.sent == len(CONTENT)


def test_without_a_version_it_starts_again(home, data_platform, remote, older):
    data_platform.etags = False
    data_platform.fail("GET", "/f", "cut", times=2)
    assert home.run("cp", remote, older).code == ExitCode.OK
    assert older.read_bytes() == CONTENT
    assert "Range" not in {name for headers in data_platform.headers for name in headers}


def test_a_server_that_ignores_ranges_costs_bytes_but_no_correctness(home, data_platform, remote, older):
    data_platform.ranges = False
    data_platform.fail("GET", "/f", "cut")
    assert home.run("cp", remote, older).code == ExitCode.OK
    assert older.read_bytes() == CONTENT
    assert len(data_platform.requests("GET")) == 2


def test_two_versions_are_never_mixed(home, data_platform, remote, older):
    data_platform.fail("GET", "/f", "cut_and_replace")
    assert home.run("cp", remote, older).code == ExitCode.OK
    assert older.read_bytes() == CONTENT[::-1]


def test_two_versions_are_never_mixed_on_standard_output(home, data_platform, remote):
    data_platform.fail("GET", "/f", "cut_and_replace")
    result = home.run("cp", remote, "-")
    assert result.code == ExitCode.NETWORK
    assert "changed while it was read" in result.stderr
    assert CONTENT.startswith(result.stdout)


def test_standard_output_goes_on_where_it_stopped(home, data_platform, remote):
    data_platform.fail("GET", "/f", "cut", times=2)
    result = home.run("cat", remote)
    assert (result.code, result.stdout) == (ExitCode.OK, CONTENT)


@pytest.mark.parametrize("action", ["reset", "cut_chunked", 500, 502, 503, 504])
def test_a_download_survives_a_failure(home, data_platform, remote, older, action):
    data_platform.fail("GET", "/f", action, times=2)
    assert home.run("cp", remote, older).code == ExitCode.OK
    assert older.read_bytes() == CONTENT


def test_a_listing_that_breaks_off_is_asked_for_again(home, data_platform, remote):
    def cut(handler):
        handler._send_head(200, 1000, {"X-Data-Type": "directory", "Content-Type": "application/json"})
        handler.wfile.write(b'{"files": [{"filen')
        handler.close_connection = True
        return True

    data_platform.fail("GET", ".my/c", cut, times=2)
    assert home.run("ls", ".my/c").text == ".my/c/f\n"


def test_a_connection_that_was_closed_meanwhile_is_opened_again(home, data_platform, work):
    def close_silently(handler):
        handler.close_connection = True
        return False

    (work / "f").write_text("x")
    data_platform.fail("HEAD", "", close_silently)
    assert home.run("cp", work / "f", "data://.my/c").code == ExitCode.OK


# Content that is not what it should be


def test_a_damaged_download_is_an_error_and_the_older_file_stays(home, data_platform, remote, older):
    data_platform.fail("GET", "/f", "corrupt", times=9)
    result = home.run("cp", remote, older)
    assert result.code == ExitCode.PLATFORM
    assert "MD5" in result.stderr
    assert_untouched(older)


def test_a_damaged_copy_never_becomes_a_file(home, data_platform, remote):
    data_platform.fail("GET", "/f", "corrupt", times=9)
    assert home.run("cp", remote, "data://.my/c/copy").code == ExitCode.PLATFORM
    assert "data/.my/c/copy" not in data_platform.files


def test_a_length_that_is_too_small_is_found_by_the_checksum(home, data_platform, remote, older):
    def short(handler):
        handler._send_head(200, 1000, handler._facts(CONTENT, 0))
        handler.wfile.write(CONTENT[:1000])
        return True

    data_platform.fail("GET", "/f", short, times=9)
    assert home.run("cp", remote, older).code == ExitCode.PLATFORM
    assert_untouched(older)


def test_a_body_that_is_compressed_unasked_is_unpacked(home, data_platform, remote, older):
    def squeeze(handler):
        body = gzip.compress(CONTENT)
        handler._send_head(200, len(body), {"X-Data-Type": "file", "Content-Encoding": "gzip"})
        handler.wfile.write(body)
        return True

    data_platform.fail("GET", "/f", squeeze)
    assert home.run("cp", remote, older).code == ExitCode.OK
    assert older.read_bytes() == CONTENT


def test_a_body_that_only_says_that_it_is_compressed_is_an_error(home, data_platform, remote, older):
    def lie(handler):
        handler._send_head(200, 1000, {"X-Data-Type": "file", "Content-Encoding": "gzip"})
        handler.wfile.write(CONTENT[:1000])
        return True

    data_platform.fail("GET", "/f", lie, times=9)
    assert home.run("cp", remote, older).code == ExitCode.PLATFORM
    assert_untouched(older)


# Uploads


@pytest.mark.parametrize("size", [10, 3 * MIB])
@pytest.mark.parametrize("action", ["reset", "reset_in_upload", 503])
def test_an_upload_is_sent_again_from_its_beginning(home, data_platform, work, action, size):
    if action == "reset_in_upload" and size < MIB:
        action = "reset"
    (work / "f").write_bytes(CONTENT[:size])
    data_platform.fail("PUT", "/f", action, times=2)
    assert home.run("cp", work / "f", "data://.my/c").code == ExitCode.OK
    assert data_platform.files == {"data/.my/c/f": CONTENT[:size]}
    assert len(data_platform.requests("PUT")) == 3


def test_a_copy_between_two_places_is_read_and_sent_again(home, data_platform, remote):
    data_platform.fail("PUT", "/copy", "reset_in_upload")
    data_platform.fail("GET", "/f", "cut")
    assert home.run("cp", remote, "data://.my/c/copy").code == ExitCode.OK
    assert data_platform.files["data/.my/c/copy"] == CONTENT


@pytest.mark.parametrize("times", [1, 5])
def test_what_comes_from_a_pipe_is_kept_and_sent_again(home, data_platform, times):
    content = CONTENT * times
    data_platform.fail("PUT", "/f", "reset_in_upload", times=2)
    assert home.run("cp", "-", "data://.my/c/f", input=content).code == ExitCode.OK
    assert data_platform.files == {"data/.my/c/f": content}
    assert len(data_platform.requests("PUT")) == 3


@pytest.mark.parametrize("times", range(2, 8))
def test_a_pipe_that_could_not_be_sent_is_not_taken_for_an_empty_one(home, data_platform, times):
    """It can be read once: a second try from its beginning would find nothing in it, and upload that."""
    data_platform.fail("PUT", "/f", "reset", times=times)
    result = home.run("cp", "-", "data://.my/c/f", input=b"content", environ={"ALGO_RETRIES": "1"})
    assert (result.code, data_platform.files) in [(ExitCode.OK, {"data/.my/c/f": b"content"}), (ExitCode.NETWORK, {})]


def test_a_pipe_that_cannot_be_kept_is_not_uploaded(home, data_platform):
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, MIB))

    done = subprocess.run(
        home.command("cp", "-", "data://.my/c/f"),
        env=home.environ,
        preexec_fn=limit,
        capture_output=True,
        input=CONTENT * 4,
        check=False,
    )
    assert done.returncode == ExitCode.FAILURE
    assert b"TMPDIR" in done.stderr
    assert data_platform.requests("PUT") == []


@pytest.mark.parametrize("action", ["redirect", "page"])
def test_an_upload_that_something_else_answered_is_no_success(home, data_platform, work, action):
    (work / "f").write_text("x")
    data_platform.files["data/jane/c/f"] = b"what the redirect leads to"
    data_platform.fail("PUT", "/f", action, times=9)
    result = home.run("cp", work / "f", "data://.my/c/f")
    assert (result.code, result.text) == (ExitCode.PLATFORM, "")


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503, 507])
def test_an_upload_that_is_refused_without_a_word_is_no_success(home, data_platform, work, status):
    (work / "f").write_text("x")
    data_platform.fail("PUT", "/f", status, times=9)
    result = home.run("cp", work / "f", "data://.my/c/f", environ={"ALGO_RETRIES": "0"})
    assert result.code in {ExitCode.FAILURE, ExitCode.AUTHENTICATION, ExitCode.PLATFORM}
    assert str(status) in result.stderr
    assert data_platform.files == {}


def test_the_reason_is_told_even_if_the_connection_closes_before_the_body_is_sent(home, data_platform, work):
    def refuse(handler):
        handler.answer(404, b"")
        handler.close_connection = True
        return True

    (work / "f").write_bytes(bytes(16 * MIB))
    data_platform.fail("PUT", "/f", refuse, times=9)
    result = home.run("cp", work / "f", "data://.my/nope/f", environ={"ALGO_RETRIES": "1"})
    assert result.code == ExitCode.NOT_FOUND
    assert "algo mkdir data://.my/nope" in result.stderr


def _append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def _truncate(path: Path) -> None:
    os.truncate(path, 20 * MIB)


def _rewrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"other")
    os.utime(path, ns=(1, 1))


@pytest.mark.parametrize("change", [_append, _truncate, _rewrite])
def test_a_source_that_changes_while_it_is_read_is_not_uploaded(
    home, data_platform, work, change: Callable[[Path], None]
):
    def meanwhile(handler):
        handler.begun = handler.rfile.read(1000)
        change(work / "f")
        return False

    (work / "f").write_bytes(bytes(24 * MIB))
    data_platform.fail("PUT", "/f", meanwhile)
    result = home.run("cp", work / "f", "data://.my/c/f")
    assert result.code == ExitCode.FAILURE
    assert "while it was read" in result.stderr
    assert data_platform.files == {}


# This machine


def test_a_full_disk_leaves_the_older_file_and_nothing_else(home, data_platform, remote, older):
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, MIB))

    done = subprocess.run(
        home.command("cp", remote, older),
        env=home.environ,
        preexec_fn=limit,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == ExitCode.FAILURE
    assert "File too large" in done.stderr
    assert_untouched(older)


@pytest.mark.parametrize("command", ["cp", "cat"])
def test_standard_output_that_is_full_is_an_error(home, data_platform, remote, command):
    with open("/dev/full", "wb") as full:
        words = home.command(command, remote, *["-"] * (command == "cp"))
        done = subprocess.run(words, env=home.environ, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == ExitCode.FAILURE
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_name_that_the_file_system_cannot_hold_is_an_error_and_the_others_go(home, data_platform, remote, work):
    data_platform.files["data/.my/c/" + "x" * 300] = b"x"
    result = home.run("cp", "data://.my/c/*", work)
    assert result.code == ExitCode.FAILURE
    assert "File name too long" in result.stderr
    assert os.listdir(work) == ["f"]


def test_a_directory_where_the_file_should_go_is_refused(home, data_platform, remote, work):
    (work / "f").mkdir()
    result = home.run("cp", remote, work)
    assert result.code == ExitCode.FAILURE
    assert "is a directory" in result.stderr
    assert "cp -r" not in result.stderr
    assert list((work / "f").iterdir()) == []


# Ctrl-C


def _wait(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)


def test_an_interrupted_download_leaves_the_older_file_and_nothing_else(home, data_platform, remote, older):
    data_platform.fail("GET", "/f", "stop_halfway")
    process = subprocess.Popen(home.command("cp", remote, older), env=home.environ, stderr=subprocess.PIPE, text=True)
    _wait(lambda: data_platform.sent > 0 and len(os.listdir(older.parent)) == 2)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == ExitCode.INTERRUPTED
    assert "Traceback" not in said
    assert_untouched(older)


def test_an_interrupted_upload_makes_no_file(home, data_platform, work):
    def hold(handler):
        handler.begun = handler.rfile.read(1000)
        data_platform.sent = 1
        handler.platform.flag.wait(1)
        return False

    (work / "f").write_bytes(bytes(32 * MIB))
    data_platform.fail("PUT", "/f", hold)
    process = subprocess.Popen(home.command("cp", work / "f", "data://.my/c/f"), env=home.environ)
    _wait(lambda: data_platform.sent == 1)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert data_platform.files == {}
