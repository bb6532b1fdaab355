"""`algo mkdir`, `rmdir` and `rm`: nothing is silent, nothing is removed by mistake."""

from __future__ import annotations

import os

import pytest

from algo_core.errors import ExitCode


def test_mkdir_makes_a_collection_in_one_request_and_says_so(home, data_platform):
    result = home.run("mkdir", ".my/robots")
    assert (result.code, result.text) == (ExitCode.OK, "Created directory data://.my/robots\n")
    assert data_platform.log == ["POST data/.my"]
    assert "data/.my/robots" in data_platform.directories


def test_mkdir_of_what_exists_is_told(home, data_platform):
    result = home.run("mkdir", ".my/c", ".my/new")
    assert result.code == ExitCode.FAILURE
    assert "data://.my/c exists already" in result.stderr
    assert result.text == "Created directory data://.my/new\n"


@pytest.mark.parametrize(
    ("status", "code"), [(403, ExitCode.AUTHENTICATION), (500, ExitCode.PLATFORM), (503, ExitCode.PLATFORM)]
)
@pytest.mark.parametrize("command", ["mkdir", "rmdir", "rm"])
def test_a_refusal_is_not_taken_for_something_that_is_not_there(home, data_platform, command, status, code):
    method = {"mkdir": "POST", "rmdir": "DELETE", "rm": "DELETE"}[command]
    data_platform.files["data/.my/c/f"] = b""
    data_platform.fail(method, "", status, times=9)
    result = home.run(command, {"mkdir": ".my/x", "rmdir": ".my/c", "rm": ".my/c/f"}[command], environ=ONCE)
    assert (result.code, result.text) == (code, "")
    assert "data/.my/c/f" in data_platform.files


ONCE = {"ALGO_RETRIES": "0"}


def test_mkdir_in_a_directory_that_is_not_there_is_not_found(home, data_platform):
    assert home.run("mkdir", "s3://bucket/a/b").code == ExitCode.NOT_FOUND


def test_the_answer_of_something_else_is_no_success(home, data_platform):
    data_platform.fail("POST", ".my", "page")
    result = home.run("mkdir", ".my/x")
    assert result.code == ExitCode.PLATFORM
    assert result.text == ""


def test_rmdir_of_a_collection_with_files_gives_the_platforms_message_and_the_way(home, data_platform):
    data_platform.files["data/.my/c/f"] = b"x"
    result = home.run("rmdir", ".my/c")
    assert result.code == ExitCode.FAILURE
    assert "it is not empty" in result.stderr
    assert "algo rmdir -f data://.my/c" in result.stderr
    assert "data/.my/c/f" in data_platform.files
    result = home.run("rmdir", "-f", ".my/c")
    assert (result.code, result.text) == (ExitCode.OK, "Deleted directory data://.my/c\n")
    assert data_platform.files == {}


def test_rmdir_of_what_is_missing_is_not_found(home, data_platform):
    result = home.run("rmdir", ".my/nope")
    assert (result.code, result.text) == (ExitCode.NOT_FOUND, "")
    assert "data not found" in result.stderr


def test_rmdir_never_removes_a_file(home, data_platform):
    data_platform.files["data/.my/c/f"] = b"x"
    result = home.run("rmdir", "-f", ".my/c/f")
    assert result.code == ExitCode.FAILURE
    assert "algo rm data://.my/c/f" in result.stderr
    assert "data/.my/c/f" in data_platform.files
    assert data_platform.requests("DELETE") == []


def test_rm_removes_a_file_in_one_request_and_says_so(home, data_platform):
    data_platform.files["data/.my/c/f"] = b"x"
    result = home.run("rm", ".my/c/f")
    assert (result.code, result.text) == (ExitCode.OK, "Deleted data://.my/c/f\n")
    assert data_platform.log == ["DELETE data/.my/c/f"]


def test_rm_never_removes_a_directory(home, data_platform):
    for path in (".my/c", ".my/c/", "data://.my/c"):
        result = home.run("rm", path)
        assert result.code == ExitCode.FAILURE
        assert "algo rmdir" in result.stderr
    assert "data/.my/c" in data_platform.directories
    assert data_platform.requests("DELETE") == []


def test_rm_of_what_is_missing_is_not_found_and_the_others_go(home, data_platform):
    data_platform.files |= {"data/.my/c/a": b"", "data/.my/c/b": b""}
    result = home.run("rm", ".my/c/a", ".my/c/nope", ".my/c/b")
    assert (result.code, result.text) == (ExitCode.NOT_FOUND, "Deleted data://.my/c/a\nDeleted data://.my/c/b\n")
    assert ".my/c/nope: data not found" in result.stderr
    assert data_platform.files == {}


@pytest.mark.parametrize("command", ["rm", "rmdir", "mkdir", "cat"])
def test_without_a_path_it_is_a_usage_error(home, data_platform, command):
    result = home.run(command)
    assert result.code == ExitCode.USAGE
    assert "Traceback" not in result.stderr
    assert data_platform.log == []


