"""What `algo doctor` asks of this plugin."""

from __future__ import annotations

from acme_bundle.archive import open_archive
from algo_core import App
from algo_core.uri import DataUri


def check_archive() -> tuple[bool, str]:
    """Whether the archive answers, and lets us in. Raises AlgoError if not."""
    root = DataUri("acme", "")
    archive = open_archive(App(), root)
    archive.stat(root)
    return True, f"{archive.address} answers"
