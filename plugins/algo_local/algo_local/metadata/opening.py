"""Opens the database of a state: a file of its directory, or a server."""

from __future__ import annotations

from algo_core.errors import ConfigError
from algo_local.metadata.database import Database
from algo_local.state import DATABASE, METADATA_VARIABLE, State, place


def open_database(state: State) -> Database:
    """The database of a state; nothing is read or created before it is used.

    Raises:
        ConfigError: if its URL names what is not supported.
    """
    if state.metadata:
        raise ConfigError(
            f"This algo-local cannot open {place(state.metadata)}: it supports SQLite, in the directory",
            f"Leave out --metadata and unset {METADATA_VARIABLE}",
        )
    return Database(state.root / DATABASE)
