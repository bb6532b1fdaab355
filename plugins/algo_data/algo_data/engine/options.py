"""How transfers are to be carried out."""

from __future__ import annotations

from typing import NamedTuple


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
