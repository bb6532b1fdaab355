"""The core of the `algo` command line, and the names that plugins import from it.

Everything here is loaded when it is first asked for, so that importing `algo_core` costs nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing's own would have to be imported
if TYPE_CHECKING:
    from typing import Any

    from algo_core.context import App, pass_app
    from algo_core.errors import AlgoError
    from algo_core.hookspecs import hookimpl
    from algo_core.types import Command, Connector, DoctorCheck, Profile
    from algo_core.version import __version__

__all__ = [
    "AlgoError",
    "App",
    "Command",
    "Connector",
    "DoctorCheck",
    "Profile",
    "__version__",
    "hookimpl",
    "pass_app",
]

_HOMES = {
    "AlgoError": "algo_core.errors",
    "App": "algo_core.context",
    "Command": "algo_core.types",
    "Connector": "algo_core.types",
    "DoctorCheck": "algo_core.types",
    "Profile": "algo_core.types",
    "__version__": "algo_core.version",
    "hookimpl": "algo_core.hookspecs",
    "pass_app": "algo_core.context",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
