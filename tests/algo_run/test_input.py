"""What `algo run` sends: which bytes, as which type, and what it refuses to send."""

import base64
import json
import os
import subprocess

import pytest

from algo_core.errors import ExitCode

JSON, TEXT, BINARY = "application/json", "text/plain", "application/octet-stream"
BODY_LIMIT = 7_864_320
"""10 MiB in base64."""


@pytest.mark.parametrize(
    ("value", "content_type"),
    [
        ('{"a": 1}', JSON),
        ("[1, 2.50, -3e-7]", JSON),
        ('"quoted"', JSON),
        ("42", JSON),
        ("9" * 6000, JSON),
        ("null", JSON),
        (" true\n", JSON),
        ("HAL 9000", TEXT),
        ("{'a': 1}", TEXT),
        ("NaN", TEXT),
        ("[Infinity]", TEXT),
        ("", TEXT),
        ("Ünïcödé 🚀", TEXT),
    ],
)
def test_data_is_json_if_it_is_json_and_text_otherwise(home, algorithm, value, content_type) -> None:
    done = home.run("run", "demo/Echo", "-d", value)
    assert (done.code, done.stdout) == (ExitCode.OK, b"ok\n")
    assert algorithm.sent == (content_type, value.encode())


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (b'{"a":1}\n', JSON),
        (b"plain text\n", TEXT),
        (b"\xef\xbb\xbf\xff", BINARY),
        (b"\x89PNG\r\n\x1a\n\x00\xff", BINARY),
        (b'"\xff"', BINARY),
        (b"", TEXT),
    ],
)
def test_a_data_file_is_json_text_or_binary(home, algorithm, tmp_path, content, content_type) -> None:
    (tmp_path / "input").write_bytes(content)
    assert home.run("run", "demo/Echo", "-D", tmp_path / "input").code == ExitCode.OK
    assert algorithm.sent == (content_type, content)


@pytest.mark.parametrize(
    ("option", "content", "content_type"),
    [
        ("-D", b"from a pipe", TEXT),
        ("-D", b"\x00\xfe", BINARY),
        ("-T", b'{"a": 1}', TEXT),
        ("-J", b' {"a" : 1}\n', JSON),
        ("-B", b'{"a": 1}', BINARY),
    ],
)
def test_a_dash_reads_standard_input(home, algorithm, option, content, content_type) -> None:
    assert home.run("run", "demo/Echo", option, "-", input=content).code == ExitCode.OK
    assert algorithm.sent == (content_type, content)


def test_a_json_file_is_sent_as_it_is(home, algorithm, tmp_path) -> None:
    content = b'{"z": 1.50,\n "a": "\\u00e4",  "z": 2}\n'
    (tmp_path / "input.json").write_bytes(content)
    assert home.run("run", "demo/Echo", "-J", tmp_path / "input.json").code == ExitCode.OK
    assert algorithm.sent == (JSON, content)


def test_inline_json_is_sent_as_it_was_typed(home, algorithm) -> None:
    assert home.run("run", "demo/Echo", "-j", '{ "a":1.10 }').code == ExitCode.OK
    assert algorithm.sent == (JSON, b'{ "a":1.10 }')


def test_inline_text_is_text_even_if_it_looks_like_json(home, algorithm) -> None:
    assert home.run("run", "demo/Echo", "-t", '{"a": 1}').code == ExitCode.OK
    assert algorithm.sent == (TEXT, b'{"a": 1}')


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_inline_bytes_are_the_bytes_of_the_argument(home, algorithm, locale) -> None:
    done = subprocess.run(
        [os.fsencode(word) for word in home.command("run", "demo/Echo", "-b")] + [b"\xff\xfe\xc3\xa4 raw"],
        env={**home.environ, "LC_ALL": locale},
        capture_output=True,
        check=False,
    )
    assert done.returncode == ExitCode.OK, done.stderr
    assert algorithm.sent == (BINARY, b"\xff\xfe\xc3\xa4 raw")


