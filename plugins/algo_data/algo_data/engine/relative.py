"""Paths below the top of a tree: names with slashes between them.

A directory's path has no trailing slash unless its name is empty, as in the key `a//b` of an object store: then its
path is `a//`. A file with an empty name, whose key is `a/`, has the path `a/`.
"""

from __future__ import annotations


def joined(prefix: str, name: str, *, is_directory: bool) -> str:
    """The path of an entry in a directory with this prefix."""
    return prefix + (name or "/" if is_directory else name)


def prefix_of(directory: str) -> str:
    """The prefix of the paths of all entries in a directory; empty for the top."""
    return directory if not directory or directory.endswith("/") else f"{directory}/"


def parent_of(path: str) -> str:
    """The path of an entry's directory."""
    head, slash, _ = path.removesuffix("/").rpartition("/")
    return f"{head}/" if slash and (not head or head.endswith("/")) else head
