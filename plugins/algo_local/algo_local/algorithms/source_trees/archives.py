"""Source trees in tar and zip archives, as entries that cannot lie outside the tree."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import BinaryIO, NamedTuple, cast

from algo_local.algorithms.source_trees.sources import MAX_FILES
from algo_local.error_codes import ErrorCode
from algo_local.refusals import Invalid

ARCHIVE_BYTES = 128 << 20
"""Largest archive that is taken."""

CONTENT_BYTES = 128 << 20
"""Largest sum of what the files in an archive hold."""

STREAM_BYTES = 2 * CONTENT_BYTES
"""Most that is unpacked of a tar file: contents, and headers."""

ZIP_DIRECTORY_BYTES = 8 << 20
"""Largest list of files in a zip file."""

_ZIP_END_BYTES = 22 + 20 + 0xFFFF
"""Where the end of a zip file begins at the latest: its record, what precedes it, and the longest comment."""

FILE = 0o100644
PROGRAM = 0o100755
LINK = 0o120000
"""The modes that git has for what a tree holds."""


class TreeEntry(NamedTuple):
    """A file or symbolic link of a source tree."""

    name: str
    """With `/` between the parts, none of which is empty, `.`, `..` or `.git`."""
    mode: int
    content: bytes
    """The content; of a symbolic link, its target."""


def archive_entries(file: BinaryIO) -> list[TreeEntry]:
    """The entries of a tar file (plain or compressed) or a zip file, without a common top directory.

    Raises:
        Invalid: if it is no such archive, is damaged or too large, or holds what no source tree can hold.
    """
    try:
        found = list(_zip_entries(file) if zipfile.is_zipfile(file) else _tar_entries(file))
    except Invalid:
        raise
    except Exception as error:  # damaged archives make these modules, and what they decompress with, raise anything
        raise _refusal(f"The archive cannot be read: {error}") from None
    if not found:
        raise _refusal("The archive holds no files")
    return _unwrapped(found)


def checked_name(name: str) -> str:
    """The name of an entry without a leading `./`. Invalid if it is none, or leads out of the tree."""
    parts = [part for part in name.split("/") if part not in {"", "."}]
    if name.startswith("/") or "\\" in name or "\0" in name or not parts:
        raise _refusal(f"Not a name in a source tree: {name[:100]!r}")
    if any(part == ".." or part.lower() == ".git" for part in parts):
        raise _refusal(f"Not a name in a source tree: {name[:100]!r}")
    try:
        "/".join(parts).encode("utf-8")
    except UnicodeEncodeError:
        raise _refusal(f"Not a name in UTF-8: {name[:100]!r}") from None
    return "/".join(parts)


def _tar_entries(file: BinaryIO) -> Iterator[TreeEntry]:
    budget = _Budget()
    file.seek(0)
    with _unpacked(file) as unpacked, tarfile.open(fileobj=cast("BinaryIO", _Bounded(unpacked)), mode="r:") as archive:
        for member in archive:
            if member.isdir():
                continue
            name = checked_name(member.name)
            budget.count(name, member.size)
            if member.issym():
                yield TreeEntry(name, LINK, member.linkname.encode("utf-8", "surrogateescape"))
            elif member.isfile() or member.islnk():
                packed = archive.extractfile(member)
                assert packed is not None
                content = packed.read(CONTENT_BYTES + 1)
                budget.count(name, len(content) if member.islnk() else 0, files=0)
                yield TreeEntry(name, PROGRAM if member.mode & 0o111 else FILE, content)
            else:
                raise _refusal(f"{name} is neither a file, nor a directory, nor a symbolic link")


def _zip_entries(file: BinaryIO) -> Iterator[TreeEntry]:
    budget = _Budget()
    _check_directory(file)
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            if member.is_dir():
                continue
            name = checked_name(member.filename)
            budget.count(name, member.file_size)
            with archive.open(member) as packed:  # which reads no more than the announced size
                content = packed.read(CONTENT_BYTES + 1)
            mode = member.external_attr >> 16
            yield TreeEntry(name, LINK if stat.S_ISLNK(mode) else PROGRAM if mode & 0o111 else FILE, content)


def _unpacked(file: BinaryIO) -> AbstractContextManager[BinaryIO]:
    """The decompressed content of a file, or the file itself."""
    begin = file.read(6)
    file.seek(0)
    if begin.startswith(b"\x1f\x8b"):
        return cast("AbstractContextManager[BinaryIO]", gzip.GzipFile(fileobj=file))
    if begin.startswith(b"BZh"):
        return cast("AbstractContextManager[BinaryIO]", bz2.BZ2File(file))
    if begin == b"\xfd7zXZ\0" or begin.startswith(b"\x5d\0\0"):
        return cast("AbstractContextManager[BinaryIO]", lzma.LZMAFile(file))
    return nullcontext(file)


class _Bounded:
    """A file that is read up to `STREAM_BYTES`: what is compressed may be a thousand times as large as it arrived.

    A tar file is larger than what its files hold by headers, each of which its reader takes as a whole.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int) -> bytes:
        self._check(self._file.tell() + size)
        return self._file.read(size)

    def seek(self, position: int) -> int:
        self._check(position)
        return self._file.seek(position)

    def tell(self) -> int:
        return self._file.tell()

    def _check(self, end: int) -> None:
        if not 0 <= end <= STREAM_BYTES:
            raise _refusal(f"The archive is larger than {STREAM_BYTES >> 20} MiB when it is unpacked")


def _check_directory(file: BinaryIO) -> None:
    """Refuse a zip file whose list of files, which its reader takes as a whole, is too large for its memory."""
    file.seek(0, os.SEEK_END)
    size = file.tell()
    file.seek(max(0, size - _ZIP_END_BYTES))
    end = file.read()
    at = end.rfind(b"PK\5\6")
    # The larger form of zip files is for sizes that none has which is taken.
    if at < 0 or len(end) < at + 16 or end[max(0, at - 20) : at].startswith(b"PK\6\7"):
        raise _refusal("The zip file has no end, or one of the form for more than 4 GiB")
    if int.from_bytes(end[at + 12 : at + 16], "little") > ZIP_DIRECTORY_BYTES:
        raise _refusal("The zip file lists too many files")
    file.seek(0)


class _Budget:
    """The number of entries and bytes that an archive may still have."""

    def __init__(self) -> None:
        self._files, self._bytes = MAX_FILES, CONTENT_BYTES

    def count(self, name: str, size: int, *, files: int = 1) -> None:
        self._files -= files
        self._bytes -= size
        if self._files < 0 or self._bytes < 0:
            raise _refusal(
                f"The archive is too large from {name[:100]!r} on (over {MAX_FILES} files, or"
                f" {CONTENT_BYTES >> 20} MiB of content); large models belong in hosted data"
            )


def _unwrapped(entries: list[TreeEntry]) -> list[TreeEntry]:
    """The entries without the top directory that all names of an archive have in common."""
    first = entries[0].name.partition("/")[0] + "/"
    if first == "src/" or not all(entry.name.startswith(first) for entry in entries):
        return entries
    return [entry._replace(name=entry.name[len(first) :]) for entry in entries]


def _refusal(message: str) -> Invalid:
    return Invalid(message, ErrorCode.INVALID_FILE_UPLOAD)
