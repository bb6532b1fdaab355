"""What a storage can do beyond its contract so that large files move faster; one that cannot is read in one stream."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from algo_core.storage.contract import Reader
from algo_core.storage.uri import DataUri
from algo_data.local.partial_file import Beside


@runtime_checkable
class PartedStorage(Protocol):
    """A storage from which parts of a file can be read at the same time."""

    def open_part(self, uri: DataUri, offset: int, length: int, version: str) -> Reader:
        """Open `length` bytes of a file from a byte offset, if its content is still of this version.

        `Reader.offset` and `Reader.entry` say what happened, as for `Storage.open`. Raises what `Storage.open` raises.
        """


@runtime_checkable
class PlacingStorage(Protocol):
    """A storage that can be written in any order."""

    def place(self, uri: DataUri, size: int) -> Beside | None:
        """A file that takes its name when it is whole; None where only a stream can be written.

        Raises what `Storage.write` raises, also if there is no room for `size` bytes.
        """
