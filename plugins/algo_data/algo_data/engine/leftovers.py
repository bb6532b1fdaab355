"""Partial files of other transfers, which are not part of a tree, in any storage."""

from __future__ import annotations

import functools

from algo_core.storage.capabilities import LeftoverStorage
from algo_core.storage.contract import Storage
from algo_core.storage.uri import DataUri


@functools.cache
def _has_leftovers(kind: type[Storage]) -> bool:
    # Asked for each entry of a tree: a look into the storage's class takes longer than a look at a name.
    return issubclass(kind, LeftoverStorage)


def is_leftover(storage: Storage, uri: DataUri) -> bool:
    """Whether an entry is a partial file, by its name."""
    return _has_leftovers(type(storage)) and storage.is_leftover(uri)  # type: ignore[attr-defined]  # as just found out


def is_in_use(storage: Storage, uri: DataUri) -> bool:
    """Whether a process is writing this partial file."""
    return isinstance(storage, LeftoverStorage) and storage.is_in_use(uri)
