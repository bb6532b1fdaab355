"""How transfers are to be carried out."""

from __future__ import annotations

from typing import NamedTuple

MOST = 64
"""Connections at once where nobody has set a limit, as many as the session keeps."""


class Options(NamedTuple):
    """How to go about it."""

    max_transfers: int | None = None
    """How many connections there may be at once; None leaves it to what the link and the machine give."""

    bwlimit: int | None = None
    """Bytes per second for all transfers together; None is no limit."""

    check: bool = True
    """Whether checksums are compared; lengths always are."""

    tries: int = 4
    """How often what broke off is tried again without getting further."""

    @property
    def most(self) -> int:
        """Connections that there may be at once."""
        return self.max_transfers or MOST
