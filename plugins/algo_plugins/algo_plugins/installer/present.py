"""The installed distributions, and what a change would break."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from algo_core.plugins.policy import normalized
from algo_core.plugins.recorded import CORE, standard_of
from algo_core.plugins.types import GROUP
from algo_plugins.installer.tools import UNKNOWN, Change

if TYPE_CHECKING:
    from packaging.requirements import Requirement


class Distribution(Protocol):
    """The used part of an installed distribution; importlib-metadata's classes differ between its versions."""

    @property
    def version(self) -> str: ...  # noqa: D102
    @property
    def requires(self) -> list[str] | None: ...  # noqa: D102
    @property
    def files(self) -> Any: ...  # noqa: D102
    @property
    def entry_points(self) -> Any: ...  # noqa: D102
    def read_text(self, filename: str) -> str | None: ...  # noqa: D102


class Conflict(NamedTuple):
    """A requirement of an installed distribution that would no longer be met."""

    label: str
    requirement: str
    found: str | None

    def __str__(self) -> str:
        needs = f"{self.label} needs {self.requirement}"
        return f"{needs}, and would get {self.found}" if self.found else needs


def distributions() -> dict[str, Distribution]:
    """All installed distributions by normalized name, as Python would find them."""
    import importlib_metadata

    found: dict[str, Distribution] = {}
    for distribution in importlib_metadata.distributions():
        try:
            name = normalized(distribution.metadata["Name"] or "")
        except Exception:  # a damaged distribution must not hide the others
            continue
        if name:
            found.setdefault(name, distribution)
    return found


def has_plugins(distribution: Distribution) -> bool:
    """Whether a distribution brings plugins."""
    return any(entry.group == GROUP for entry in distribution.entry_points)


def standard(installed: Mapping[str, Distribution]) -> set[str]:
    """The names of the standard plugins: the core's extra `standard`."""
    core = installed.get(CORE)
    return {normalized(requirement.name) for requirement in standard_of(core.requires or [] if core else [])}


def conflicts(installed: Mapping[str, Distribution], changes: Iterable[Change]) -> list[Conflict]:
    """The requirements of unchanged distributions that changes would break; already broken ones do not count."""
    after = {change.name: change.version for change in changes}
    found = []
    for name, distribution in installed.items():
        if name in after:
            continue
        for requirement in _requirements(distribution):
            needed = normalized(requirement.name)
            version = after.get(needed)
            if version is None or version == UNKNOWN or not _applies(requirement) or _met(requirement, version):
                continue
            if needed in installed and not _met(requirement, installed[needed].version):
                continue
            bare = requirement.name + str(requirement.specifier)
            found.append(Conflict(f"{name} {distribution.version}", bare, f"{needed} {version}"))
    return found


def unmet(
    installed: Mapping[str, Distribution], changes: Iterable[Change], labelled: Iterable[tuple[str, str]]
) -> list[Conflict]:
    """Of requirements, each with a label, those that would not be met after changes."""
    from packaging.requirements import Requirement

    after = {name: distribution.version for name, distribution in installed.items()}
    after.update({change.name: change.version for change in changes})
    found = []
    for label, text in labelled:
        requirement = Requirement(text)
        version = after.get(normalized(requirement.name))
        if _applies(requirement) and (version is None or not _met(requirement, version)):
            found.append(Conflict(label, text, version))
    return found


def needed_by(installed: Mapping[str, Distribution], names: Iterable[str]) -> list[Conflict]:
    """The distributions that require these names."""
    gone = set(names)
    return [
        Conflict(f"{name} {distribution.version}", normalized(requirement.name), None)
        for name, distribution in installed.items()
        if name not in gone
        for requirement in _requirements(distribution)
        if normalized(requirement.name) in gone and _applies(requirement)
    ]


def satisfies(installed: Mapping[str, Distribution], requirement: Requirement) -> bool:
    """Whether an installed distribution meets a requirement; a URL is met by any version."""
    found = installed.get(normalized(requirement.name))
    return found is not None and _met(requirement, found.version)


def _met(requirement: Requirement, version: str) -> bool:
    from packaging.version import InvalidVersion

    try:
        return requirement.specifier.contains(version, prereleases=True)
    except InvalidVersion:  # what cannot be compared is not known to fit
        return False


def _applies(requirement: Requirement, *, extra: str = "") -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def _requirements(distribution: Distribution) -> list[Requirement]:
    from packaging.requirements import InvalidRequirement, Requirement

    found = []
    for text in distribution.requires or []:
        try:
            found.append(Requirement(text))
        except InvalidRequirement:  # written before there were rules: nothing can be said about it
            continue
    return found
