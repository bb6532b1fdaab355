"""The visibility of algorithms: one rule for all routes and for hosted data.

Owners of an algorithm see all of it. Others see its public versions; without one, it does not exist for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from algo_local.algorithms.registry import Algorithm, Registry, Version
    from algo_local.callers import Caller


def visible_versions(registry: Registry, caller: Caller, algorithm: Algorithm) -> list[Version]:
    """The published versions that a caller may see, newest number first."""
    owned = caller.owns_algorithm(algorithm.owner)
    return [version for version in registry.versions(algorithm) if owned or version.public]


def visible_algorithm(registry: Registry, caller: Caller, owner: str, name: str = "") -> Algorithm | None:
    """An algorithm by its names, or by its id in the place of both, if the caller may know of it.

    A call may always know of the algorithm that it runs in: its data is there for it.
    """
    algorithm = registry.algorithm(owner, name)
    if not algorithm or caller.owns_algorithm(algorithm.owner):
        return algorithm
    runs_in_it = caller.inside is not None and caller.inside.algorithm == (algorithm.owner, algorithm.name)
    return algorithm if runs_in_it or registry.is_public(algorithm) else None


def visible_algorithms(registry: Registry, caller: Caller, owner: str | None = None) -> list[Algorithm]:
    """The algorithms that a caller may know of, of one owner or of all, in the order of their names."""
    public = registry.public()
    return [found for found in registry.algorithms(owner) if found.id in public or caller.owns_algorithm(found.owner)]


def reads_source(caller: Caller, algorithm: Algorithm) -> bool:
    """Whether a caller may see an algorithm's source, and with it stack traces."""
    return algorithm.source_visibility == "open" or caller.owns_algorithm(algorithm.owner)
