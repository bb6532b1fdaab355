"""A byte order mark is accepted wherever a person's text is read, as Windows writes it: UTF-8 with one, and UTF-16."""

from __future__ import annotations

import ast
import codecs
import io
import json
from contextlib import closing
from pathlib import Path

import pytest
from support.stub import KEY

from algo_core.errors import ExitCode
from algo_core.testing import Home
from algo_core.text import as_text, decoded, first_line, in_utf_8, lines_in_utf_8
from algo_local.metadata.vault import Vault
from algo_local.platform import Platform

ROOT = Path(__file__).parents[2]

KINDS = {
    "UTF-8": lambda text: text.encode(),
    "UTF-8 with a mark": lambda text: codecs.BOM_UTF8 + text.encode(),
    "UTF-16 LE": lambda text: codecs.BOM_UTF16_LE + text.encode("utf-16-le"),
    "UTF-16 BE": lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
}
each_kind = pytest.mark.parametrize("encode", KINDS.values(), ids=KINDS)


@each_kind
@pytest.mark.parametrize("text", ["", "a", "ä\nb\r\n\r\n日本 🚀", "\n", "x" * 200_000 + "\nü"])
def test_every_way_to_read_gives_the_same_text(encode, text: str) -> None:
    content = encode(text)
    assert decoded(content) == text
    assert in_utf_8(content) == text.encode()
    assert b"".join(lines_in_utf_8(io.BytesIO(content))) == text.encode()
    assert as_text(io.BufferedReader(io.BytesIO(content)), newline="\n").read() == text
    assert first_line(io.BytesIO(content)) == text.partition("\n")[0].removesuffix("\r")


@pytest.mark.parametrize("content", [b"\xef", b"\xef\xbb", b"\xff", b"\xfe", b"\xff\xfex"])
def test_what_is_cut_off_is_no_text_but_ends_nothing(content: bytes) -> None:
    with pytest.raises(UnicodeDecodeError):
        decoded(content)
    assert "\ufffd" in first_line(io.BytesIO(content))


@each_kind
def test_configuration(algo_home: Home, encode) -> None:
    algo_home.config_file.parent.mkdir(parents=True, exist_ok=True)
    algo_home.config_file.write_bytes(encode("# größer\r\ntimeout = 7\r\n"))
    assert algo_home.run("config", "get", "timeout").text == "7\n"
    assert algo_home.run("config", "set", "retries", "3").code == ExitCode.OK
    assert algo_home.run("config", "get", "timeout").text == "7\n"
    assert "# größer" in algo_home.config_file.read_text("utf-8")
    algo_home.site_file.write_bytes(encode("[enforce]\nretries = 9\n"))
    assert algo_home.run("config", "get", "retries").text == "9\n"
    algo_home.config_file.write_bytes(encode("\n\n[profiles.p]\nnope = 1\n"))
    assert "line 4" in algo_home.run("ls", "--profile", "p").stderr


@each_kind
def test_keys_and_answers_on_standard_input(algo_home: Home, stub, encode) -> None:
    words = ("auth", "--api-address", stub.address)
    done = algo_home.run(*words, "--api-key-stdin", input=encode(f"{KEY}\r\n"))
    assert (done.code, done.text) == (ExitCode.OK, "Account: alice\n"), done.stderr
    done = algo_home.run("auth", "--profile", "p", input=encode(f"{stub.address}\n{KEY}\n\n"))
    assert (done.code, done.text) == (ExitCode.OK, "Account: alice\n"), done.stderr
    command = f'credential_command = ["cat", "{algo_home.root / "key"}"]'
    (algo_home.root / "key").write_bytes(encode(f"{KEY}\n"))
    algo_home.write_config(f'[profiles.default]\naddress = "{stub.address}"\n{command}\n')
    assert algo_home.run("profile", "show", "--json").code == ExitCode.OK


@each_kind
def test_lists_of_files(algo_home: Home, tmp_path: Path, encode) -> None:
    assert algo_home.run("mkdir", ".my/c").code == ExitCode.OK
    for name in ("a", "ü"):
        (tmp_path / name).write_text(name)
    for number, text in enumerate(["./a\r\n./ü\r\n", "./a\0./ü\0"]):
        (tmp_path / "list").write_bytes(encode(text))
        for source in ("list", "-"):
            done = algo_home.run("cp", "--from-file", source, "data://.my/c", cwd=tmp_path, input=encode(text))
            assert done.code == ExitCode.OK, (number, done.stderr)
            assert done.text.count("Uploaded") == 2
            assert algo_home.run("rm", ".my/c/a", ".my/c/ü").code == ExitCode.OK


@each_kind
def test_inputs_of_algorithms(algo_home: Home, stub, encode) -> None:
    algo_home.write_config(f'[profiles.default]\naddress = "{stub.address}"\napi_key = "{KEY}"\n')
    stub.on("POST", "/v1/algo/demo/Echo/1.0.0", stub.json_answer({"result": "ok"}))

    def sent(text: str, *words: str) -> list[tuple[str, bytes]]:
        stub.seen.clear()
        (algo_home.root / "file.jsonl").write_bytes(encode(text))
        for source in ("file.jsonl", "-"):
            done = algo_home.run("run", "demo/Echo/1.0.0", *words, source, input=encode(text))
            assert done.code == ExitCode.OK, done.stderr
        calls = [seen for seen in stub.seen if seen.method == "POST"]
        return [(seen.headers["Content-Type"].partition(";")[0], seen.body) for seen in calls]

    assert set(sent('{"ä": 1}', "-J")) == {("application/json", '{"ä": 1}'.encode())}
    assert set(sent("Grüße", "-T")) == {("text/plain", "Grüße".encode())}
    assert set(sent("Grüße", "-B")) == {("application/octet-stream", encode("Grüße"))}
    assert set(sent("eins\r\nzwölf\n", "--each-line")) == {("text/plain", b"eins"), ("text/plain", "zwölf".encode())}
    assert set(sent('{"ä": 1}\n[2]\n', "--each")) == {
        ("application/json", '{"ä": 1}'.encode()),
        ("application/json", b"[2]"),
    }
    if "16" not in repr(encode("ä")[:2]) and not encode("").startswith((b"\xff", b"\xfe")):
        assert set(sent('{"a": 1}', "-D")) == {("application/json", b'{"a": 1}')}
        assert set(sent("Grüße", "-D")) == {("text/plain", "Grüße".encode())}


