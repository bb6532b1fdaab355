"""Bring back the version of a plugin before its last upgrade, with the dependencies that were changed along with it."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from algo_core.errors import AlgoError, NotFoundError
from algo_core.plugins import isolated
from algo_plugins.installer import placement, present
from algo_plugins.installer.changing import reversible
from algo_plugins.installer.environment import find
from algo_plugins.installer.isolating import WHERE, described
from algo_plugins.installer.operations import Declined, Operations
from algo_plugins.installer.outcome import Outcome, Step
from algo_plugins.installer.present import Distribution
from algo_plugins.installer.saved import Kept, Saved
from algo_plugins.installer.tools import Change


def roll_back(operations: Operations, name: str) -> Outcome:
    """Put the previous version of a plugin back, without a package index; the current one is then the previous one.

    Raises:
        NotFoundError: if there is none.
        PermissionDenied: if the administrator refuses it.
        AlgoError: if something installed would not work with it; nothing has been changed.
    """
    if name in isolated.installed(operations.environ):
        return _isolated(operations, name)
    installed = present.distributions()
    where = find(operations.environ)
    saved, chosen = _kept(name, installed)
    changes = [Change(kept.name, str(kept.previous)) for kept in chosen]
    operations.refuse_denied_changes(changes)
    operations.refuse_denied(name, next(change.version for change in changes if change.name == name))
    needs = [(f"{kept.name} {kept.previous}", need) for kept in chosen for need in saved.needs(kept)]
    if found := [*present.conflicts(installed, changes), *present.unmet(installed, changes, needs)]:
        broken = "\n".join(f"  {conflict}" for conflict in found)
        raise AlgoError(f"This would break what is installed; nothing was changed:\n{broken}", "Upgrade it instead")
    steps = [Step(where.kind, kept.name, str(kept.previous), kept.version) for kept in chosen]
    _ask(operations, steps)
    may_add = [path for kept in chosen for path in kept.files]
    with reversible(steps, may_add, operations.output.warn):
        saved.place(chosen, present.distributions)
        plugins = operations.look(steps)
    return Outcome(steps, plugins)


def _kept(name: str, installed: Mapping[str, Distribution]) -> tuple[Saved, list[Kept]]:
    """The newest saved state with another version of a distribution, and what of it still applies."""
    for saved in Saved.all_kept(sys.prefix):
        current = [k for k in saved.distributions if k.previous and _version(installed, k.name) == k.version]
        if any(kept.name == name for kept in current):
            return saved, current
    raise NotFoundError(
        f"No previous version of {name} is kept",
        f"Install the version that you want: algo plugins install '{name}<...'",
    )


def _version(installed: Mapping[str, Distribution], name: str) -> str | None:
    return installed[name].version if name in installed else None


def _isolated(operations: Operations, name: str) -> Outcome:
    current = isolated.installed(operations.environ)[name]
    previous = placement.previous(operations.environ, name)
    if previous is None:
        raise NotFoundError(
            f"No previous version of {name} is kept", f"Install one: algo plugins install --isolated '{name}==VERSION'"
        )
    operations.refuse_denied(name, previous.version)
    step = Step(WHERE, name, previous.version, current.version)
    _ask(operations, [step])
    placement.swap(operations.environ, name)
    return Outcome([step], [described(previous)])


def _ask(operations: Operations, steps: Sequence[Step]) -> None:
    if not operations.approve([*steps], ()):
        raise Declined("Nothing was changed")
