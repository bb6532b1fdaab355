"""The plugin's hooks: connectors for stores that this machine reaches directly."""

from __future__ import annotations

from algo_core import Connector, hookimpl

_OPEN = "algo_connectors.common.opening:open_store"


@hookimpl
def algo_connectors() -> list[Connector]:
    """The four kinds of store that the platform knows (API section 4.2), and any other that fsspec knows."""
    return [
        Connector("s3", _OPEN, "Amazon S3 and compatible stores, reached directly.", labels=True, direct=True),
        Connector("azureblob", _OPEN, "Azure Blob Storage, reached directly.", labels=True, direct=True),
        Connector("gs", _OPEN, "Google Cloud Storage, reached directly.", labels=True, direct=True),
        Connector("dropbox", _OPEN, "Dropbox, reached directly.", labels=True, direct=True),
        Connector("*", _OPEN, "Any file system of fsspec, named by 'protocol' in [connectors.NAME].", direct=True),
    ]
