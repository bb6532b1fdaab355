"""A hidden partial file in the directory of the file that it will replace.

It is locked while it is written. One left behind by a killed process is not locked, and the next writer of the same
file takes it over: a large file is resumed if the progress record has the same version.
"""

from __future__ import annotations

import errno
import json
import os
import stat

from algo_core.files import status_of
from algo_core.locks import acquire
from algo_data.local.descriptors import descriptor_of
from algo_data.local.rename import take_after

SUFFIX = ".algo-part"
RANDOM_BYTES = 6
"""Number of random bytes, in hexadecimal, in the alternative name if the usual one is taken."""

NAME_LIMIT = 255 - 2 * RANDOM_BYTES
RECORD_LIMIT = 4096

_unfinished: set[str] = set()


class LocalPartialFile:
    """A file opened for writing under a hidden name; `commit` renames it, `discard` removes it.

    It gets the permissions of the `older` file that it replaces, or permissions and times of a `model`.

    Raises:
        OSError: if it cannot be created: missing directory, no permission, ...
    """

    def __init__(self, path: str, older: os.stat_result | None, model: os.stat_result | None = None) -> None:
        self._path = path
        self._older = older
        self._model = model
        head, slash, name = path.rpartition("/")
        self._partial_path = f"{head}{slash}{hidden_name(name)}"
        self.is_left_over = False
        """Whether it was left by a killed process."""
        try:
            self.descriptor = self._create()
        except OSError as error:
            _unfinished.discard(self._partial_path)
            raise OSError(error.errno, error.strerror, path) from None

    def _create(self) -> int:
        # The new file gets the old one's permissions when it is complete; until then it is private.
        mode = 0o600 if self._older or self._model else 0o666
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        usual = self._partial_path
        while True:
            _unfinished.add(self._partial_path)
            try:
                descriptor = os.open(self._partial_path, flags | os.O_EXCL, mode)
            except FileExistsError:
                if self._partial_path == usual and (found := self._take_over(flags)) is not None:
                    return found
            else:
                if acquire(descriptor) is not False and os.fstat(descriptor).st_nlink:
                    return descriptor
                os.close(descriptor)  # another process took it over, or removed it, before it was locked
            _unfinished.discard(self._partial_path)
            import secrets

            self._partial_path = usual + secrets.token_hex(RANDOM_BYTES)

    def _take_over(self, flags: int) -> int | None:
        """Open the existing one, unless another process writes it or it belongs to another user."""
        try:
            descriptor = os.open(self._partial_path, flags & ~os.O_CREAT)
        except OSError:
            return None
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and acquire(descriptor):
            try:
                if os.path.samestat(status, os.lstat(self._partial_path)):
                    self.is_left_over = True
                    return descriptor
            except FileNotFoundError:
                pass
        os.close(descriptor)
        return None

    def record(self, source: str, version: str, size: int) -> Record:
        """The progress record for a source of `size` bytes and this version."""
        return Record(self.descriptor, source, version, size)

    @property
    def is_new(self) -> bool:
        """Whether there is no older file."""
        return self._older is None

    def commit(self) -> os.stat_result:
        """Give it its name; return its status."""
        if self._model:
            take_after(self.descriptor, self._model)
        elif self._older:
            os.fchmod(self.descriptor, stat.S_IMODE(self._older.st_mode))
        status = os.fstat(self.descriptor)
        os.replace(self._partial_path, self._path)
        _unfinished.discard(self._partial_path)
        os.close(self.descriptor)
        return status

    def discard(self, *, in_use: bool = False) -> None:
        """Remove it; with `in_use` it stays open, because another thread may still write to it."""
        _remove(self._partial_path)
        if not in_use:
            os.close(self.descriptor)


class Record:
    """The progress record at the end of a large partial file: source version and bytes written.

    It follows the `size` bytes of the file itself. Data written before a reboot does not count: it may not have reached
    the disk.
    """

    def __init__(self, descriptor: int, source: str, version: str, size: int) -> None:
        self._descriptor = descriptor
        self._size = size
        self._members = {"source": source, "version": version, "size": size, "boot": _boot()}

    def done(self) -> int:
        """Bytes already written, from the beginning."""
        try:
            found = json.loads(os.pread(self._descriptor, RECORD_LIMIT, self._size))
            done = found.pop("done")
        except (OSError, ValueError, KeyError, AttributeError):
            return 0
        return done if found == self._members and isinstance(done, int) and 0 <= done <= self._size else 0

    def write(self, done: int) -> None:
        """Record that the first `count` bytes are written."""
        # Of one length, so that a shorter one leaves nothing of a longer one behind.
        text = json.dumps({**self._members, "done": done})
        os.pwrite(self._descriptor, text.encode().ljust(RECORD_LIMIT), self._size)


def open_partial_file(path: str, model: os.stat_result | None = None) -> LocalPartialFile | None:
    """A partial file for a path; a link is followed: its target is replaced and the link stays.

    None for devices, pipes, sockets and the process's open descriptors (`/dev/stdout`): these are written to directly
    (`algo_data.local.descriptors.open_directly`).

    Raises:
        IsADirectoryError: if it is a directory.
        OSError: for any other error of the system.
    """
    if path.startswith(("/dev/", "/proc/")) and descriptor_of(path) is not None:
        return None  # also where nothing is open: to say that is better than that a directory is missing
    older = status_of(path, follow_symlinks=False)
    if older and stat.S_ISLNK(older.st_mode):
        if descriptor_of(path) is not None:
            return None
        path = os.path.realpath(path)
        older = status_of(path)
    if older and stat.S_ISDIR(older.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if older and not stat.S_ISREG(older.st_mode):
        return None
    return LocalPartialFile(path, older, model)


def discard_all() -> None:
    """Remove all partial files of this process, when it ends early."""
    for path in list(_unfinished):
        _remove(path)


def room_for(path: str, size: int) -> None:
    """Raises OSError (ENOSPC) if there is no space for a file of this size."""
    try:
        found = os.statvfs(os.path.dirname(path) or ".")
    except OSError:
        return
    if found.f_blocks > 0 and found.f_bavail * found.f_frsize < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)


def _remove(path: str) -> None:
    _unfinished.discard(path)
    try:
        os.unlink(path)
    except OSError:
        pass  # gone, or in a directory that has become read-only


def hidden_name(name: str) -> str:
    """The usual hidden name for a file."""
    hidden = f".{name}{SUFFIX}"
    if len(hidden) * 4 <= NAME_LIMIT or len(os.fsencode(hidden)) <= NAME_LIMIT:
        return hidden
    import hashlib

    digest = hashlib.sha256(os.fsencode(name)).hexdigest()
    return f".{digest}{SUFFIX}"


def _boot() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return file.read().strip()
    except OSError:
        return ""
