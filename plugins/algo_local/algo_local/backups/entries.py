"""The list of files in a backup: one line of JSON for each, and checks of the paths in it.

A path is relative to the platform's directory (README, "Files"), even if the file is in an object store.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from typing import Any

from algo_local.algorithms.repository_files import is_content
from algo_local.backups.manifest import Damaged
from algo_local.backups.tables import is_component
from algo_local.names import decode_file_name
from algo_local.state import KEY_FILE

FILE, PROGRAM, LINK = "file", "program", "link"

_DIGEST = re.compile(r"[0-9a-f]{64}")
_SIZES = {"data": 4, "algorithm-data": 6, "connectors": 2}
"""How many parts the paths of a kind have."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a platform."""

    path: str
    """With `/` between its parts; names of hosted data are escaped as on disk."""
    kind: str = FILE
    size: int = 0
    """Bytes."""
    sha256: str = ""
    """The digest of the content, in hexadecimal digits; empty for a link."""
    md5: str = ""
    """The same, of hosted data."""
    modified: float | None = None
    """Seconds since the epoch, of hosted data."""
    media_type: str = ""
    """The media type with which a file of hosted data was uploaded."""
    target: str = ""
    """Where a link leads."""

    @property
    def parts(self) -> list[str]:
        """The parts of the path."""
        return self.path.split("/")

    @property
    def is_hosted(self) -> bool:
        """Whether it is a file of hosted data."""
        return self.path.startswith(("data/", "algorithm-data/"))

    @property
    def is_secret(self) -> bool:
        """Whether a backup without secrets leaves it out."""
        return self.path == KEY_FILE or self.path.startswith("connectors/")

    def line(self, *, with_time: bool = True) -> bytes:
        """The entry as a JSON object on a line; without time it is equal for equal content."""
        values = {name: getattr(self, name) for name in self.__slots__ if getattr(self, name) not in ("", None)}
        if not with_time:
            values.pop("modified", None)
        return json.dumps(values).encode() + b"\n"


def entry_of(line: bytes) -> Entry:
    """An entry from its line.

    Raises:
        Damaged: if it is invalid, or its path is outside the places of a platform.
    """
    try:
        values: dict[str, Any] = json.loads(line)
        entry = Entry(**values)
    except (ValueError, TypeError, RecursionError):
        raise Damaged(f"The list of files has an invalid line: {line[:100]!r}") from None
    if not _has_right_types(entry) or not _is_whole(entry):
        raise Damaged(f"The list of files has an invalid line: {line[:100]!r}")
    if not all(is_component(part) for part in entry.parts) or not _is_known(entry):
        raise Damaged(f"The list of files has a path outside the places of a platform: {entry.path[:100]!r}")
    return entry


def _has_right_types(entry: Entry) -> bool:
    texts = (entry.path, entry.kind, entry.sha256, entry.md5, entry.media_type, entry.target)
    is_time = entry.modified is None or (isinstance(entry.modified, int | float) and abs(entry.modified) < 1e11)
    return is_time and type(entry.size) is int and entry.size >= 0 and all(isinstance(text, str) for text in texts)


def _is_whole(entry: Entry) -> bool:
    if entry.kind == LINK:
        return bool(entry.target) and "\0" not in entry.target and not entry.sha256
    return entry.kind in (FILE, PROGRAM) and bool(_DIGEST.fullmatch(entry.sha256)) and not entry.target


def _is_known(entry: Entry) -> bool:
    """Older backups have the options of connectors as files, which the restored platform adopts."""
    first, *rest = entry.parts
    if first == "sources":
        return len(rest) > 1 and (entry.kind != LINK or _stays_within(rest[1:], entry.target))
    if entry.kind != FILE:
        return False
    if first == "repositories":
        return len(rest) > 1 and rest[0].endswith(".git") and is_content("/".join(rest[1:]))
    if entry.is_hosted:
        return len(rest) + 1 == _SIZES[first] and decode_file_name(rest[-1]) is not None
    return entry.path == KEY_FILE or (first == "connectors" and len(rest) == 1 and rest[0].endswith(".json"))


def _stays_within(parts: list[str], target: str) -> bool:
    """Whether a link, at a path in a tree, stays in that tree."""
    found = os.path.normpath("/".join([*parts[:-1], target]))
    return not target.startswith("/") and found != ".." and not found.startswith("../")
