"""What `algo run` prints and writes: results as what they are, nothing else on standard output."""

import base64
import json
import os
import re
import stat
import subprocess
from pathlib import Path

import pytest

from algo_core.errors import ExitCode

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\xff\xfe"


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


@pytest.mark.parametrize(
    ("value", "kind", "printed"),
    [
        ("Hello HAL 9000", "text", b"Hello HAL 9000\n"),
        ("", "text", b"\n"),
        ("ends with\n", "text", b"ends with\n\n"),
        ("Grüße 🚀", "text", "Grüße 🚀\n".encode()),
        ("half a pair \ud83d", "text", b"half a pair ?\n"),
        ({"a": 1, "b": [None, True, 1.5]}, "json", b'{"a": 1, "b": [null, true, 1.5]}\n'),
        ("a JSON string", "json", b'"a JSON string"\n'),
        (None, "json", b"null\n"),
        ({"ä": "\ud83d"}, "json", b'{"\\u00e4": "\\ud83d"}\n'),
        (encoded(PNG), "binary", PNG),
        ("", "binary", b""),
        (None, "void", b""),
    ],
)
def test_a_result_is_printed_as_what_it_is_and_written_the_same(home, algorithm, value, kind, printed) -> None:
    algorithm.answers(algorithm.result(value, kind))
    done = home.run("run", "demo/Echo", "-d", "x")
    assert (done.code, done.stdout, done.stderr) == (ExitCode.OK, printed, "")
    done = home.run("run", "demo/Echo", "-d", "x", "--output", "result")
    assert (done.code, done.stdout, done.stderr) == (ExitCode.OK, b"", "")
    assert (home.root / "result").read_bytes() == printed


@pytest.mark.parametrize(
    ("body", "printed"),
    [
        ({"result": "old style"}, b"old style\n"),
        ({"result": {"a": 1}, "metadata": {}}, b'{"a": 1}\n'),
        ({"result": 5, "metadata": {"content_type": "text"}}, b"5\n"),
        ({"result": "x", "metadata": {"content_type": "novel"}}, b"x\n"),
        ({"result": "x", "metadata": "none", "error": None}, b"x\n"),
    ],
)
def test_answers_that_lack_something_are_understood(home, algorithm, body, printed) -> None:
    algorithm.answers(algorithm.answer(200, json.dumps(body).encode()))
    done = home.run("run", "demo/Echo", "-d", "x")
    assert (done.code, done.stdout, done.stderr) == (ExitCode.OK, printed, "")


def test_json_is_indented_for_people(home, algorithm, on_terminal) -> None:
    algorithm.answers(algorithm.result({"a": [1]}, "json"))
    assert on_terminal(home, "run", "demo/Echo", "-d", "x") == (0, '{\n  "a": [\n    1\n  ]\n}\n')


def test_text_is_the_same_for_people(home, algorithm, on_terminal) -> None:
    algorithm.answers(algorithm.result("Hello HAL 9000"))
    assert on_terminal(home, "run", "demo/Echo", "-d", "x") == (0, "Hello HAL 9000\n")


@pytest.mark.parametrize("raw", [(), ("--raw",)])
def test_binary_is_kept_off_the_terminal_but_not_lost(home, algorithm, on_terminal, raw, tmp_path) -> None:
    octets = {"Content-Type": "application/octet-stream"}
    algorithm.answers(algorithm.answer(200, PNG, octets) if raw else algorithm.result(encoded(PNG), "binary"))
    home.environ["TMPDIR"] = str(tmp_path)
    code, shown = on_terminal(home, "run", "demo/Echo", "-d", "x", *raw)
    assert code == ExitCode.OK
    assert "PNG" not in shown
    assert "-o FILE" in shown
    assert "error" not in shown
    saved = re.search(r"saved as (\S+);", shown)
    assert saved
    assert Path(saved[1]).parent == tmp_path
    assert Path(saved[1]).read_bytes() == PNG


