"""Refusals with an error code of the API: subclasses of the core's errors (API section 2.4)."""

from __future__ import annotations

import errno

from algo_core.errors import AlreadyExists, NotFoundError, PermissionDenied, PlatformError, RequestRefused

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


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


class StorageFull(StorageUnavailable):
    """There is no room on the disk."""


def storage_error(error: OSError, message: str) -> StorageUnavailable:
    """The refusal that a failure of the file system amounts to."""
    kind = StorageFull if error.errno in _FULL else StorageUnavailable
    return kind(f"{message}: {error.strerror or error}", "Make room on the disk, or have it mended: algo local status")
