"""Install, upgrade, restore and uninstall plugins in the environment of `algo`, each change shown before it is made."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from algo_core.errors import AlgoError, NotFoundError, PermissionDenied, PluginError, UsageError
from algo_core.plugins import isolated
from algo_core.plugins.policy import Policy, normalized
from algo_core.plugins.recorded import CORE
from algo_plugins.installer import hashes, placement, present, probe, record, wanted
from algo_plugins.installer.changing import Restored, put_back, reversible
from algo_plugins.installer.environment import Environment, find
from algo_plugins.installer.outcome import Outcome, Step
from algo_plugins.installer.present import Distribution
from algo_plugins.installer.preview import Preview, Rehearsal, rehearse
from algo_plugins.installer.process import Unresolvable, unhashed
from algo_plugins.installer.requirements_file import Contents
from algo_plugins.installer.sources import redacted
from algo_plugins.installer.tools import NOT_LOCKED, UNKNOWN, Change, Locked
from algo_plugins.installer.wanted import Wanted

if TYPE_CHECKING:
    from algo_core.context import App
    from algo_core.settings.config import Config

ISOLATE = "Install it into a separate environment: algo plugins install --isolated REQUIREMENT"


class Declined(AlgoError):
    """The user declined the changes."""


class Operations:
    """The operations of `algo plugins` on a user's installation.

    `approve` gets each plan, with the commands and schemes that it adds, and returns whether to continue. `keep` gets
    what does not work after a change, and returns whether to leave it so. Tools run with `tool_environ`.
    """

    def __init__(
        self,
        app: App,
        approve: Callable[[list[Step], Sequence[Preview]], bool],
        keep: Callable[[str], bool],
        *,
        dry_run: bool = False,
        tool_environ: Mapping[str, str] | None = None,
    ) -> None:
        self.environ: Mapping[str, str] = app.environ
        self.tool_environ = tool_environ or app.environ
        self.config: Config = app.config
        self.policy = Policy.read(app.config)
        self.output = app.output
        self.plugins = list(app.plugins.allowed)
        self.approve = approve
        self.keep = keep
        self.dry_run = dry_run
        self._broken_before = {record.dist for record in app.plugins.records if record.error}

    def install(self, texts: Sequence[str], files: Contents | None = None) -> Outcome:
        """Install requirements, and those of requirements files, and record them.

        Raises:
            ConfigError: if plugins cannot be installed into this environment.
            PermissionDenied: if the administrator does not allow one.
            AlgoError: if they break installed distributions, or the tool fails; then nothing has been changed.
        """
        files = files or Contents([], NOT_LOCKED)
        given = [wanted.read(text) for text in texts]
        asked = [*given, *(want for want in files.requirements if want not in given)]
        self._refuse_core(asked)
        apart = [want.name for want in asked if want.name in isolated.installed(self.environ)]
        if apart:
            raise AlgoError(
                f"{apart[0]} is installed in a separate environment",
                f"Remove that first: algo plugins uninstall {apart[0]}",
            )
        outcome = self._change(find(self.tool_environ), asked, locked=files.locked)
        if not self.dry_run:
            hashes.keep(self.config, files)
        return outcome

    def upgrade(self, names: Sequence[str]) -> Outcome:
        """Bring distributions to the newest versions that their recorded requirements allow; all recorded ones if none
        is named.

        Raises:
            NotFoundError: if one is neither recorded nor a plugin.
        """
        recorded = record.read(self.config, "installed")
        installed = present.distributions()
        for name in names:
            if name not in recorded and not (name in installed and present.has_plugins(installed[name])):
                raise NotFoundError(f"No plugin of a distribution {name!r} is installed", "See: algo plugins list")
        asked = [wanted.read(recorded.get(name, name)) for name in names or recorded]
        self._refuse_core(asked)
        return self._change(find(self.tool_environ), asked, upgrade=True) if asked else Outcome()

    def restore(self) -> Outcome:
        """Install recorded plugins that are missing; what a requirements file with hashes installed, with them."""
        installed = present.distributions()
        entries = record.read(self.config, "installed").values()
        missing = [text for text in entries if not present.satisfies(installed, _parsed(text, self.config))]
        if not missing:
            return Outcome()
        self.keep = lambda text: True  # one that is broken takes none of the others away
        kept = hashes.read(self.config)
        locked = {want.text for want in kept.requirements}.intersection(missing)
        outcome = Outcome()
        if locked:
            outcome += self._change(find(self.tool_environ), kept.requirements, locked=kept.locked)
        if others := [wanted.read(text) for text in missing if text not in locked]:
            outcome += self._change(find(self.tool_environ), others)
        return outcome

    def uninstall(self, names: Sequence[str], confirm: Callable[[str], bool]) -> Outcome:
        """Remove plugins, isolated ones included, and their records.

        Raises:
            UsageError: if the core itself is among them, or a standard plugin is not confirmed.
            PermissionDenied: if the administrator requires one.
            NotFoundError: if one is missing.
            AlgoError: if something that stays needs one.
        """
        installed = present.distributions()
        asked_for = record.read(self.config, "installed")
        present_apart = isolated.installed(self.environ)
        apart = [name for name in names if name in present_apart]
        here = [n for n in names if n in installed and (n in asked_for or present.has_plugins(installed[n]))]
        for name in names:
            self._check_removal(name, {*apart, *here, *asked_for, *record.read(self.config, "isolated")})
        if broken := present.needed_by(installed, here):
            raise AlgoError("Not removed: " + "; ".join(map(str, broken)), "Remove both, or leave both")
        for name in sorted(present.standard(installed).intersection(here)):
            if not confirm(f"{name} is one of the standard plugins. Remove it?"):
                raise UsageError(f"{name} is one of the standard plugins", "To remove it anyway, add --yes")
        if here:
            where = find(self.tool_environ)
            steps = [Step(where.kind, name, "", installed[name].version) for name in here]
            with reversible(steps, (), self.output.warn, is_removal=True):
                where.tool.uninstall(here)
        if apart:
            placement.remove(self.environ, apart)
        record.remove(self.config, names)
        hashes.forget(self.config, names, asked_for.keys() - set(names))
        return Outcome(removed=list(names))

    def _check_removal(self, name: str, known: Container[str]) -> None:
        if name == CORE:
            raise UsageError(f"{CORE} is algo itself", "Remove it with the tool that installed it")
        if file := self.policy.requiring_file(name):
            raise PermissionDenied(f"{name} is required by {file}", "Ask your administrator")
        if name not in known:
            raise NotFoundError(f"No plugin of a distribution {name!r} is installed", "See: algo plugins list")

    def _change(
        self, where: Environment, asked: list[Wanted], *, upgrade: bool = False, locked: Locked = NOT_LOCKED
    ) -> Outcome:
        if locked != NOT_LOCKED:
            where.tool.lock(locked)
        installed = present.distributions()
        core = [f"{CORE}=={installed[CORE].version}"] if CORE in installed else []
        for want in asked:
            if want.name:
                self.refuse_denied(want.name, UNKNOWN, is_plugin=False)
        try:
            changes = where.tool.resolve([want.text for want in asked], core, upgrade=upgrade)
        except Unresolvable as error:
            raise AlgoError(error.message, ISOLATE) from None
        asked = [want.named(changes) for want in asked]
        if upgrade and (unchanged := _from_an_index(asked, changes)):
            where.tool.search(unchanged, alone=True)
        if locked.hashes:
            check_hashes(locked.hashes, [*(str(want.name) for want in asked), *(change.name for change in changes)])
        self._check(installed, asked, changes)
        steps = [Step(where.kind, c.name, c.version, _version(installed, c.name)) for c in changes]
        shown, paths = rehearse(self.environ, where.tool, asked, changes) if changes else Rehearsal([], [])
        if self.dry_run:
            self.approve([], shown)
            return Outcome(steps, [preview.as_dict() for preview in shown], dry_run=True)
        if changes:
            if not self.approve(steps, shown):
                raise Declined("Nothing was changed")
            pins = [f"{c.name}=={c.version}" for c in changes if not c.url and c.version != UNKNOWN]
            with reversible(steps, paths, self.output.warn):
                where.tool.install([want.text for want in asked], [*core, *pins], upgrade=upgrade)
                found = self.look(steps)
        else:
            found = self.look([])
        names = {want.name for want in asked} | {change.name for change in changes}
        plugins = [plugin for plugin in found if plugin["distribution"] in names]
        working = {plugin["distribution"] for plugin in plugins}
        if locked.hashes:  # what lists everything lists dependencies too
            asked = [want for want in asked if want.name in working]
        if not upgrade:
            record.add(self.config, "installed", [want.text for want in asked])
        for name in sorted({str(want.name) for want in asked} - working):
            self.output.warn(f"{name} has no plugin; it is a dependency for plugins")
        return Outcome(steps, plugins)

    def _check(self, installed: Mapping[str, Distribution], asked: list[Wanted], changes: list[Change]) -> None:
        """Refuse changes that the administrator denies, or that break installed distributions."""
        self._refuse_core([Wanted(change.name, change.name) for change in changes])
        versions = {name: distribution.version for name, distribution in installed.items()}
        versions.update({change.name: change.version for change in changes})
        for want in asked:
            assert want.name, "they have been named"
            self.refuse_denied(want.name, versions[want.name])
        self.refuse_denied_changes(changes)
        if found := present.conflicts(installed, changes):
            broken = "\n".join(f"  {conflict}" for conflict in found)
            raise AlgoError(f"This would break what is installed; nothing was changed:\n{broken}", ISOLATE)

    def refuse_denied_changes(self, changes: Iterable[Change]) -> None:
        """Raise PermissionDenied if the administrator does not allow one of these."""
        for change in changes:
            self.refuse_denied(change.name, change.version, is_plugin=False)

    def refuse_denied(self, name: str, version: str, *, is_plugin: bool = True) -> None:
        """Raise PermissionDenied if the administrator does not allow a distribution."""
        known = None if version == UNKNOWN else version
        if why := self.policy.site_refusal(name, known, is_plugin=is_plugin):
            label = name if version == UNKNOWN else f"{name} {version}"
            raise PermissionDenied(f"{label} is {why}; nothing was changed", "Ask your administrator")

    def _refuse_core(self, asked: Iterable[Wanted]) -> None:
        for want in asked:
            if want.name == CORE:
                raise UsageError(f"{CORE} is algo itself", "Upgrade it with the tool that installed it")

    def look(self, steps: Sequence[Step]) -> list[dict[str, Any]]:
        """All plugins as they are after a change.

        Raises:
            Restored: if one does not work that worked before, or is new, and is not to stay.
        """
        try:
            found = probe.plugins(self.environ)
        except PluginError as error:
            raise Restored(f"{error.message}; {put_back(steps)}", steps) from None
        for plugin in found:
            if plugin["error"] and steps and plugin["distribution"] not in self._broken_before:
                message = f"{plugin['distribution']} {plugin['version']} does not work: {plugin['error']}"
                if not self.keep(message):
                    raise Restored(f"{message}; {put_back(steps)}", steps)
        return found


def names_of(words: Sequence[str]) -> list[str]:
    """Normalized names of distributions, each once."""
    return list(dict.fromkeys(normalized(word) for word in words))


def _from_an_index(asked: Iterable[Wanted], changes: Iterable[Change]) -> list[str]:
    """The requirements that an index should have newer versions for, and has none."""
    changed = {change.name for change in changes}
    return [want.text for want in asked if want.name not in changed and "@" not in want.text]


def check_hashes(known: Mapping[str, Sequence[str]], names: Iterable[str]) -> None:
    """Raise HashMismatch if the requirements files have no hash of one of these."""
    for name in names:
        if not known.get(name):
            raise unhashed(name)


def without_running_core(files: Contents) -> Contents:
    """The same without the core, which files that list everything list too.

    Raises:
        UsageError: if they list another core than the running one.
    """
    installed = present.distributions()
    for want in files.requirements:
        if want.name == CORE and not present.satisfies(installed, wanted.parse(want.text)):
            raise UsageError(
                f"The requirements file lists {want.text}, and {CORE} {_version(installed, CORE)} is running",
                "Upgrade algo first, with the tool that installed it",
            )
    return Contents([want for want in files.requirements if want.name != CORE], files.locked)


def _version(installed: Mapping[str, Distribution], name: str) -> str | None:
    return installed[name].version if name in installed else None


def _parsed(text: str, config: Config) -> Any:
    try:
        return wanted.parse(text)
    except ValueError as error:
        raise UsageError(f"{config.user_file}: {redacted(text)!r} is not a requirement: {error}") from None
