"""Human-readable sizes, and their option."""

from __future__ import annotations

import click

human_option = click.option(
    "-h", "--human", "--human-readable", "is_human", is_flag=True, help="Show sizes in KiB, MiB, GiB."
)
"""`-h` means human-readable, as in `ls` and `du`, not help."""


def human(count: float) -> str:
    """A number of bytes in binary units, in at most 10 characters."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
