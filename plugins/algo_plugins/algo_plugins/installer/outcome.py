"""The outcome of an operation: changes made or planned, and their report."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from algo_core.errors import PluginError
from algo_plugins.installer.tools import UNKNOWN


class Step(NamedTuple):
    """A distribution that is installed into an environment, and the version that it replaces there."""

    environment: str
    distribution: str
    version: str
    previous: str | None

    @property
    def action(self) -> str:
        """`install`, `upgrade`, `downgrade` or `reinstall`."""
        if self.previous is None:
            return "install"
        if self.version == self.previous:
            return "reinstall"
        return "downgrade" if is_older(self.version, self.previous) else "upgrade"


CHANGED = 64
"""The exit code with `--exit-code` if something was changed, would be, or is outdated."""


@dataclass
class Outcome:
    """The changes made, or only planned (`dry_run`), and descriptions of the requested plugins."""

    changes: list[Step] = field(default_factory=list)
    plugins: list[dict[str, Any]] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    dry_run: bool = False

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(
            self.changes + other.changes,
            self.plugins + other.plugins,
            self.removed + other.removed,
            self.dry_run or other.dry_run,
        )

    def as_dict(self) -> dict[str, Any]:
        """What `--json` prints."""
        changes = [{**step._asdict(), "action": step.action} for step in self.changes]
        return {
            "result": self.result,
            "changes": changes,
            "plugins": self.plugins,
            "removed": self.removed,
            "dry_run": self.dry_run,
        }

    @property
    def result(self) -> str:
        """`unchanged`, `planned` or `changed`."""
        if not self.changes and not self.removed:
            return "unchanged"
        return "planned" if self.dry_run else "changed"

    def raise_if_broken(self) -> None:
        """Raise PluginError if a plugin that was just installed, or would be, does not load."""
        for plugin in self.plugins:
            if plugin["error"]:
                label = f"{plugin['distribution']} {plugin['version']}"
                if self.dry_run:
                    raise PluginError(f"The plugin {label} does not work: {plugin['error']}; nothing was changed")
                raise PluginError(
                    f"The plugin {label} is installed, and is broken: {plugin['error']}",
                    f"Remove it with: algo plugins uninstall {plugin['distribution']}",
                )


def is_older(version: str, than: str) -> bool:
    """Whether a version is older than another; False where they cannot be compared."""
    from packaging.version import InvalidVersion, Version

    try:
        return UNKNOWN not in {version, than} and Version(version) < Version(than)
    except InvalidVersion:
        return False
