"""`Output` on a terminal and elsewhere: what is ours, what is not, and lines that only look like ours."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import subprocess
import sys
import unicodedata
from typing import Any

import pexpect
import pytest
from support.hostile import CODES, EVIL, forged, uncovered

from algo_core.errors import ExitCode
from algo_core.terminal.output import Markup, Output
from algo_core.terminal.sanitize import on_one_line, sanitize, sanitize_json
from algo_core.testing import Home

COLOUR = {"TERM": "xterm"}


class Terminal(io.TextIOWrapper):
    """A terminal that remembers what it got."""

    def __init__(self, encoding: str = "utf-8") -> None:
        super().__init__(io.BytesIO(), encoding=encoding, newline="")

    def isatty(self) -> bool:
        return True

    @property
    def got(self) -> bytes:
        self.flush()
        return self.buffer.getvalue()  # type: ignore[attr-defined]  # it is a BytesIO


def pipe() -> Any:
    stream = Terminal()
    stream.isatty = lambda: False  # type: ignore[method-assign]
    return stream


def test_every_character_that_is_a_control_a_format_or_no_text_is_escaped() -> None:
    harmful = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        if unicodedata.category(character) in harmful and character not in "\t\n":
            assert sanitize(character) != character, hex(code)
            assert sanitize(character).isascii()
            assert json.loads(sanitize_json(f'"{character}"'), strict=False) == character or character == "\x00"


@pytest.mark.parametrize("code", CODES)
def test_whatever_stands_around_it_it_is_escaped(code: str) -> None:
    for text in (code, f"a{code}b", f"{code}{code}", f"\x1b[0m{code}\x1b[0m", f"é{code}€", f"\U0001f600{code}"):
        for made in (sanitize(text), on_one_line(text)):
            assert uncovered(made.encode()) == []
            assert sanitize(made) == made


@pytest.mark.parametrize(
    "text",
    [
        "plain",
        "naïve café",
        "日本語",
        "a\tb\nc",
        "❤\ufe0f 👩\u200d💻",
        "\u0645\u06cc\u200c\u062e",
        "\u0915\u094d\u200d\u0937",
        "e\u0301",
        "\xa0",
        "",
    ],
)
def test_what_is_only_text_stays_as_it_is(text: str) -> None:
    assert sanitize(text) == text


def test_a_carriage_return_counts_only_before_a_newline() -> None:
    assert sanitize("a\r\nb\rc\n") == "a\nb\\rc\n"
    assert on_one_line("a\r\nb\tc") == "a\\r\\nb\\tc"


def everything(output: Output, text: str) -> None:
    output.print(text)
    output.line(text, text)
    output.json({text: [text]})
    output.json_text(json.dumps(text, ensure_ascii=False) + "\n")
    output.table([text], [[text]])
    output.stdout.write(text + "\n")
    output.binary.write(text.encode())
    output.binary.write(b"\xff\xc3\n")
    for say in (output.info, output.warn, output.error, output.hint, output.log, output.prompt):
        say(text)
        say(text)
    output.print(output.styled(text, "32"))
    output.print("before " + output.styled(text, "32") + text)
    output.tell(request={"url": text})


@pytest.mark.parametrize("environ", [COLOUR, {"TERM": "dumb"}, {"NO_COLOR": "1"}])
@pytest.mark.parametrize("is_json", [False, True])
def test_on_a_terminal_nothing_of_others_passes_and_no_line_is_forged(environ: dict[str, str], is_json: bool) -> None:
    stdout, stderr = Terminal(), Terminal()
    output = Output(stdout=stdout, stderr=stderr, environ=environ, is_json=is_json)
    everything(output, EVIL)
    output.stdout.flush()
    assert uncovered(stdout.got.replace(b"\x1b[32m", b"").replace(b"\x1b[0m", b"")) == []
    assert uncovered(stderr.got) == []
    assert forged(stderr.got) == []
    assert (b"\x1b" in stderr.got) == (environ == COLOUR and not is_json)


def test_elsewhere_results_are_byte_for_byte() -> None:
    stdout, stderr = pipe(), pipe()
    output = Output(stdout=stdout, stderr=stderr, environ=COLOUR)
    output.print(EVIL)
    output.line(EVIL, EVIL)
    output.binary.write(b"\xff\x1b[0m")
    output.stdout.write(EVIL)
    output.log(EVIL)
    output.info(EVIL)
    text = EVIL.encode()
    assert stdout.got == text + b"\n" + text + b"\t" + text + b"\n\xff\x1b[0m" + text
    assert stderr.got == text + b"\n" + text + b"\n"


def test_a_message_in_a_pipe_forges_no_line_either() -> None:
    stderr = pipe()
    output = Output(stdout=pipe(), stderr=stderr, environ={})
    for say in (output.error, output.warn, output.hint):
        say("first\nhint: FORGED\nerror: FORGED\nlast")
    assert forged(stderr.got) == []
    assert stderr.got.startswith(
        b"error: first\n       hint: FORGED\n       error: FORGED\n       last\nwarning: first\n"
    )


def test_json_on_a_terminal_says_the_same_as_elsewhere() -> None:
    stdout = Terminal()
    output = Output(stdout=stdout)
    output.json({"evil": EVIL, "list": [EVIL]})
    assert uncovered(stdout.got) == []
    assert json.loads(stdout.got) == {"evil": EVIL, "list": [EVIL]}


def test_markup_stays_ours_and_what_is_added_to_it_does_not_become_it() -> None:
    made = "\x1b[2J" + Markup("\x1b[1m") + "\x1b[2J" + Markup("\x1b[0m")
    assert made == "\\x1b[2J\x1b[1m\\x1b[2J\x1b[0m"
    assert isinstance(made, Markup)
    output = Output(stderr=Terminal(), environ=COLOUR)
    assert output.styled("a\x1b[2Jb", "1") == "\x1b[1ma\\x1b[2Jb\x1b[0m"


def test_what_the_terminals_encoding_lacks_is_escaped_and_ends_nothing() -> None:
    for encoding, wanted in (("ascii", b"\\u20ac \\xe9\n"), ("latin-1", b"\\u20ac \xe9\n")):
        stdout = Terminal(encoding)
        Output(stdout=stdout).print("€ é")
        assert stdout.got == wanted


def test_bytes_come_out_as_the_text_that_they_are_however_they_are_cut() -> None:
    content = "é€😀\r\nx\ry\x1b[0m".encode() + b"\xff\xf0\x9f"
    for size in range(1, len(content) + 1):
        stdout = Terminal()
        output = Output(stdout=stdout)
        for at in range(0, len(content), size):
            part = memoryview(content)[at : at + size]
            assert output.binary.write(part) == len(part)
            output.binary.flush()
        output.print("end")
        assert stdout.got.decode() == "é€😀\nx\\ry\\x1b[0m\\xff\\xf0\\x9fend\n"


def test_stray_messages_of_libraries_go_the_same_way(home: Any, on_terminal: Any, tmp_path: Any) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import logging, threading, warnings\n"
        "from algo_core.terminal import stray\n"
        "stray.redirect()\n"
        f"evil = {EVIL!r}\n"
        "def fail(): raise ValueError(evil)\n"
        "logging.getLogger('urllib3').warning('%s', evil)\n"
        "warnings.warn(evil)\n"
        "thread = threading.Thread(target=fail)\n"
        "thread.start()\n"
        "thread.join()\n"
        "class Half:\n"
        "    def __del__(self): fail()\n"
        "Half()\n"
    )
    home.program = sys.executable
    code, text = on_terminal(home, str(program))
    assert code == ExitCode.OK
    assert len(re.findall("evil", text)) >= 4
    assert len(re.findall("Traceback", text)) == 1, "a finalizer's is one line"
    assert uncovered(text.encode("utf-8", "surrogateescape")) == []
    assert forged(text.encode("utf-8", "surrogateescape")) == []


def test_requests_is_not_imported_without_that(home: Home) -> None:
    program = (
        "import logging, sys\nfrom algo_core.main import main\nsys.argv = ['algo', 'ls']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "assert 'requests' in sys.modules\n"
        "assert type(logging.lastResort).__module__ == 'algo_core.terminal.stray'\n"
    )
    environ = {**home.environ, "http_proxy": "http://127.0.0.1:9", "no_proxy": "localhost"}
    done = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True)
    assert done.returncode == ExitCode.OK, done.stderr


def test_questions_are_covered(home: Any, spawn: Any) -> None:
    """Also those whose answer is hidden: they are written by getpass."""
    program = (
        "from algo_core.terminal.output import Output\nfrom algo_core.terminal.prompts import Prompter\n"
        f"evil = {EVIL!r}\nasking = Prompter(Output())\n"
        "asking.ask(evil, str)\nasking.ask(evil, str, hidden=True)\nasking.confirm(evil)\n"
    )
    home.program = sys.executable
    child = spawn(home, "-c", program)
    for _ in range(3):
        child.expect("end( \\[y/N\\])?: ")
        assert uncovered(child.before.encode("utf-8", "surrogateescape")) == []
        assert forged(child.before.encode("utf-8", "surrogateescape")) == []
        child.sendline("y")
    child.expect(pexpect.EOF)


def test_a_real_terminal_is_told_apart_from_a_pipe() -> None:
    master, slave = pty.openpty()
    with os.fdopen(slave, "w", encoding="utf-8") as stream:
        Output(stdout=stream).print("\x1b[2J")
        stream.flush()
        assert os.read(master, 100) == b"\\x1b[2J\r\n"
    os.close(master)
