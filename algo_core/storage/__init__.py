"""Storages: the contract, the registry by scheme, and data URIs.

Plugins import these names from here; each is loaded on first use.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing's own would have to be imported
if TYPE_CHECKING:
    from typing import Any

    from algo_core.storage.contract import (
        Checksum,
        Entry,
        IncompleteListing,
        IsADirectory,
        Kind,
        NotADirectory,
        Reader,
        SizeMismatch,
        Source,
        Storage,
    )
    from algo_core.storage.registry import only_claim, open_storage

__all__ = [
    "Checksum",
    "Entry",
    "IncompleteListing",
    "IsADirectory",
    "Kind",
    "NotADirectory",
    "Reader",
    "SizeMismatch",
    "Source",
    "Storage",
    "only_claim",
    "open_storage",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from algo_core.storage import contract, registry

    return getattr(contract, name, None) or getattr(registry, name)
