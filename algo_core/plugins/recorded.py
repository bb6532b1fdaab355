"""Plugins that are recorded as installed, and that are not there any more.

An upgrade of the interpreter, or of the tool that installed `algo`, drops them without a word.

The record is `installed` and `isolated` under `[plugins]` of the user's file.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from algo_core.settings.paths import ISOLATED_FACTS, isolated_dir

if TYPE_CHECKING:
    from packaging.requirements import Requirement

    from algo_core.plugins.index import PluginRecord
    from algo_core.settings.config import Config

CORE = "algo-core"

CHANGES = ".algo-plugins"
"""The directory in an environment in which `algo-plugins` keeps what changes of it have replaced."""

CHANGING = "changing"
"""The one in there that exists while a change is under way, and after one was interrupted."""


def interrupted(records: Iterable[PluginRecord]) -> str | None:
    """The message that a change of plugins was interrupted, with the command that undoes it; None if none was."""
    if not os.path.isdir(os.path.join(sys.prefix, CHANGES, CHANGING)):
        return None
    from algo_core.plugins.advice import suggested, to_restore

    command = suggested(records, "restore")
    undo = f"undo it with: `{command}`" if command else to_restore((), "plugins")
    return f"A change of plugins was interrupted, unless it is still under way; {undo}"


def missing(config: Config) -> list[str]:
    """The recorded distributions that are missing or do not match any more; none in an isolated environment."""
    if os.path.dirname(os.path.realpath(sys.prefix)) == os.path.realpath(isolated_dir(config.environ)):
        return []
    table = config.user.get("plugins", {})
    here = [r.name for r in _requirements(table, "installed") if not _is_installed(r)]
    apart = [r.name for r in _requirements(table, "isolated") if not _has_environment(config.environ, r.name)]
    return [*here, *apart]


def missing_standard() -> list[str]:
    """The standard plugins that are not installed: what the core's extra `standard` brings."""
    return [requirement.name for requirement in _standard() if not _is_installed(requirement)]


def standard() -> set[str]:
    """The names of the standard plugins."""
    return {requirement.name for requirement in _standard()}


def _standard() -> list[Requirement]:
    import importlib_metadata

    try:
        return standard_of(importlib_metadata.requires(CORE) or [])
    except importlib_metadata.PackageNotFoundError:
        return []


def standard_of(requires: Iterable[str]) -> list[Requirement]:
    """The requirements that the core's extra `standard` adds."""
    from packaging.requirements import Requirement

    needed = [Requirement(text) for text in requires]
    return [
        r
        for r in needed
        if r.marker and not r.marker.evaluate({"extra": ""}) and r.marker.evaluate({"extra": "standard"})
    ]


def told(names: Sequence[str], records: Iterable[PluginRecord]) -> str:
    """The message that distributions are gone, with the command that installs them again."""
    from algo_core.plugins.advice import to_restore

    are, them = ("is", "it") if len(names) == 1 else ("are", "them")
    return f"{', '.join(names)}, recorded as installed, {are} gone; {to_restore(records, them)}"


def _requirements(table: Any, kind: str) -> Iterator[Requirement]:
    from packaging.requirements import InvalidRequirement, Requirement

    entries = table.get(kind, []) if isinstance(table, Mapping) else []
    for entry in entries if isinstance(entries, list) else []:
        try:
            yield Requirement(str(entry))
        except InvalidRequirement:  # the check of the configuration names it
            continue


def _is_installed(requirement: Requirement) -> bool:
    import importlib_metadata
    from packaging.version import InvalidVersion

    try:
        version = importlib_metadata.version(requirement.name)
        return requirement.specifier.contains(version, prereleases=True)
    except importlib_metadata.PackageNotFoundError:
        return False
    except InvalidVersion:  # what cannot be compared is not known to fit
        return True


def _has_environment(environ: Mapping[str, str], name: str) -> bool:
    import json

    from algo_core.plugins.policy import normalized

    try:
        with open(os.path.join(isolated_dir(environ), normalized(name), ISOLATED_FACTS), encoding="utf-8") as file:
            return isinstance(json.load(file), dict)
    except (OSError, ValueError):
        return False
