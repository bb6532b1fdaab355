"""Install, upgrade and restore plugins in environments of their own."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from algo_core.cli import BUILT_IN
from algo_core.errors import AlgoError, NotFoundError, PluginError, UsageError
from algo_core.plugins import isolated
from algo_core.plugins.external import PREFIX
from algo_core.plugins.isolated import Isolated
from algo_core.plugins.recorded import CORE
from algo_core.scratch import scratch_directory
from algo_plugins.installer import corewheel, hashes, placement, present, probe, record, wanted
from algo_plugins.installer.environment import tool_for
from algo_plugins.installer.operations import Declined, Operations, check_hashes
from algo_plugins.installer.outcome import Outcome, Step
from algo_plugins.installer.preview import Preview
from algo_plugins.installer.process import Unresolvable
from algo_plugins.installer.requirements_file import Contents
from algo_plugins.installer.tools import NOT_LOCKED, Change, Locked, Tool
from algo_plugins.installer.wanted import Wanted

WHERE = "isolated"


class Isolating:
    """Makes environments, each with the running core, one plugin, and the plugins that the administrator requires.

    Where the plugin's requirements clash even with the core's, the environment has no core; the plugin must then bring
    executables `algo-NAME` of its own.
    """

    def __init__(self, operations: Operations) -> None:
        self._operations = operations
        self._environ = operations.environ
        self._files = hashes.NOTHING

    def install(self, texts: Sequence[str], files: Contents | None = None) -> Outcome:
        """Install each requirement in an environment of its own and record it.

        Requirements files describe one environment: they go with one requirement, which is one of theirs.

        Raises:
            AlgoError: if one is installed beside `algo` already, or the tool fails; that one has changed nothing.
            PluginError: if it does not load, or has no command.
        """
        outcome = Outcome(dry_run=self._operations.dry_run)
        asked = [wanted.read(text) for text in texts]
        if files:
            self._files = files
            asked = [_of(files, asked)]
        for want in asked:
            self._add(want, outcome)
        return outcome

    def upgrade(self, names: Iterable[str]) -> Outcome:
        """Make environments anew, with the newest versions that the requirements allow and the running core."""
        there = isolated.installed(self._environ)
        outcome = Outcome(dry_run=self._operations.dry_run)
        for name in names:
            self._add_again(name, there[name].requirement, outcome)
        return outcome

    def restore(self) -> Outcome:
        """Make environments anew that are recorded and are missing or cannot run."""
        there = isolated.installed(self._environ)
        outcome = Outcome()
        for name, text in record.read(self._operations.config, "isolated").items():
            if name not in there or isolated.trouble(self._environ, name):
                self._add_again(name, text, outcome)
        return outcome

    def _add_again(self, name: str, text: str, outcome: Outcome) -> None:
        """Add what is recorded, from the same files as before where a requirements file had their hashes."""
        kept = hashes.read(self._operations.config, name)
        is_same = any(want.text == text for want in kept.requirements)
        self._files = kept if is_same else hashes.NOTHING
        self._add(wanted.read(text), outcome)

    def _add(self, want: Wanted, outcome: Outcome) -> None:
        beside_algo = {n for n, distribution in present.distributions().items() if present.has_plugins(distribution)}
        self._check_name(want.name, beside_algo)
        if self._operations.dry_run:
            outcome.changes.append(self._rehearse(want))
            return
        with placement.beside(self._environ) as place:
            tool = tool_for(self._operations.tool_environ, isolated.python_of(place))
            self._operations.output.info(f"Making an environment for {want.name or want.text} ...")
            want, version, has_core = self._fill(tool, want)
            assert want.name, "it has been named"
            self._check_name(want.name, beside_algo)
            found = self._examine(place, want, version, has_core)
            self._check_commands(found)
            previous = isolated.installed(self._environ).get(found.name)
            placement.put_into_place(self._environ, place, found)
        record.add(self._operations.config, "isolated", [want.text])
        hashes.keep(self._operations.config, self._files, found.name)
        self._operations.output.info(f"{found.name} {found.version} is installed in an environment of its own")
        outcome.changes.append(Step(WHERE, found.name, found.version, previous.version if previous else None))
        outcome.plugins.append(described(found))

    def _check_name(self, name: str | None, beside_algo: Iterable[str]) -> None:
        if name == CORE or name in placement.RESERVED:
            raise UsageError(f"{name} cannot have an environment of its own")
        if name and name in beside_algo:
            raise AlgoError(
                f"{name} is already installed in algo's environment",
                f"Remove that first: algo plugins uninstall {name}",
            )

    def _rehearse(self, want: Wanted) -> Step:
        """What would be installed into a new environment, which is not made."""
        tool = tool_for(self._operations.tool_environ, sys.executable)
        with self._others(tool) as others:
            try:
                named, version = self._checked(want, tool.search([*others, want.text]))
            except Unresolvable as clash:
                try:
                    named, version = self._checked(want, tool.search([want.text]))
                except Unresolvable:
                    raise clash from None
        assert named.name, "it has been named"
        previous = isolated.installed(self._environ).get(named.name)
        return Step(WHERE, named.name, version, previous.version if previous else None)

    def _fill(self, tool: Tool, want: Wanted) -> tuple[Wanted, str, bool]:
        """Install into the new environment: the requirement with its name, its version, and whether the core is in."""
        with self._others(tool) as others:
            try:
                return (*self._resolved(tool, want, others), True)
            except Unresolvable as clash:
                try:
                    return (*self._resolved(tool, want, []), False)
                except Unresolvable:
                    raise clash from None

    @contextmanager
    def _others(self, tool: Tool) -> Iterator[list[str]]:
        """The requirements beside the plugin: the running core, what the administrator requires, those of the files."""
        with scratch_directory() as folder:
            core = corewheel.pack(Path(folder))
            options, known = self._files.locked
            if known:
                known = {**known, CORE: (f"sha256:{hashlib.sha256(core.read_bytes()).hexdigest()}",)}
            if self._files.locked != NOT_LOCKED:
                tool.lock(Locked(options, known))
            listed = [want.text for want in self._files.requirements if want.name != CORE]
            yield [f"{CORE} @ {core.as_uri()}", *self._operations.policy.required, *listed]

    def _resolved(self, tool: Tool, want: Wanted, others: Sequence[str]) -> tuple[Wanted, str]:
        changes = tool.resolve([*others, want.text])
        named, version = self._checked(want, changes)
        assert named.name, "it has been named"
        previous = isolated.installed(self._environ).get(named.name)
        step = Step(WHERE, named.name, version, previous.version if previous else None)
        if not self._operations.approve([step], ()):
            raise Declined("Nothing was changed")
        tool.install([*others, named.text], [f"{c.name}=={c.version}" for c in changes if not c.url])
        return named, version

    def _checked(self, want: Wanted, changes: list[Change]) -> tuple[Wanted, str]:
        """The plugin with its name and version, unless the administrator refuses something of it."""
        named = want.named(changes)
        versions = {change.name: change.version for change in changes}
        for name, version in versions.items():
            self._operations.refuse_denied(name, version, is_plugin=name == named.name)
        assert named.name in versions, "an empty environment lacks everything"
        if known := self._files.locked.hashes:
            check_hashes({**known, CORE: ("its own",)}, versions)
        return named, versions[named.name]

    def _examine(self, place: Path, want: Wanted, version: str, has_core: bool) -> Isolated:
        """Load the plugin from its environment, and read its commands."""
        assert want.name, "it has been named"
        python = isolated.python_of(place)
        scripts = probe.scripts(self._environ, python, want.name)
        own = {name[len(PREFIX) :]: f"Run {name} of {want.name}." for name in scripts if name.startswith(PREFIX)}
        commands: dict[str, str] = {}
        schemes: list[str] = []
        if has_core:
            with scratch_directory() as cache:
                environ = {**self._environ, "ALGO_CACHE_DIR": cache}
                environ.pop("ALGO_DISABLE_PLUGINS", None)
                records = probe.plugins(environ, python, isolated=True)
            mine = [r for r in records if r["distribution"] == want.name]
            for plugin in mine:
                if why := plugin["error"] or plugin["refusal"]:
                    raise PluginError(f"The plugin {want.name} {version} does not work: {why}; nothing was installed")
                commands.update(plugin["commands"])
                schemes += plugin["connectors"]
                self._say_what_is_left_out(plugin)
        if not commands and not own and not schemes:
            alone = "" if has_core else ", which is all that could run where it clashes with the core's requirements"
            raise PluginError(
                f"{want.name} {version} has no command, and no executable {PREFIX}NAME{alone}; nothing was installed"
            )
        return Isolated(
            want.name,
            version,
            want.text,
            _core_version() if has_core else None,
            own | commands,
            [*(own.keys() - commands.keys())],
            sorted(schemes),
        )

    def _say_what_is_left_out(self, plugin: dict[str, Any]) -> None:
        more = [hook for hook in plugin["hooks"] if hook not in {"algo_commands", "algo_connectors"}]
        if more:
            what = ", ".join(more)
            self._operations.output.warn(f"Only commands and storages of an isolated plugin are used, not its {what}")

    def _check_commands(self, found: Isolated) -> None:
        for plugin in isolated.installed(self._environ).values():
            both = found.commands.keys() & plugin.commands.keys()
            if plugin.name != found.name and both:
                raise AlgoError(
                    f"{plugin.name} has a command {min(both)!r} already; nothing was installed",
                    f"Remove it first: algo plugins uninstall {plugin.name}",
                )
        taken = [f"The command {name!r} of {found.name} cannot be reached: algo has its own"
                 for name in sorted(found.commands.keys() & BUILT_IN.keys())]  # fmt: skip
        for other in self._operations.plugins:
            both = found.commands.keys() & {row[0] for row in other.commands}
            taken += [f"The command {n!r} of {found.name} cannot be reached: {other.dist} has it" for n in sorted(both)]
        taken += [
            f"The scheme {scheme}:// of {found.name} is not used: {other.dist} has it"
            for other in self._operations.plugins
            for scheme in found.connectors
            if scheme in {row[0] for row in other.connectors}
        ]
        if taken and not self._operations.approve([], [Preview(found.name, sorted(found.commands), [], taken, None)]):
            raise Declined("Nothing was changed")


def _of(files: Contents, asked: Sequence[Wanted]) -> Wanted:
    """The requirement of the files that is the plugin."""
    if len(asked) != 1:
        raise UsageError(
            "With --isolated, a requirements file describes the environment of one plugin",
            "Name it: algo plugins install --isolated -r FILE DIST",
        )
    found = next((want for want in files.requirements if want.name and want.name == asked[0].name), None)
    if found is None:
        raise NotFoundError(f"The requirements files do not list {asked[0].name or asked[0].text}", "Add it to one")
    return found


def described(plugin: Isolated) -> dict[str, Any]:
    """An isolated plugin as `Outcome.plugins` describes others."""
    return {
        "distribution": plugin.name,
        "version": plugin.version,
        "error": None,
        "refusal": None,
        "commands": plugin.commands,
        "connectors": plugin.connectors,
        "hooks": [],
    }


def _core_version() -> str:
    core = present.distributions().get(CORE)
    if core is None:
        raise NotFoundError(f"{CORE} is not installed")
    return core.version
