"""Giving a file of this machine another name, by the rules that hold for writing to that name."""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from algo_core.files import status_of
from algo_data.local.descriptors import descriptor_of


def rename(source: str, target: str) -> os.stat_result | None:
    """Rename an ordinary file, in the place of an older one if there is one; what the file system knows of it.

    None if that cannot be done, and nothing has been done then: on another file system, for a link, for what is no
    ordinary file or has been given to this process open (`/dev/stdout`), or for any other reason, which copying it
    will tell. As with `open_partial_file` a link at the target
    stays, and what it leads to is replaced.
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
    """Give a file the permissions and times of the one that it is a copy of, as far as the file system has them.

    What lets others act as the owner (setuid, setgid) goes with the owner only.
    """
    mode, status = stat.S_IMODE(model.st_mode), os.fstat(descriptor)
    if (status.st_uid, status.st_gid) != (model.st_uid, model.st_gid):
        mode &= ~(stat.S_ISUID | stat.S_ISGID)
    with suppress(OSError):
        os.fchmod(descriptor, mode)
    with suppress(OSError):
        os.utime(descriptor, ns=(model.st_atime_ns, model.st_mtime_ns))
