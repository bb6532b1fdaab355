"""The options of a copy, a move or a sync."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from algo_data.engine.attributes import Replaces
from algo_data.engine.selection import EVERYTHING, Selection
from algo_data.engine.transfer import Tally

MOST = 64
"""Default maximum number of concurrent connections, as many as the session keeps."""


def _nothing() -> None:
    """Abandon nothing: for storages without partial files."""


def _say_nothing(text: str) -> None:
    """Warn nobody."""


class CopyOptions(NamedTuple):
    """How files are copied: what is planned, and how it is carried out."""

    is_recursive: bool = False
    """Whether directories are copied with all that is in them."""

    flattens: bool = False
    """Whether files of all levels go straight into the destination."""

    selection: Selection = EVERYTHING
    """Which files take part; a sync leaves others alone on both sides."""

    replaces: Replaces | None = None
    """Whether a file replaces an existing one. None: a copy always does, a sync if size or time differ."""

    by_checksum: bool = False
    """Whether a sync compares files of one size by checksum, whatever their times."""

    is_dry: bool = False
    """Whether nothing is made, and only what would be done is planned."""

    removes_sources: bool = False
    """Whether a source is removed when its copy is whole."""

    keeps_existing: bool = False
    """Whether a file that another program writes meanwhile is kept, where the storage can tell."""

    tally: Tally | None = None
    """Counts the files that are left as they are."""

    max_transfers: int | None = None
    """Maximum number of concurrent connections; None adapts to the link and the machine."""

    bwlimit: int | None = None
    """Bytes per second for all transfers together; None is no limit."""

    check: bool = True
    """Whether checksums are compared; lengths always are."""

    tries: int = 4
    """How often a transfer that broke off is tried again without getting further."""

    abandon: Callable[[], None] = _nothing
    """Called when a run ends early, in each of its processes: removes the partial files of the transfers under way."""

    warn: Callable[[str], None] = _say_nothing
    """Told of what cannot be promised."""

    @property
    def most(self) -> int:
        """Maximum number of concurrent connections."""
        return self.max_transfers or MOST
