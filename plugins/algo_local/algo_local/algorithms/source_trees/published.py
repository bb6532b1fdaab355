"""Published source trees: read-only, named by a hash of their content, and verified when in doubt.

A tree is sealed when it is published: a file beside it holds a digest of names, modes, sizes, times and inodes of all
that is in it. While that is right, nobody has written into the tree; where it is not, or is missing, the content itself
is read and compared with the hash that names the tree, so that moving or restoring a platform's directory is no harm.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import py_compile
import stat
from dataclasses import dataclass
from pathlib import Path

from algo_core.files import replacing
from algo_core.locks import locked
from algo_local.algorithms.build import BuildError
from algo_local.algorithms.source_trees.sources import hash_record
from algo_local.trees import make_writable, remove_tree

COMPILED = "__pycache__"
"""The directories of compiled files, which do not count as content."""

_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Node:
    """A directory, file or symbolic link in a tree."""

    name: str
    """Where it is in the tree, with `/` between the parts."""
    path: str
    status: os.stat_result


def nodes(tree: Path) -> list[Node]:
    """All nodes of a tree, directories before their content. Raises OSError if it cannot be read."""
    found: list[Node] = []
    pending = [("", str(tree))]
    while pending:
        prefix, directory = pending.pop()
        with os.scandir(directory) as entries:
            for entry in entries:
                node = Node(prefix + entry.name, entry.path, entry.stat(follow_symlinks=False))
                found.append(node)
                if stat.S_ISDIR(node.status.st_mode):
                    pending.append((f"{node.name}/", entry.path))
    return found


def keep(unfinished: Path, tree: Path) -> None:
    """Publish the finished tree `unfinished` as `tree`, unless that exists and is intact."""
    with locked(tree.parent / ".lock"):
        if tree.is_dir():
            if content_hash(nodes(tree)) == tree.name:
                return
            make_writable(tree)
            os.rename(tree, unfinished.parent / "damaged")
        _compile(unfinished)
        os.rename(unfinished, tree)
        _seal(tree)


def whole(tree: Path) -> list[Node]:
    """The nodes of a published tree, verified to be unchanged.

    Raises:
        BuildError: if something in it has been changed.
        OSError: if it is gone or cannot be read.
    """
    found = nodes(tree)
    if _signature(found) == _sealed(tree):
        return found
    with locked(tree.parent / ".lock"):
        found = nodes(tree)
        if _signature(found) == _sealed(tree):
            return found
        if content_hash(found) != tree.name:
            raise BuildError(
                f"The published files in {tree} have been changed since",
                "Publish the original files again, as the next version: that restores them for this one as well",
            )
        make_writable(tree)
        for node in found:
            if node.name.rpartition("/")[2] == COMPILED:
                remove_tree(Path(node.path))
        _compile(tree)
        return _seal(tree)


def _compile(tree: Path) -> None:
    """Write compiled files beside the modules, since workers do not."""
    for path in tree.joinpath("src").rglob("*.py"):
        with contextlib.suppress(py_compile.PyCompileError, OSError):
            py_compile.compile(str(path), doraise=True)


def _seal(tree: Path) -> list[Node]:
    """Make a tree read-only and record its state for later verification."""
    for node in [*nodes(tree), Node("", str(tree), os.lstat(tree))]:
        mode = node.status.st_mode
        if not stat.S_ISLNK(mode):
            os.chmod(node.path, 0o555 if stat.S_ISDIR(mode) or mode & 0o111 else 0o444)
    found = nodes(tree)
    # Where the seal cannot be written, the content is compared every time.
    with contextlib.suppress(OSError), replacing(_seal_of(tree), mode=0o600) as seal:
        seal.write(_signature(found).encode())
    return found


def _seal_of(tree: Path) -> Path:
    return tree.with_name(f"{tree.name}.seal")


def _sealed(tree: Path) -> str | None:
    try:
        return _seal_of(tree).read_text()
    except OSError:
        return None


def _signature(found: list[Node]) -> str:
    digest = hashlib.sha256()
    for node in sorted(found, key=lambda node: node.name):
        status = node.status
        facts = (status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        digest.update(f"{node.name}\0{facts}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def content_hash(found: list[Node]) -> str:
    """The content hash of `sources.copy_tree` for a tree; compiled files do not count."""
    tree = hashlib.sha1(usedforsecurity=False)
    for node in sorted(found, key=lambda node: node.name):
        mode = node.status.st_mode
        if COMPILED in node.name.split("/"):
            continue
        if stat.S_ISLNK(mode):
            hash_record(tree, "link", node.name, os.readlink(node.path).encode("utf-8", "surrogateescape"))
        elif stat.S_ISREG(mode):
            hash_record(tree, "program" if mode & 0o111 else "file", node.name, _digest(node.path))
    return tree.hexdigest()


def _digest(path: str) -> bytes:
    digest = hashlib.sha1(usedforsecurity=False)
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.digest()
