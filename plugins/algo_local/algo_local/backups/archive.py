"""The formats of backups: contents named by their digests, and a manifest, in a directory or a tar archive.

A directory holds `objects/ab/abcd...` and `manifest.json`; a file, or a stream, is a tar archive (compressed or not) of
the same names, with the manifest last.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import os
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol, cast

from algo_core.errors import UsageError
from algo_core.locks import acquire
from algo_local.backups.manifest import HEADER, LARGEST, MANIFEST, Damaged, Manifest, Part, header

BLOCK = 1 << 20
"""Block size in bytes."""

OBJECTS = "objects"
_LOCK = ".lock"
_PARTIAL = ".part-"
_DIGITS = 64
_OWN = {OBJECTS, MANIFEST, _LOCK}


class Readable(Protocol):
    """A readable stream."""

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes; empty at the end."""


class Stored(NamedTuple):
    """A content that was stored."""

    size: int
    sha256: str
    md5: str


class Sink(Protocol):
    """Takes the contents of a backup, each once, and then its manifest."""

    def scratch(self) -> Path:
        """A directory for temporary files."""

    def add(self, content: bytes | BinaryIO) -> Stored:
        """Store a content under its digest."""

    def finish(self, manifest: Manifest) -> None:
        """Store the manifest, which completes the backup."""


def object_name(sha256: str) -> str:
    """The name of a content in a backup."""
    return f"{OBJECTS}/{sha256[:2]}/{sha256}"


class Hashing:
    """Computes the digests of a content block by block."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False)
        self.size = 0

    def update(self, block: bytes) -> None:
        """Take in a block."""
        self._sha256.update(block)
        self._md5.update(block)
        self.size += len(block)

    def stored(self) -> Stored:
        """The digests of all blocks so far."""
        return Stored(self.size, self._sha256.hexdigest(), self._md5.hexdigest())


def copied(content: bytes | BinaryIO, write: Callable[[bytes], object]) -> Stored:
    """Copy a content with constant memory; its size and digests."""
    hashing = Hashing()
    for block in [content] if isinstance(content, bytes) else iter(lambda: content.read(BLOCK), b""):
        hashing.update(block)
        write(block)
    return hashing.stored()


class _Lines:
    """Lines as a file to read from."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        self._lines = lines
        self.count = 0

    def read(self, size: int) -> bytes:
        """Whole lines, about `size` bytes; empty at the end."""
        held: list[bytes] = []
        length = 0
        for line in self._lines:
            self.count += 1
            held.append(line)
            length += len(line)
            if length >= size:
                break
        return b"".join(held)


def add_lines(sink: Sink, lines: Iterator[bytes]) -> Part:
    """Store lines as a content."""
    reader = _Lines(lines)
    stored = sink.add(cast("BinaryIO", reader))
    return Part(reader.count, stored.sha256)


