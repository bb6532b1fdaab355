"""PowerShell is on no machine that runs these tests: its grammar and a model of its quotes have to stand in for it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import tree_sitter
import tree_sitter_powershell
from support.shells import NAMES, Running, completing, random_texts

from algo_core.terminal.completion import script
from algo_core.terminal.completion.powershell import DOUBLE_QUOTES, SINGLE_QUOTES, answer, parse, quoted
from algo_core.terminal.output import Output
from algo_core.terminal.sanitize import is_harmful

PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))
ACTIVE = {"sub_expression", "variable", "command", "script_block", "parenthesized_expression", "array_expression"}
PUNCTUATION = [f"a{quote}b" for quote in SINGLE_QUOTES + DOUBLE_QUOTES] + [
    "\u2013x",
    "\u2014",
    "1kb",
    "0x10",
    "@a",
    "a`b",
    "%",
    "?",
]
WORDS = [word for word in [*NAMES, *PUNCTUATION, *random_texts(300)] if not re.search("[\ud800-\udfff]", word)]


def nodes(node: tree_sitter.Node) -> Iterator[tree_sitter.Node]:
    yield node
    for child in node.children:
        yield from nodes(child)


def as_powershell_reads(word: str) -> str:
    """What an argument stands for, after the language's specification (2.3.5.2, with the escapes of version 7)."""
    if word[:1] in SINGLE_QUOTES:
        return re.sub(f"([{SINGLE_QUOTES}])[{SINGLE_QUOTES}]", r"\1", word[1:-1])
    if word[:1] in DOUBLE_QUOTES:
        return re.sub(
            rf"([{DOUBLE_QUOTES}])[{DOUBLE_QUOTES}]|`u\{{([0-9a-f]+)\}}|`(.)",
            lambda found: found[1] or (chr(int(found[2], 16)) if found[2] else found[3]),
            word[1:-1],
            flags=re.S,
        )
    return word


@pytest.mark.parametrize("quote", ["", "'", '"', "\u2018", "\u201c"])
def test_a_word_is_one_argument_in_which_nothing_is_carried_out(quote: str) -> None:
    for word in WORDS:
        made = quoted(word, quote)
        assert as_powershell_reads(made) == word
        assert not is_harmful(made)
        assert "\n" not in made
        if quote == "" and re.fullmatch("[A-Za-z./][\\w./-]*", word, re.ASCII):
            assert made == word
        tree = PARSER.parse(f"algo cat {made}".encode())
        commands = [node for node in nodes(tree.root_node) if node.type == "command"]
        assert len(commands) == 1, made
        assert not tree.root_node.has_error, made
        (elements,) = (node for node in nodes(commands[0]) if node.type == "command_elements")
        arguments = [node for node in elements.named_children if node.type != "command_argument_sep"]
        assert [node.text.decode() for node in arguments if node.text] == ["cat", made]
        assert not {node.type for node in nodes(arguments[1])} & ACTIVE, made


@pytest.mark.parametrize("quote", ["", "'", '"', "\u2018", "\u201c"])
def test_a_line_is_read_as_it_was_quoted_wherever_it_stops(quote: str) -> None:
    for word in WORDS:
        made = quoted(word, quote)
        assert parse(f"algo cat {made} ") == (["algo", "cat", word], "", "")
        assert parse(f"algo cat {made}")[:2] == (["algo", "cat"], word)
        for end in range(len(made) if len(made) < 60 else 0):
            if re.search(r"`(u(\{[0-9a-f]*)?)?$", made[:end]):
                continue  # in an escape
            words, typed, _ = parse(f"algo cat {made[:end]}")
            assert words == ["algo", "cat"]
            assert word.startswith(typed[:-1]), (made[:end], typed)


def asked(line: str, names: list[str]) -> list[list[str]]:
    """The answer, as the script unescapes it."""
    text = answer(completing(names), Running({"_ALGO_LINE": line}, Output()), [])
    assert text.isascii()
    assert re.fullmatch(r"(?:[A-Za-z0-9\\\t\n])*", text)
    lines = [re.sub(r"\\u(....)", lambda found: chr(int(found[1], 16)), line) for line in text.splitlines()]
    return [[field.encode("utf-16", "surrogatepass").decode("utf-16") for field in line.split("\t")] for line in lines]


def test_the_answer_has_what_the_script_expects() -> None:
    assert asked("algo any a", ["a b", "a/", "é😀a", "a😀"]) == [
        ["plain", "'a b'", "a b", "a b"],
        ["open", "a/", "a/", "a/"],
        ["plain", "'a😀'", "a😀", "a😀"],
    ]
    assert asked('& "C:\\bin\\algo.exe" any "a', ["a$(x)"]) == [["plain", '"a`$(x)"', "a$(x)", "a$(x)"]]
    assert asked("algo any n", ["n\x1b[2J\tx\ny"]) == [
        ["plain", '"n`u{1b}[2J`u{9}x`u{a}y"', "n\\x1b[2J\\tx\\ny", "n\\x1b[2J\\tx\\ny"]
    ]
    assert asked("algo files x", []) == [["file", "x", "x", "x"]]


def test_the_script_is_powershell_and_evaluates_nothing_that_comes_back() -> None:
    source = script("powershell")
    tree = PARSER.parse(source.encode())
    assert not tree.root_node.has_error
    assert not re.search(r"Invoke-Expression|iex|ScriptBlock\]::Create|InvokeScript", source)
