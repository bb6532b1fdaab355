"""The core of the `algo` command line, and the names that plugins import from it.

Each name is loaded on first use, so importing `algo_core` costs nothing.
"""

# No `from __future__` here: it imports a module, and nothing may come before Ctrl-C is provided for.
import sys

TYPE_CHECKING = False  # typing's own would have to be imported
if TYPE_CHECKING:
    from sys import UnraisableHookArgs
    from types import FrameType, TracebackType


def _end_interrupted(kind: "type[BaseException]", error: BaseException, trace: "TracebackType | None") -> None:
    """Ctrl-C before `main` runs, or after it: nothing has been begun, or everything is done."""
    if issubclass(kind, KeyboardInterrupt):
        import os

        os._exit(130)  # ExitCode.INTERRUPTED; nothing may be imported any more
    sys.__excepthook__(kind, error, trace)


def _interrupt_again(unraisable: "UnraisableHookArgs") -> None:
    """Ctrl-C within a finalizer would be told and forgotten there: let it come again outside."""
    error = unraisable.exc_value
    if not isinstance(error, KeyboardInterrupt):
        stray = sys.modules.get("algo_core.terminal.stray")  # where libraries are imported that print such things
        (stray.show_ignored if stray else sys.__unraisablehook__)(unraisable)
        return

    def interrupt(frame: "FrameType", event: str, argument: object) -> None:
        if frame.f_code is not _interrupt_again.__code__:
            sys.setprofile(None)
            raise error

    sys.setprofile(interrupt)  # asked at the next call or return, which is outside


if (getattr(sys, "argv", None) or [""])[0].rpartition("/")[2] in {"algo", "-m"}:  # the program, not one that imports us
    sys.excepthook, sys.unraisablehook = _end_interrupted, _interrupt_again

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from typing import Any

    from algo_core.context import App, pass_app
    from algo_core.errors import AlgoError, ExitCode
    from algo_core.outcomes import AlgorithmResult, CopySummary
    from algo_core.plugins.hookspecs import hookimpl
    from algo_core.plugins.types import Command, Connector, DoctorCheck, ExecutorFactory, Service, Variable
    from algo_core.settings.declared import PluginSetting
    from algo_core.settings.profile import Profile
    from algo_core.version import __version__

__all__ = [
    "AlgoError",
    "AlgorithmResult",
    "App",
    "Command",
    "Connector",
    "CopySummary",
    "DoctorCheck",
    "ExecutorFactory",
    "ExitCode",
    "PluginSetting",
    "Profile",
    "Service",
    "Variable",
    "__version__",
    "hookimpl",
    "pass_app",
]

_HOMES = {
    "AlgoError": "algo_core.errors",
    "AlgorithmResult": "algo_core.outcomes",
    "App": "algo_core.context",
    "Command": "algo_core.plugins.types",
    "Connector": "algo_core.plugins.types",
    "CopySummary": "algo_core.outcomes",
    "DoctorCheck": "algo_core.plugins.types",
    "ExecutorFactory": "algo_core.plugins.types",
    "ExitCode": "algo_core.errors",
    "PluginSetting": "algo_core.settings.declared",
    "Profile": "algo_core.settings.profile",
    "Service": "algo_core.plugins.types",
    "Variable": "algo_core.plugins.types",
    "__version__": "algo_core.version",
    "hookimpl": "algo_core.plugins.hookspecs",
    "pass_app": "algo_core.context",
}


def __getattr__(name: str) -> "Any":
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


class _FormerNames:
    """Finds modules by their names of version 1.0, after all other finders."""

    @staticmethod
    def find_spec(fullname: str, path: object = None, target: object = None) -> "ModuleSpec | None":
        if not fullname.startswith("algo_core."):
            return None
        from algo_core.moved import find_spec

        return find_spec(fullname)


sys.meta_path.append(_FormerNames)