class DirectoryStore:
    """Contents and manifest in a directory that is private to its user. Existing contents are kept."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._added: set[bytes] = set()

    def begin(self) -> None:
        """Create the directory, or use one of an earlier backup. UsageError if it holds other files."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        others = [name for name in os.listdir(self.path) if name not in _OWN and not name.startswith(_PARTIAL)]
        if others:
            raise UsageError(
                f"{self.path} holds files that do not belong to a backup: {', '.join(sorted(others)[:3])}",
                "Name a new directory, or an empty one",
            )

    def scratch(self) -> Path:
        """A directory for temporary files, on the same file system."""
        scratch = self.path / OBJECTS
        scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
        return scratch

    def add(self, content: bytes | BinaryIO, expected: str = "") -> Stored:
        """Store a content under its digest; Damaged if that is not the expected one."""
        descriptor, partial = tempfile.mkstemp(prefix=_PARTIAL, dir=self.scratch())
        try:
            with open(descriptor, "wb", buffering=0) as file:
                stored = copied(content, lambda block: _write_all(file, block))
            if expected and stored.sha256 != expected:
                raise Damaged(f"The backup is damaged: the content {expected} has another digest")
            place = self.path / object_name(stored.sha256)
            if not self.has(stored):
                place.parent.mkdir(exist_ok=True, mode=0o700)
                os.replace(partial, place)
            self._added.add(bytes.fromhex(stored.sha256))
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(partial)
        return stored

    def has(self, stored: Stored) -> bool:
        """Whether a content of this digest and size is stored."""
        try:
            return os.lstat(self.path / object_name(stored.sha256)).st_size == stored.size
        except FileNotFoundError:
            return False

    def open(self, sha256: str) -> BinaryIO:
        """A content, to be checked by its reader. Damaged if it is missing, or no file."""
        try:
            descriptor = os.open(self.path / object_name(sha256), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except (FileNotFoundError, NotADirectoryError):
            raise Damaged(f"The backup is incomplete: the content {sha256} is missing") from None
        file = open(descriptor, "rb", buffering=0)  # noqa: SIM115 - handed to the caller
        if not os.path.isfile(descriptor):
            file.close()
            raise Damaged(f"The backup is damaged: the content {sha256} is not a file")
        return file

    def manifest(self) -> bytes:
        """The manifest as it is written. Damaged if there is none."""
        try:
            with open(self.path / MANIFEST, "rb") as file:
                return file.read(LARGEST)
        except (FileNotFoundError, IsADirectoryError):
            raise Damaged(
                "The backup is incomplete: it has no manifest", "Run the backup again: it continues"
            ) from None

    def finish(self, manifest: Manifest) -> None:
        """Replace the manifest, when all contents are on the disk; then remove those of earlier backups."""
        os.sync()
        descriptor, partial = tempfile.mkstemp(prefix=_PARTIAL, dir=self.path)
        try:
            with open(descriptor, "wb") as file:
                file.write(manifest.written())
                file.flush()
                os.fsync(descriptor)
            os.replace(partial, self.path / MANIFEST)
        except BaseException:
            os.unlink(partial)
            raise
        self._remove_others()

    def _remove_others(self) -> None:
        """Remove contents of earlier backups, and leftovers of killed ones."""
        for directory, _, names in os.walk(self.path, followlinks=False):
            for name in names:
                is_unused = len(name) == _DIGITS and bytes.fromhex(name) not in self._added
                if is_unused or name.startswith(_PARTIAL):
                    os.unlink(os.path.join(directory, name))


def _write_all(file: io.RawIOBase | BinaryIO, block: bytes) -> None:
    view = memoryview(block)
    while view:
        view = view[file.write(view) :]


class TarSink:
    """Contents and manifest as a tar archive, written in one go."""

    IN_MEMORY = 4 * BLOCK

    def __init__(self, file: BinaryIO, schema: int, scratch: Path) -> None:
        """`scratch` holds one large content at a time, until its digest is known."""
        self._scratch = scratch
        self._file = file
        self._names: set[bytes] = set()
        self._put(HEADER, io.BytesIO(content := header(schema)), len(content))

    def scratch(self) -> Path:
        """The directory for temporary files."""
        return self._scratch

    def add(self, content: bytes | BinaryIO) -> Stored:
        """Write a content under its digest, unless it was written before."""
        with tempfile.SpooledTemporaryFile(self.IN_MEMORY, dir=str(self._scratch)) as spool:
            stored = copied(content, spool.write)
            if (key := bytes.fromhex(stored.sha256)) not in self._names:
                spool.seek(0)
                self._put(object_name(stored.sha256), spool, stored.size)
                self._names.add(key)
        return stored

    def finish(self, manifest: Manifest) -> None:
        """Write the manifest, and the end of the archive."""
        self._put(MANIFEST, io.BytesIO(content := manifest.written()), len(content))
        self._file.write(bytes(2 * tarfile.BLOCKSIZE))

    def _put(self, name: str, content: Readable, size: int) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode = size, 0o600
        self._file.write(member.tobuf(tarfile.GNU_FORMAT))
        while block := content.read(BLOCK):
            self._file.write(block)
        self._file.write(bytes(-size % tarfile.BLOCKSIZE))


def compressing(file: BinaryIO) -> gzip.GzipFile:
    """A file to write to, whose bytes are compressed into another one."""
    return gzip.GzipFile(filename="", mode="wb", fileobj=file, compresslevel=6, mtime=0)


class _Begun:
    """A stream whose first bytes were read already."""

    def __init__(self, begin: bytes, stream: Readable) -> None:
        self._begin = begin
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes; empty at the end."""
        if self._begin:
            block, self._begin = self._begin[:size], self._begin[size:]
            return block
        return self._stream.read(size)


class _Member:
    """A file in an archive, read from the stream."""

    def __init__(self, stream: Readable, size: int) -> None:
        self._stream = stream
        self._left = size

    def read(self, size: int) -> bytes:
        """`size` bytes, or fewer at the end of the file. Damaged if the archive ends before."""
        wanted = min(size, self._left)
        self._left -= wanted
        blocks = []
        while wanted:
            if not (block := self._stream.read(wanted)):
                raise Damaged("The archive is incomplete: it ends too early")
            blocks.append(block)
            wanted -= len(block)
        return b"".join(blocks)


def _block(stream: Readable) -> bytes:
    return _Member(stream, tarfile.BLOCKSIZE).read(tarfile.BLOCKSIZE)


def members(file: BinaryIO) -> Iterator[tuple[str, BinaryIO]]:
    """The files of a tar archive, compressed or not, one after the other. Damaged for other members, or a wrong end.

    `tarfile` is not used, because it reads names and extensions of any size into memory, and accepts links and sparse
    files.
    """
    begin = file.read(2)
    stream: Readable = _Begun(begin, file)
    if begin == b"\x1f\x8b":
        stream = gzip.GzipFile(fileobj=cast("BinaryIO", stream), mode="rb")
    try:
        while (block := _block(stream)) != bytes(tarfile.BLOCKSIZE):
            member = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
            if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
                raise Damaged(f"The archive is not a backup: {member.name[:100]!r} is not a plain file")
            content = _Member(stream, member.size)
            yield member.name, cast("BinaryIO", content)
            while content.read(BLOCK):
                pass
            _Member(stream, BLOCK).read(-member.size % tarfile.BLOCKSIZE)
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise Damaged(f"The archive is damaged or incomplete: {error}") from None


def is_backup(path: Path) -> bool:
    """Whether a file is an archive of a backup, complete or not."""
    with contextlib.suppress(Damaged), open(path, "rb") as file:
        return next(members(file), ("", None))[0] == HEADER
    return False


@contextlib.contextmanager
def exclusively(path: Path) -> Iterator[bool]:
    """Lock a directory within the block; False, and not locked, if another process has it."""
    descriptor = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield acquire(descriptor) is not False
    finally:
        os.close(descriptor)
