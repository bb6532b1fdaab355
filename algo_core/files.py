"""Local files: existence checks that report errors, and atomic replacement."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from pathlib import Path


def status_of(path: Path | str | bytes, *, follow_symlinks: bool = True) -> os.stat_result | None:
    """The status of a path; None only if nothing exists there, or it is a dangling link.

    `os.path.exists` and its like take every failure for absence; code that depends on absence must use this.

    Raises:
        OSError: if the system cannot tell whether it exists (EACCES, ELOOP, ENAMETOOLONG, EIO, ...).
    """
    try:
        return os.stat(path, follow_symlinks=follow_symlinks)
    except (FileNotFoundError, NotADirectoryError):
        return None


def matching(pattern: str) -> Iterator[str]:
    """The paths that match a pattern (`*`, `?`, `[...]`, and `**` for directories of any depth), in no order.

    Unlike `glob.glob`, it does not skip directories that cannot be listed.

    Raises:
        OSError: if a directory cannot be listed, or the type of an entry cannot be determined.
    """
    yield from _matching("", pattern.split("/"))


def _matching(above: str, parts: list[str]) -> Iterator[str]:
    from fnmatch import fnmatchcase

    first, rest = parts[0], parts[1:]
    if not rest and first != ANY_DEPTH and _MAGIC.isdisjoint(first):
        if status_of(above + first) is not None:
            yield above + first
        return
    if _MAGIC.isdisjoint(first):
        yield from _matching(f"{above}{first}/", rest)
        return
    if first == ANY_DEPTH:
        yield from _matching(above, rest or ["*"])
    status = status_of(above or ".")
    if status is None or not stat.S_ISDIR(status.st_mode):
        return
    with os.scandir(above or ".") as found:
        entries = [(entry.name, entry.is_dir(), entry.is_symlink()) for entry in found]
    for name, is_directory, is_link in entries:
        if name.startswith(".") and not first.startswith("."):
            continue
        if first == ANY_DEPTH:
            if is_directory and not is_link:
                yield from _matching(f"{above}{name}/", parts)
        elif fnmatchcase(name, first):
            if not rest:
                yield above + name
            elif is_directory:
                yield from _matching(f"{above}{name}/", rest)


ANY_DEPTH = "**"
_MAGIC = frozenset("*?[")


@contextmanager
def replacing(
    path: Path | str, *, mode: int | None = None, durable: bool = False, only_if_new: bool = False
) -> Iterator[BinaryIO]:
    """Open a file that replaces `path` atomically when the block ends without an error.

    The content is written to a hidden file in the same directory, which is then renamed; after an error it is removed
    and the existing file is unchanged. A link is followed: its target is replaced and the link stays. Devices, pipes
    and sockets are written to directly. `mode` sets the permission bits; without it an older file's are kept and a new
    one gets what the umask allows. `durable` waits until the bytes are on the disk. With `only_if_new` the first of
    several writers wins, and a file that exists stays.

    Raises:
        FileExistsError: with `only_if_new`, if the file exists by then.
        OSError: whatever the file system answers; nothing is left behind.
    """
    target = os.path.realpath(path)
    older = status_of(target)
    if older and not stat.S_ISREG(older.st_mode) and not stat.S_ISDIR(older.st_mode):
        with open(target, "wb") as device:
            yield device
        return
    if older and stat.S_ISDIR(older.st_mode):
        raise IsADirectoryError(21, os.strerror(21), str(path))
    if mode is None and older:
        mode = stat.S_IMODE(older.st_mode)
    try:
        descriptor, partial = _new_beside(target, 0o666 if mode is None else 0o600)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    try:
        with open(descriptor, "wb") as file:
            yield file
            file.flush()
            if durable:
                os.fsync(file.fileno())
        if mode is not None:
            os.chmod(partial, mode)
        if only_if_new:
            os.link(partial, target)
            os.unlink(partial)
        else:
            os.replace(partial, target)
    except BaseException:
        try:
            os.unlink(partial)
        except FileNotFoundError:
            pass
        raise


def _new_beside(target: str, mode: int) -> tuple[int, str]:
    """A new hidden file in the same directory, open to be written; the umask takes its part of the mode."""
    head, name = os.path.split(target)
    while True:
        partial = os.path.join(head, f".{name[:40]}.{os.urandom(6).hex()}.part")
        try:
            return os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _OPEN_FLAGS, mode), partial
        except FileExistsError:
            continue


_OPEN_FLAGS = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
