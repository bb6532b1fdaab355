"""The secrets of algorithms: encrypted values in the environment of their processes (API section 6.6)."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from algo_local.error_codes import ErrorCode
from algo_local.refusals import Invalid, Missing, Taken

if TYPE_CHECKING:
    from algo_local.metadata.database import Database, Rows
    from algo_local.metadata.vault import Vault

RESERVED = ("ALGORITHMIA_", "LD_", "PYTHON", "ALGO_")
"""Prefixes of reserved variables."""

RESERVED_NAMES = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "IFS", "SHELL", "USER", "LOGNAME", "PWD", "NO_PROXY")
_COLUMNS = "id, short_name, description, secret_key, created_at, modified_at"


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret without its value. Times are in seconds since the epoch."""

    id: str
    short_name: str
    description: str
    secret_key: str
    """The name of the environment variable."""
    created_at: float
    modified_at: float


class Secrets:
    """The secrets of all algorithms, by the algorithm's id."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    def of(self, algorithm: str) -> list[Secret]:
        """The secrets of an algorithm, by the names of their variables."""
        with self._database.read() as rows:
            return _rows(rows, "algorithm = ? ORDER BY secret_key", algorithm)

    def environment(self, algorithm: str) -> dict[str, str]:
        """The secret variables of an algorithm's processes. PlatformError if a value cannot be decrypted."""
        with self._database.read() as rows:
            query = "SELECT secret_key, value FROM secrets WHERE algorithm = ? ORDER BY secret_key"
            found = rows.execute(query, (algorithm,)).fetchall()
        return {name: self._vault.decrypt(value) for name, value in found}

    def create(self, algorithm: str, short_name: str, description: str, secret_key: str, value: str) -> Secret:
        """Give an algorithm a secret.

        Raises:
            Taken: if it has one for this variable.
            Invalid: if the variable is reserved.
        """
        check_variable(secret_key)
        now = time.time()
        made = Secret(str(uuid.uuid4()), short_name, description, secret_key, now, now)
        encrypted = self._vault.encrypt(value)
        with self._database.write() as rows:
            self._check_free(rows, algorithm, secret_key)
            rows.execute(
                f"INSERT INTO secrets ({_COLUMNS}, algorithm, value) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (made.id, short_name, description, secret_key, now, now, algorithm, encrypted),
            )
        return made

    def edit(self, algorithm: str, identifier: str, changes: dict[str, str], value: str | None = None) -> Secret:
        """Change a secret; what is left out stays. Raises Missing, and as `create`."""
        encrypted = None if value is None else self._vault.encrypt(value)
        if "secret_key" in changes:
            check_variable(changes["secret_key"])
        with self._database.write() as rows:
            found = _one(rows, algorithm, identifier)
            if changes.get("secret_key", found.secret_key) != found.secret_key:
                self._check_free(rows, algorithm, changes["secret_key"])
            for column in ("short_name", "description", "secret_key"):
                if column in changes:
                    rows.execute(f"UPDATE secrets SET {column} = ? WHERE id = ?", (changes[column], found.id))
            if encrypted is not None:
                rows.execute("UPDATE secrets SET value = ? WHERE id = ?", (encrypted, found.id))
            rows.execute("UPDATE secrets SET modified_at = ? WHERE id = ?", (time.time(), found.id))
            return _one(rows, algorithm, identifier)

    def delete(self, algorithm: str, identifier: str) -> None:
        """Forget a secret. Raises Missing."""
        with self._database.write() as rows:
            found = _one(rows, algorithm, identifier)
            rows.execute("DELETE FROM secrets WHERE id = ?", (found.id,))

    def _check_free(self, rows: Rows, algorithm: str, secret_key: str) -> None:
        if _rows(rows, "algorithm = ? AND secret_key = ?", algorithm, secret_key):
            message = f"The algorithm has a secret {secret_key} already"
            raise Taken(message, ErrorCode.SECRET_METADATA_CONSTRAINT_VIOLATION)


def check_variable(name: str) -> None:
    """Raise Invalid if a variable is reserved."""
    if name.upper().startswith(RESERVED) or name.upper() in RESERVED_NAMES:
        message = f"The variable {name} is reserved; choose another name"
        raise Invalid(message, ErrorCode.SECRET_METADATA_CONSTRAINT_VIOLATION)


def _one(rows: Rows, algorithm: str, identifier: str) -> Secret:
    found = _rows(rows, "algorithm = ? AND id = ?", algorithm, identifier.lower())
    if not found:
        raise Missing(f"No secret {identifier[:50]}", ErrorCode.SECRET_NOT_FOUND)
    return found[0]


def _rows(rows: Rows, condition: str, *values: str) -> list[Secret]:
    query = f"SELECT {_COLUMNS} FROM secrets WHERE {condition}"
    return [Secret(*row) for row in rows.execute(query, values).fetchall()]
