"""`algo ls`: what it prints, and what it asks for."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pexpect
import pytest

from algo_core.errors import ExitCode


def test_without_a_path_the_accounts_name_comes_first(home, data_platform):
    result = home.run("ls")
    assert (result.code, result.text) == (ExitCode.OK, ".my/\njane/\n")
    assert data_platform.log == ["GET data/"]


def test_paths_are_whole_without_the_scheme_and_directories_end_in_a_slash(home, data_platform):
    data_platform.files["data/.my/c/b.txt"] = b"12345"
    data_platform.directories.add("data/.my/d")
    assert home.run("ls", ".my").text == ".my/c/\n.my/d/\n"
    assert home.run("ls", "data://.my/c/").text == ".my/c/b.txt\n"
    assert home.run("ls", "jane").text == ""


@pytest.mark.parametrize("path", [".my/c", ".my/c/", "data://.my/c", "data:/.my/c", "data://.my//c"])
def test_a_directory_is_listed_with_and_without_a_slash_in_one_request(home, data_platform, path):
    data_platform.files["data/.my/c/a"] = b""
    result = home.run("ls", path)
    assert result.code == ExitCode.OK
    assert result.text.replace("//", "/") == ".my/c/a\n"
    assert data_platform.log == ["GET data/.my/c"]


def test_a_file_is_listed_with_its_facts_and_not_downloaded(home, data_platform):
    data_platform.files["data/.my/c/a.bin"] = bytes(50_000_000)
    result = home.run("ls", "-l", ".my/c/a.bin")
    assert (result.code, result.text) == (ExitCode.OK, "2016-01-06 10:22:34   50000000   .my/c/a.bin\n")
    assert data_platform.log == ["GET data/.my/c/a.bin"]


def test_the_long_form_has_time_and_size_of_files_only(home, data_platform):
    data_platform.files["data/.my/c/a"] = b"12345"
    data_platform.directories.add("data/.my/c/folder")
    assert home.run("ls", "-l", ".my/c").text == ".my/c/folder/\n2016-01-06 10:22:34   5   .my/c/a\n"


def test_a_missing_path_is_not_found(home, data_platform):
    for arguments in (["ls", ".my/nope"], ["ls", "-l", ".my/nope"], ["ls", ".my/nope/"]):
        result = home.run(*arguments)
        assert (result.code, result.text) == (ExitCode.NOT_FOUND, "")
        assert "data not found" in result.stderr


def test_a_missing_path_does_not_hide_the_others(home, data_platform):
    data_platform.files["data/.my/c/a"] = b""
    result = home.run("ls", ".my/nope", ".my/c")
    assert (result.code, result.text) == (ExitCode.NOT_FOUND, ".my/c/a\n")
    assert ".my/nope: data not found" in result.stderr


def test_a_file_beyond_the_first_page_is_found_and_pages_follow_markers(home, data_platform):
    for number in range(2200):
        data_platform.files[f"data/.my/c/f{number:04d}"] = b""
    lines = home.run("ls", ".my/c").text.splitlines()
    assert lines == [f".my/c/f{number:04d}" for number in range(2200)]
    assert data_platform.log == ["GET data/.my/c", "GET data/.my/c?marker=1000", "GET data/.my/c?marker=2000"]
    assert home.run("ls", ".my/c/f2199").text == ".my/c/f2199\n"


def test_what_a_page_holds_is_shown_even_if_the_next_one_fails(home, data_platform):
    for number in range(1500):
        data_platform.files[f"data/.my/c/f{number:04d}"] = b""

    def second_page(handler):
        if "marker" in handler.query:
            handler.answer(500, b"")
        return "marker" in handler.query

    data_platform.fail("GET", ".my/c", second_page, times=9)
    result = home.run("ls", ".my/c", environ={"ALGO_RETRIES": "0"})
    assert result.code == ExitCode.PLATFORM
    assert len(result.text.splitlines()) == 1000


def test_json_is_one_list_of_objects(home, data_platform):
    data_platform.files["data/.my/c/ü b"] = b"12345"
    data_platform.directories.add("data/.my/c/folder")
    assert home.run("ls", "--json", ".my/c").json == [
        {"uri": "data://.my/c/folder", "type": "directory", "size": None, "modified": None},
        {"uri": "data://.my/c/ü b", "type": "file", "size": 5, "modified": "2016-01-06T10:22:34Z"},
    ]
    assert home.run("ls", "--json", "jane").json == []


def test_json_is_valid_and_the_error_told_when_something_is_missing(home, data_platform):
    result = home.run("--json", "ls", ".my/nope")
    assert (result.code, result.text) == (ExitCode.NOT_FOUND, "")
    assert result.error["type"] == "NotFoundError"


def test_no_empty_list_comes_before_an_error_and_what_was_listed_is_closed(home, data_platform):
    data_platform.files["data/.my/c/f"] = b"x"
    data_platform.directories.add("data/.my/empty")
    for words in ([".my/nope", ".my/none"], [".my/empty", ".my/nope"], ["ftp://x/y"], [".my/c/*.gif"]):
        result = home.run("ls", "--json", *words)
        assert (result.code != ExitCode.OK, result.text) == (True, ""), words
        assert result.error["message"]
    result = home.run("ls", "--json", ".my/c", ".my/nope")
    assert (result.code, [entry["uri"] for entry in result.json]) == (ExitCode.NOT_FOUND, ["data://.my/c/f"])
    assert home.run("ls", "--json", ".my/empty").json == []


def test_h_means_sizes_that_people_read(home, data_platform):
    data_platform.files |= {"data/.my/c/big": bytes(1_500_000), "data/.my/c/small": b"x"}
    for words in (("ls", "-lh"), ("ls", "-l", "-h"), ("ls", "-hl"), ("ls", "-l", "--human-readable")):
        lines = home.run(*words, ".my/c").text.splitlines()
        assert [line.split("   ")[1] for line in lines] == ["1.4 MiB", "1 B"], words
    assert home.run("ls", "-h", ".my/c").text == ".my/c/big\n.my/c/small\n"
    assert home.run("ls", "-lh", "--json", ".my/c").json[0]["size"] == 1_500_000
    assert home.run("du", "-h", ".my/c").text.split("\t")[0] == "1.4 MiB"
    for command in ("ls", "du"):
        assert home.run(command, "--help").text.startswith("Usage:")
    assert home.run("cp", "-h").text.startswith("Usage:")


def test_wildcards_show_what_matches(home, data_platform):
    for name in ("a.txt", "b.txt", "b.png", ".hidden.txt"):
        data_platform.files[f"data/.my/c/{name}"] = b""
    assert home.run("ls", ".my/c/*.txt").text == ".my/c/a.txt\n.my/c/b.txt\n"
    assert home.run("ls", ".my/*/b.???").text == ".my/c/b.png\n.my/c/b.txt\n"
    result = home.run("ls", ".my/c/*.gif")
    assert (result.code, result.stderr.count("Nothing matches")) == (ExitCode.NOT_FOUND, 1)


def test_connectors_keep_their_scheme_and_reach_the_connector_route(home, data_platform):
    data_platform.directories |= {"connector/s3+label/bucket", "connector/s3+label/bucket/dir"}
    data_platform.files["connector/s3+label/bucket/a.txt"] = b"x"
    result = home.run("ls", "s3+label://bucket")
    assert result.text == "s3+label://bucket/dir/\ns3+label://bucket/a.txt\n"
    assert data_platform.log == ["GET connector/s3+label/bucket?type=directory"]


def test_a_local_directory_is_listed_without_any_request(home, data_platform, work):
    (work / "sub").mkdir()
    (work / "file").write_text("abc")
    assert home.run("ls", "./", cwd=work).text == "./sub/\n./file\n"
    assert home.run("ls", "--json", f"{work}/file").json[0]["size"] == 3
    assert data_platform.log == []


def test_an_unknown_scheme_is_a_usage_error(home, data_platform):
    result = home.run("ls", "ftp://host/x")
    assert result.code == ExitCode.USAGE
    assert "s3://" in result.stderr
    assert data_platform.log == []


@pytest.mark.parametrize("status", [401, 403, 500])
def test_a_failing_platform_is_no_missing_directory(home, data_platform, status):
    data_platform.fail("GET", ".my/c", status, times=9)
    result = home.run("ls", ".my/c", environ={"ALGO_RETRIES": "0"})
    assert result.code == (ExitCode.AUTHENTICATION if status < 500 else ExitCode.PLATFORM)
    assert "Traceback" not in result.stderr


def test_a_page_that_points_to_itself_ends(home, data_platform):
    def endless(handler):
        handler.answer(200, json.dumps({"files": [], "marker": "same"}).encode(), {"X-Data-Type": "directory"})
        return True

    data_platform.fail("GET", ".my/c", endless, times=9)
    result = home.run("ls", ".my/c")
    assert result.code == ExitCode.PLATFORM
    assert len(data_platform.log) == 2


@pytest.mark.parametrize("name", ["../evil", "..", "a/b", "", "/"])
def test_a_listing_cannot_lead_out_of_its_directory(home, data_platform, work, name):
    def lying(handler):
        page = {"files": [{"filename": name, "size": 1}]}
        handler.answer(200, json.dumps(page).encode(), {"X-Data-Type": "directory"})
        return True

    data_platform.fail("GET", ".my/c", lying)
    result = home.run("cp", "data://.my/c/*", work)
    assert result.code == ExitCode.PLATFORM
    assert list(work.iterdir()) == []


def test_a_reader_that_goes_away_is_no_error_message(home, data_platform):
    for number in range(3000):
        data_platform.files[f"data/.my/c/f{number:04d}"] = b""
    words = " ".join(home.command("ls", ".my/c"))
    done = subprocess.run(
        ["bash", "-c", f"{words} | head -1; echo ${{PIPESTATUS[0]}}"],
        env=home.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[0] == ".my/c/f0000"
    assert done.stdout.splitlines()[1] in {"0", "141"}  # 0: all was written before head ended
    assert done.stderr == ""


def test_on_a_terminal_names_cannot_send_commands_and_sizes_stand_in_a_column(home, data_platform, work):
    data_platform.files["data/.my/c/a\x1b[2Jb"] = b"12345"
    child = pexpect.spawn(*_spawn(home, "ls", "-l", ".my/c"), env=home.environ, encoding="utf-8", timeout=60)
    child.expect(pexpect.EOF)
    assert child.before is not None
    lines = child.before.splitlines()
    assert "2016-01-06 10:22:34              5   .my/c/a\\x1b[2Jb" in lines
    assert not any(line.endswith(" ") for line in lines)


def _spawn(home, *arguments: str) -> tuple[str, list[str]]:
    first, *rest = home.command(*arguments)
    return first, rest


def test_names_that_are_not_unicode_come_out_byte_for_byte(home, data_platform, work: Path):
    (work / "caf\udce9").write_bytes(b"x")
    assert home.run("ls", f"{work}/").stdout == bytes(work) + b"/caf\xe9\n"
