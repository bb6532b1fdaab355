"""Deletes algorithms, versions and accounts with everything that belongs to them, and notifies their owners."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from algo_local.algorithms import lifecycle
from algo_local.callers import Caller
from algo_local.metadata.notifications import DELETED, UNPUBLISHED

if TYPE_CHECKING:
    from algo_local.algorithms.registry import Algorithm, Version
    from algo_local.metadata.accounts import Account
    from algo_local.platform import Platform


def unpublish(platform: Platform, versions: Sequence[Version], *, by: str) -> None:
    """Unpublish versions of an algorithm."""
    for version in versions:
        lifecycle.unpublish(platform.registry, version)
        platform.tell_owners(UNPUBLISHED, version.algorithm, by=by, version=version.text)


def delete_algorithm(platform: Platform, algorithm: Algorithm, *, by: str) -> None:
    """Delete an algorithm, with its spaces of hosted data."""
    lifecycle.delete(platform.registry, algorithm)
    platform.repositories.discard(algorithm)
    platform.builds.forget(algorithm)
    platform.tell_owners(DELETED, algorithm, by=by)
    discard_data(platform, platform.objects.algorithm_data(algorithm.owner, algorithm.name))


def delete_account(platform: Platform, account: Account) -> None:
    """Delete an account. Its keys are deleted first, so that it cannot be used meanwhile. Can be repeated."""
    for key in platform.keys.of(account.name):
        platform.keys.delete(key)
    for algorithm in platform.registry.algorithms(account.name):
        delete_algorithm(platform, algorithm, by=account.name)
    for name, _ in platform.metadata.collections(account.name):
        platform.hosted.delete(Caller(account.name), [account.name, name], force=True)
    platform.scms.forget_account(account.name)
    platform.schedules.forget_account(account.name)
    platform.incoming_webhooks.forget_account(account.name)
    for connector in platform.connectors.of(account.name):
        platform.connectors.remove(account.name, connector.name)
    # A later account of this name must not find this account's data of other owners' algorithms.
    for space in platform.objects.algorithm_spaces():
        if space.user == account.name:
            discard_data(platform, space.directory)
    platform.records.forget_account(account.name)
    platform.accounts.forget(account)


def discard_data(platform: Platform, directory: str) -> None:
    """Remove a directory of hosted data with what is known of its files."""
    if platform.objects.exists(directory):
        platform.objects.discard(platform.objects.set_aside(directory))
        platform.metadata.forget_files(platform.objects.relative(directory))
