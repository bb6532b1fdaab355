"""Valid names of accounts, collections, algorithms and files, and the form of keys (API sections 4.5, 6.3, 7)."""

from __future__ import annotations

import re

from algo_core.errors import RequestRefused

NAME_LIMIT = 30
"""Characters of an account's or an algorithm's name."""

COLLECTION_LIMIT = 100
"""Characters of a collection's name: clients in use go beyond the 30 that were once documented."""

KEY_LENGTH = 28
"""Characters of an API key, `sim` included."""

_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_]*", re.ASCII)
_RESERVED = frozenset({"temp", "perm", "default", "latest"})
"""Reserved words in data URIs such as `data://.algo/temp`."""

FILE_NAME_LIMIT = 255
"""Bytes of a file's name as it is kept on disk."""

_UNSAFE = re.compile(r"[\x00-\x1f\x7f/%]|^\.")
_PLAIN = re.compile(r"[^\x00-\x1f\x7f/%.][^\x00-\x1f\x7f/%]*")
_ESCAPED = re.compile(r"%([0-9A-F]{2})")


def check_name(name: object, what: str, limit: int = NAME_LIMIT) -> str:
    """A name of an account, a collection or an algorithm; `what` names the kind in the message.

    Raises:
        RequestRefused: if it is not one.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name) or len(name) > limit:
        raise RequestRefused(
            f"{name!r} is not a valid name for {what}: a letter, then letters, digits and '_', "
            f"at most {limit} characters"
        )
    return name


def check_owner(name: str) -> str:
    """A name that an account can take; the same errors as `check_name`."""
    if name.lower() in _RESERVED:
        raise RequestRefused(f"'{name}' is reserved and cannot be an account's name")
    return check_name(name, "an account")


def account_name_from(person: str) -> str:
    """An account's name from a user's login; never `demo`, which is reserved."""
    name = re.sub(r"[^a-zA-Z0-9_]+", "_", person).lstrip("0123456789_")[:NAME_LIMIT] or "me"
    if name.lower() in _RESERVED | {"demo"}:
        name += "_user"
    return name


def encode_file_name(name: str) -> str:
    """A file's name on disk: its own, with unsafe characters escaped as `%XX`.

    Control characters, `%` and a leading dot are escaped; so `..` cannot occur, nor a hidden file, nor a clash with
    the platform's own files.

    Raises:
        RequestRefused: if the name is empty, no Unicode text, or too long.
    """
    if not name:
        raise RequestRefused("An empty file name")
    if len(name) <= FILE_NAME_LIMIT and name.isascii() and _PLAIN.fullmatch(name):  # as most are
        return name
    encoded = _UNSAFE.sub(lambda match: f"%{ord(match[0]):02X}", name)
    try:
        size = len(encoded.encode("utf-8"))
    except UnicodeEncodeError:
        raise RequestRefused("A file name must be Unicode text") from None
    if size > FILE_NAME_LIMIT:
        raise RequestRefused(f"The file name is too long ({size} bytes; at most {FILE_NAME_LIMIT})")
    return encoded


def decode_file_name(entry: str) -> str | None:
    """The file's name for a directory entry; None if it is not a name that the platform writes."""
    if _PLAIN.fullmatch(entry) and entry.isascii():  # as most are
        return entry
    name = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), entry)
    try:
        return name if encode_file_name(name) == entry else None
    except RequestRefused:
        return None
