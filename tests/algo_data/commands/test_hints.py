"""What is advised can be done, and then it works."""

from __future__ import annotations

import re
import shlex

import pytest

from algo_core.errors import ExitCode


@pytest.fixture
def work_with_tree(algo_home, work):
    """A tree with a directory in it, a file, and the collection `.my/c`."""
    (work / "t" / "sub").mkdir(parents=True)
    for name in ("f", "t/top", "t/sub/deep"):
        (work / name).write_text(name)
    assert algo_home.run("mkdir", "-p", ".my/c").code == ExitCode.OK
    return work


def hint(result) -> str:
    (found,) = re.findall(r"^hint: (.*)$", result.stderr, re.MULTILINE)
    return found


def test_no_directory_is_advised_where_there_can_be_none(algo_home, work_with_tree):
    for destination in (".my/c/new/", ".my/c/a/b/"):
        result = algo_home.run("cp", "f", destination, cwd=work_with_tree)
        assert (result.code, "mkdir" in result.stderr) == (ExitCode.NOT_FOUND, False)
    assert hint(algo_home.run("cp", "f", ".my/c/new/", cwd=work_with_tree)).startswith("data://.my/c holds files only")
    assert hint(algo_home.run("cp", "f", ".my/new/", cwd=work_with_tree)) == "Make it with: algo mkdir data://.my/new/"


def test_files_into_an_account_are_told_where_files_go(algo_home, work_with_tree):
    for command in (["cp", "f", ".my/"], ["cp", "f", ".my"], ["cp", "-r", "f", "t", ".my/"], ["mv", "f", ".my/"]):
        result = algo_home.run(*command, cwd=work_with_tree)
        assert result.code != ExitCode.OK
        assert "Files go into a collection: data://.my/COLLECTION/FILE" in result.stderr
        assert "mkdir data://.my/f" not in result.stderr


def test_the_ways_to_copy_a_tree_into_a_collection_work(algo_home, work_with_tree):
    refused = hint(algo_home.run("cp", "-r", "t", ".my/c", cwd=work_with_tree))
    commands = re.findall(r": algo (cp .*?); or", refused)
    assert len(commands) == 2
    for command, names in zip(commands, (["deep", "top"], ["top"]), strict=True):
        assert algo_home.run(*shlex.split(command), cwd=work_with_tree).code == ExitCode.OK
        assert algo_home.run("ls", ".my/c").text == "".join(f".my/c/{name}\n" for name in names)
        assert algo_home.run("rm", ".my/c/*").code == ExitCode.OK


def test_rm_of_a_directory_advises_what_removes_it(algo_home, work_with_tree):
    algo_home.run("cp", "f", ".my/c", cwd=work_with_tree)
    for path in (".my/c", "./t"):
        found = hint(algo_home.run("rm", path, cwd=work_with_tree))
        command = re.search(r"algo (rm -r \S+);", found)
        assert command, found
        assert algo_home.run(*command[1].split(), cwd=work_with_tree).code == ExitCode.OK


def test_a_link_to_nowhere_is_said_to_be_one(home, data_platform, work_with_tree):
    (work_with_tree / "t" / "dangling").symlink_to("nowhere")
    (work_with_tree / "dangling").symlink_to("nowhere")
    for source in ("t", "dangling"):
        result = home.run("cp", "-r", "--flatten", source, "data://.my/c", cwd=work_with_tree)
        assert result.code != ExitCode.OK
        assert "dangling is a link to nowhere, which does not exist" in result.stderr
        assert "hosted data" not in result.stderr
    assert "data://nothing" in hint(home.run("cp", "nothing/f", "./g", cwd=work_with_tree))
    assert "hosted data" not in home.run("cp", "t/nothing", "./g", cwd=work_with_tree).stderr


@pytest.mark.parametrize("arguments", [["x://a/b", "y"], ["f", "x://a/b"]])
def test_a_scheme_of_one_letter_is_said_to_be_none(home, work_with_tree, arguments):
    assert hint(home.run("cp", *arguments, cwd=work_with_tree)).startswith("x:// is not a scheme")


