"""Refusals with an error code of the API: subclasses of the core's errors (API section 2.4)."""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator
from contextlib import contextmanager

from algo_core.errors import AlreadyExists, NotFoundError, PermissionDenied, PlatformError, RequestRefused

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_MISPLACED = frozenset(
    {
        *(errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENOENT, errno.ELOOP, errno.ENAMETOOLONG),
        *(errno.EACCES, errno.EPERM, errno.EROFS),
    }
)
"""Failures that are about the path or its permissions, and not about the disk."""


class _Coded:
    code: int

    def __init__(self, message: str, code: int, hint: str | None = None) -> None:
        super().__init__(message, hint)  # type: ignore[call-arg]  # AlgoError's, which each class below has as well
        self.code = code


class Missing(_Coded, NotFoundError):
    """The object does not exist."""


class Taken(_Coded, AlreadyExists):
    """The object exists already."""


class Invalid(_Coded, RequestRefused):
    """The request is invalid, or not possible now."""


class Forbidden(_Coded, PermissionDenied):
    """The caller lacks the permission."""


class ConditionFailed(RequestRefused):
    """A file is not, or no longer, as the condition of its replacement says; it stays as it is."""


class TooManyCalls(RequestRefused):
    """The account has reached its limit of concurrent calls."""


class StorageUnavailable(PlatformError):
    """The platform's own disk, database or object store cannot be used now; what was asked for was not done."""


class CommitUnknown(StorageUnavailable):
    """The database went away while a change was committed, and could not be asked whether it was."""


class StorageFull(StorageUnavailable):
    """There is no room on the disk."""


def storage_error(error: OSError, message: str) -> StorageUnavailable:
    """The refusal that a failure of the file system amounts to."""
    kind = StorageFull if error.errno in _FULL else StorageUnavailable
    hint = "Make room on the disk, or have it mended: algo local status"
    if error.errno in _MISPLACED:
        hint = "Name a place that is a directory, or can become one, and where this user may write"
    return kind(f"{message}: {error.strerror or error}", hint)


class CommonFailure:
    """Has threads that queue for a lock fail together: what the one before them waited for in vain, they need not."""

    def __init__(self) -> None:
        self._last: tuple[float, StorageUnavailable] | None = None

    @contextmanager
    def shared(self, began: float) -> Iterator[None]:
        """A block under the lock, for which a thread queued at `began` by the monotonic clock.

        Raises:
            StorageUnavailable: if the block of another thread has ended with it since.
        """
        if self._last and self._last[0] >= began:
            before = self._last[1]
            raise type(before)(before.message, before.hint)
        try:
            yield
        except StorageUnavailable as error:
            self._last = time.monotonic(), error
            raise
