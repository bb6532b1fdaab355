"""Which files of a tree are meant: `--include` and `--exclude`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from algo_core.errors import UsageError
from algo_core.names import portable
from algo_data.engine.patterns import name_pattern, path_pattern


class Selection:
    """Patterns for what is taken, and for what is not.

    A file is taken if it matches an `include` pattern, or there are none, and neither it nor a directory above it
    matches an `exclude` pattern.

    A pattern without a slash is for a name at any depth; one with a slash is for the path below the directory that is
    copied, and a slash at its end means directories only: to be included is then what is below one. Other than in a
    shell `*` also matches a dot at the beginning: what is to be left out is not to slip through.

    Raises:
        UsageError: for a pattern that cannot be read, or that nothing can match.
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
        return not self._include or any(pattern.includes(relative) for pattern in self._include)

    def enters(self, relative: str) -> bool:
        """Whether files below a directory can be meant."""
        return not any(pattern.matches(relative) for pattern in self._exclude)


class _Pattern:
    def __init__(self, text: str) -> None:
        text = portable(text)
        self.is_for_directories = text.endswith("/")
        parts = [part for part in text.split("/") if part not in {"", "."}]
        if not parts or ".." in parts:
            raise UsageError(
                f"A pattern that nothing can match: {text!r}",
                "Write one for a name, such as '*.tmp', or for a path below the directory that is copied",
            )
        self._is_name = "/" not in text.rstrip("/")
        self._match: re.Pattern[str] = name_pattern(parts[0]) if self._is_name else path_pattern("/".join(parts))

    def matches(self, relative: str) -> bool:
        return self._match.match(relative.rpartition("/")[2] if self._is_name else relative) is not None

    def includes(self, relative: str) -> bool:
        """Whether a file is meant by it: the file itself, or if it is for directories, one that it is in."""
        if not self.is_for_directories:
            return self.matches(relative)
        directory = relative.rpartition("/")[0]
        while directory:
            if self.matches(directory):
                return True
            directory = directory.rpartition("/")[0]
        return False


EVERYTHING = Selection()
"""All files."""