@pytest.mark.parametrize("option", ["-d", "-t", "-b"])
def test_empty_input_is_an_empty_body(home, algorithm, option) -> None:
    assert home.run("run", "demo/Echo", option, "").code == ExitCode.OK
    assert algorithm.sent == (BINARY if option == "-b" else TEXT, b"")
    assert algorithm.call.headers["Content-Length"] == "0"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("{'a': 1}", "at line 1, column 2"),
        ('{"a": 1,\n "b": }', "at line 2, column 7"),
        ("", "at line 1, column 1"),
        ('{"a": NaN}', "NaN is not a JSON value"),
        ("[" * 200_000, "nested too deeply"),
    ],
)
def test_wrong_json_is_not_sent(home, algorithm, tmp_path, value, said) -> None:
    (tmp_path / "input.json").write_text(value)
    inline = [("-j", value)] if len(value) < 100_000 else []
    for option, argument in [*inline, ("-J", str(tmp_path / "input.json"))]:
        done = home.run("run", "demo/Echo", option, argument)
        assert done.code == ExitCode.USAGE
        assert said in done.stderr
        assert ("The value of -j" if option == "-j" else "input.json") in done.stderr
    assert algorithm.calls == []


def test_json_that_is_not_utf8_is_not_sent(home, algorithm) -> None:
    done = home.run("run", "demo/Echo", "-J", "-", input='{"ä": 1}'.encode("latin-1"))
    assert done.code == ExitCode.USAGE
    assert "Standard input is not JSON: it is not UTF-8 at byte 2" in done.stderr
    assert algorithm.calls == []


def test_text_that_is_not_utf8_is_not_sent(home, algorithm, tmp_path) -> None:
    (tmp_path / "latin").write_bytes(b"caf\xe9")
    done = home.run("run", "demo/Echo", "-T", tmp_path / "latin")
    assert done.code == ExitCode.USAGE
    assert "not UTF-8 text, from byte 3 on" in done.stderr
    assert "-B" in done.stderr
    assert algorithm.calls == []


def test_without_an_input_all_of_them_are_named(home, algorithm, on_terminal) -> None:
    code, shown = on_terminal(home, "run", "demo/Echo")
    assert code == ExitCode.USAGE
    assert "input is missing" in shown
    for option in ("-d", "-D", "-t", "-T", "-j", "-J", "-b", "-B"):
        assert option in shown
    assert algorithm.calls == []


def test_what_is_piped_in_is_not_guessed_to_be_the_input(home, algorithm) -> None:
    done = home.run("run", "demo/Echo", input="piped")
    assert (done.code, done.stdout) == (ExitCode.USAGE, b"")
    assert "-D -" in done.stderr
    assert algorithm.calls == []


@pytest.mark.parametrize("second", [("-j", "1"), ("-D", "-"), ("-d", "again")])
def test_two_inputs_are_refused(home, algorithm, second) -> None:
    done = home.run("run", "demo/Echo", "-d", "one", *second)
    assert done.code == ExitCode.USAGE
    assert f"one input, not 2: -d {second[0]}" in done.stderr
    assert algorithm.calls == []


@pytest.mark.parametrize("spelling", ['{"a":1}', "[1]", '"x"'])
def test_the_old_spelling_of_json_input_is_explained(home, algorithm, spelling) -> None:
    done = home.run("run", "demo/Echo", "--json", spelling)
    assert done.code == ExitCode.USAGE
    assert "--json-data" in done.error["hint"]
    assert algorithm.calls == []


def test_a_bare_second_argument_is_explained(home, algorithm) -> None:
    done = home.run("run", "demo/Echo", "HAL 9000")
    assert done.code == ExitCode.USAGE
    assert "HAL 9000" in done.stderr
    assert "-d" in done.stderr
    assert algorithm.calls == []


def test_the_largest_input_is_sent(home, algorithm, tmp_path) -> None:
    (tmp_path / "large").write_bytes(b"\xff" * BODY_LIMIT)
    assert len(base64.b64encode(b"\xff" * BODY_LIMIT)) == 10 << 20
    assert home.run("run", "demo/Echo", "-D", tmp_path / "large").code == ExitCode.OK
    assert len(algorithm.call.body) == BODY_LIMIT


@pytest.mark.parametrize("option", ["-D", "-T", "-J", "-B"])
def test_a_larger_input_is_refused_with_what_to_do_instead(home, algorithm, tmp_path, option) -> None:
    (tmp_path / "too large.json").write_bytes(b'"' + b"a" * (BODY_LIMIT - 1) + b'"')
    for arguments in ((option, tmp_path / "too large.json"), (option, "-")):
        done = home.run("run", "demo/Echo", *arguments, input=(tmp_path / "too large.json").read_bytes())
        assert done.code == ExitCode.USAGE
        assert "7.5 MiB" in done.stderr
        assert "10 MiB in base64" in done.stderr
        assert "algo cp" in done.stderr
        assert "data URI" in done.stderr
    assert algorithm.calls == []