def test_binary_goes_into_a_file_from_a_terminal(home, algorithm, on_terminal) -> None:
    algorithm.answers(algorithm.result(encoded(PNG), "binary"))
    assert on_terminal(home, "run", "demo/Echo", "-d", "x", "-o", "picture.png") == (0, "")
    assert (home.root / "picture.png").read_bytes() == PNG


def test_a_dash_as_output_is_standard_output(home, algorithm) -> None:
    done = home.run("run", "demo/Echo", "-d", "x", "-o", "-")
    assert (done.code, done.stdout) == (ExitCode.OK, b"ok\n")
    assert not (home.root / "-").exists()


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/plain; charset=utf-8", b"no newline added"),
        ("application/json", b'{"a":1}'),
        ("application/octet-stream", PNG * 100_000),
        ("", PNG),
    ],
)
def test_raw_is_the_body_and_nothing_else(home, algorithm, content_type, body) -> None:
    algorithm.answers(algorithm.answer(200, body, {"Content-Type": content_type} if content_type else {}))
    done = home.run("run", "demo/Echo", "-d", "x", "--raw")
    assert (done.code, done.stdout, done.stderr) == (ExitCode.OK, body, "")
    assert home.run("run", "demo/Echo", "-d", "x", "--raw", "-o", "body").code == ExitCode.OK
    assert (home.root / "body").read_bytes() == body


def test_raw_text_is_shown_on_a_terminal(home, algorithm, on_terminal) -> None:
    algorithm.answers(algorithm.answer(200, b"Hello\n", {"Content-Type": "text/plain"}))
    assert on_terminal(home, "run", "demo/Echo", "-d", "x", "--raw") == (0, "Hello\n")


def test_json_is_the_whole_response(home, algorithm) -> None:
    algorithm.answers(algorithm.result("Hello", stdout="noise\n", alerts=["careful"]))
    done = home.run("run", "demo/Echo", "-d", "x", "--json", "--debug")
    assert done.code == ExitCode.OK
    assert list(done.json) == ["result", "metadata", "request_id"]
    assert done.json["metadata"]["stdout"] == "noise\n"
    assert done.stderr == ""


@pytest.mark.parametrize("flag", ["--void", "--async"])
@pytest.mark.parametrize("marker", ["void", True])
def test_an_asynchronous_call_prints_the_request_id(home, algorithm, flag, marker) -> None:
    body = {"async": marker, "request_id": "req-7"}
    algorithm.answers(algorithm.answer(200, json.dumps(body).encode()))
    done = home.run("run", "demo/Echo", "-d", "x", flag)
    assert (done.code, done.stdout) == (ExitCode.OK, b"req-7\n")
    assert home.run("run", "demo/Echo", "-d", "x", flag, "--json").json == body


def test_raw_excludes_what_needs_the_whole_response(home, algorithm) -> None:
    for other in ("--json", "--void"):
        assert home.run("run", "demo/Echo", "-d", "x", "--raw", other).code == ExitCode.USAGE
    assert algorithm.calls == []


def test_debug_shows_what_the_algorithm_printed_beside_the_result(home, algorithm) -> None:
    algorithm.answers(algorithm.result("Hello", stdout="loading model\ndone"))
    done = home.run("run", "demo/Echo", "-d", "x", "--debug")
    assert (done.code, done.stdout, done.stderr) == (ExitCode.OK, b"Hello\n", "loading model\ndone\n")


def test_debug_says_so_where_the_platform_shows_nothing_of_what_is_printed(home, algorithm) -> None:
    notice = "Its printed output is shown only to the algorithm's owner (administrators: --sudo)\n"
    for answer, said in [
        (algorithm.result("Hello"), notice),
        (algorithm.result("Hello", stdout=""), ""),
        (algorithm.failure({"message": "no"}), f"{notice}error: no\n"),
    ]:
        algorithm.answers(answer)
        assert home.run("run", "demo/Echo", "-d", "x", "--debug").stderr == said
    assert algorithm.platform.seen[-1].path.endswith("?stdout=true")
    home.run("run", "demo/Echo", "-d", "x", "--sudo")
    assert algorithm.platform.seen[-1].path.endswith("?sudo=true")