def test_rm_with_wildcards_removes_what_matches_and_leaves_directories(home, data_platform):
    data_platform.files |= {f"data/.my/c/{name}": b"" for name in ("a1", "a2", "b1")}
    data_platform.directories.add("data/.my/c/a3")
    result = home.run("rm", ".my/c/a*")
    assert result.code == ExitCode.FAILURE
    assert "a3 is a directory" in result.stderr
    assert set(data_platform.files) == {"data/.my/c/b1"}


def test_rm_of_a_name_with_brackets_removes_that_file_only(home, data_platform):
    data_platform.files |= {"data/.my/c/a[1]": b"", "data/.my/c/a1": b""}
    assert home.run("rm", ".my/c/a[1]").text == "Deleted data://.my/c/a[1]\n"
    assert set(data_platform.files) == {"data/.my/c/a1"}


@pytest.mark.parametrize("name", ["a*b", "a?b", "*", "?", "a**b"])
def test_rm_of_a_name_that_is_a_pattern_removes_that_file_only(home, data_platform, work, name):
    names = {name, "a!b", "axb", "ab", "a-b", "x"}
    data_platform.files |= {f"data/.my/c/{each}": b"" for each in names}
    for each in names:
        (work / each).touch()
    assert home.run("rm", f".my/c/{name}").text == f"Deleted data://.my/c/{name}\n"
    assert set(data_platform.files) == {f"data/.my/c/{each}" for each in names - {name}}
    assert data_platform.log == ["GET data/.my/c", f"DELETE data/.my/c/{name}"]
    assert home.run("rm", f"./{name}", cwd=work).text == f"Deleted ./{name}\n"
    assert set(os.listdir(work)) == names - {name}


def test_a_link_to_nowhere_is_its_name_and_no_pattern(home, work):
    (work / "a*b").symlink_to("nowhere")
    (work / "axb").touch()
    assert home.run("rm", "./a*b", cwd=work).code == ExitCode.OK
    assert os.listdir(work) == ["axb"]


def test_among_more_matches_than_a_page_holds_the_very_name_is_asked_for(home, data_platform):
    names = [*(f"a{number:04d}b" for number in range(1100)), "a????b"]
    data_platform.files |= {f"data/.my/c/{name}": b"" for name in names}
    assert home.run("rm", ".my/c/a????b").text == "Deleted data://.my/c/a????b\n"
    assert len(data_platform.files) == 1100
    assert len(data_platform.requests("HEAD")) == 1
    data_platform.log.clear()
    assert home.run("rm", ".my/c/a????b").text.count("Deleted") == 1100
    assert (data_platform.files, len(data_platform.requests("HEAD"))) == ({}, 1)


def test_local_files_and_directories(home, data_platform, work):
    assert home.run("mkdir", "./new", cwd=work).text == "Created directory ./new\n"
    assert home.run("mkdir", "./new", cwd=work).code == ExitCode.FAILURE
    (work / "new" / "file").write_text("x")
    assert home.run("rm", "./new", cwd=work).code == ExitCode.FAILURE
    assert home.run("rmdir", "./new", cwd=work).code == ExitCode.FAILURE
    assert home.run("rm", "./new/file", cwd=work).text == "Deleted ./new/file\n"
    assert home.run("rmdir", "./new", cwd=work).code == ExitCode.OK
    assert home.run("rmdir", "-f", ".", cwd=work).code == ExitCode.FAILURE
    assert work.exists()
    assert data_platform.log == []


def test_quiet_says_nothing_and_json_one_object_for_each(home, data_platform):
    assert home.run("-q", "mkdir", ".my/one").text == ""
    assert home.run("mkdir", "--json", ".my/two").json == {"created": "data://.my/two"}
    assert home.run("rmdir", "--json", ".my/two").json == {
        "action": "deleted",
        "path": "data://.my/two",
        "files": 0,
    }
    result = home.run("rm", "--json", ".my/c/x", ".my/c/y")
    assert result.code == ExitCode.NOT_FOUND
    assert result.error["path"] == "data://.my/c/y"


def test_an_answer_without_a_body_is_a_success(home, data_platform):
    data_platform.files["data/.my/c/f"] = b""
    data_platform.fail("DELETE", "f", 200)
    assert home.run("rm", ".my/c/f").code == ExitCode.OK


def test_the_profile_counts_before_and_after_the_command(home, data_platform):
    del home.environ["ALGORITHMIA_API"], home.environ["ALGORITHMIA_API_KEY"]
    home.write_config(
        f'[profiles.other]\naddress = "{data_platform.address}"\napi_key = "sim{"o" * 25}"\n'
        '[profiles.default]\naddress = "http://127.0.0.1:9"\napi_key = "simdefault"\n'
    )
    for arguments in (["--profile", "other", "ls"], ["ls", "--profile", "other"]):
        assert home.run(*arguments).text == ".my/\njane/\n"
    assert {headers["Authorization"] for headers in data_platform.headers} == {f"Simple sim{'o' * 25}"}