@pytest.mark.parametrize(("option", "value", "code"), [("-d", "x", ExitCode.OK), ("-D", "-", ExitCode.USAGE)])
def test_closed_standard_input_matters_only_to_who_reads_it(home, algorithm, option, value, code) -> None:
    command = ["sh", "-c", 'exec "$@" <&-', "sh", *home.command("run", "demo/Echo", option, value)]
    done = subprocess.run(command, env=home.environ, capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert done.stderr.startswith("error: Standard input is closed" if code else "")
    assert "Traceback" not in done.stderr


def test_an_endless_input_is_not_read_to_its_end(home, algorithm) -> None:
    done = home.run("run", "demo/Echo", "-B", "/dev/zero", timeout=60)
    assert done.code == ExitCode.USAGE
    assert "larger than" in done.stderr


def test_a_missing_file_is_named(home, algorithm, tmp_path) -> None:
    done = home.run("run", "demo/Echo", "-D", tmp_path / "nothing.txt")
    assert done.code == ExitCode.NOT_FOUND
    assert f"No such file or directory: {tmp_path / 'nothing.txt'}" in done.stderr
    done = home.run("run", "demo/Echo", "-B", tmp_path)
    assert done.code == ExitCode.FAILURE
    assert f"Is a directory: {tmp_path}" in done.stderr
    assert algorithm.calls == []


@pytest.mark.parametrize(
    ("typed", "path"),
    [
        ("demo/Echo", "demo/Echo"),
        ("algo://demo/Echo/1.0.0", "demo/Echo/1.0.0"),
        ("demo/Echo/1.2.*", "demo/Echo/1.2.%2A"),
        ("demo/Echo/" + "0f" * 20, "demo/Echo/" + "0f" * 20),
        ("demo/Echo/latestPrivate", "demo/Echo/latestPrivate"),
        ("3d1f8a1e-6c1f-4f0e-9d6a-0a6f4be3b5a7/2.0.1", "3d1f8a1e-6c1f-4f0e-9d6a-0a6f4be3b5a7/2.0.1"),
    ],
)
def test_every_form_of_a_reference_is_called(home, algorithm, typed, path) -> None:
    algorithm.answers(algorithm.result("ok"), path=f"/v1/algo/{path}")
    assert home.run("run", typed, "-d", "x").code == ExitCode.OK
    assert algorithm.call.path == f"/v1/algo/{path}"


def test_my_is_the_account_of_the_profile(home, algorithm) -> None:
    algorithm.answers(algorithm.result("ok"), path="/v1/algo/alice/Echo/1.0.0")
    assert home.run("run", ".my/Echo/1.0.0", "-d", "x").code == ExitCode.OK
    assert [seen.path for seen in algorithm.platform.seen] == ["/v1/data/", "/v1/algo/alice/Echo/1.0.0"]


@pytest.mark.parametrize(
    "typed", ["Echo", "demo/Echo/one", "demo/Echo/1.0.0/more", ".my/", ".my/a/b/c", "demo/.my/Echo", ""]
)
def test_what_is_no_reference_is_not_called(home, algorithm, typed) -> None:
    done = home.run("run", typed, "-d", "x")
    assert done.code == ExitCode.USAGE
    assert "Not a" in done.stderr
    assert algorithm.platform.seen == []


def test_options_become_the_parameters_that_the_platform_knows(home, algorithm) -> None:
    home.run("run", "demo/Echo", "-d", "x")
    home.run("run", "demo/Echo", "-d", "x", "--timeout", "60", "--debug")
    home.run("run", "demo/Echo", "-d", "x", "--raw", "--debug")
    algorithm.answers(algorithm.answer(200, json.dumps({"async": "void", "request_id": "req-1"}).encode()))
    home.run("run", "demo/Echo", "-d", "x", "--void")
    assert [seen.path.partition("Echo")[2] for seen in algorithm.calls] == [
        "",
        "?timeout=60&stdout=true",
        "?output=raw",
        "?output=void",
    ]


@pytest.mark.parametrize("seconds", ["0", "3001", "-1", "soon"])
def test_a_timeout_that_no_algorithm_can_have_is_refused(home, algorithm, seconds) -> None:
    done = home.run("run", "demo/Echo", "-d", "x", "--timeout", seconds)
    assert done.code == ExitCode.USAGE
    assert "--timeout" in done.stderr
    assert algorithm.calls == []
