"""Adapts workers to published versions and settings: starts missing ones, stops outdated and surplus ones."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from algo_local.callers import CallContext

if TYPE_CHECKING:
    from pathlib import Path

    from algo_local.algorithms.build import Build
    from algo_local.algorithms.registry import Algorithm
    from algo_local.platform import Platform


def review(platform: Platform) -> None:
    """End the workers of this process whose build, secrets, settings or account have changed or are gone.

    Idle ones end before this returns, busy ones when their call does.
    """
    if "executor" not in platform.parts:
        return
    from algo_local.execution.workers.local_pool import LocalPool

    if isinstance(platform.executor, LocalPool):
        newest = {version.build_id for version in platform.registry.kept_ready()}
        platform.executor.review(
            lambda label, source: _current(platform, label, source, newest),
            lambda account: platform.metadata.account(account) is not None,
        )


def review_and_prepare(platform: Platform) -> None:
    """`review`, and start the workers that algorithms keep ready, as far as they are missing; they load later."""
    platform.share_builds()
    review(platform)
    versions, reserved = platform.registry.kept_ready(), _reserved(platform)
    if not versions and not reserved and "executor" not in platform.parts:
        return
    from algo_local.execution.workers.local_pool import LocalPool

    if not isinstance(platform.executor, LocalPool):
        return
    for version in versions:
        owner, name = version.algorithm.owner, version.algorithm.name
        platform.executor.prepare(platform.runnable(version), CallContext(owner, (owner, name), "", ""))
    platform.executor.reserve(reserved)


def follow(platform: Platform, algorithm: Algorithm | None, *, is_account_gone: bool) -> None:
    """Have the workers of this process and of the keeper follow a change that was made to an algorithm or account."""
    review(platform)
    platform.changed.set()
    if platform.forwarding:
        platform.forwarding.follow()
    if algorithm or is_account_gone:
        platform.forget_kept(f"{algorithm.owner}/{algorithm.name}" if algorithm else None)


def _reserved(platform: Platform) -> list[tuple[Build, CallContext, int]]:
    """The builds of which administrators have reserved workers, for whom, and how many."""
    found = []
    for reservation in platform.administration.reservations():
        algorithm = platform.registry.algorithm(reservation.algorithm)
        wanted = reservation.version_identifier if reservation.version_type != "latest" else ""
        version = platform.registry.resolve(algorithm, wanted, as_owner=True) if algorithm else None
        if algorithm and version:
            context = CallContext(reservation.calling_user, (algorithm.owner, algorithm.name), "", "")
            found.append((platform.runnable(version), context, reservation.slots))
    return found


def _current(platform: Platform, label: str, source: Path, newest: set[str]) -> Build | None:
    """The build of a source tree as it would be called now; None if it was withdrawn or deleted."""
    owner, _, name = label.partition("/")
    algorithm = platform.registry.algorithm(owner, name)
    version = platform.registry.build(algorithm, source.name) if algorithm else None
    if not version or platform.registry.is_withdrawn(version.build_id):
        return None
    build = platform.runnable(version)
    return build if version.build_id in newest else replace(build, min_workers=0)
