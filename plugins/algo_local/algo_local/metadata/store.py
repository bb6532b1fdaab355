"""The core tables: settings of the platform, accounts and roles, collections with ACLs, digests of files."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from algo_local.names import check_owner

if TYPE_CHECKING:
    from algo_local.metadata.database import Database, Rows

Acl = tuple[str, ...]
"""The readers of a collection besides its owner: none, or one of the two below (API section 4.6)."""

OWN_ALGORITHMS: Acl = ("algo://.my/*",)
"""The owner's algorithms, no matter who calls them: what a collection has unless it is made otherwise."""

EVERYBODY: Acl = ("user://*",)

PLATFORM_ID = "platform_id"
"""The setting with the text that identifies a platform."""

KEY_CHECK = "secrets_key"
"""The setting by which the key of secrets is recognized; see `vault.py`."""


class Collection(NamedTuple):
    """A collection, with the id that it has besides its name."""

    owner: str
    name: str
    acl: Acl
    id: str


class Metadata:
    """Settings, accounts, collections, and digests and media types of files."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def setting(self, name: str) -> str | None:
        """A setting of the platform as a whole, such as the name of its own account; None if it is not set."""
        with self.database.read() as rows:
            found = rows.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return found[0] if found else None

    def settings(self, *names: str) -> dict[str, str]:
        """The values of those settings that are set."""
        with self.database.read() as rows:
            query = f"SELECT name, value FROM settings WHERE name IN ({', '.join('?' * len(names))})"
            return dict(rows.execute(query, names).fetchall())

    def accounts(self) -> list[str]:
        """The names of all accounts, in order."""
        with self.database.read() as rows:
            return [row[0] for row in rows.execute("SELECT name FROM accounts ORDER BY name")]

    def account(self, name: str) -> str | None:
        """The stored spelling of an account's name, given in any case or by its id; None if there is none."""
        with self.database.read() as rows:
            found = rows.execute("SELECT name FROM accounts WHERE name = ? OR id = ?", (name, name.lower())).fetchone()
        return found[0] if found else None

    def roles(self, account: str) -> Mapping[str, str]:
        """The roles of an account by organization, without invitations."""

        def ask() -> Mapping[str, str]:
            query = "SELECT organization, role FROM members WHERE account = ? AND role != 'invited'"
            with self.database.read() as rows:
                return MappingProxyType(dict(rows.execute(query, (account,)).fetchall()))

        return self.database.remembered(("roles", account), ask)

    def is_administrator(self, account: str) -> bool:
        """Whether an account may use an administrator's rights."""

        def ask() -> bool:
            with self.database.read() as rows:
                query = "SELECT 1 FROM accounts WHERE name = ? AND is_administrator = 1"
                return rows.execute(query, (account,)).fetchone() is not None

        return self.database.remembered(("administrator", account), ask)

    def ensure_account(self, name: str) -> str:
        """Create an account unless it exists; returns the stored spelling of its name.

        Raises:
            RequestRefused: if an account cannot have this name.
        """
        if existing := self.account(name):
            return existing
        with self.database.write() as rows:
            insert_account(rows, name)
        return self.account(name) or name

    def collections(self, owner: str) -> list[tuple[str, Acl]]:
        """The collections of an account with their ACLs, in the order of their names."""
        with self.database.read() as rows:
            found = rows.execute("SELECT name, acl FROM collections WHERE owner = ? ORDER BY name", (owner,)).fetchall()
        return [(name, tuple(json.loads(acl))) for name, acl in found]

    def collection_records(self, owner: str) -> list[Collection]:
        """The collections of an account in full, in the order of their names."""
        return self._collections("owner = ? ORDER BY name", owner)

    def all_collections(self) -> list[Collection]:
        """The collections of all accounts."""
        return self._collections("1 = 1")

    def platform_id(self) -> str:
        """A text that identifies this platform, even after its database was moved."""
        import uuid

        if found := self.setting(PLATFORM_ID):
            return found
        with self.database.write() as rows:
            values = (PLATFORM_ID, str(uuid.uuid4()))
            rows.execute("INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING", values)
        return self.platform_id()

    def collection(self, identifier: str) -> Collection | None:
        """A collection by its id; None if there is none."""
        return next(iter(self._collections("id = ?", identifier)), None)

    def _collections(self, condition: str, *values: str) -> list[Collection]:
        query = f"SELECT owner, name, acl, id FROM collections WHERE {condition}"
        with self.database.read() as rows:
            found = rows.execute(query, values).fetchall()
        return [Collection(owner, name, tuple(json.loads(acl)), id) for owner, name, acl, id in found]

    def collection_named(self, owner: str, name: str) -> Collection | None:
        """A collection by its name; None if there is none."""

        def ask() -> Collection | None:
            return next(iter(self._collections("owner = ? AND name = ?", owner, name)), None)

        return self.database.remembered(("collection", owner, name), ask)

    def acl(self, owner: str, name: str) -> Acl | None:
        """The ACL of a collection; None if there is no such collection."""
        found = self.collection_named(owner, name)
        return found.acl if found else None

    def set_acl(self, owner: str, name: str, acl: Acl) -> bool:
        """Change a collection's ACL; False if it does not exist."""
        with self.database.write() as rows:
            changed = rows.execute(
                "UPDATE collections SET acl = ? WHERE owner = ? AND name = ?", (json.dumps(acl), owner, name)
            )
            return changed.rowcount > 0

    def insert_collection(self, rows: Rows, owner: str, name: str, acl: Acl, identifier: str | None = None) -> str:
        """Record a collection inside a transaction; returns its id, a new one by default."""
        import uuid

        identifier = identifier or str(uuid.uuid4())
        rows.execute(
            "INSERT INTO collections (owner, name, acl, created_at, id) VALUES (?, ?, ?, ?, ?)",
            (owner, name, json.dumps(acl), time.time(), identifier),
        )
        return identifier

    def delete_collection(self, rows: Rows, owner: str, name: str) -> None:
        """Forget a collection inside a transaction."""
        rows.execute("DELETE FROM collections WHERE owner = ? AND name = ?", (owner, name))

    def digest(self, path: str, identity: str) -> str | None:
        """The stored MD5 of a file, if the file is unchanged."""
        with self.database.read() as rows:
            found = rows.execute("SELECT md5 FROM digests WHERE path = ? AND identity = ?", (path, identity)).fetchone()
        return found[0] if found else None

    def remember_digest(self, path: str, identity: str, md5: str) -> None:
        """Store a file's MD5 in hexadecimal digits, so that it need not be computed again."""
        with self.database.write(is_guarded=False) as rows:
            rows.execute(
                "INSERT INTO digests VALUES (?, ?, ?)"
                " ON CONFLICT (path) DO UPDATE SET identity = excluded.identity, md5 = excluded.md5",
                (path, identity, md5),
            )

    def media_type(self, path: str, identity: str) -> str | None:
        """The media type of a file's upload, if the file is unchanged."""
        directory = path.rpartition("/")[0]
        if not self.database.remembered(("media types", directory), lambda: self._has_media_types(directory)):
            return None
        with self.database.read() as rows:
            query = "SELECT type FROM media_types WHERE path = ? AND identity = ?"
            found = rows.execute(query, (path, identity)).fetchone()
        return found[0] if found else None

    def _has_media_types(self, directory: str) -> bool:
        """Whether any file of a directory has a stored media type, which is rare."""
        with self.database.read() as rows:
            query = "SELECT 1 FROM media_types WHERE path > ? AND path < ? LIMIT 1"
            return rows.execute(query, _within(directory)).fetchone() is not None

    def remember_media_type(self, path: str, identity: str, media_type: str) -> None:
        """Store the media type of a file's upload."""
        with self.database.write() as rows:
            rows.execute(
                "INSERT INTO media_types VALUES (?, ?, ?)"
                " ON CONFLICT (path) DO UPDATE SET identity = excluded.identity, type = excluded.type",
                (path, identity, media_type),
            )

    def forget_files(self, directory: str) -> None:
        """Forget the MD5s and media types of all files of a directory."""
        with self.database.write(is_guarded=False) as rows:
            for table in ("digests", "media_types"):
                rows.execute(f"DELETE FROM {table} WHERE path > ? AND path < ?", _within(directory))

    def counts(self) -> dict[str, int]:
        """The number of accounts, keys, collections, algorithms and versions."""
        with self.database.read() as rows:
            return {
                table: rows.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
                for table in ("accounts", "keys", "collections", "algorithms", "versions")
            }


def _within(directory: str) -> tuple[str, str]:
    """The bounds of the paths of a directory's files."""
    return f"{directory}/", f"{directory}0"


def insert_account(rows: Rows, name: str) -> None:
    """Create an account inside a transaction, unless it exists. Raises RequestRefused for an invalid name."""
    import uuid

    rows.execute(
        "INSERT INTO accounts (name, created_at, id) VALUES (?, ?, ?) ON CONFLICT (name) DO NOTHING",
        (check_owner(name), time.time(), str(uuid.uuid4())),
    )


def collection_acl(rows: Rows, owner: str, name: str, identifier: str = "") -> Acl | None:
    """The ACL of a collection as a transaction sees it; None if there is no such collection, or not with this id."""
    query = "SELECT acl, id FROM collections WHERE owner = ? AND name = ?"
    found = rows.execute(query, (owner, name)).fetchone()
    return tuple(json.loads(found[0])) if found and identifier in {"", found[1]} else None
