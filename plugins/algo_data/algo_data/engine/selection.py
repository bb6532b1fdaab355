"""The selection of files of a tree: `--include` and `--exclude`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from algo_core.errors import UsageError
from algo_core.names import portable
from algo_data.engine.patterns import name_pattern, path_pattern


class Selection:
    """Include and exclude patterns.

    A file is selected if it matches an `include` pattern, or there are none, and neither it nor a directory above it
    matches an `exclude` pattern.

    A pattern without a slash matches names at any depth; one with a slash matches paths below the copied directory; a
    trailing slash means directories only, with everything below them. Unlike in a shell, `*` also matches a leading
    dot, so that hidden files are excluded as well.

    Raises:
        UsageError: for a pattern that is invalid or cannot match.
    """

    def __init__(self, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> None:
        self._include = [_Pattern(text) for text in include]
        self._exclude = [_Pattern(text) for text in exclude]
        self.is_everything = not include and not exclude

    def takes(self, relative: str) -> bool:
        """Whether a file is selected, in a directory that was entered."""
        if self.is_everything:
            return True
        if any(not pattern.is_for_directories and pattern.matches(relative) for pattern in self._exclude):
            return False
        return not self._include or any(pattern.includes(relative) for pattern in self._include)

    def enters(self, relative: str) -> bool:
        """Whether files below a directory can be selected."""
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
        """Whether the pattern matches a file or, for directory patterns, one of its directories."""
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
