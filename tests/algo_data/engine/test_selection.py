"""`--include` and `--exclude`: what patterns mean."""

from __future__ import annotations

import pytest

from algo_core.errors import UsageError
from algo_data.engine.selection import Selection

FILES = ("a.txt", "d/a.txt", "d/e/b.txt", "e/d/c.txt", "e/d.txt")


def taken(**patterns: list[str]) -> list[str]:
    selection = Selection(**patterns)
    above = {name: [name[:at] for at, letter in enumerate(name) if letter == "/"] for name in FILES}
    return [name for name in FILES if all(map(selection.enters, above[name])) and selection.takes(name)]


@pytest.mark.parametrize(
    ("patterns", "files"),
    [
        (["d/"], ["d/a.txt", "d/e/b.txt", "e/d/c.txt"]),
        (["./d/"], ["d/a.txt", "d/e/b.txt"]),
        (["d/e/"], ["d/e/b.txt"]),
        (["*/d/"], ["e/d/c.txt"]),
        (["d"], []),
        (["d/", "a.txt"], ["a.txt", "d/a.txt", "d/e/b.txt", "e/d/c.txt"]),
    ],
)
def test_including_a_directory_means_all_that_is_below_it(patterns, files):
    assert taken(include=patterns) == files


def test_what_is_excluded_below_it_is_left_out_all_the_same():
    assert taken(include=["d/"], exclude=["e/"]) == ["d/a.txt"]


@pytest.mark.parametrize(
    ("pattern", "files"), [("./a.txt", ["a.txt"]), (".//d/./a.txt", ["d/a.txt"]), ("././d/*.txt", ["d/a.txt"])]
)
def test_a_path_from_here_is_one_below_the_directory(pattern, files):
    assert taken(include=[pattern]) == files
    assert taken(exclude=[pattern]) == [name for name in FILES if name not in files]


@pytest.mark.parametrize("pattern", ["", "/", ".", "./", "..", "../a", "a/../b"])
@pytest.mark.parametrize("option", ["include", "exclude"])
def test_a_pattern_that_nothing_can_match_is_refused(option, pattern):
    with pytest.raises(UsageError, match="A pattern that nothing can match"):
        Selection(**{option: [pattern]})
