"""Tables on a terminal: nothing is wider than it, nothing is lost, and no word is broken."""

from __future__ import annotations

import fcntl
import pty
import re
import struct
import termios

import pytest

from algo_core.terminal.output import Output
from algo_core.terminal.tables import fitted, width_of, wrapped

HASH = "0123456789abcdef" * 2
TABLES = {
    "commands": (
        ("Distribution", "Commands", "Status"),
        [("acme", ", ".join(f"command-{n}" for n in range(30)), "ok")],
    ),
    "two long columns": (("A", "B", "C"), [("one two " * 20, "x", "three four five " * 15), ("a", "", "b")]),
    "hashes": (("Build", "Commit", "Notes"), [(HASH, HASH[::-1], "good " * 12), (HASH, HASH, "")]),
    "wide characters": (("名前", "説明"), [("日本語 " * 12, "e\u0301té " * 20), ("x", "漢字" * 10)]),
    "a word that is too long": (("Path",), [("/x" * 80,), ("short",)]),
    "many columns": (tuple("ABCDEFGHIJKL"), [tuple(f"value {n}" for n in range(12))]),
    "blanks and nothing": (("A", "B"), [("", ""), ("  a  b  ", " ")]),
    "no rows": (("A", "B"), []),
}


@pytest.mark.parametrize("columns", [1, 10, 40, 60, 80, 400])
@pytest.mark.parametrize("name", TABLES)
def test_a_table_fits_and_is_complete(name: str, columns: int) -> None:
    headers, rows = TABLES[name]
    lines = list(fitted(headers, rows, columns))
    words = [word for row in rows for cell in row for word in cell.split()]
    shown = [word for line in lines for word in line.split()]
    assert sorted(set(words) - set(shown)) == [], "a word is missing or broken"
    label = max(map(width_of, headers)) + 3
    longest = max(map(width_of, words), default=0)
    limit = max(columns, label + max(longest, 12))
    assert all(width_of(line) <= limit for line in lines)
    assert all(line == line.rstrip() for line in lines)
    if columns >= label + longest + 12 * len(headers):
        assert max(map(width_of, lines)) <= columns


def test_a_table_that_fits_is_as_off_a_terminal() -> None:
    assert list(fitted(("A", "Name"), [("1", "x y"), ("22", "z")], 20)) == ["A   Name", "1   x y", "22  z"]


def test_the_widest_columns_are_wrapped_and_others_stay() -> None:
    lines = list(fitted(("Name", "Words"), [("a b", "one two three four five six seven"), ("c", "x")], 30))
    assert lines == ["Name  Words", "a b   one two three four five", "      six seven", "c     x"]


def test_rows_that_are_too_wide_are_blocks() -> None:
    lines = list(fitted(("Build", "Commit", "Note"), [(HASH, HASH, ""), (HASH, "x", "a b")], 50))
    assert lines == [f"Build:   {HASH}", f"Commit:  {HASH}", "", f"Build:   {HASH}", "Commit:  x", "Note:    a b"]


def test_a_word_that_does_not_fit_beside_its_header_is_below_it() -> None:
    lines = list(fitted(("Commit of the build", "Note"), [(HASH, "a b")], 36))
    assert lines == ["Commit of the build:", f"  {HASH}", "Note:                 a b"]


def test_words_are_kept_whole() -> None:
    assert wrapped("aaa bb cccc", 6) == ["aaa bb", "cccc"]
    assert wrapped("aaaaaaaaa b", 4) == ["aaaaaaaaa", "b"]
    assert wrapped("", 4) == [""]


def printed(columns: int, environ: dict[str, str]) -> list[str]:
    """The lines of a table that `Output` prints on a terminal of so many columns."""
    master, slave = pty.openpty()
    with open(slave, "w", encoding="utf-8") as stream, open(master, "rb", buffering=0) as screen:
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        output = Output(stdout=stream, environ=environ)
        output.table(("A", "B"), [("x\x1b[31m", "word " * 30)])
        output.print("end")
        output.stdout.flush()
        got = b""
        while not got.endswith(b"end\r\n"):
            got += screen.read(10_000)
        return got.decode().splitlines()[:-1]


@pytest.mark.parametrize(
    ("columns", "environ", "limit"),
    [(60, {}, 60), (80, {}, 80), (80, {"COLUMNS": "40"}, 40), (80, {"COLUMNS": "wide"}, 80)],
)
def test_the_width_is_that_of_the_terminal(columns: int, environ: dict[str, str], limit: int) -> None:
    lines = printed(columns, environ)
    assert limit - 10 < max(map(len, lines)) <= limit
    assert not re.search("\x1b", "".join(lines))


@pytest.mark.parametrize(("columns", "environ"), [(0, {}), (80, {"COLUMNS": "0"})])
def test_without_a_width_nothing_is_wrapped(columns: int, environ: dict[str, str]) -> None:
    assert len(printed(columns, environ)) == 2
