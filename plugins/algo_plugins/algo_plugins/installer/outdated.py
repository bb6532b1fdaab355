"""Which plugins have newer versions, and what keeps them from being installed."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

from algo_core.errors import AlgoError, NetworkError, NotFoundError
from algo_core.plugins import isolated
from algo_core.plugins.recorded import CORE
from algo_plugins.installer import present, record, wanted
from algo_plugins.installer.environment import find, tool_for
from algo_plugins.installer.isolating import WHERE
from algo_plugins.installer.operations import Operations
from algo_plugins.installer.outcome import is_older
from algo_plugins.installer.process import Unresolvable
from algo_plugins.installer.tools import UNKNOWN, Tool


class Standing(NamedTuple):
    """A plugin, its newest version (None: no index has it), the one that `upgrade` installs, and why not the newest."""

    environment: str
    distribution: str
    installed: str | None
    upgrade: str | None
    latest: str | None
    held_back: str | None

    @property
    def is_outdated(self) -> bool:
        """Whether a newer version exists."""
        return bool(self.latest and (self.installed is None or is_older(self.installed, self.latest)))


def standings(operations: Operations, names: Sequence[str]) -> list[Standing]:
    """Compare recorded plugins, or those of these names, with the package indexes.

    Raises:
        NotFoundError: if one is neither recorded nor installed.
        NetworkError: if an index does not answer.
    """
    recorded = record.read(operations.config, "installed")
    installed = present.distributions()
    apart = isolated.installed(operations.environ)
    for name in names:
        if name not in recorded and name not in apart and name not in installed:
            raise NotFoundError(f"No plugin of a distribution {name!r} is installed", "See: algo plugins list")
    here = [name for name in names or recorded if name not in apart and name != CORE]
    found: list[Standing] = []
    if here:
        where = find(operations.tool_environ)
        compared = _Compared(operations, where.tool, where.kind, [f"{CORE}=={installed[CORE].version}"])
        versions = {name: installed[name].version if name in installed else None for name in here}
        found += compared.of({name: recorded.get(name, name) for name in here}, versions)
    if inside := [name for name in names or apart if name in apart]:
        compared = _Compared(operations, tool_for(operations.tool_environ, sys.executable), WHERE, None)
        found += compared.of({name: apart[name].requirement for name in inside},
                             {name: apart[name].version for name in inside})  # fmt: skip
    return found


class _Compared:
    """Comparisons within one environment; without `core`, within environments that are made anew for each plugin."""

    def __init__(self, operations: Operations, tool: Tool, environment: str, core: list[str] | None) -> None:
        self._operations = operations
        self._tool = tool
        self._environment = environment
        self._core = core

    def of(self, requirements: dict[str, str], versions: dict[str, Any]) -> list[Standing]:
        latest = self._latest([name for name, text in requirements.items() if "@" not in text])
        return [self._standing(name, text, versions[name], latest.get(name)) for name, text in requirements.items()]

    def _standing(self, name: str, text: str, version: str | None, latest: str | None) -> Standing:
        plain = Standing(self._environment, name, version, None, latest, None)
        if "@" in text:
            return plain._replace(held_back="installed from a URL or a file: no index is asked")
        if latest is None:
            return plain._replace(held_back="no package index has it")
        if not plain.is_outdated:
            return plain
        upgrade = self._resolved(text, name)
        if isinstance(upgrade, str) and not is_older(upgrade, latest):
            why = self._operations.policy.site_refusal(name, latest)
            return plain._replace(held_back=why) if why else plain._replace(upgrade=upgrade)
        possible = upgrade if isinstance(upgrade, str) and upgrade != version else None
        return plain._replace(upgrade=possible, held_back=self._reason(name, text, latest))

    def _latest(self, names: list[str]) -> dict[str, str]:
        """The newest versions by name. One that no index knows makes a search for all of them fail."""
        if not names:
            return {}
        try:
            return {change.name: change.version for change in self._tool.search(names, alone=True)}
        except NetworkError:
            raise
        except AlgoError:
            if len(names) == 1:
                return {}
        return {name: version for each in names for name, version in self._latest([each]).items()}

    def _resolved(self, text: str, name: str) -> str | Unresolvable | None:
        """The version that would be installed for a requirement; None: the one that is installed."""
        try:
            if self._core is None:
                changes = self._tool.search([text], alone=True)
            else:
                changes = self._tool.resolve([text], self._core, upgrade=True)
        except Unresolvable as error:
            return error
        found = next((change for change in changes if change.name == name), None)
        if self._core is not None and found and (broken := present.conflicts(present.distributions(), changes)):
            return Unresolvable(str(broken[0]))
        return found.version if found and found.version != UNKNOWN else None

    def _reason(self, name: str, text: str, latest: str) -> str:
        if why := self._operations.policy.site_refusal(name, latest):
            return why
        specifier = wanted.parse(text).specifier
        if not specifier.contains(latest, prereleases=True):
            return f"recorded as {text}"
        trouble = self._resolved(f"{name}=={latest}", name)
        if isinstance(trouble, Unresolvable):
            return _dependency(trouble.message) or trouble.message.splitlines()[-1].strip()
        return "other requirements exclude it"


_DEPENDS = re.compile(r"([\w.-]+)[ =<>]+(\d\S*) depends on (\S+?)[,;.]?(?=\s|$)")


def _dependency(said: str) -> str | None:
    """The requirement that a tool names as the cause of a conflict: the first that says which versions it wants."""
    found = list(_DEPENDS.finditer(" ".join(said.split())))
    found.sort(key=lambda cause: not re.search(r"[<>=!~]", cause[3]))
    return f"{found[0][1]} {found[0][2]} needs {found[0][3]}" if found else None
