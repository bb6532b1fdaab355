"""Whether a storage has stored what it was sent, if its answer gives a checksum.

That is known only when everything has been sent, and many storages give none. Hence nothing is computed before, so that
those cost nothing: then bytes in memory are hashed, and a file of this machine is read once more. What would have to be
fetched again from elsewhere is compared by the checksum that was given with it, or not at all.
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
    """Compare the checksum of what was written, if there is one, with that of what was sent.

    Raises:
        Corrupted: if it is another. What is stored then is nobody's file, and was removed if it was still there.
    """
    if written.checksum is None or (digest := hasher(written.checksum)) is None:
        return
    for block in sent:
        digest.update(block)
    _compare(target, written.checksum, digest.hexdigest())


def confirm_source(transfer: Transfer, source: FileSource, written: Entry, advanced: Advanced) -> None:
    """The same for a source that was read to its end, if its checksum is known or can be had without moving it.

    Raises:
        Corrupted: as `confirm` does.
        CannotResume, AlgoError: if the source was changed meanwhile, so that nobody can tell any more.
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
    """Remove what was stored, unless something else has been stored there meanwhile; whether it has gone."""
    try:
        if target.storage.stat(target.uri).checksum != stored:
            return False
        target.storage.remove(target.uri)
    except AlgoError:
        return False
    return True
