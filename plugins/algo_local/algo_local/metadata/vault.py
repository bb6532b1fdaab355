"""Encrypts secrets with a key that is not in the database: a file beside it, or a variable of the environment.

A copy of the database alone reveals no secrets. The key is created on first use. The database has its check value, so
that no machine encrypts with a different key, or creates its own.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from algo_core.errors import AlgoError, ConfigError, PlatformError
from algo_core.files import replacing
from algo_local.metadata.store import KEY_CHECK, Metadata
from algo_local.state import KEY_FILE, KEY_VARIABLE

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

    from algo_local.metadata.database import Database, Rows

ENCRYPTED = (
    ("secrets", "value"),
    ("event_listeners", "credentials"),
    ("scm_tokens", "value"),
    ("connectors", "options"),
)
"""The tables and columns with what is encrypted."""

NEW_KEY = "algo local reset --secrets"
"""The command that begins with another key."""

_BYTES = 32
_TRIED = 100
"""Values of a table by which the key is recognized where the database has no check value yet."""


class Note(NamedTuple):
    """The database's note about the key."""

    check: str
    place: str
    """Where the key was when this was noted, as `HOST:PATH`."""


class Vault:
    """Encrypts and decrypts texts for the platform of one directory and database.

    Every method raises ConfigError if the key is missing, invalid, or not the platform's.
    """

    def __init__(self, root: Path, database: Database) -> None:
        self._path = root / KEY_FILE
        self._database = database
        self._key = b""
        self._cipher: Fernet | None = None

    def encrypt(self, text: str) -> bytes:
        """The encrypted form of a text."""
        return self._opened().encrypt(text.encode("utf-8"))

    def decrypt(self, data: bytes) -> str:
        """The text of an encrypted form. PlatformError if it was made with another key."""
        from cryptography.fernet import InvalidToken

        try:
            return self._opened().decrypt(data).decode("utf-8")
        except InvalidToken:
            raise PlatformError(
                f"A secret cannot be decrypted: {self._source()} is not the key that encrypted it",
                "Restore the key from a copy, or set the secret again",
            ) from None

    def derive(self, purpose: str) -> str:
        """A secret derived from the key for a purpose, which reveals nothing about the key."""
        return hmac.new(self.key(), purpose.encode("utf-8"), hashlib.sha256).hexdigest()

    def key(self) -> bytes:
        """The key as text; created if the platform has none."""
        if not self._key:
            if self.found():
                self.check(Metadata(self._database).setting(KEY_CHECK))
            else:
                self._key = self._made()
        return self._key

    def check(self, noted: str | None) -> None:
        """Compare the key with the database's note `noted`; without one, write it."""
        found = self.found()
        if noted is not None:
            self._compare(found, _note(noted))
        elif found:
            if not self._fits_rows(found):
                raise self._misfit(None)
            with contextlib.suppress(AlgoError):  # the disk may be full; the next process writes the note
                self._keep(found)
        self._key = found

    def renew(self) -> None:
        """Make this machine's key, or a new one, the platform's, whatever was encrypted before."""
        with self._database.write(to_disk=True) as rows:
            self._key = self.found() or self._stored()
            self._cipher = None
            rows.execute("DELETE FROM settings WHERE name = ?", (KEY_CHECK,))
            self._insert(rows, self._key)

    def _opened(self) -> Fernet:
        if self._cipher is None:
            from cryptography.fernet import Fernet

            self._cipher = Fernet(self.key())
        return self._cipher

    def found(self) -> bytes:
        """The key of the environment or the file; empty if there is none."""
        text = os.environ.get(KEY_VARIABLE, "").strip()
        try:
            key = text.encode() if text else self._path.read_bytes().strip()
            if len(base64.urlsafe_b64decode(key)) == _BYTES:
                return key
            problem = "it is no key"
        except FileNotFoundError:
            return b""
        except (OSError, ValueError) as error:
            problem = getattr(error, "strerror", None) or "it is no key"
        raise ConfigError(
            f"The key {self._source()} cannot be used: {problem}",
            f"Restore it from a copy; or, if it is lost, remove it and begin with another one: {NEW_KEY}",
        )

    def _source(self) -> str:
        return KEY_VARIABLE if os.environ.get(KEY_VARIABLE, "").strip() else str(self._path)

    def _made(self) -> bytes:
        """A new key, unless the platform has one, here or on another machine. No other process makes one."""
        with self._database.write(to_disk=True) as rows:
            found = self.found()  # another process may have created it
            row = rows.execute("SELECT value FROM settings WHERE name = ?", (KEY_CHECK,)).fetchone()
            if row:
                self._compare(found, _note(row[0]))
                return found
            if not found and _encrypted(rows):
                raise self._misfit(None)
            key = found or self._stored()
            self._insert(rows, key)
            return key

    def _stored(self) -> bytes:
        """A new key in the file; the first of several processes wins."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with (
                contextlib.suppress(FileExistsError),
                replacing(self._path, mode=0o600, durable=True, only_if_new=True) as file,
            ):
                file.write(base64.urlsafe_b64encode(os.urandom(_BYTES)))
        except OSError as error:
            raise ConfigError(f"The key {self._path} cannot be made: {error.strerror}") from error
        return self.found()

    def _keep(self, key: bytes) -> None:
        with self._database.write() as rows:
            self._insert(rows, key)
            row = rows.execute("SELECT value FROM settings WHERE name = ?", (KEY_CHECK,)).fetchone()
        self._compare(key, _note(row[0]))

    def _insert(self, rows: Rows, key: bytes) -> None:
        place = f"{os.uname().nodename}:{self._path}"
        value = json.dumps([_check(key), KEY_VARIABLE if self._source() == KEY_VARIABLE else place])
        rows.execute("INSERT INTO settings VALUES (?, ?) ON CONFLICT (name) DO NOTHING", (KEY_CHECK, value))

    def _compare(self, key: bytes, note: Note) -> None:
        if not key or not hmac.compare_digest(_check(key).encode(), note.check.encode()):
            raise self._misfit(note)

    def _misfit(self, note: Note | None) -> ConfigError:
        origin = f" ({note.place})" if note and note.place else ""
        if self.found():
            message = f"{self._source()} is not the key that this platform's secrets are encrypted with"
        else:
            message = f"The key that this platform's secrets are encrypted with is missing: {self._path}"
        return ConfigError(
            message,
            f"Copy {KEY_FILE} of a machine that serves the platform{origin} to {self._path}, or give it with"
            f" {KEY_VARIABLE}; if it is lost: {NEW_KEY}",
        )

    def _fits_rows(self, key: bytes) -> bool:
        """Whether the key decrypts any of the encrypted values; True if there are none."""
        with self._database.read() as rows:
            values = _encrypted(rows)
        if not values:
            return True
        from cryptography.fernet import Fernet, InvalidToken

        cipher = Fernet(key)
        for value in values:
            with contextlib.suppress(InvalidToken):
                cipher.decrypt(value)
                return True
        return False


def _check(key: bytes) -> str:
    """The check value of a key: it distinguishes keys, and reveals nothing about them."""
    return hmac.new(base64.urlsafe_b64decode(key), b"algo-local: the key of secrets", hashlib.sha256).hexdigest()


def _note(text: str) -> Note:
    try:
        check, place = json.loads(text)
    except (ValueError, TypeError):
        return Note("", "")
    return Note(str(check), str(place))


def _encrypted(rows: Rows) -> list[bytes]:
    """Some encrypted values of each table."""
    found = []
    for table, column in ENCRYPTED:
        query = f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL LIMIT {_TRIED}"
        found += [bytes(value) for (value,) in rows.execute(query).fetchall() if value]
    return found
