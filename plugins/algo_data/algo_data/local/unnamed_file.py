"""A small new file without a name until it is complete, so that even a killed process leaves nothing.

Linux and most of its file systems support such files (`O_TMPFILE`), which take half the steps of a hidden file that is
locked and renamed. All other cases are left to `algo_data.local.partial_file`, which also reports errors.
"""

from __future__ import annotations

import errno
import os

from algo_data.local.partial_file import SUFFIX, hidden_name

_UNKNOWN = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL})
"""Errors of systems without such files."""


FEW = 8
"""Maximum number of files per directory for which checking each hidden name is cheaper than listing."""

MANY = 10_000
"""Number of names in a directory from which on listing it is more expensive."""


class UnnamedFiles:
    """Creates files under new names; may be used by several threads."""

    def __init__(self) -> None:
        self._is_possible = hasattr(os, "O_TMPFILE")
        self._left_over: dict[str, LeftOver] = {}
        self.may_be_new = True
        """Whether the next name is probably free, like the last one."""

    def make(self, path: str, content: bytes) -> bool:
        """Create a file with this content under a free name; return whether it was created.

        If a killed process left a partial file for that name, it is not created, so that the ordinary way takes that
        over.
        """
        if not (self._is_possible and self.may_be_new):
            return False
        head, slash, name = path.rpartition("/")
        directory = head or slash or "."
        if (left_over := self._left_over.get(directory)) is None:
            left_over = self._left_over.setdefault(directory, LeftOver(directory))
        if left_over.is_there(name):
            return False
        try:
            descriptor = os.open(directory, os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC, 0o666)
        except OSError as error:
            self._is_possible = error.errno not in _UNKNOWN
            return False
        try:
            if os.write(descriptor, content) != len(content):
                return False
            # Only with a directory does Python follow the link that leads to the file; an absolute path needs none.
            os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=descriptor, follow_symlinks=True)
            return True
        except FileExistsError:
            self.may_be_new = False
            return False
        except OSError:
            return False
        finally:
            os.close(descriptor)


class LeftOver:
    """The hidden files of a directory when the first file was created in it."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._asked = 0
        self._names: set[str] | None = None

    def is_there(self, name: str) -> bool:
        """Whether there is a hidden file for a name."""
        if self._names is not None:
            return bool(self._names) and hidden_name(name) in self._names
        self._asked += 1
        if self._asked == FEW:
            self._names = self._found()
        return os.access(f"{self._directory}/{hidden_name(name)}", os.F_OK)

    def _found(self) -> set[str] | None:
        names: set[str] = set()
        try:
            with os.scandir(self._directory) as entries:
                for count, entry in enumerate(entries):
                    if count >= MANY:
                        return None
                    if SUFFIX in entry.name:
                        names.add(entry.name)
        except OSError:
            return None
        return names
