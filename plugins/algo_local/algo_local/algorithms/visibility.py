"""Which algorithms a caller may know of: one rule for every route that names one."""

from __future__ import annotations

from algo_local.algorithms.registry import Algorithm, Registry, Version
from algo_local.callers import Caller


def visible_versions(registry: Registry, caller: Caller, algorithm: Algorithm) -> list[Version]:
    """The published versions that a caller may see, newest number first.

    With none of them the algorithm is to be answered for like one that does not exist.
    """
    versions = registry.versions(algorithm)
    if caller.owns_algorithm(algorithm.owner):
        return versions
    return [version for version in versions if version.public]


def visible_algorithm(registry: Registry, caller: Caller, owner: str, name: str = "") -> Algorithm | None:
    """An algorithm by its names, or by its id in the place of both, if the caller may know of it.

    A call may always know of the algorithm that it runs in: its data is there for it.
    """
    algorithm = registry.algorithm(owner, name)
    if not algorithm:
        return None
    runs_in_it = caller.inside is not None and caller.inside.algorithm == (algorithm.owner, algorithm.name)
    return algorithm if runs_in_it or visible_versions(registry, caller, algorithm) else None
