"""The work of `algo local status` (contents and disk usage) and `algo local reset` (deletion)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from algo_core.errors import AlgoError
from algo_core.files import status_of
from algo_local.execution.workers.keeper import keeper_of
from algo_local.metadata.opening import open_database
from algo_local.metadata.store import Metadata
from algo_local.metadata.write_stop import check_writable
from algo_local.platform import OWN_PARTS, Platform
from algo_local.records.limits import ROW_BYTES
from algo_local.state import DATABASE, KEY_FILE, State, place
from algo_local.trees import disk_use, remove_tree

if TYPE_CHECKING:
    from algo_local.data.store_objects import StoreObjects
    from algo_local.metadata.postgresql.database import PostgresqlDatabase

_KINDS = {
    "data": ("data", "connectors"),
    "algorithm_data": ("algorithm-data", "sessions"),
    "sources": ("sources", "repositories"),
    "environments": ("environments",),
    "packages": ("packages",),
    "running": ("processes", "running"),
    "leftovers": ("incoming", "trash", "drafts"),
}
"""The parts of the state by the words of `algo local status`."""

RESETTING = "resetting"
"""The file that is in the directory from the begin of a deletion to its end, since the database goes first."""

_DATABASE_NAMES = (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm")


def describe(platform: Platform) -> dict[str, Any]:
    """A platform's directory, account, sizes, and algorithms with their versions, newest first."""
    counts = platform.metadata.counts()
    algorithms = [
        {
            "name": f"{algorithm.owner}/{algorithm.name}",
            "versions": [
                f"{version.text}{'' if version.public else ' (private)'}"
                for version in platform.registry.versions(algorithm)
            ],
        }
        for algorithm in platform.registry.algorithms()
    ]
    return {
        "root": str(platform.root),
        **({"metadata": place(platform.state.metadata)} if platform.state.metadata else {}),
        **({"objects": place(platform.state.objects)} if platform.state.objects else {}),
        "account": platform.account,
        **{name: counts[name] for name in ("accounts", "keys", "collections")},
        "bytes": disk_by_kind(platform),
        "algorithms": algorithms,
        "keeper": keeper.status() if (keeper := keeper_of(platform.root)) else None,
    }


def has_platform(root: Path) -> bool:
    """Whether a directory is one of a platform, or what an interrupted deletion has left of it.

    Others may have directories with names such as `data` as well.
    """
    return any(status_of(root / name) for name in (DATABASE, KEY_FILE, RESETTING))


def delete_everything(state: State, tables: Iterable[str]) -> None:
    """Delete a platform's state: its objects, its tables (of these names) and its files, and nothing else.

    Raises:
        ConfigError: if the object store or the database belongs to something else.
        AlgoError: if something cannot be deleted, or the database is in use; a repetition goes on.
    """
    root = state.root
    if keeper := keeper_of(root):
        keeper.stop()
    if state.metadata or state.objects:
        _delete_from_servers(state, tables)
    if not has_platform(root):
        return
    # The database goes first: without it the rest is no platform any more, however far the deletion gets.
    try:
        (root / RESETTING).touch(mode=0o600)
        for name in _DATABASE_NAMES:
            (root / name).unlink(missing_ok=True)
        for name in OWN_PARTS:
            if (root / name).is_symlink():  # to another disk, perhaps one that others use as well
                (root / name).unlink()
            elif status_of(root / name):
                remove_tree(root / name)
        (root / RESETTING).unlink()
        if not any(root.iterdir()):
            root.rmdir()
    except OSError as error:
        raise AlgoError(f"Cannot delete {error.filename or root}: {error.strerror or error}") from error


def _delete_from_servers(state: State, tables: Iterable[str]) -> None:
    """The rows go last: they say whose objects these are."""
    from algo_local.data.opening import open_objects

    with contextlib.closing(open_database(state)) as database:
        if state.metadata:
            cast("PostgresqlDatabase", database).check_alone()
        if state.objects:
            objects = open_objects(state, set, Metadata(database).platform_id)
            cast("StoreObjects", objects).delete_everything()
        if state.metadata:
            cast("PostgresqlDatabase", database).delete_tables(tables)


def renew_key(state: State) -> None:
    """Have the key of secrets that is on this machine, or a new one, be the platform's from now on.

    Raises:
        AlgoError: if the database cannot be changed, or the key not be used, or the platform has been moved elsewhere.
    """
    from algo_local.metadata.vault import Vault

    with contextlib.closing(open_database(state)) as database:
        check_writable(database, str(state))
        Vault(state.root, database).renew()


def disk_by_kind(platform: Platform) -> dict[str, int]:
    """The bytes that each kind of state takes on the disk; what has several names counts once, where it comes first."""
    root = platform.root
    with platform.database.read() as rows:
        calls = rows.execute("SELECT coalesce(sum(size), 0) FROM request_contents").fetchone()[0]
        calls += rows.execute("SELECT count(*) FROM requests").fetchone()[0] * ROW_BYTES
    database = platform.database.size()
    return {
        **{kind: disk_use(root / name for name in names) for kind, names in _KINDS.items()},
        "calls": calls,
        "database": max(0, database - calls),
    }
