"""TAB in the shells themselves: whoever named a file, the word is that name and nothing else happens."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.hostile import CODES
from support.programs import needs
from support.shells import NAMES, SHELLS, Session, random_texts

from algo_core.terminal.completion import posix
from algo_core.terminal.completion.bash import Insertion, parse
from algo_core.terminal.completion.fish import parse as parse_fish
from algo_core.terminal.sanitize import is_harmful


def fits(shell: str, name: str) -> bool:
    """fish takes a tab for the end of a name, and does not quote everything that it should: that is left out there."""
    unfit = ["\t", "\xa0", "\u3000", *(code for code in CODES if ord(code[0]) > 0x7F)]
    return shell != "fish" or not (name[0] == "~" or any(code in name for code in unfit))


@pytest.fixture(params=sorted(SHELLS))
def shell(request: pytest.FixtureRequest) -> str:
    needs(request.param)
    return str(request.param)


@pytest.fixture
def session(shell: str, tmp_path: Path) -> Iterator[Callable[[list[str]], Session]]:
    started: list[Session] = []

    def start(names: list[str]) -> Session:
        started.append(Session(SHELLS[shell], tmp_path, names))
        return started[-1]

    yield start
    for opened in started:
        opened.close()


def test_a_name_becomes_one_word_whatever_quote_was_begun(shell: str, session: Callable[..., Session]) -> None:
    opened = session(NAMES)
    for number, name in enumerate(NAMES):
        if not fits(shell, name):
            continue
        for quote in SHELLS[shell].quotes:
            # fish expects a word that ends so to go on, and leaves its quote open.
            rest = quote if shell == "fish" and name[-1] in "/=@:.,-" else ""
            opened.type(f"algo one {number} {quote}\t{rest}\r")
            assert opened.arguments() == ["one", str(number), name], (quote, opened.seen[-300:])
    assert not (opened.root / "X").exists()


def started(name: str, style: str, shell: str) -> str:
    """A beginning of a name as a person types it, with a quote of this style begun."""
    half = name[: min(len(name) // 2, 20)]
    if not half.isprintable() or not half:
        return ""
    if shell != "fish":
        return posix.quoted(half) if style == "" else style + posix.quoted(half, style)
    escaped = {"": r"[\W]", "'": r"[\\']", '"': r'[\\"$]'}[style]
    return style + re.sub(escaped, r"\\\g<0>", half, flags=re.ASCII)


def test_a_name_is_gone_on_with_from_whatever_was_typed_of_it(shell: str, session: Callable[..., Session]) -> None:
    opened = session(NAMES)
    count = 0
    for number, name in enumerate(NAMES):
        if not fits(shell, name) or name.startswith("-"):
            continue
        typed = [text for quote in SHELLS[shell].quotes if (text := started(name, quote, shell))]
        if shell != "fish" and "'" in name[:2]:
            typed.append(shlex.quote(name[:2])[:-1])
        for text in typed:
            rest = text[:1] if shell == "fish" and name[-1] in "/=@:.,-" and text[:1] in "'\"" else ""
            opened.type(f"algo one {number} {text}\t{rest}\r")
            assert opened.arguments() == ["one", str(number), name], (text, opened.seen[-300:])
            count += 1
    assert count > 80
    assert not (opened.root / "X").exists()


def test_every_cut_of_a_word_with_characters_at_which_shells_split(shell: str, session: Callable[..., Session]) -> None:
    name = "data://.my/a:b=c@d/e%f"
    opened = session([name])
    for end in range(1, len(name)):
        opened.type(f"algo one 0 {name[:end]}\t\r")
        assert opened.arguments() == ["one", "0", name], name[:end]


def test_a_blank_ends_a_file_and_not_a_directory(shell: str, session: Callable[..., Session]) -> None:
    opened = session(["the file", "the dir/", "file", "dir/"])
    for quote in SHELLS[shell].quotes:
        closing = "" if shell == "bash" else quote[-1:]  # the others leave a quote open behind a directory
        for number, word in ((0, "the file"), (2, "file")):
            opened.type(f"algo one {number} {quote}\tX\r")
            assert opened.arguments() == ["one", str(number), word, "X"]
        for number, word in ((1, "the dir/X"), (3, "dir/X")):
            opened.type(f"algo one {number} {quote}\tX{closing}\r")
            assert opened.arguments() == ["one", str(number), word], opened.seen[-300:]


def test_a_word_that_goes_on_keeps_its_quote_open(shell: str, session: Callable[..., Session]) -> None:
    opened = session(['{"mode":'])
    for quote in ("'", "") if shell != "fish" else ("'",):
        opened.type(f"algo open 0 {quote}\t1{quote}\r")
        assert opened.arguments() == ["open", "0", '{"mode":1'], opened.seen[-300:]


SIMILAR = ["ab c1", "ab c2", "ab*d", "ab$(touch X)e", "ab'f", 'ab"g', "ab!h", "ab\\i", "ab\x1bj", "abk", "zé1", "zé2"]


def test_what_several_names_begin_with_is_typed_and_no_more(shell: str, session: Callable[..., Session]) -> None:
    """And what is typed then picks one of them: nothing has been left half quoted."""
    opened = session(SIMILAR)
    for quote in SHELLS[shell].quotes:
        # zsh closes a quote when it has typed what names have in common, and goes on behind it.
        for typed, rest, name in (("a", "k", "abk"), ("z", "2", "zé2"), ("ab", "k", "abk")):
            opened.type(f"algo any {quote}{typed}\t{rest}\t\r")
            assert opened.arguments() == ["any", name], opened.seen[-300:]
    assert not (opened.root / "X").exists()


def test_a_list_of_names_commands_no_terminal(shell: str, session: Callable[..., Session]) -> None:
    opened = session([f"n{number:02}{code}x" for number, code in enumerate(CODES)] + ["n99end"])
    opened.type("algo any n\t" + "\t" * (shell == "bash"))
    opened.wait_for("99end")
    assert "n00" in opened.seen
    for number, code in enumerate(CODES):
        assert f"{number:02}{code}x" not in opened.seen, ascii(code)


def test_local_files_are_completed_by_the_shell_itself(shell: str, session: Callable[..., Session]) -> None:
    opened = session([])
    for name in ("q$(touch X)", "rep ort.txt", "it's"):
        (opened.root / name).write_text("")
        opened.type(f"algo files {name[:1]}\t\r")
        assert opened.arguments() == ["files", name]
    assert not (opened.root / "X").exists()


def test_in_bash_a_redirection_is_of_a_local_file(tmp_path: Path) -> None:
    needs("bash")
    opened = Session(SHELLS["bash"], tmp_path, ["name"])
    try:
        (tmp_path / "lo cal").write_text("")
        opened.type("algo one 0 >out < l\t\r")
        assert opened.arguments() == ["one", "0"]
        opened.type("true; algo one 0 n\t 2>&1 | cat\r")
        assert opened.arguments() == ["one", "0", "name"]
    finally:
        opened.close()


@pytest.mark.parametrize("name", ["bash", "zsh"])
def test_what_is_quoted_is_read_as_it_was(name: str, tmp_path: Path) -> None:
    """By the shell, and by our own reading of it."""
    needs(name)
    texts = [text for text in [*NAMES, *random_texts(150)] if "\0" not in text]
    words = []
    for text in texts:
        for quote, closing in posix.CLOSING.items():
            word = quote + posix.quoted(text, quote) + closing
            assert posix.unquoted(word) == (text, "")
            assert not is_harmful(word)
            words.append(word)
            for end in range(len(word) if len(word) < 100 else 0):
                if word[end - 1 : end + 1] == "$'":
                    continue  # no dollar sign, but half of a quote
                read, _ = posix.unquoted(word[:end])
                assert text.startswith(read) or not read.isascii(), (word, end, read)
    file = tmp_path / "words"
    file.write_text("printf '%s\\0' " + " ".join(words), "utf-8")
    done = subprocess.run([name, str(file)], capture_output=True, check=True, env={**os.environ, "LC_ALL": "C.UTF-8"})
    read = done.stdout.decode("utf-8", "surrogateescape").split("\0")[:-1]
    assert read == [text for text in texts for _ in posix.CLOSING]


def test_our_reading_of_quotes_is_that_of_bash(tmp_path: Path) -> None:
    needs("bash")
    words = [
        "a'b c'd", '"a b"c', "a\\ b", "'it'\\''s'", '"a\\"b\\$c\\`d\\\\e\\f"', "$'a\\tb\\n\\e\\x41\\101\\u20ac\\U0001f600\\'q\\\\'",
        "$'\\xc3\\xa9\\xff'", '$"loc"', "''", "a''b", "$'\\q\\?'", "\\~", "\\a\\b", '"\\!"', "x\\:y", "$'\\8'", "$'\\x4g'",
    ]  # fmt: skip
    file = tmp_path / "words"
    file.write_text("printf '%s\\0' " + " ".join(words), "utf-8")
    done = subprocess.run(["bash", str(file)], capture_output=True, check=True, env={**os.environ, "LC_ALL": "C.UTF-8"})
    assert done.stdout.decode("utf-8", "surrogateescape").split("\0")[:-1] == [posix.unquoted(w)[0] for w in words]


def test_our_reading_of_quotes_is_that_of_fish(tmp_path: Path) -> None:
    needs("fish")
    words = [
        "a'b c'd", '"a b"c', "a\\ b", "'it\\'s'", '"a\\"b\\$c\\\\e\\f"', "a\\tb\\n\\e\\x41\\101\\u20ac\\U0001f600", "\\xc3\\xa9\\xff",
        "''", "'\\n'", "\\~", "\\*\\?", "\\Xc3\\Xa9",
    ]  # fmt: skip
    file = tmp_path / "words"
    file.write_text("printf '%s\\0' " + " ".join(words), "utf-8")
    environ = {**os.environ, "LC_ALL": "C.UTF-8", "HOME": str(tmp_path)}
    done = subprocess.run(["fish", "--no-config", str(file)], capture_output=True, check=True, env=environ)
    read = done.stdout.decode("utf-8", "surrogateescape").split("\0")[:-1]
    assert read == [parse_fish(word + " ")[0][0] for word in words]
    assert parse_fish("algo cat 'a b") == (["algo", "cat"], "a b")
    assert parse_fish("algo cat ") == (["algo", "cat"], "")


@pytest.mark.parametrize(
    ("line", "words", "typed"),
    [
        ("algo cat x", ["algo", "cat"], "x"),
        ("algo cat ", ["algo", "cat"], ""),
        ("algo 'a b' \"c", ["algo", "a b"], '"c'),
        ("x; algo a\\ b | y z", ["y"], "z"),
        ("algo $(algo x y", ["algo", "x"], "y"),
        ("algo a >out 2>&1 b c", ["algo", "a", "b"], "c"),
    ],
)
def test_a_line_is_read_up_to_the_cursor(line: str, words: list[str], typed: str) -> None:
    found = parse(line)
    assert found is not None
    assert found.words == words
    assert line[found.start :] == typed


@pytest.mark.parametrize("line", ["algo $(cat x", "algo `cat x", "algo $(algo x) y", "algo $($(algo x"])
def test_what_is_another_commands_is_not_read(line: str) -> None:
    assert parse(line) is None


def test_readlines_part_of_a_word_is_gone_on_with_only_if_it_fits() -> None:
    assert Insertion("algo cat data://x", 9, "//x").of("data://xy", "plain") == "//xy"
    assert Insertion("algo cat data://x", 9, "//x").of("other", "plain") == ""
