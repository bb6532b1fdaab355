"""A small new file that has no name until it is whole, so that nothing is left of it even if the process is killed.

Linux and most of its file systems make such files (`O_TMPFILE`), and it takes half the steps of a hidden file that is
locked and renamed. What comes between is left to `algo_data.beside`, which also says why something fails.
"""

from __future__ import annotations

import errno
import os

_UNKNOWN = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL})
"""What systems say that know no such files."""


class Appearance:
    """Makes files appear under names that nobody has; may be used by several threads."""

    def __init__(self) -> None:
        self._is_possible = hasattr(os, "O_TMPFILE")
        self.may_be_new = True
        """Whether the next name is likely to be free: as it was the last time."""

    def make(self, path: str, content: bytes) -> bool:
        """Whether a file with this content stands there now, because nothing had that name."""
        if not (self._is_possible and self.may_be_new):
            return False
        head, slash, _ = path.rpartition("/")
        try:
            descriptor = os.open(head or slash or ".", os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC, 0o666)
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
