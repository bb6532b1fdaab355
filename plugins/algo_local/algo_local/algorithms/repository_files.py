"""A repository's content as files: packed into archives, unpacked, and copied between directories.

Other processes may read the repository meanwhile. Files of git's objects never change, so new objects are added first,
and the branches after them, as in a push.
"""

from __future__ import annotations

import filecmp
import gzip
import os
import re
import shutil
import tarfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO, Literal, cast

from algo_core.files import replacing

_FILES = re.compile(
    r"HEAD|packed-refs|refs/.+|objects/[0-9a-f]{2}/[0-9a-f]{38}|objects/pack/pack-[0-9a-f]+\.(pack|idx|rev|bitmap)"
)
"""The files of a repository that are content: neither its settings nor programs that git would run."""

_DIRECTORIES = ("objects/info", "objects/pack", "refs/heads", "refs/tags")
_SETTINGS = b"[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n"
_OBJECTS = "objects/"
_GZIP = b"\x1f\x8b"
_NO_PARTS = frozenset({"", ".", ".."})
_BLOCK = 1 << 20
_KEEP_LAST = (".pack", ".idx")
"""A pack is there before its index, by which it is found."""


def make_bare(path: Path) -> None:
    """Make an empty bare repository, with settings and without the programs that git would run."""
    for part in _DIRECTORIES:
        (path / part).mkdir(parents=True, exist_ok=True, mode=0o700)
    if not (path / "config").exists():
        with replacing(path / "config", mode=0o600) as file:
            file.write(_SETTINGS)


def is_content(name: str) -> bool:
    """Whether a file of this name in a repository is content; locks of killed processes are not."""
    is_path = _NO_PARTS.isdisjoint(name.split("/")) and not name.endswith(".lock")
    return is_path and _FILES.fullmatch(name) is not None


def content_of(path: Path) -> Iterator[str]:
    """The names of a repository's files that are content."""
    pending = [""]
    while pending:
        parent = pending.pop()
        with os.scandir(path / parent) as found:
            entries = list(found)
        for one in entries:
            name = f"{parent}{one.name}"
            if one.is_dir(follow_symlinks=False):
                pending.append(f"{name}/")
            elif is_content(name) and one.is_file(follow_symlinks=False):
                yield name


def branches_of(path: Path) -> dict[str, bytes]:
    """The files with a repository's branches and tags, which say all that counts: objects follow from them."""
    return {name: (path / name).read_bytes() for name in content_of(path) if not name.startswith(_OBJECTS)}


def objects_of(path: Path) -> set[str]:
    """The names of the files with a repository's objects; what such a file holds never changes."""
    return {name for name in content_of(path) if name.startswith(_OBJECTS)}


def pack(path: Path, file: BinaryIO, without: Collection[str] = ()) -> None:
    """Write the content of a repository, `without` some of its files, as an archive, equal for equal content.

    Branches compress to a twentieth, since each of them is a file of its own.
    """
    with (
        gzip.GzipFile("", "wb", compresslevel=1, fileobj=file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name in sorted(set(content_of(path)).difference(without)):
            with open(path / name, "rb") as content:
                member = tarfile.TarInfo(name)
                member.size, member.mode = os.fstat(content.fileno()).st_size, 0o600
                archive.addfile(member, content)


def unpack(file: BinaryIO, path: Path, *, objects_only: bool = False) -> None:
    """Add the files of an archive to a repository, which may have some of the objects. ValueError or TarError if it
    holds anything else."""
    make_bare(path)
    with tarfile.open(fileobj=file, mode=_mode_of(file)) as archive:
        for member in archive:
            name = member.name
            if not member.isreg() or not is_content(name):
                raise ValueError(f"{name[:100]!r} is not a file of a repository")
            target = path / name
            is_object = name.startswith(_OBJECTS)
            if target.exists() if is_object else objects_only:
                continue
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with open(target, "xb") as copy:
                shutil.copyfileobj(cast("BinaryIO", archive.extractfile(member)), copy, _BLOCK)
    if not objects_only and not (path / "HEAD").exists():
        raise ValueError("it has no HEAD")


def _mode_of(file: BinaryIO) -> Literal["r:gz", "r:"]:
    """How an archive is read: older ones are not compressed."""
    beginning = file.read(len(_GZIP))
    file.seek(-len(beginning), os.SEEK_CUR)
    return "r:gz" if beginning == _GZIP else "r:"


def copy_to(path: Path, target: Path, *, objects_only: bool = False) -> None:
    """Make a repository with the same content, by hard links: files are replaced, never changed in place."""
    make_bare(target)
    for name in objects_of(path) if objects_only else content_of(path):
        (target / name).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            os.link(path / name, target / name)
        except OSError:  # a file system without links
            shutil.copyfile(path / name, target / name)


def bring_to(path: Path, draft: Path) -> None:
    """Give a repository the content of a draft, whose files are moved; others may read the repository meanwhile."""
    make_bare(path)
    wanted = set(content_of(draft))
    for name in sorted(wanted, key=_order):
        if not _is_same(draft / name, path / name):
            _make_way(path / name, path)
            _to_disk(draft / name)
            os.replace(draft / name, path / name)
    for name in sorted(set(content_of(path)) - wanted, key=_order, reverse=True):
        (path / name).unlink(missing_ok=True)


def _is_same(new: Path, old: Path) -> bool:
    return old.is_file() and (os.path.samefile(new, old) or filecmp.cmp(new, old, shallow=False))


def _to_disk(path: Path) -> None:
    """Flush a file: after a power failure, the next change begins with what is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _order(name: str) -> tuple[bool, int, str]:
    """Objects before branches, and packs before their indexes."""
    suffix = os.path.splitext(name)[1]
    return not name.startswith(_OBJECTS), _KEEP_LAST.index(suffix) if suffix in _KEEP_LAST else 0, name


def _make_way(target: Path, path: Path) -> None:
    """Where a branch `a` was, `a/b` may be now, and the reverse."""
    for parent in reversed(target.relative_to(path).parents):
        if (path / parent).is_file():
            (path / parent).unlink()
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if target.is_dir():
        shutil.rmtree(target)
