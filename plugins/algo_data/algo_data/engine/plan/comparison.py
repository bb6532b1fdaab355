"""Decides whether an existing file is replaced, by the listings' attributes of both."""

from __future__ import annotations

import math

from algo_core.errors import AlgoError
from algo_core.storage.contract import Checksum
from algo_data.engine.attributes import Attributes
from algo_data.engine.io.blocks import BLOCK
from algo_data.engine.transfer import Place


def unseen(name: str) -> Attributes:
    """An entry that exists but could not be read: it counts as a file that is left alone."""
    return Attributes(name, False, None, None, _UNSEEN)


def is_unseen(attributes: Attributes | None) -> bool:
    """Whether an entry could not be read."""
    return attributes is not None and not attributes.is_directory and attributes.identity == _UNSEEN


_UNSEEN = "unseen"


def never(source: Attributes, target: Attributes) -> bool:
    """Never replace an existing file."""
    return False


def is_newer(source: Attributes, target: Attributes) -> bool:
    """Replace if the source was modified later, or either time is unknown.

    Whole seconds are compared: listings of the platform have no fractions (API section 4.4).
    """
    if source.modified is None or target.modified is None:
        return True
    return math.floor(source.modified) > math.floor(target.modified)


def differs(source: Attributes, target: Attributes) -> bool:
    """Replace if the size differs or the source is newer: a copy is never older than its source."""
    return source.size != target.size or source.size is None or is_newer(source, target)


def has_other_size(source: Attributes, target: Attributes) -> bool:
    """Replace if the size differs."""
    return source.size != target.size


def has_same_content(source: Place, target: Place) -> bool:
    """Whether checksums show that two files are the same; False if there are none.

    A checksum that a storage does not know is computed where the file can be read without moving it.

    Raises:
        AlgoError: if a file cannot be looked at.
    """
    one, other = source.storage.stat(source.uri).checksum, target.storage.stat(target.uri).checksum
    if one is None and other is None and source.uri.is_local and target.uri.is_local:
        one = _computed(source, "blake2b")
    if one is None and other is not None and source.uri.is_local:
        one = _computed(source, other.algorithm)
    if other is None and one is not None and target.uri.is_local:
        other = _computed(target, one.algorithm)
    return one is not None and one == other


def _computed(place: Place, algorithm: str) -> Checksum | None:
    import hashlib

    if algorithm not in hashlib.algorithms_available:
        return None
    digest, buffer = hashlib.new(algorithm, usedforsecurity=False), memoryview(bytearray(BLOCK))
    reader = place.storage.open(place.uri)
    try:
        while count := reader.readinto(buffer):
            digest.update(buffer[:count])
    except OSError as error:
        raise AlgoError(f"{place}: {error.strerror or error}") from error
    finally:
        reader.close()
    return Checksum(algorithm, digest.hexdigest())
