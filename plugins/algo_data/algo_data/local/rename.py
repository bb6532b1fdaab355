"""Renames a local file, by the rules for writing to the new name."""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from algo_core.files import status_of
from algo_data.local.descriptors import descriptor_of


def rename(source: str, target: str) -> os.stat_result | None:
    """Rename a regular file, replacing an existing one; return its status.

    None if that is not possible (then nothing has been done): on another file system, for a link, for anything but a
    regular file, for an open descriptor (`/dev/stdout`), or for another reason, which copying will report. As with
    `open_partial_file`, a link at the target stays, and its target is replaced.
    """
    try:
        status = os.lstat(source)
        older = status_of(target, follow_symlinks=False)
        if older and stat.S_ISLNK(older.st_mode):
            if descriptor_of(target) is not None:
                return None
            target = os.path.realpath(target)
            older = status_of(target)
        if not stat.S_ISREG(status.st_mode) or (older and not stat.S_ISREG(older.st_mode)):
            return None
        if older and os.path.samestat(status, older):
            return None  # two names of one file: to rename one would leave both
        os.replace(source, target)
    except OSError:
        return None
    return status


def take_after(descriptor: int, model: os.stat_result) -> None:
    """Give a copy the permissions and times of its source, as far as the file system supports them.

    setuid and setgid bits are kept only if the owner is kept.
    """
    mode, status = stat.S_IMODE(model.st_mode), os.fstat(descriptor)
    if (status.st_uid, status.st_gid) != (model.st_uid, model.st_gid):
        mode &= ~(stat.S_ISUID | stat.S_ISGID)
    with suppress(OSError):
        os.fchmod(descriptor, mode)
    with suppress(OSError):
        os.utime(descriptor, ns=(model.st_atime_ns, model.st_mtime_ns))
