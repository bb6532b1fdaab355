"""Which files of a tree are meant: `--include` and `--exclude`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from algo_data.patterns import name_pattern, path_pattern


class Selection:
    """Patterns for what is taken, and for what is not.

    A file is taken if it matches an `include` pattern, or there are none, and neither it nor a directory above it
    matches an `exclude` pattern.

    A pattern without a slash is for a name at any depth; one with a slash is for the path below the directory that is
    copied, and a slash at its end means directories only. Other than in a shell `*` also matches a dot at the
    beginning: what is to be left out is not to slip through.

    Raises:
        UsageError: for a pattern that cannot be read.
    """

    def __init__(self, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> None:
        self._include = [_Pattern(text) for text in include]
        self._exclude = [_Pattern(text) for text in exclude]
        self.is_everything = not include and not exclude

    def takes(self, relative: str) -> bool:
        """Whether a file is meant, in a directory that was entered."""
        if self.is_everything:
            return True
        if any(not pattern.is_for_directories and pattern.matches(relative) for pattern in self._exclude):
            return False
        return not self._include or any(pattern.matches(relative) for pattern in self._include)

    def enters(self, relative: str) -> bool:
        """Whether files below a directory can be meant."""
        return not any(pattern.matches(relative) for pattern in self._exclude)


class _Pattern:
    def __init__(self, text: str) -> None:
        self.is_for_directories = text.endswith("/")
        trimmed = text.rstrip("/")
        self._is_name = "/" not in trimmed
        self._match: re.Pattern[str] = name_pattern(trimmed) if self._is_name else path_pattern(trimmed)

    def matches(self, relative: str) -> bool:
        return self._match.match(relative.rpartition("/")[2] if self._is_name else relative) is not None


EVERYTHING = Selection()
"""All files."""
