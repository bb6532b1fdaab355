"""What this plugin adds to `algo`. It is loaded often: import nothing heavy here."""

from __future__ import annotations

from algo_core import Connector, hookimpl

ALGO_API = ">=1,<2"


@hookimpl
def algo_connectors() -> list[Connector]:
    """`acme-archive://`."""
    return [
        Connector(
            "acme-archive",
            "acme_archive.storage:open_storage",
            help="Files of a shared directory.",
            direct=True,
        )
    ]
