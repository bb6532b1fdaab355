"""Lists and removes single builds, environments and data of algorithms, unless they are in use."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from algo_core.errors import AlgoError, NotFoundError
from algo_local.algorithms.builds import Builds
from algo_local.algorithms.installation.installing import REQUIREMENTS
from algo_local.pruning import discard
from algo_local.retirement import discard_data
from algo_local.trees import disk_use, unused

if TYPE_CHECKING:
    from algo_local.algorithms.registry import Algorithm
    from algo_local.platform import Platform

_LEAST = 4
"""Characters of an id that stand for the whole of it."""

_NAMES = """
SELECT DISTINCT a.owner || '/' || a.name FROM builds b JOIN algorithms a ON a.id = b.algorithm
WHERE b.python LIKE ? ORDER BY 1
"""
_BUILDS = "SELECT id, commit_hash, source FROM builds WHERE algorithm = ? AND status IN ('succeeded', 'failed')"
_VERSIONS = "SELECT major || '.' || minor || '.' || revision FROM versions WHERE build = ? AND unpublished_at IS NULL"
_BUILDING = AlgoError("An algorithm is being built, which may need it", "Repeat the command when the build has ended")


@dataclass(frozen=True, slots=True)
class EnvironmentInfo:
    """A virtual environment on the disk."""

    id: str
    size: int
    """Bytes on the disk; files that it shares with other environments count in each of them."""
    requirements: tuple[str, ...]
    algorithms: tuple[str, ...]
    """`OWNER/NAME` of those with a build that needs it."""


def environments(platform: Platform) -> list[EnvironmentInfo]:
    """All environments, the largest first."""
    found = []
    for path in (platform.root / "environments").glob("*"):
        if path.is_dir():
            with platform.database.read() as rows:
                names = tuple(row[0] for row in rows.execute(_NAMES, (f"environments/{path.name}/%",)))
            found.append(EnvironmentInfo(path.name, disk_use([path]), _requirements(path), names))
    return sorted(found, key=lambda one: (-one.size, one.id))


def _requirements(environment: Path) -> tuple[str, ...]:
    try:
        return tuple((environment / REQUIREMENTS).read_text("utf-8").split("\n")[:-1])
    except OSError:  # the rest of an interrupted build
        return ()


def remove_environment(platform: Platform, wanted: str) -> EnvironmentInfo:
    """Remove an environment, given by its id or the beginning of it; `size` is what that has freed.

    Raises:
        NotFoundError: if there is none.
        AlgoError: if a build needs it, or an algorithm runs in it.
    """
    with platform.builder.none_builds() as is_alone:
        if not is_alone:
            raise _BUILDING
        known = environments(platform)
        found = known[_only([one.id for one in known], wanted, "environment", "algo local env list")]
        if found.algorithms:
            raise AlgoError(
                f"Builds of {', '.join(found.algorithms[:3])} need the environment {found.id[:12]}",
                f"Remove those first: algo local build remove {found.algorithms[0]} BUILD",
            )
        path = platform.root / "environments" / found.id
        freed = disk_use([path], only_freed=True)
        _discard_unused(platform, path, f"The environment {found.id[:12]}")
    return replace(found, size=freed)


def remove_build(platform: Platform, algorithm: Algorithm, wanted: str) -> str:
    """Remove a build, given by its id or commit or the beginning of one, with its files; returns its commit.

    Its environment stays: other builds may need it, and pruning removes it otherwise.

    Raises:
        NotFoundError: if there is none.
        AlgoError: if a version is published of it, or it runs.
    """
    name = f"{algorithm.owner}/{algorithm.name}"
    with platform.builder.none_builds() as is_alone:
        if not is_alone:
            raise _BUILDING
        with platform.database.write() as rows:
            builds = rows.execute(_BUILDS, (algorithm.id,)).fetchall()
            keys = [key for build in builds for key in build[:2]]
            identifier, commit, source = builds[_only(keys, wanted, "build", f"algo builds list {name}") // 2]
            if version := rows.execute(_VERSIONS, (identifier,)).fetchone():
                raise AlgoError(
                    f"{name}/{version[0]} is published of this build",
                    f"Withdraw that version first: algo algorithms unpublish {name} {version[0]}",
                )
            Builds.remove(rows, identifier)
            needed = rows.execute("SELECT 1 FROM builds WHERE source = ?", (source,)).fetchone()
            if source and not needed and (platform.root / source).exists():
                _discard_unused(platform, platform.root / source, f"The build {commit[:12]} of {name}")
    return str(commit)


def _discard_unused(platform: Platform, path: Path, title: str) -> None:
    with unused(path) as is_unused:
        if not is_unused:
            raise AlgoError(f"{title} is in use by a running algorithm", "Repeat the command when it has ended")
        if not discard(platform.root, path):
            raise AlgoError(f"{title} cannot be removed", f"Check the permissions of {path}")


def _only(keys: list[str], wanted: str, kind: str, listing: str) -> int:
    """The index of the only key that is, or begins with, what is wanted."""
    if wanted in keys:
        return keys.index(wanted)
    found = [index for index, key in enumerate(keys) if len(wanted) >= _LEAST and key.startswith(wanted)]
    if len(found) > 1:
        raise AlgoError(f"{wanted} is the beginning of several: {', '.join(keys[index] for index in found)}")
    if not found:
        raise NotFoundError(f"There is no {kind} {wanted!r}", f"List them with: {listing}")
    return found[0]


def data_sizes(platform: Platform) -> list[tuple[str, int, int]]:
    """The algorithms with data of their own (`data://.algo`): name, bytes in `temp`, bytes in `perm`."""
    sizes: dict[str, dict[str, int]] = {}
    for space in platform.objects.algorithm_spaces():
        found = sizes.setdefault(f"{space.owner}/{space.name}", {"temp": 0, "perm": 0})
        found[space.kind] += platform.objects.size(space.directory)
    return [(name, found["temp"], found["perm"]) for name, found in sizes.items()]


def remove_data(platform: Platform, algorithm: Algorithm) -> int:
    """Remove what an algorithm keeps for its callers, of all accounts; returns its bytes."""
    space = platform.objects.algorithm_data(algorithm.owner, algorithm.name)
    size = platform.objects.size(space)
    discard_data(platform, space)
    return size
