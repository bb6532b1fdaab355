"""The core of the `algo` command line, and the names that plugins import from it.

Everything here is loaded when it is first asked for, so that importing `algo_core` costs nothing.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # typing's own would have to be imported
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from typing import Any

    from algo_core.context import App, pass_app
    from algo_core.errors import AlgoError
    from algo_core.plugins.hookspecs import hookimpl
    from algo_core.plugins.types import Command, Connector, DoctorCheck
    from algo_core.settings.profile import Profile
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
    "Command": "algo_core.plugins.types",
    "Connector": "algo_core.plugins.types",
    "DoctorCheck": "algo_core.plugins.types",
    "Profile": "algo_core.settings.profile",
    "__version__": "algo_core.version",
    "hookimpl": "algo_core.plugins.hookspecs",
    "pass_app": "algo_core.context",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


class _FormerNames:
    """Finds modules under the names that they had in version 1.0; asked after every other finder."""

    @staticmethod
    def find_spec(fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if not fullname.startswith("algo_core."):
            return None
        from algo_core.moved import find_spec

        return find_spec(fullname)


sys.meta_path.append(_FormerNames)
