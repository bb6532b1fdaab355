"""What a copy says at its end, on stderr: how much was done, and how much there was no need to."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading

import pytest

from algo_core.errors import ExitCode


@pytest.fixture
def work_with_copy(work):
    """A directory with three files, and a copy of it."""
    for top in ("src", "dst"):
        (work / top).mkdir()
        for name in ("a", "b", "c"):
            (work / top / name).write_text(name)
            os.utime(work / top / name, (1_700_000_000, 1_700_000_000))
    return work


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["cp", "-n", "src/a", "src/b", "dst"], "0 files copied, 2 skipped"),
        (["cp", "-n", "src/a", "dst/a"], "0 files copied, 1 skipped"),
        (["cp", "-u", "src/*", "dst"], "0 files copied, 3 skipped"),
        (["mv", "-n", "src/a", "src/b", "dst"], "0 files moved, 2 skipped"),
        (["sync", "src", "dst"], "0 files copied, 3 skipped"),
        (["sync", "--checksum", "src", "dst"], "0 files copied, 3 skipped"),
        (["cp", "-r", "--include", "*.nomatch", "src/.", "dst"], "0 files copied: no file matches "),
        (["sync", "--dry-run", "src", "dst"], "0 files would be copied, 3 skipped"),
        (["cp", "--dry-run", "src/a", "src/b", "dst"], "2 files would be copied"),
    ],
)
def test_nothing_to_do_is_told(home, work_with_copy, arguments, words):
    told = home.run(*arguments, cwd=work_with_copy)
    assert (told.code, told.text.count("\n")) == (ExitCode.OK, 2 if words.startswith("2") else 0)
    assert told.stderr.startswith(words)
    quiet = home.run("--quiet", *arguments, cwd=work_with_copy)
    assert (quiet.code, quiet.stdout, quiet.stderr) == (ExitCode.OK, b"", "")


def test_what_was_done_and_what_was_not_is_told_in_one_line(home, work_with_copy):
    (work_with_copy / "src" / "a").write_text("another")
    (work_with_copy / "dst" / "extra").write_text("x")
    result = home.run("sync", "--delete", "src", "dst", cwd=work_with_copy)
    assert re.fullmatch(r"1 file, 7 B in .*; 2 skipped; 1 deleted\n", result.stderr)


def test_one_file_needs_no_summary(home, work_with_copy):
    assert home.run("cp", "src/a", "new", cwd=work_with_copy).stderr == ""


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_ctrl_c_tells_how_many_files_were_done(home, data_platform, work, flags):
    data_platform.files |= {f"data/.my/c/f{number}": b"x" for number in range(4)}
    reached = threading.Event()

    def hang(handler):
        reached.set()
        return handler.platform.flag.wait(60)

    data_platform.fail("GET", "f3", hang)
    words = home.command(*flags, "cp", "--max-transfers", "1", "data://.my/c/*", work)
    child = subprocess.Popen(words, env=home.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert reached.wait(60)
    child.send_signal(signal.SIGINT)
    _, stderr = child.communicate(timeout=60)
    assert child.returncode == ExitCode.INTERRUPTED
    if not flags:
        assert stderr == "\nInterrupted: 3 files copied\n"
        return
    summary, error = map(json.loads, stderr.splitlines())
    assert summary["summary"]["copied"] == 3
    assert error == {"error": {"type": "Interrupted", "message": "Interrupted"}}


def test_json_ends_with_a_summary_on_stderr(home, data_platform, work_with_copy):
    (work_with_copy / "src" / "a").write_text("another")
    (work_with_copy / "dst" / "extra").write_text("x")
    result = home.run("--json", "sync", "--delete", "src", "dst", cwd=work_with_copy)
    *_, last = (json.loads(line) for line in result.stderr.splitlines())
    assert last["summary"].pop("seconds") >= 0
    assert last["summary"] == {"copied": 1, "skipped": 2, "failed": 0, "deleted": 1, "bytes": 7}
    failed = home.run("--json", "cp", "src/a", "nope", "dst", cwd=work_with_copy)
    assert (failed.code, failed.error["path"]) == (ExitCode.NOT_FOUND, "nope")
    *_, last = (json.loads(line) for line in failed.stderr.splitlines())
    assert (last["summary"]["copied"], last["summary"]["failed"]) == (1, 1)


def test_every_line_of_json_is_an_object(home, algo_home, work_with_copy):
    """Names that are no Unicode; warnings; and the remark that there is an embedded platform is left out."""
    odd = os.fsencode(work_with_copy / "src") + b"/odd\xff\xc3\xa9"
    with open(odd, "wb") as file:
        file.write(b"x")
    result = home.run("--json", "sync", "src", "dst", cwd=work_with_copy)
    (row,) = map(json.loads, result.stdout.decode("ascii").splitlines())
    assert os.fsencode(row["source"]) == b"src/odd\xff\xc3\xa9"
    (work_with_copy / "dst" / "extra").write_text("x")
    (work_with_copy / "src" / "new").write_text("new")
    (work_with_copy / "dst" / "new").mkdir()
    failed = home.run("--json", "sync", "--delete", "src", "dst", cwd=work_with_copy)
    assert failed.code == ExitCode.OK
    (work_with_copy / "src" / "loop").symlink_to("nowhere")
    failed = home.run("--json", "sync", "--delete", "src", "dst2", cwd=work_with_copy)
    assert failed.code != ExitCode.OK
    (work_with_copy / "dst2" / "extra").write_text("x")
    failed = home.run("--json", "sync", "--delete", "src", "dst2", cwd=work_with_copy)
    told = [json.loads(line) for line in failed.stderr.splitlines()]
    assert [next(iter(members)) for members in told] == ["error", "warning", "summary"]
    environ = {name: value for name, value in home.environ.items() if not name.startswith("ALGORITHMIA")}
    words = home.command("--json", "ls", "data://")
    done = subprocess.run(words, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == ExitCode.OK
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "action"),
    [
        (["rm", "dst/extra"], "deleted"),
        (["rm", "--dry-run", "dst/extra"], "would delete"),
        (["sync", "--delete", "src", "dst"], "deleted"),
        (["sync", "--delete", "--dry-run", "src", "dst"], "would delete"),
    ],
)
def test_deletions_have_one_shape(home, work_with_copy, arguments, action):
    (work_with_copy / "dst" / "extra").write_text("x")
    arguments = [f"./{word}" if "dst/" in word else word for word in arguments]
    row = home.run("--json", *arguments, cwd=work_with_copy).json
    assert (row["action"], os.path.normpath(row["path"])) == (action, "dst/extra")
