"""Writes a file at its target: with `--no-clobber` only if there is none at the moment at which it becomes visible."""

from __future__ import annotations

import io

from algo_core.errors import AlreadyExists
from algo_core.storage.capabilities import ConditionalStorage, ConditionsIgnored
from algo_core.storage.contract import Entry, Source, Storage
from algo_data.engine.failures import Kept
from algo_data.engine.options import CopyOptions
from algo_data.engine.transfer import Place


def creates(storage: Storage, options: CopyOptions) -> bool:
    """Whether files are written on the condition that there is none yet."""
    return options.keeps_existing and isinstance(storage, ConditionalStorage)


def write(target: Place, source: Source, size: int | None, options: CopyOptions) -> Entry:
    """`Storage.write`. Raises Kept if another program has written the file since it was planned."""
    return _created(target, source, size, options) or target.storage.write(target.uri, source, size)


def write_small(target: Place, content: bytes, options: CopyOptions) -> Entry:
    """`Storage.write_small`. Raises what `write` raises."""
    created = _created(target, io.BytesIO(content), len(content), options) if options.keeps_existing else None
    return created or target.storage.write_small(target.uri, content)


def _created(target: Place, source: Source, size: int | None, options: CopyOptions) -> Entry | None:
    if not options.keeps_existing or not isinstance(target.storage, ConditionalStorage):
        return None
    try:
        return target.storage.write_if(target.uri, source, size, version=None)
    except AlreadyExists:
        raise Kept(target) from None
    except ConditionsIgnored as error:
        options.warn(ignored(error))
        return None


def ignored(error: ConditionsIgnored) -> str:
    """What a store that ignores conditions means for the files."""
    return f"{error.message}: a file that another program writes at the same time is replaced"
