"""Accounts, keys, collections with their ACLs, and digests of files."""

from __future__ import annotations

import json
import string
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from algo_core.errors import NotFoundError
from algo_local.metadata.database import Database
from algo_local.names import check_owner

if TYPE_CHECKING:
    import sqlite3

Acl = tuple[str, ...]
"""Who may read a collection besides its owner; nobody, or one of the two below (API section 4.6)."""

OWN_ALGORITHMS: Acl = ("algo://.my/*",)
"""The owner's algorithms, no matter who calls them: what a collection has unless it is made otherwise."""

EVERYBODY: Acl = ("user://*",)

KEY_LENGTH = 28
"""Characters of an API key, `sim` included (API section 1.3)."""

_ALPHABET = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class Key:
    """An API key as it is remembered: never the key itself."""

    id: int
    owner: str
    mask: str
    """Beginning and end of the key, for people to recognise it by."""
    label: str
    created_at: float
    """Seconds since the epoch."""


class Metadata:
    """The rows that say who is who, and which collections there are."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def setting(self, name: str) -> str | None:
        """A fact about this platform as a whole, such as the name of its own account."""
        with self.database.read() as rows:
            found = rows.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return found[0] if found else None

    def accounts(self) -> list[str]:
        """The names of all accounts, in order."""
        with self.database.read() as rows:
            return [row[0] for row in rows.execute("SELECT name FROM accounts ORDER BY name")]

    def account(self, name: str) -> str | None:
        """An account's name as it is spelled, found in any spelling; None if there is none."""
        with self.database.read() as rows:
            found = rows.execute("SELECT name FROM accounts WHERE name = ?", (name,)).fetchone()
        return found[0] if found else None

    def ensure_account(self, name: str) -> str:
        """The account of that name, made if it is new; its name as it is spelled.

        Raises:
            RequestRefused: if an account cannot have this name.
        """
        if existing := self.account(name):
            return existing
        with self.database.write() as rows:
            insert_account(rows, name)
        return self.account(name) or name

    def new_key(self, owner: str, label: str) -> str:
        """Make an API key for an account that exists, and return it: it cannot be had again."""
        import secrets

        key = "sim" + "".join(secrets.choice(_ALPHABET) for _ in range(KEY_LENGTH - 3))
        with self.database.write() as rows:
            rows.execute(
                "INSERT INTO keys (owner, digest, mask, label, created_at) VALUES (?, ?, ?, ?, ?)",
                (owner, _key_digest(key), _mask(key), label, time.time()),
            )
        return key

    def keys(self) -> list[Key]:
        """All keys, oldest first."""
        with self.database.read() as rows:
            found = rows.execute("SELECT id, owner, mask, label, created_at FROM keys ORDER BY id").fetchall()
        return [Key(*row) for row in found]

    def revoke_key(self, which: str) -> Key:
        """Forget a key, given by its number, its mask or itself; it stops working at once.

        Raises:
            NotFoundError: if there is no such key.
        """
        digest = _key_digest(which)
        with self.database.write() as rows:
            found = rows.execute(
                "SELECT id, owner, mask, label, created_at FROM keys WHERE digest = ? OR mask = ? OR id = ?",
                (digest, which, int(which) if which.isdecimal() else -1),
            ).fetchall()
            if len(found) != 1:
                shown = which if len(which) < KEY_LENGTH else _mask(which)
                raise NotFoundError(f"No key {shown}", "List them with: algo local key list")
            rows.execute("DELETE FROM keys WHERE id = ?", (found[0][0],))
        return Key(*found[0])

    def owner_of_key(self, key: str) -> str | None:
        """The account that a key belongs to; None if the key is unknown."""
        with self.database.read() as rows:
            found = rows.execute("SELECT owner FROM keys WHERE digest = ?", (_key_digest(key),)).fetchone()
        return found[0] if found else None

    def collections(self, owner: str) -> list[tuple[str, Acl]]:
        """The collections of an account with their ACLs, in the order of their names."""
        with self.database.read() as rows:
            found = rows.execute("SELECT name, acl FROM collections WHERE owner = ? ORDER BY name", (owner,)).fetchall()
        return [(name, tuple(json.loads(acl))) for name, acl in found]

    def acl(self, owner: str, name: str) -> Acl | None:
        """The ACL of a collection; None if there is no such collection."""
        with self.database.read() as rows:
            return collection_acl(rows, owner, name)

    def set_acl(self, owner: str, name: str, acl: Acl) -> bool:
        """Change a collection's ACL; whether there is such a collection."""
        with self.database.write() as rows:
            changed = rows.execute(
                "UPDATE collections SET acl = ? WHERE owner = ? AND name = ?", (json.dumps(acl), owner, name)
            )
            return changed.rowcount > 0

    def insert_collection(self, rows: sqlite3.Connection, owner: str, name: str, acl: Acl) -> None:
        """Record a collection inside a transaction."""
        rows.execute("INSERT INTO collections VALUES (?, ?, ?, ?)", (owner, name, json.dumps(acl), time.time()))

    def delete_collection(self, rows: sqlite3.Connection, owner: str, name: str) -> None:
        """Forget a collection inside a transaction."""
        rows.execute("DELETE FROM collections WHERE owner = ? AND name = ?", (owner, name))

    def digest(self, path: str, identity: str) -> str | None:
        """The MD5 that was remembered for a file, if it is still the same file."""
        with self.database.read() as rows:
            found = rows.execute("SELECT md5 FROM digests WHERE path = ? AND identity = ?", (path, identity)).fetchone()
        return found[0] if found else None

    def remember_digest(self, path: str, identity: str, md5: str) -> None:
        """Remember a file's MD5, in hexadecimal digits, so that it need not be read again to know it."""
        with self.database.write() as rows:
            rows.execute("INSERT OR REPLACE INTO digests VALUES (?, ?, ?)", (path, identity, md5))

    def forget_digests(self, directory: str) -> None:
        """Forget the MD5s of all files of a directory."""
        with self.database.write() as rows:
            rows.execute("DELETE FROM digests WHERE path > ? AND path < ?", (f"{directory}/", f"{directory}0"))

    def counts(self) -> dict[str, int]:
        """How many accounts, keys, collections, algorithms and versions there are."""
        with self.database.read() as rows:
            return {
                table: rows.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
                for table in ("accounts", "keys", "collections", "algorithms", "versions")
            }


def insert_account(rows: sqlite3.Connection, name: str) -> None:
    """Make an account inside a transaction, unless it is there. Raises RequestRefused for an impossible name."""
    rows.execute(
        "INSERT INTO accounts (name, created_at) VALUES (?, ?) ON CONFLICT DO NOTHING", (check_owner(name), time.time())
    )


def collection_acl(rows: sqlite3.Connection, owner: str, name: str) -> Acl | None:
    """The ACL of a collection as a transaction sees it; None if there is no such collection."""
    found = rows.execute("SELECT acl FROM collections WHERE owner = ? AND name = ?", (owner, name)).fetchone()
    return tuple(json.loads(found[0])) if found else None


def _mask(key: str) -> str:
    return f"{key[:5]}...{key[-4:]}"


def _key_digest(key: str) -> bytes:
    # A key holds 148 random bits: nothing that salt or slow hashing could protect better.
    import hashlib

    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
