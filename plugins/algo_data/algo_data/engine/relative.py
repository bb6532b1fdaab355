"""Paths below the top of a tree: names with slashes between them.

A directory's has no slash at its end unless its name is empty, as in the key `a//b` of an object store: then the path
of that directory is `a//`. A file without a name, whose key is `a/`, has that as its path.
"""

from __future__ import annotations


def joined(prefix: str, name: str, *, is_directory: bool) -> str:
    """The path of an entry in a directory whose prefix this is."""
    return prefix + (name or "/" if is_directory else name)


def prefix_of(directory: str) -> str:
    """What the paths of all entries in a directory begin with; nothing for the top, whose path is empty."""
    return directory if not directory or directory.endswith("/") else f"{directory}/"


def parent_of(path: str) -> str:
    """The path of the directory that an entry is in."""
    head, slash, _ = path.removesuffix("/").rpartition("/")
    return f"{head}/" if slash and (not head or head.endswith("/")) else head