def test_alerts_are_warnings(home, algorithm) -> None:
    algorithm.answers(algorithm.result("Hello", alerts=["this version is deprecated"]))
    done = home.run("run", "demo/Echo", "-d", "x")
    assert done.stdout == b"Hello\n"
    assert done.stderr == "warning: this version is deprecated\n"


def test_an_output_file_is_replaced_and_keeps_its_mode(home, algorithm) -> None:
    target = home.root / "result"
    target.write_text("older and much longer than what comes")
    target.chmod(0o640)
    assert home.run("run", "demo/Echo", "-d", "x", "-o", "result").code == ExitCode.OK
    assert target.read_text() == "ok\n"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


@pytest.mark.parametrize("raw", [(), ("--raw",)])
def test_a_failed_call_leaves_the_older_file_as_it_was(home, algorithm, raw) -> None:
    target = home.root / "result"
    target.write_text("older")
    algorithm.answers(algorithm.answer(400, b"it failed", {"Content-Type": "text/plain"}))
    before = sorted(os.listdir(home.root))
    assert home.run("run", "demo/Echo", "-d", "x", "-o", "result", *raw).code == ExitCode.FAILURE
    assert target.read_text() == "older"
    assert sorted(os.listdir(home.root)) == before


def test_a_raw_body_that_breaks_off_leaves_no_file(home, algorithm) -> None:
    headers = {"Content-Type": "application/octet-stream", "Content-Length": "5000", "Connection": "close"}
    algorithm.answers(algorithm.answer(200, PNG, headers))
    before = sorted(os.listdir(home.root))
    done = home.run("run", "demo/Echo", "-d", "x", "--raw", "-o", "result")
    assert done.code == ExitCode.NETWORK
    assert sorted(os.listdir(home.root)) == before
    assert len(algorithm.calls) == 1


@pytest.mark.parametrize(("path", "code"), [("no/such/directory/result", ExitCode.NOT_FOUND), (".", ExitCode.USAGE)])
def test_a_place_that_cannot_be_written_is_found_out_before_the_call(home, algorithm, path, code) -> None:
    done = home.run("run", "demo/Echo", "-d", "x", "-o", path)
    assert done.code == code
    assert "Traceback" not in done.stderr
    assert algorithm.calls == []


def test_a_file_that_does_not_fit_is_not_left_half_written(home, algorithm) -> None:
    algorithm.answers(algorithm.result("x" * 200_000))
    (home.root / "result").write_text("older")
    home.run("run", "demo/Echo", "-d", "x")
    limited = [
        "sh",
        "-c",
        'ulimit -f 64; exec "$@"',
        "sh",
        *home.command("run", "demo/Echo", "-d", "x", "-o", "result"),
    ]
    done = subprocess.run(limited, env=home.environ, cwd=home.root, capture_output=True, text=True, check=False)
    assert done.returncode == ExitCode.FAILURE
    assert "File too large" in done.stderr
    assert (home.root / "result").read_text() == "older"
    assert not list(home.root.glob(".result*"))


def test_a_reader_that_goes_away_is_no_error(home, algorithm) -> None:
    algorithm.answers(algorithm.answer(200, b"x" * 5_000_000, {"Content-Type": "text/plain"}))
    with subprocess.Popen(
        home.command("run", "demo/Echo", "-d", "x", "--raw"),
        env=home.environ,
        cwd=home.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == ExitCode.BROKEN_PIPE


def test_a_full_disk_behind_standard_output_is_reported(home, algorithm) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            home.command("run", "demo/Echo", "-d", "x"),
            env=home.environ,
            cwd=home.root,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == ExitCode.FAILURE
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
