"""Modules under the names that they had in version 1.0, for plugins written then: until 1.2, with a warning."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import warnings
from types import ModuleType

NEW_NAMES = {
    "algo_core.api": "algo_core.http.api",
    "algo_core.backoff": "algo_core.http.retry",
    "algo_core.config": "algo_core.settings.config",
    "algo_core.configfile": "algo_core.settings.edit",
    "algo_core.connectors": "algo_core.storage.registry",
    "algo_core.credentials": "algo_core.settings.credentials",
    "algo_core.headers": "algo_core.http.headers",
    "algo_core.hookspecs": "algo_core.plugins.hookspecs",
    "algo_core.index": "algo_core.plugins.index",
    "algo_core.manager": "algo_core.plugins.manager",
    "algo_core.options": "algo_core.terminal.options",
    "algo_core.output": "algo_core.terminal.output",
    "algo_core.paths": "algo_core.settings.paths",
    "algo_core.policy": "algo_core.plugins.policy",
    "algo_core.profiles": "algo_core.settings.profiles",
    "algo_core.prompts": "algo_core.terminal.prompts",
    "algo_core.stopping": "algo_core.terminal.signals",
    "algo_core.trust": "algo_core.http.tls",
    "algo_core.types": "algo_core.plugins.types",
    "algo_core.uri": "algo_core.storage.uri",
}


class _Alias(importlib.abc.Loader):
    def __init__(self, new_name: str) -> None:
        self._module = importlib.import_module(new_name)
        self._spec = self._module.__spec__

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        # The import system has put the alias's specification in its place.
        module.__spec__ = self._spec


def find_spec(fullname: str) -> importlib.machinery.ModuleSpec | None:
    """The specification of a module that was renamed, after a `DeprecationWarning`; None for any other name."""
    new_name = NEW_NAMES.get(fullname)
    if new_name is None:
        return None
    # Frames of the import system are left out by `warnings` itself; two more are ours.
    told = f"{fullname} is now {new_name}; the old name will be removed in 1.2"
    warnings.warn(told, DeprecationWarning, stacklevel=3)
    return importlib.machinery.ModuleSpec(fullname, _Alias(new_name))
