"""Isolated plugins: each in an environment of its own, run by an executable `algo-COMMAND`.

Each environment is a directory under `paths.isolated_dir()`, named after its distribution, with a file that says what
is in it. Here they are read; the distribution `algo-plugins` makes and removes them.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from algo_core.plugins.external import PREFIX
from algo_core.settings.paths import ISOLATED_FACTS, isolated_dir


@dataclass(frozen=True)
class Isolated:
    """A plugin in an environment of its own.

    `commands` maps the names of its commands to their help lines; those that are also in `scripts` are run as its own
    executables `algo-NAME`, the others by the core in the environment, which has the version `core` (None: there is
    none, since the plugin's requirements clash with the core's). `connectors` are the schemes of its storages.
    """

    name: str
    version: str
    requirement: str
    core: str | None
    commands: dict[str, str] = field(default_factory=dict)
    scripts: list[str] = field(default_factory=list)
    connectors: list[str] = field(default_factory=list)


def installed(environ: Mapping[str, str]) -> dict[str, Isolated]:
    """The isolated plugins by normalized name."""
    found = {}
    try:
        names = sorted(os.listdir(isolated_dir(environ)))
    except OSError:
        return {}
    for name in names:
        if not name.startswith(".") and (facts := facts_of(environ, name)):
            found[name] = facts
    return found


def facts_of(environ: Mapping[str, str], folder: str) -> Isolated | None:
    """What the file in an environment says; None if it cannot be understood."""
    try:
        kept = json.loads(Path(isolated_dir(environ), folder, ISOLATED_FACTS).read_text("utf-8"))
        found = Isolated(**kept)
    except (OSError, ValueError, TypeError):
        return None
    texts = [found.name, found.version, found.requirement, found.core or ""]
    if (
        not isinstance(found.commands, dict)
        or not isinstance(found.scripts, list)
        or not isinstance(found.connectors, list)
    ):
        return None
    texts += [*found.commands, *found.commands.values(), *found.scripts, *found.connectors]
    return found if all(isinstance(text, str) for text in texts) else None


def place_of(environ: Mapping[str, str], name: str) -> Path:
    """The environment of an isolated plugin."""
    return Path(isolated_dir(environ), name)


def executable_of(environ: Mapping[str, str], command: str) -> Path:
    """The executable that runs a command of an isolated plugin."""
    return Path(isolated_dir(environ), "bin", f"{PREFIX}{command}")


def is_within(environ: Mapping[str, str], name: str) -> bool:
    """Whether this process runs in the environment of an isolated plugin: it then is what the executable started."""
    return os.path.realpath(sys.prefix) == os.path.realpath(place_of(environ, name))


def trouble(environ: Mapping[str, str], name: str) -> str | None:
    """Why an isolated plugin cannot run, if so: its interpreter may be gone after an upgrade of the system."""
    python = python_of(place_of(environ, name))
    if os.access(python, os.X_OK):
        return None
    return f"its interpreter {os.path.realpath(python)} is gone"


def python_of(environment: Path) -> str:
    """The interpreter of an environment."""
    return str(environment / "bin" / "python")
