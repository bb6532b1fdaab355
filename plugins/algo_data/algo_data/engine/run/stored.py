"""Verifies stored content, if the storage returns a checksum.

The checksum is known only at the end, and many storages return none. So nothing is computed in advance: at the end,
bytes in memory are hashed, and a local file is read again. A remote source is compared by its own checksum, or not at
all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from algo_core.errors import AlgoError
from algo_core.storage.contract import Checksum, Entry
from algo_data.engine.failures import StoredDamaged
from algo_data.engine.io.blocks import blocks
from algo_data.engine.io.digest import hasher
from algo_data.engine.io.source import Advanced, CannotResume, FileSource
from algo_data.engine.io.streams import StandardStreams
from algo_data.engine.transfer import Place, Transfer


def confirm(target: Place, written: Entry, sent: Iterable[bytes | memoryview]) -> None:
    """Compare the checksum of the written content, if there is one, with that of the sent content.

    Raises:
        Corrupted: if they differ. The stored file is then removed, unless it was replaced.
    """
    if written.checksum is None or (digest := hasher(written.checksum)) is None:
        return
    for block in sent:
        digest.update(block)
    _compare(target, written.checksum, digest.hexdigest())


def confirm_source(transfer: Transfer, source: FileSource, written: Entry, advanced: Advanced) -> None:
    """The same for a source that was read to its end, if its checksum is known or can be computed locally.

    Raises:
        Corrupted: as `confirm` does.
        CannotResume, AlgoError: if the source was changed in the meantime, so that it cannot be compared.
    """
    stored, known = written.checksum, source.entry.checksum
    if stored is None:
        return
    if known and known.algorithm == stored.algorithm:
        _compare(transfer.target, stored, known.digest)
        return
    is_standard_input = isinstance(transfer.source.storage, StandardStreams) and source.seekable()
    if is_standard_input or source.again():
        source.hand_over()
        if is_standard_input:
            source.seek(0)
        confirm(transfer.target, written, _watched(source, advanced))


def _watched(source: FileSource, advanced: Advanced) -> Iterator[memoryview]:
    try:
        for block in blocks(source, source.entry.size):
            advanced(source.tell(), source.entry.size)
            yield block
    except CannotResume:
        raise
    except AlgoError as error:  # it was changed: what was sent cannot be read any more
        raise CannotResume(error.message, error.hint) from error


def _compare(target: Place, stored: Checksum, sent: str) -> None:
    if stored.digest == sent:
        return
    removed = _is_removed(target, stored)
    raise StoredDamaged(target, stored.algorithm, sent, stored.digest, is_removed=removed)


def _is_removed(target: Place, stored: Checksum) -> bool:
    """Remove the stored file, unless it was replaced in the meantime; return whether it was removed."""
    try:
        if target.storage.stat(target.uri).checksum != stored:
            return False
        target.storage.remove(target.uri)
    except AlgoError:
        return False
    return True
