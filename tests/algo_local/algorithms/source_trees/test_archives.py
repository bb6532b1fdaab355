"""Archives of sources take no more memory than what they may hold, whatever they claim."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import resource
import tarfile
import zipfile
from collections.abc import Callable

import pytest

from algo_local.algorithms.source_trees.archives import FILE, STREAM_BYTES, ZIP_DIRECTORY_BYTES, archive_entries
from algo_local.refusals import Invalid

ROOM = 1 << 30
"""Bytes by which the process may grow while it reads an archive."""


def plain() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as made:
        for name in ("src/A.py", "src/" + "ä" * 150 + ".py"):
            member = tarfile.TarInfo(name)
            member.size = 1
            made.addfile(member, io.BytesIO(b"x"))
    return packed.getvalue()


def header(kind: bytes, size: int) -> bytes:
    """A tar file's header that announces so many bytes of names or attributes, and they follow; compressed."""
    member = tarfile.TarInfo("././@LongLink")
    member.type, member.size = kind, size
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1) as file:
        file.write(member.tobuf(tarfile.GNU_FORMAT))
        for _ in range(size >> 20):
            file.write(bytes(1 << 20))
    return packed.getvalue()


def zipped(count: int) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as made:
        for number in range(count):
            made.writestr(f"src/{number}.py", b"x")
    return packed.getvalue()


def listing(count: int) -> bytes:
    """A zip file that is nothing but its list of files, each of them the same entry."""
    one = zipped(1)
    at = one.index(b"PK\1\2")
    end = one.rindex(b"PK\5\6")
    directory = one[at:end] * count
    return one[:at] + directory + one[end : end + 12] + len(directory).to_bytes(4, "little") + one[end + 16 :]


def larger(data: bytes) -> bytes:
    """The same zip file, with the marks of the form for more than 4 GiB."""
    end = data.rindex(b"PK\5\6")
    return data[:end] + b"PK\6\7" + bytes(16) + data[end:]


@pytest.mark.parametrize(
    "pack",
    [bytes, gzip.compress, bz2.compress, lzma.compress, lambda data: lzma.compress(data, lzma.FORMAT_ALONE)],
    ids=["plain", "gzip", "bzip2", "xz", "lzma"],
)
def test_a_tar_file_is_read_however_it_is_compressed(pack: Callable[[bytes], bytes]) -> None:
    found = archive_entries(io.BytesIO(pack(plain())))
    assert [(entry.mode, entry.content) for entry in found] == [(FILE, b"x")] * 2
    assert found[1].name == "src/" + "ä" * 150 + ".py"


def test_a_zip_file_with_a_comment_is_read() -> None:
    packed = io.BytesIO(zipped(3))
    with zipfile.ZipFile(packed, "a") as made:
        made.comment = b"comment" * 100
    assert len(archive_entries(packed)) == 3


BOMBS = {
    "attributes": lambda: header(tarfile.XHDTYPE, 2 * STREAM_BYTES),
    "a name": lambda: header(tarfile.GNUTYPE_LONGNAME, 2 * STREAM_BYTES),
    "a list": lambda: listing(ZIP_DIRECTORY_BYTES // 50),
    "a larger list": lambda: larger(listing(10)),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_what_unpacks_to_too_much_is_refused_before_it_is_unpacked(kind: str) -> None:
    packed = BOMBS[kind]()
    before = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as file:
        size = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + ROOM, before[1]))
    try:
        with pytest.raises(Invalid, match=r"when it is unpacked|lists too many files|for more than 4 GiB"):
            archive_entries(io.BytesIO(packed))
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
