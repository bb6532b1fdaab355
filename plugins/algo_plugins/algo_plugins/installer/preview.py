"""Previews plugins before they are installed: their commands and schemes, and the current owners of these."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from algo_core.cli import BUILT_IN
from algo_core.plugins import isolated
from algo_core.plugins.types import RESERVED_SCHEMES
from algo_core.scratch import scratch_directory
from algo_plugins.installer import probe
from algo_plugins.installer.saved import paths_of
from algo_plugins.installer.tools import UNKNOWN, Change, Tool
from algo_plugins.installer.wanted import Wanted


class Preview(NamedTuple):
    """A plugin to be installed: its additions, and (`taken`) conflicts with others, in sentences."""

    dist: str
    commands: list[str]
    schemes: list[str]
    taken: list[str]
    error: str | None
    version: str = UNKNOWN

    def as_dict(self) -> dict[str, Any]:
        """The members that a plugin has in `Outcome.plugins`, as far as they are known."""
        return {
            "distribution": self.dist,
            "version": self.version,
            "error": self.error,
            "commands": self.commands,
            "connectors": self.schemes,
            "taken": self.taken,
        }

    def __str__(self) -> str:
        if self.error:
            return f"{self.dist} does not work: {self.error}"
        parts = [
            f"{noun} {', '.join(names)}"
            for noun, names in (("commands", self.commands), ("schemes", [f"{scheme}://" for scheme in self.schemes]))
            if names
        ]
        return f"{self.dist} adds " + ("; ".join(parts) or "no command and no scheme")


class Rehearsal(NamedTuple):
    """The previews of new plugins, and the paths relative to the prefix that the changes may add."""

    previews: list[Preview]
    paths: list[str]


def rehearse(environ: Mapping[str, str], tool: Tool, asked: Sequence[Wanted], changes: Sequence[Change]) -> Rehearsal:
    """Install changes into a temporary folder, and examine its plugins in a separate process.

    Raises:
        AlgoError: if the tool fails.
        PluginError: if nothing can be learned.
    """
    texts = {want.name: want.text for want in asked}
    with scratch_directory() as folder:
        place, cache = os.path.join(folder, "site"), os.path.join(folder, "cache")
        tool.stage([_requirement(change, texts) for change in changes], place)
        path = os.pathsep.join(filter(None, [place, environ.get("PYTHONPATH", "")]))
        beside = {**environ, "PYTHONPATH": path, "ALGO_CACHE_DIR": cache}
        beside.pop("ALGO_DISABLE_PLUGINS", None)
        found = probe.plugins(beside)
        paths = [*paths_of(Path(place), sys.prefix, sysconfig.get_path("purelib"))]
    names = {change.name for change in changes}
    new = [plugin for plugin in found if plugin["distribution"] in names]
    there = [plugin for plugin in found if plugin["distribution"] not in names]
    apart = isolated.installed(environ).values()
    shown = [
        _preview(plugin, [*there, *(p for p in new if p is not plugin)], {c for i in apart for c in i.commands})
        for plugin in new
    ]
    return Rehearsal(shown, paths)


def _requirement(change: Change, texts: Mapping[str | None, str]) -> str:
    if change.url:
        return f"{change.name} @ {change.url}"
    return texts.get(change.name, change.name) if change.version == UNKNOWN else f"{change.name}=={change.version}"


def _preview(plugin: Mapping[str, Any], others: Iterable[Mapping[str, Any]], apart: Iterable[str]) -> Preview:
    commands, schemes = sorted(plugin["commands"]), sorted(plugin["connectors"])
    taken = [f"The command {name!r} is built in: that of {plugin['distribution']} cannot be reached"
             for name in commands if name in BUILT_IN]  # fmt: skip
    for other in others:
        both = [name for name in commands if name in other["commands"]]
        taken += [command_taken(name, plugin["distribution"], other["distribution"]) for name in both]
        taken += [
            f"The scheme {scheme}:// is that of {other['distribution']}: neither can be used until one is disabled"
            for scheme in schemes
            if scheme in other["connectors"] and scheme not in RESERVED_SCHEMES
        ]
    taken += [f"The command {name!r} belongs to an isolated plugin, whose command would become unreachable"
              for name in commands if name in apart]  # fmt: skip
    return Preview(plugin["distribution"], commands, schemes, taken, plugin["error"], plugin["version"])


def command_taken(name: str, dist: str, other: str) -> str:
    """The message about a command of two plugins."""
    quoted = f"'{name}'" if " " in name else name
    return (
        f"The command {name!r} is that of {other}: neither can be run until one is chosen "
        f"(algo plugins choose {quoted} {dist})"
    )
