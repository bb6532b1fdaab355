"""Opens the storage for a scheme and its options."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from algo_connectors.common.options import ConnectorOptions
from algo_core.errors import ConfigError
from algo_core.terminal import stray

if TYPE_CHECKING:
    from algo_core.storage.contract import Storage

STORES: dict[str, tuple[str, str]] = {
    "s3": ("algo_connectors.s3:open_s3", "botocore"),
    "azureblob": ("algo_connectors.azureblob:open_azureblob", "adlfs"),
    "gs": ("algo_connectors.gs:open_gs", "gcsfs"),
    "dropbox": ("algo_connectors.dropbox:open_dropbox", "dropbox"),
}
"""The opener of each scheme with its own storage, and the package that it needs; the extra has the scheme's name."""


def open_store(scheme: str, options: Mapping[str, Any]) -> Storage:
    """Open the store of a scheme with these options; without any, with the machine's credentials for that cloud.

    Nothing is sent yet. `scheme` is one of `STORES`, or a protocol of fsspec.

    Raises:
        ConfigError: if a package is missing, or the options do not fit.
    """
    stray.redirect()
    target, package = STORES.get(scheme, ("algo_connectors.generic:open_protocol", "fsspec"))
    module, _, name = target.partition(":")
    try:
        make: Callable[[ConnectorOptions], Storage] = getattr(import_module(module), name)
        return make(ConnectorOptions(scheme, options))
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in {"algo_connectors", "algo_core"}:
            raise
        extra = f"algo-connectors[{scheme}]" if scheme in STORES else "algo-connectors"
        raise ConfigError(
            f"{scheme}:// needs the package {package if scheme in STORES else error.name}, which is not installed",
            f"Install it: pip install '{extra}'",
        ) from error
