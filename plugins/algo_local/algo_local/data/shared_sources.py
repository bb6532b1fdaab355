"""Sources of builds in the platform's object store, for front ends on machines that have not made these builds.

sources/HASH            a tree, by the hash of its content, as a tar file that is compressed with gzip
environments/NAME       what an environment was made for: JSON with its Python and whether packages ran code
"""

from __future__ import annotations

import io
import os
import re
import shutil
import stat
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from algo_local.algorithms.build import BuildError
from algo_local.algorithms.source_trees.published import COMPILED, nodes
from algo_local.data.objects import BLOCK

if TYPE_CHECKING:
    from algo_local.data.objects import Objects

SOURCES = "sources"
ENVIRONMENTS = "environments"

UNNAMED_SECONDS = 3600
"""Age in seconds from which a source that no build names is a leftover: it is stored before its build is on record."""

_VERSION = re.compile(r"3(\.\d{1,3}){1,2}")
_MODES = {True: 0o755, False: 0o644}
_NO_PARTS = frozenset({"", ".", ".."})


class SharedSources:
    """The sources in an object store (`algo_local.algorithms.builder.SharedBuilds`)."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def keep(self, tree: Path) -> None:
        """Store a published tree, unless it is there. StorageUnavailable if that is impossible."""
        if self._objects.info(SOURCES, tree.name):
            return
        with tempfile.TemporaryFile(dir=tree.parent) as archive:
            _pack(tree, archive)
            size = archive.tell()
            archive.seek(0)
            with self._objects.receive(archive.read, size) as received:
                self._objects.place(received, SOURCES, tree.name)

    def fetch(self, name: str, tree: Path) -> bool:
        """Write the files of a tree into an empty directory; False if it is not stored.

        Raises:
            BuildError: if what is stored is no such tree.
        """
        found = self._objects.open(SOURCES, name)
        if not found:
            return False
        content, info = found
        with tempfile.TemporaryFile(dir=tree.parent) as archive:
            if isinstance(content, bytes):
                archive.write(content)
            else:
                with content:
                    shutil.copyfileobj(content, archive, BLOCK)
            if archive.tell() != info.size:
                raise BuildError(f"The stored source {name} is incomplete")
            archive.seek(0)
            try:
                _unpack(archive, tree)
            except (tarfile.TarError, EOFError, OSError, ValueError) as error:
                raise BuildError(f"The stored source {name} cannot be unpacked: {error}") from None
        return True

    def keep_python(self, environment: str, version: str) -> None:
        """Store the version of Python of an environment. StorageUnavailable if that is impossible."""
        if not self._objects.info(ENVIRONMENTS, environment):
            with self._objects.receive(io.BytesIO(version.encode()).read) as received:
                self._objects.place(received, ENVIRONMENTS, environment)

    def python_of(self, environment: str) -> str:
        """The version of Python of an environment; empty if it is not known."""
        found = self._objects.open(ENVIRONMENTS, environment) if environment else None
        text = found[0].decode("ascii", "replace") if found and isinstance(found[0], bytes) else ""
        return text if _VERSION.fullmatch(text) else ""

    def unnamed(self, sources: set[str], environments: set[str]) -> Iterator[tuple[str, str, int]]:
        """What no build names, given the names that builds have: directory and name for `remove`, and bytes."""
        limit = self._objects.now() - UNNAMED_SECONDS
        for directory, named in ((SOURCES, sources), (ENVIRONMENTS, environments)):
            marker: str | None = ""
            while marker is not None:
                page = self._objects.page(directory, marker, 1000)
                for info in page.files:
                    if info.name not in named and info.modified < limit:
                        yield directory, info.name, info.size
                marker = page.marker

    def remove(self, directory: str, name: str) -> bool:
        """Remove what no build names; whether there was something."""
        return self._objects.remove(directory, name)


def _pack(tree: Path, file: BinaryIO) -> None:
    """Files and symbolic links of a tree, without compiled files, as those do not count."""
    with tarfile.open(fileobj=file, mode="w:gz", format=tarfile.PAX_FORMAT, compresslevel=6) as archive:
        for node in sorted(nodes(tree), key=lambda node: node.name):
            member = tarfile.TarInfo(node.name)
            mode = node.status.st_mode
            if COMPILED in node.name.split("/"):
                continue
            if stat.S_ISLNK(mode):
                member.type, member.linkname = tarfile.SYMTYPE, os.readlink(node.path)
                archive.addfile(member)
            elif stat.S_ISREG(mode):
                member.size, member.mode = node.status.st_size, _MODES[bool(mode & 0o111)]
                with open(node.path, "rb") as content:
                    archive.addfile(member, content)


def _unpack(file: BinaryIO, tree: Path) -> None:
    """Nothing is written outside of the tree: links are made when all files are written."""
    links: dict[Path, str] = {}
    with tarfile.open(fileobj=file, mode="r:gz") as archive:
        for member in archive:
            if not _NO_PARTS.isdisjoint(member.name.split("/")) or "\0" in member.name:
                raise ValueError(f"{member.name[:100]!r} is not a valid file name in a tree")
            path = tree / member.name
            path.parent.mkdir(parents=True, exist_ok=True)
            if member.issym():
                links[path] = member.linkname
            elif member.isreg():
                with open(path, "xb") as target:
                    shutil.copyfileobj(cast("BinaryIO", archive.extractfile(member)), target, BLOCK)
                path.chmod(_MODES[bool(member.mode & 0o111)])
            else:
                raise ValueError(f"{member.name[:100]!r} is neither a file nor a symbolic link")
    for path, target_of in links.items():
        path.symlink_to(target_of)