def test_a_slash_behind_a_file_is_told(home, data_platform, work_with_tree):
    data_platform.files["data/.my/c/f"] = b"x"
    for source in ("f/", "data://.my/c/f/"):
        result = home.run("cp", source, "./new", cwd=work_with_tree)
        assert f"{source} is a file" in result.stderr
        assert "is a directory" not in result.stderr
        assert hint(result) == "Write it without the trailing slash"
    assert hint(home.run("cp", "t/", "./new", cwd=work_with_tree)).endswith("algo cp -r t/ DEST")


def test_a_directory_in_the_way_is_not_taken_for_the_source(home, work_with_tree):
    (work_with_tree / "q" / "f").mkdir(parents=True)
    result = home.run("cp", "f", "q", cwd=work_with_tree)
    assert (result.code, result.stderr) == (ExitCode.FAILURE, "error: q/f is a directory\n")


def test_an_option_without_its_value_names_the_command(home):
    assert hint(home.run("cp", "--from-file")) == "See: algo cp --help"
    assert hint(home.run("acl", "set", "--profile")) == "See: algo acl set --help"


def test_what_is_no_number_is_said_to_be_none(home):
    assert "'abc' is not a valid number" in home.run("cp", "--max-transfers", "abc", "f", "g").stderr


def test_the_topic_of_paths_names_all_commands(home):
    text = home.run("help", "uris").text
    for command in ("cp", "mv", "sync", "ls", "cat", "rm", "mkdir", "rmdir", "du", "stat", "acl"):
        assert re.search(rf"\b{command}\b", text)


def test_what_is_advised_can_be_pasted_whatever_the_names_are(algo_home, work_with_tree):
    (work_with_tree / "a b").mkdir()
    (work_with_tree / "a b" / "it's $HOME").write_text("x")
    assert algo_home.run("cp", "a b/it's $HOME", ".my/c/", cwd=work_with_tree).code == ExitCode.OK
    for operand in ("./a b/it's $HOME", "data://.my/c/it's $HOME"):
        command = hint(algo_home.run("rmdir", operand, cwd=work_with_tree)).partition("algo ")[2]
        assert algo_home.run(*shlex.split(command), cwd=work_with_tree).code == ExitCode.OK
    command = hint(algo_home.run("rm", "./a b", cwd=work_with_tree)).rpartition("algo ")[2]
    assert algo_home.run(*shlex.split(command), cwd=work_with_tree).code == ExitCode.OK
    assert not (work_with_tree / "a b").exists()
    command = hint(algo_home.run("cp", "f", "x y/", cwd=work_with_tree)).partition("with: ")[2]
    assert shlex.split(command) == ["mkdir", "-p", "x y/"]


def test_nobody_is_sent_to_make_a_collection_that_cannot_be(algo_home, work_with_tree):
    for destination in (".my/bad-name/", ".my/bad-name/f"):
        result = algo_home.run("cp", "f", destination, cwd=work_with_tree)
        assert (result.code, "algo mkdir" in result.stderr) == (ExitCode.NOT_FOUND, False)
        assert "bad-name is not a valid collection name: at most 30 letters, digits and " in result.stderr


def test_numbers_are_called_numbers(home, tmp_path):
    for command in (["run", "demo/Hello", "--timeout", "abc"], ["local", "serve", "--port", "abc"]):
        assert "'abc' is not a valid number" in home.run(*command).stderr


@pytest.mark.parametrize("command", [("mkdir", "pictures"), ("ls", "pictures"), ("rm", "-r", "pictures")], ids=" ".join)
def test_a_name_without_an_account_is_told_where_collections_are(algo_home, command):
    result = algo_home.run(*command)
    assert result.code != ExitCode.OK
    own = re.search(r"such as (data://\S+),", hint(result))
    assert own
    assert algo_home.run("mkdir", own[1]).code == ExitCode.OK
    assert algo_home.run("ls", own[1]).code == ExitCode.OK
