"""`algo cat`: bytes as they are, in order, whatever else fails."""

from __future__ import annotations

import subprocess

from algo_core.errors import ExitCode

EVERY_BYTE = bytes(range(256)) * 16


def test_bytes_come_out_as_they_are_in_one_request_each(home, data_platform):
    data_platform.files |= {"data/.my/c/a": EVERY_BYTE, "data/.my/c/b": b"text without a newline"}
    result = home.run("cat", ".my/c/a", "data://.my/c/b")
    assert (result.code, result.stdout) == (ExitCode.OK, EVERY_BYTE + b"text without a newline")
    assert data_platform.log == ["GET data/.my/c/a", "GET data/.my/c/b"]


def test_a_missing_file_is_told_on_stderr_and_the_others_are_printed(home, data_platform, work):
    data_platform.files |= {"data/.my/c/a": b"1", "data/.my/c/b": b"2"}
    (work / "local").write_bytes(b"3\n")
    result = home.run("cat", ".my/c/a", ".my/c/nope", ".my/c/b", "./local", cwd=work)
    assert (result.code, result.stdout) == (ExitCode.NOT_FOUND, b"123\n")
    assert result.stderr == "error: data://.my/c/nope: data not found\n"


def test_a_local_file_of_that_name_is_hinted_at(home, data_platform, work):
    (work / "notes").write_text("x")
    result = home.run("cat", "notes", cwd=work)
    assert result.code == ExitCode.NOT_FOUND
    assert "./notes" in result.stderr


def test_wildcards_and_standard_input(home, data_platform):
    data_platform.files |= {"data/.my/c/a1": b"1", "data/.my/c/a2": b"2"}
    assert home.run("cat", ".my/c/a*", "-", input=b"3").stdout == b"123"
    assert home.run("cat", "-", "-", input=b"").code == ExitCode.USAGE


def test_a_directory_is_an_error(home, data_platform):
    result = home.run("cat", ".my/c")
    assert (result.code, result.stdout) == (ExitCode.FAILURE, b"")
    assert "is a directory" in result.stderr


def test_an_error_page_is_never_printed(home, data_platform):
    data_platform.files["data/.my/c/a"] = b"x"
    data_platform.fail("GET", "/a", "page")
    result = home.run("cat", ".my/c/a")
    assert (result.code, result.stdout) == (ExitCode.PLATFORM, b"")


def test_a_reader_that_goes_away_ends_it_quietly(home, data_platform):
    data_platform.files["data/.my/c/a"] = bytes(20_000_000)
    words = " ".join(home.command("cat", ".my/c/a"))
    done = subprocess.run(
        ["bash", "-c", f"{words} | head -c 5 | wc -c; echo ${{PIPESTATUS[0]}}"],
        env=home.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["5", "141"]
    assert done.stderr == ""
