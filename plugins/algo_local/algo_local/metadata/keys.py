"""API keys: permissions and hashes (API section 1.3)."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import secrets
import string
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from algo_core.errors import NotFoundError
from algo_local.error_codes import ErrorCode
from algo_local.metadata.write_stop import write_stop
from algo_local.names import KEY_LENGTH
from algo_local.refusals import Invalid, Missing, StorageUnavailable, Taken

if TYPE_CHECKING:
    from algo_local.metadata.database import Database, Rows

ALGORITHM_KEY = "AlgorithmKey"
ADMINISTRATOR_KEY = "PlatformAdminKey"
OLDER_ADMINISTRATOR_KEY = "ManagementKey"
"""What administrators' keys were called before; taken for one."""

USE_SECONDS = 60.0
"""Resolution in seconds of a key's last use."""

ANY_ALGORITHM = "algo://*"
"""The pattern of all algorithms."""

_ALPHABET = string.ascii_letters + string.digits
_KEY = re.compile(f"sim[{_ALPHABET}]{{{KEY_LENGTH - 3}}}")
_PATTERN = re.compile(r"algo://(?:\*|(\w+)(?:/(?:\*|(\w+)(?:/\*)?))?)", re.ASCII)
_COLUMNS = "id, owner, mask, label, created_at, kind, permissions, username, expires_at, last_used_at"


@dataclass(frozen=True, slots=True)
class Permissions:
    """The permissions of a key's requests: none by default."""

    allow_data: bool = False
    allow_data_write: bool = False
    """Means something only together with `allow_data`."""
    allow_algo: bool = False
    allow_web_algo: bool = False
    referer_host: str = ""
    """Where calls from web pages must come from; from anywhere if it is empty."""
    allow_algo_management: bool = False
    algo_acl: tuple[str, ...] = (ANY_ALGORITHM,)
    """Which algorithms may be called: `algo://*`, `algo://OWNER/*` or `algo://OWNER/NAME/*`."""

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Permissions:
        """The permissions of a JSON object; missing members grant nothing.

        Raises:
            Invalid: if a pattern of algorithms is none.
        """
        known = {name: given[name] for name in cls.__dataclass_fields__ if given.get(name) is not None}
        acl = tuple(known.get("algo_acl", cls().algo_acl))
        for pattern in acl:
            if not _PATTERN.fullmatch(pattern):
                message = (
                    f"{pattern[:100]!r} names no algorithms: write algo://*, algo://OWNER/* or algo://OWNER/NAME/*"
                )
                raise Invalid(message, ErrorCode.INPUT_VALIDATION_ERROR)
        return cls(**{**known, "algo_acl": acl})

    def as_json(self) -> dict[str, Any]:
        """The object of the API."""
        return {**asdict(self), "algo_acl": list(self.algo_acl)}

    def may_call(self, owner: str, name: str) -> bool:
        """Whether an algorithm is among those that may be called."""
        if ANY_ALGORITHM in self.algo_acl:
            return True
        return any(_covers(pattern, (owner.lower(), name.lower())) for pattern in self.algo_acl)

    def cover(self, other: Permissions) -> bool:
        """Whether `other` may do nothing that these may not."""
        for name in ("allow_data", "allow_data_write", "allow_algo", "allow_web_algo", "allow_algo_management"):
            if getattr(other, name) and not getattr(self, name):
                return False
        if other.allow_web_algo and self.referer_host not in {"", other.referer_host}:
            return False
        calls = other.allow_algo or other.allow_web_algo
        return not calls or all(
            any(_covers(mine, _named(wanted)) for mine in self.algo_acl) for wanted in other.algo_acl
        )


EVERYTHING = Permissions(
    allow_data=True, allow_data_write=True, allow_algo=True, allow_web_algo=True, allow_algo_management=True
)
CALLS = Permissions(allow_algo=True)
"""The permissions of a key that was made without any: no data."""


@dataclass(frozen=True, slots=True)
class Key:
    """A stored API key, without the key itself. Times are in seconds since the epoch."""

    id: int
    owner: str
    mask: str
    """Beginning and end of the key, for recognition."""
    label: str
    created_at: float
    kind: str
    permissions: Permissions
    username: str | None
    """The member whom an organization's key is for."""
    expires_at: float | None
    last_used_at: float | None

    @property
    def is_administrators(self) -> bool:
        """Whether it is made for an administrator's work."""
        return self.kind == ADMINISTRATOR_KEY

    @property
    def has_expired(self) -> bool:
        """Whether it has expired."""
        return self.expires_at is not None and self.expires_at <= time.time()


