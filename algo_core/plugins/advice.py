"""The command line that gets plugins, removes them or brings them back, for hints.

It is the command that an installed plugin has for that (`Command.role`), else the one of the tool that looks after the
environment of `algo`.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from typing import TYPE_CHECKING

from algo_core.plugins.policy import INSTALLER

if TYPE_CHECKING:
    from algo_core.plugins.index import PluginRecord


def suggested(records: Iterable[PluginRecord], role: str, *words: str) -> str | None:
    """The command line of a plugin's command that has this role (a key of `types.ROLES`); None if none has."""
    for record in records:
        for name, _, _, _, _, _, has in record.commands:
            if has == role and not record.error:
                return shlex.join(["algo", *name.split(" "), *words])
    return None


def to_install(records: Iterable[PluginRecord], *requirements: str) -> str:
    """The command that installs distributions beside `algo`."""
    return suggested(records, "install", *requirements) or _with_tool("install", "inject", requirements)


def to_uninstall(records: Iterable[PluginRecord], *dists: str) -> str:
    """The command that uninstalls distributions."""
    return suggested(records, "uninstall", *dists) or _with_tool("uninstall", "uninject", dists)


def to_restore(records: Iterable[PluginRecord], them: str = "it") -> str:
    """The clause of a hint that names the command to reinstall missing distributions."""
    if command := suggested(records, "restore"):
        return f"reinstall {them} with: `{command}`"
    return f"{INSTALLER} gets {them} back, and is itself to be had with: `{to_install((), INSTALLER)}`"


def _with_tool(verb: str, pipx_verb: str, words: Iterable[str]) -> str:
    if os.path.exists(os.path.join(sys.prefix, "pipx_metadata.json")):
        return shlex.join(["pipx", pipx_verb, os.path.basename(sys.prefix), *words])
    if find_spec("pip") and not os.path.exists(os.path.join(sys.prefix, "uv-receipt.toml")):
        return shlex.join([sys.executable, "-m", "pip", verb, *words])
    return shlex.join(["uv", "pip", verb, "--python", sys.executable, *words])
