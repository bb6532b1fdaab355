"""A cache of the MD5s of small files in memory, so that a file that is read often is hashed once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import hashlib

    from algo_local.data.objects import FileInfo

REMEMBERED = 4096
"""Files whose MD5s are remembered."""

SETTLED_SECONDS = 3.0
"""Age in seconds from which a file's identity is certain.

Clocks of file systems tick slowly, and a file may get the number of the one that it replaces: two versions that are
written right after each other can look the same.
"""


class Digests:
    """The MD5s of files that have been read, by path and identity."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, str]] = {}

    def of(self, path: str, info: FileInfo, content: bytes) -> str:
        """The MD5 of a file's content, in hexadecimal digits."""
        identity, digest = self._known.get(path, ("", ""))
        if identity == info.identity:
            return digest
        digest = md5(content).hexdigest()
        if time.time() - info.modified > SETTLED_SECONDS:
            if len(self._known) >= REMEMBERED:
                self._known = {}
            self._known[path] = (info.identity, digest)
        return digest


def md5(data: bytes = b"") -> hashlib._Hash:
    """A new MD5 hash, declared as not used for security."""
    import hashlib

    return hashlib.md5(data, usedforsecurity=False)
