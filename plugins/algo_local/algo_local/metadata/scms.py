"""External source hosts, and the repositories of algorithms on them (API section 6.5)."""

from __future__ import annotations

import json
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from algo_local.error_codes import ErrorCode
from algo_local.refusals import Invalid, Missing, Taken

if TYPE_CHECKING:
    from algo_local.metadata.database import Database, Rows
    from algo_local.metadata.vault import Vault

_COLUMNS = "id, name, provider, enabled, is_default, urls"


@dataclass(frozen=True, slots=True)
class Scm:
    """A git server by its address. Repositories are at `urls["web"]/OWNER/NAME.git`."""

    id: str
    name: str
    provider: str
    enabled: bool
    default: bool
    urls: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Source:
    """The external repository of an algorithm's sources."""

    scm: Scm
    repository: str
    """`OWNER/NAME` on that host."""
    webhook_secret: str
    username: str = ""
    password: str = ""

    @property
    def address(self) -> str:
        """The address of the repository."""
        return f"{self.scm.urls['web'].rstrip('/')}/{self.repository}.git"


class Scms:
    """All source hosts but the platform itself."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    def all(self) -> list[Scm]:
        """The hosts, by their names."""
        with self._database.read() as rows:
            return _rows(rows, "1 = 1 ORDER BY name, id")

    def get(self, identifier: str) -> Scm:
        """A host by its id. Missing if there is none."""
        with self._database.read() as rows:
            return _one(rows, identifier)

    def add(self, provider: str, name: str, urls: Mapping[str, str], *, enabled: bool, identifier: str = "") -> Scm:
        """Add a host. Taken if another one has this id or this address."""
        made = Scm(identifier or str(uuid.uuid4()), name, provider, enabled, False, urls)
        with self._database.write() as rows:
            if any(found.id == made.id or found.urls["web"] == urls["web"] for found in _rows(rows, "1 = 1")):
                raise Taken("There is a source host with this id or address already", ErrorCode.SCM_CONFLICT)
            values = (made.id, name, provider, int(enabled), 0, json.dumps(dict(urls)))
            rows.execute(f"INSERT INTO scms ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)", values)
        return made

    def update(self, identifier: str, *, enabled: bool | None, urls: Mapping[str, str] | None) -> Scm:
        """Change a host; None leaves it as it is."""
        with self._database.write() as rows:
            found = _one(rows, identifier)
            values = (
                int(found.enabled if enabled is None else enabled),
                json.dumps(dict(urls or found.urls)),
                found.id,
            )
            rows.execute("UPDATE scms SET enabled = ?, urls = ? WHERE id = ?", values)
            return _one(rows, identifier)

    def remove(self, identifier: str) -> None:
        """Remove a host that is neither enabled, nor the default, nor has sources of algorithms. Invalid otherwise."""
        with self._database.write() as rows:
            found = _one(rows, identifier)
            in_use = rows.execute("SELECT 1 FROM algorithm_sources WHERE scm = ? LIMIT 1", (identifier,)).fetchone()
            for reason, code, is_so in (
                ("is the default", ErrorCode.SCM_DEFAULT, found.default),
                ("has the sources of algorithms", ErrorCode.SCM_IN_USE, in_use),
                ("is enabled: disable it first", ErrorCode.SCM_ENABLED, found.enabled),
            ):
                if is_so:
                    raise Invalid(f"The source host {reason}", code)
            rows.execute("DELETE FROM scm_tokens WHERE scm = ?", (identifier,))
            rows.execute("DELETE FROM scms WHERE id = ?", (identifier,))

    def set_default(self, identifier: str | None) -> None:
        """Make a host the default, or with None the platform itself. Invalid if it is disabled."""
        with self._database.write() as rows:
            if identifier is not None and not _one(rows, identifier).enabled:
                raise Invalid("The source host is disabled", ErrorCode.SCM_DISABLED)
            rows.execute("UPDATE scms SET is_default = CASE WHEN id = ? THEN 1 ELSE 0 END", (identifier or "",))

    def connect(self, identifier: str, account: str, username: str, password: str) -> None:
        """Store the login with which an account fetches from a host."""
        value = self._vault.encrypt(json.dumps([username, password]))
        with self._database.write() as rows:
            _one(rows, identifier)
            conflict = "ON CONFLICT (scm, account) DO UPDATE SET value = excluded.value"
            rows.execute(f"INSERT INTO scm_tokens VALUES (?, ?, ?) {conflict}", (identifier, account, value))

    def login(self, identifier: str, account: str) -> tuple[str, str] | None:
        """The login with which an account fetches from a host: name and password; None without one."""
        with self._database.read() as rows:
            query = "SELECT value FROM scm_tokens WHERE scm = ? AND account = ?"
            found = rows.execute(query, (identifier, account)).fetchone()
        if not found:
            return None
        username, password = json.loads(self._vault.decrypt(found[0]))
        return username, password

    @staticmethod
    def place(rows: Rows, algorithm: str, identifier: str, repository: str) -> None:
        """Record inside a transaction the source host of a new algorithm. Missing, or Invalid for a disabled host."""
        if not _one(rows, identifier).enabled:
            raise Invalid("The source host is disabled", ErrorCode.SCM_DISABLED)
        values = (algorithm, identifier, repository, secrets.token_hex(20))
        rows.execute("INSERT INTO algorithm_sources VALUES (?, ?, ?, ?)", values)

    def source(self, algorithm: str, owner: str) -> Source | None:
        """The external repository of an algorithm, by its id and owner; None if the platform has it."""
        with self._database.read() as rows:
            query = "SELECT scm, repository, webhook_secret FROM algorithm_sources WHERE algorithm = ?"
            found = rows.execute(query, (algorithm,)).fetchone()
        if not found:
            return None
        scm = self.get(found[0])
        return Source(scm, found[1], found[2], *(self.login(scm.id, owner) or ("", "")))

    def forget_account(self, account: str) -> None:
        """Delete the logins of an account."""
        with self._database.write() as rows:
            rows.execute("DELETE FROM scm_tokens WHERE account = ?", (account,))


def _one(rows: Rows, identifier: str) -> Scm:
    found = _rows(rows, "id = ?", identifier)
    if not found:
        raise Missing(f"No source host {identifier[:50]}", ErrorCode.SCM_CONFIGURATION_NOT_FOUND)
    return found[0]


def _rows(rows: Rows, condition: str, *values: Any) -> list[Scm]:
    found = rows.execute(f"SELECT {_COLUMNS} FROM scms WHERE {condition}", values).fetchall()
    return [
        Scm(identifier, name, provider, bool(enabled), bool(is_default), json.loads(urls))
        for identifier, name, provider, enabled, is_default, urls in found
    ]