def test_a_table_of_windows(algo_home: Home, stub) -> None:
    algo_home.write_config(f'[profiles.default]\naddress = "{stub.address}"\napi_key = "{KEY}"\n')
    stub.on("POST", "/v1/algo/demo/Echo/1.0.0", stub.json_answer({"result": "ok"}))
    for encode in KINDS.values():
        stub.seen.clear()
        (algo_home.root / "t.csv").write_bytes(encode('name\r\n"two\r\nlines"\r\nü\r\n'))
        assert algo_home.run("run", "demo/Echo/1.0.0", "--each", "t.csv").code == ExitCode.OK
        bodies = {seen.body for seen in stub.seen if seen.method == "POST"}
        assert bodies == {b'{"name": "two\\r\\nlines"}', '{"name": "ü"}'.encode()}


@each_kind
def test_files_of_algorithms_and_options_of_connectors(algo_home: Home, tmp_path: Path, encode) -> None:
    source = tmp_path / "algorithm"
    (source / "src").mkdir(parents=True)
    (source / "src" / "Hi.py").write_text("def apply(input):\n    return 'hi ' + input\n")
    (source / "algorithmia.conf").write_bytes(encode('{"algoname": "Hi", "username": "a"}'))
    (source / "requirements.txt").write_bytes(encode("# nothing\r\n"))
    done = algo_home.run("local", "publish", source, "a/Hi", "--version", "1.0.0")
    assert done.code == ExitCode.OK, done.stderr
    assert algo_home.run("run", "a/Hi", "-d", "x").text == "hi x\n"
    lines = encode("key=AKIA\r\nsecret=ü\r\nendpoint_url=http://127.0.0.1:9\r\n")
    done = algo_home.run("local", "connector", "add", "s3+x", "--options-stdin", input=lines)
    assert done.code == ExitCode.OK, done.stderr
    with closing(Platform(algo_home.root / "local")) as platform:
        (found,) = platform.connectors.of(platform.account)
        assert found.options
        kept = json.loads(Vault(platform.root, platform.database).decrypt(found.options))
    assert kept == {"key": "AKIA", "secret": "ü", "endpoint_url": "http://127.0.0.1:9"}


WRITTEN_BY_US = {
    "algo_core/cli.py": "the index of isolated plugins",
    "algo_core/plugins/isolated.py": "our own record",
    "algo_core/plugins/recorded.py": "the facts of isolated plugins",
    "algo_core/terminal/completion/__init__.py": "our own scripts",
    "algo_core/terminal/prompts.py": "a terminal's lines",
    "plugins/algo_plugins/algo_plugins/scaffold": "our own templates",
    "plugins/algo_plugins/algo_plugins/installer": "what pip, uv and pipx write",
    "algo_core/testing": "what tests write",
    "plugins/algo_data/algo_data/reporting/failures.py": "the record of failures",
    "plugins/algo_data/algo_data/local/partial_file.py": "/proc",
    "plugins/algo_local/algo_local/testing.py": "what tests write",
    "plugins/algo_local/algo_local/metadata/contract.py": "what tests write",
    "plugins/algo_local/algo_local/execution": "/proc, and what the platform sends to its processes",
    "plugins/algo_local/algo_local/algorithms/source_trees/published.py": "our own state",
    "plugins/algo_local/algo_local/algorithms/installation/installing.py": "requirements as they were written for the installer",
    "plugins/algo_local/algo_local/removal.py": "a mark that an environment is whole",
    "plugins/algo_local/algo_local/algorithms/languages/interpreters.py": "what tools write into virtual environments",
    "plugins/algo_local/algo_local/metadata": "our own state",
    "plugins/algo_local/algo_local/serving": "our own state",
}


def reads_text(path: Path) -> bool:
    """Whether a module decodes a file or standard input by itself."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Attribute) and node.attr == "stdin" and isinstance(node.value, ast.Name):
            continue
        if not isinstance(node, ast.Call):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        if name == "read_text":
            return True
        if (
            name in {"read", "readline"}
            and "sys.stdin" in ast.unparse(node.func)
            and "buffer" not in ast.unparse(node.func)
        ):
            return True
        if isinstance(node.func, ast.Name) and name == "open":
            mode = next((arg.value for arg in node.args[1:2] if isinstance(arg, ast.Constant)), "r")
            if "r" in mode and "b" not in mode:
                return True
    return False


def test_text_is_decoded_in_one_place() -> None:
    found = [
        str(path.relative_to(ROOT))
        for path in [*ROOT.glob("algo_core/**/*.py"), *ROOT.glob("plugins/*/algo_*/**/*.py")]
        if not {"templates", "project"} & set(path.parts[len(ROOT.parts) :]) and reads_text(path)
    ]
    assert [name for name in found if not name.startswith(tuple(WRITTEN_BY_US))] == []
