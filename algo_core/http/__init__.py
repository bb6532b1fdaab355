"""HTTP: requests to the platform, and the transports that carry them."""

from __future__ import annotations

TYPE_CHECKING = False  # typing's own would have to be imported
if TYPE_CHECKING:
    from typing import Any

_FORMER_NAMES = ("AlgoSession", "CaAdapter", "network_errors", "retry_policy")
"""What version 1.0 had in a module of this name; until 1.2."""


def __getattr__(name: str) -> Any:
    if name not in _FORMER_NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import warnings

    from algo_core.http import requests_transport

    warnings.warn(
        f"algo_core.http.{name} is now algo_core.http.requests_transport.{name}; the old name will be removed in 1.2",
        DeprecationWarning,
        stacklevel=2,
    )
    return getattr(requests_transport, name)
