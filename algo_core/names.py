"""Names of files in any locale, Unicode in this program and bytes on disk and in pipes; and names of settings."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

_IS_UTF_8 = sys.getfilesystemencoding() == "utf-8"


def native(path: str) -> str:
    """A local path for the functions of the operating system.

    Characters that the locale lacks are encoded in UTF-8, so that every name can be written and found again.
    """
    if _IS_UTF_8 or path.isascii():
        return path
    return "/".join(map(_native, path.split("/")))


def portable(path: str) -> str:
    """A local path or an operand from the operating system, in Unicode: the inverse of `native`.

    Bytes outside the locale's encoding are decoded as UTF-8; bytes that are neither stay escaped (PEP 383).
    """
    if _IS_UTF_8 or path.isascii():
        return path
    return "/".join(map(_portable, path.split("/")))


def in_bytes(text: str) -> bytes:
    """Text with file names, encoded for a pipe: local names have their bytes on disk."""
    try:
        return os.fsencode(native(text))
    except UnicodeEncodeError:  # half of a surrogate pair
        return text.encode("utf-8", "backslashreplace")


def _native(name: str) -> str:
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return os.fsdecode(name.encode("utf-8", "surrogateescape"))
    return name


def _portable(name: str) -> str:
    try:
        found = os.fsencode(name).decode("utf-8")
        return found if _native(found) == name else name
    except UnicodeError:
        return name


def dotted(path: Iterable[str]) -> str:
    """The path of a setting as TOML and `algo config` write it: `connectors."s3+a".direct`."""
    import json

    return ".".join(
        part
        if part.isascii() and part.replace("-", "").replace("_", "").isalnum()
        else json.dumps(part, ensure_ascii=False)
        for part in path
    )