class Keys:
    """The keys of all accounts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self,
        owner: str,
        label: str,
        *,
        permissions: Permissions = EVERYTHING,
        kind: str = ALGORITHM_KEY,
        username: str | None = None,
        expires_at: float | None = None,
        key: str | None = None,
    ) -> tuple[Key, str]:
        """Create a key for an existing account. The key itself is returned only here.

        `key` brings one along that is known elsewhere already.

        Raises:
            Invalid: if that is no key.
            Taken: if that key exists.
        """
        if key is not None and not _KEY.fullmatch(key):
            raise Invalid(f"An API key is 'sim' and {KEY_LENGTH - 3} letters and digits", ErrorCode.INVALID_REQUEST)
        key = key or _new_key()
        kind = ADMINISTRATOR_KEY if kind == OLDER_ADMINISTRATOR_KEY else kind
        with self._database.write() as rows:
            if _rows(rows, "digest = ?", _digest(key)):
                raise Taken("This API key exists already", ErrorCode.INVALID_REQUEST)
            rows.execute(
                "INSERT INTO keys (owner, digest, mask, label, created_at, kind, permissions, username, expires_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (owner, _digest(key), mask(key), label, time.time(), kind, _text(permissions), username, expires_at),
            )
            (made,) = _rows(rows, "digest = ?", _digest(key))
        return made, key

    def all(self) -> list[Key]:
        """All keys, oldest first."""
        with self._database.read() as rows:
            return _rows(rows, "1 = 1 ORDER BY id")

    def of(self, owner: str) -> list[Key]:
        """The keys of an account, oldest first."""
        with self._database.read() as rows:
            return _rows(rows, "owner = ? ORDER BY id", owner)

    def get(self, owner: str, identifier: str) -> Key:
        """A key of an account by its number. Raises Missing."""
        if identifier.isdecimal() and identifier.isascii() and len(identifier) < 19:
            with self._database.read() as rows:
                if found := _rows(rows, "owner = ? AND id = ?", owner, int(identifier)):
                    return found[0]
        raise Missing(f"No key {identifier[:50]}", ErrorCode.INVALID_REQUEST)

    def edit(self, key: Key, *, label: str, permissions: Permissions, expires_at: float | None) -> Key:
        """Change what a key may do, from its next request on."""
        with self._database.write() as rows:
            rows.execute(
                "UPDATE keys SET label = ?, permissions = ?, expires_at = ? WHERE id = ?",
                (label, _text(permissions), expires_at, key.id),
            )
        return replace(key, label=label, permissions=permissions, expires_at=expires_at)

    def rotate(self, key: Key) -> tuple[Key, str]:
        """Exchange the secret of a key for a new one, returned as well; the old one stops working at once."""
        secret = _new_key()
        with self._database.write() as rows:
            rows.execute(
                "UPDATE keys SET digest = ?, mask = ?, created_at = ?, last_used_at = NULL WHERE id = ?",
                (_digest(secret), mask(secret), time.time(), key.id),
            )
            (found,) = _rows(rows, "id = ?", key.id)
        return found, secret

    def delete(self, key: Key) -> None:
        """Delete a key; it stops working at once."""
        with self._database.write() as rows:
            rows.execute("DELETE FROM keys WHERE id = ?", (key.id,))

    def revoke(self, which: str) -> Key:
        """Delete a key of any account, given by its number, its mask or itself.

        Raises:
            NotFoundError: if there is no such key.
        """
        number = int(which) if which.isdecimal() and len(which) < 19 else -1
        with self._database.write() as rows:
            found = _rows(rows, "digest = ? OR mask = ? OR id = ?", _digest(which), which, number)
            if len(found) != 1:
                shown = which if len(which) < KEY_LENGTH else mask(which)
                raise NotFoundError(f"No key {shown}", "List them with: algo local key list")
            rows.execute("DELETE FROM keys WHERE id = ?", (found[0].id,))
        return found[0]

    def find(self, key: str) -> Key | None:
        """The stored key of a text; None if it is unknown. It may have expired."""
        with self._database.read() as rows:
            found = _rows(rows, "digest = ?", _digest(key))
        return found[0] if found else None

    def note_use(self, key: Key) -> None:
        """Record the use of a key, within `USE_SECONDS`."""
        now = time.time()
        is_due = key.last_used_at is None or not 0 <= now - key.last_used_at < USE_SECONDS
        if is_due and not write_stop(self._database):  # else requests that only read would wait for the last copy
            # A full disk must not keep anybody out.
            with contextlib.suppress(StorageUnavailable), self._database.write() as rows:
                rows.execute("UPDATE keys SET last_used_at = ? WHERE id = ?", (now, key.id))


def mask(key: str) -> str:
    """Beginning and end of a key."""
    return f"{key[:5]}...{key[-4:]}"


def _covers(pattern: str, names: tuple[str | None, str | None]) -> bool:
    """Whether a pattern of algorithms has all those with these names; None stands for any."""
    return all(mine in (None, theirs) for mine, theirs in zip(_named(pattern), names, strict=True))


def _named(pattern: str) -> tuple[str | None, str | None]:
    match = _PATTERN.fullmatch(pattern.lower())
    return (match[1], match[2]) if match else ("", "")


def _new_key() -> str:
    return "sim" + "".join(secrets.choice(_ALPHABET) for _ in range(KEY_LENGTH - 3))


def _digest(key: str) -> bytes:
    # A key holds 148 random bits: nothing that salt or slow hashing could protect better.
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def _text(permissions: Permissions) -> str:
    return json.dumps(permissions.as_json())


@lru_cache(maxsize=256)
def _permissions(text: str) -> Permissions:
    """Parsed once: every request reads its key anew, and few keys differ in what they may do."""
    return Permissions.of(json.loads(text))


def _rows(rows: Rows, condition: str, *values: object) -> list[Key]:
    found: Iterable[Any] = rows.execute(f"SELECT {_COLUMNS} FROM keys WHERE {condition}", values)
    return [
        Key(
            id,
            owner,
            mask,
            label,
            created_at,
            kind,
            _permissions(permissions),
            username,
            expires_at,
            used,
        )
        for id, owner, mask, label, created_at, kind, permissions, username, expires_at, used in found
    ]
