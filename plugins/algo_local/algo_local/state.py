"""The location of a platform's state: a directory, and optionally a database server and an object store."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from algo_core.errors import ConfigError
from algo_local.paths import state_root

METADATA_VARIABLE = "ALGO_LOCAL_METADATA"
"""Environment variable for the URL of the database."""

OBJECTS_VARIABLE = "ALGO_LOCAL_OBJECTS"
"""Environment variable for the URL of the object store."""

KEY_VARIABLE = "ALGO_LOCAL_SECRETS_KEY"
"""Environment variable for the key of secrets, in the place of its file."""

KEY_FILE = "secrets.key"
"""The name of the file with the key of secrets in the directory."""

PASSWORD_VARIABLES = (METADATA_VARIABLE, OBJECTS_VARIABLE, KEY_VARIABLE, "PGPASSWORD")
"""Variables that may hold passwords or keys of the state; programs that build algorithms do not see them."""

DATABASE = "platform.sqlite3"
"""The name of the database in the directory, where no URL names another one."""

_SERVERS = ("postgresql", "postgres")
_URL = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_USER_INFORMATION = re.compile(r"(^[a-z][a-z0-9+.-]*://|^).*@", re.DOTALL | re.IGNORECASE)
"""With a greedy end: passwords may hold any character, unquoted where somebody did not know better."""
_SECRET_PARAMETER = re.compile(r"(?i)([?&][^=&#]*(?:password|secret|token|key|sig)[^=&#]*=)[^&#]*")


@dataclass(frozen=True)
class State:
    """Where the state of a platform is.

    Without `metadata` and `objects`, all of it is in the directory. URLs may hold passwords and are never shown; see
    `place`.
    """

    root: Path
    metadata: str | None = field(default=None, repr=False)
    """URL of a PostgreSQL database with the metadata: accounts, keys, algorithms, calls."""
    objects: str | None = field(default=None, repr=False)
    """URL of an object store with the files of hosted data."""

    def __post_init__(self) -> None:
        if self.metadata is not None and _scheme(self.metadata) not in _SERVERS:
            raise ConfigError(
                f"No database can be opened at {place(self.metadata)}",
                f"Name a PostgreSQL database with {METADATA_VARIABLE} or --metadata, such as"
                " postgresql://USER@HOST/DATABASE, or leave it out: then it is a file of the platform's directory",
            )
        if self.objects is not None and not _scheme(self.objects):
            raise ConfigError(
                f"No object store can be opened at {place(self.objects)}",
                f"Name one with {OBJECTS_VARIABLE} or --objects, such as s3://BUCKET/PREFIX, or leave it out: then"
                " objects are files of the platform's directory",
            )

    @classmethod
    def of(cls, environ: Mapping[str, str] = os.environ) -> State:
        """The state that the environment names: `ALGO_LOCAL_ROOT`, `ALGO_LOCAL_METADATA` and `ALGO_LOCAL_OBJECTS`.

        Raises:
            ConfigError: if the environment names no directory and no home, or what cannot hold the state.
        """
        metadata, objects = environ.get(METADATA_VARIABLE), environ.get(OBJECTS_VARIABLE)
        return cls(state_root(environ), metadata or None, objects or None)

    def at(self, metadata: str | None, objects: str | None) -> State:
        """This state, but with the URLs that are given."""
        return replace(self, metadata=metadata or self.metadata, objects=objects or self.objects)

    @property
    def exists(self) -> bool:
        """False if nothing was ever put there, as far as this can be told without opening it."""
        return self.metadata is not None or (self.root / DATABASE).exists()

    @property
    def is_shared(self) -> bool:
        """Whether platforms on several machines can have this state, each with a directory of its own."""
        return bool(self.metadata and self.objects)

    def __str__(self) -> str:
        return ", ".join([str(self.root), *(place(url) for url in (self.metadata, self.objects) if url)])


def place(url: str) -> str:
    """A URL as it may be shown: with `***` for user and password, and for parameters that are secrets."""
    return _SECRET_PARAMETER.sub(r"\1***", _USER_INFORMATION.sub(r"\1***@", url))


def _scheme(url: str) -> str:
    found = _URL.match(url)
    return found[1].lower() if found else ""
