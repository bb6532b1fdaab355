"""The connectors of accounts: rows with their encrypted options, and the opened stores.

All options are secrets: they are encrypted in the database, and never printed. A store is opened by the plugin that
claims its scheme (`algo_core.storage.registry`).
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from algo_core.errors import AlreadyExists, ConfigError, NotFoundError, PlatformError, RequestRefused
from algo_core.storage.contract import Storage
from algo_core.storage.uri import HOSTED, LOCAL
from algo_local.refusals import StorageUnavailable

if TYPE_CHECKING:
    from algo_local.metadata.database import Database, Rows
    from algo_local.metadata.vault import Vault

Opener = Callable[[str, Mapping[str, Any]], Storage]
"""Opens a store by its scheme and options; raises ConfigError if it cannot."""

_NAME = re.compile(r"([a-z][a-z0-9.-]+)(?:\+([a-zA-Z0-9]+))?")
_COLUMNS = "id, owner, scheme, label, path, writable, is_default, created_at, options"


@dataclass(frozen=True, slots=True)
class AccountConnector:
    """A connector of an account (API section 4.2)."""

    id: str
    owner: str
    scheme: str
    label: str
    path: str
    """The glob to which it is restricted; its `*` matches slashes as well."""
    writable: bool
    is_default: bool
    created_at: float
    """Seconds since the epoch."""
    options: bytes | None = field(default=None, repr=False)
    """Encrypted; None if they are lost."""

    @property
    def name(self) -> str:
        """`scheme` or `scheme+label`."""
        return f"{self.scheme}+{self.label}" if self.label else self.scheme


class Connectors:
    """The connectors of all accounts. Opened stores are kept, so that their connections are reused.

    Methods that read or write options raise ConfigError if the secrets key cannot be used.
    """

    def __init__(self, database: Database, vault: Vault, opener: Opener | None = None) -> None:
        self._database = database
        self._vault = vault
        self._open = opener or _installed
        self._storages: dict[str, tuple[bytes | None, Storage]] = {}
        """By the id of a connector: the options that its store was opened with, and the store."""
        self._lock = threading.Lock()

    def add(
        self,
        owner: str,
        name: str,
        options: Mapping[str, Any],
        *,
        path: str = "*",
        writable: bool = False,
        default: bool = False,
    ) -> AccountConnector:
        """Add a connector; one without a label, or the first of its scheme, becomes the scheme's default.

        Raises:
            RequestRefused: if the name is invalid, or nothing that is installed opens such a store.
            AlreadyExists: if the account has a connector of this name.
        """
        scheme, label = parse_name(name)
        _check_installed(scheme)
        encrypted = self._encrypted(options)
        with self._database.write() as rows:
            others = _rows(rows, "owner = ? AND scheme = ?", owner, scheme)
            if any(other.label == label for other in others):
                raise AlreadyExists(f"{owner} has a connector {name} already")
            is_default = default or not label or not others
            if is_default:
                rows.execute("UPDATE connectors SET is_default = 0 WHERE owner = ? AND scheme = ?", (owner, scheme))
            rows.execute(
                f"INSERT INTO connectors ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (str(uuid.uuid4()), owner, scheme, label, path, writable, is_default, time.time(), encrypted),
            )
        return self.find(owner, name)

    def of(self, owner: str) -> list[AccountConnector]:
        """The connectors of an account, in the order of their names."""
        with self._database.read() as rows:
            return sorted(_rows(rows, "owner = ?", owner), key=lambda found: found.name)

    def find(self, owner: str, name: str) -> AccountConnector:
        """A connector by its name; a scheme without a label means the default one.

        Raises:
            NotFoundError: if the account has none of that name.
        """
        match = _NAME.fullmatch(name)
        scheme, label = (match[1], match[2] or "") if match else (name, "")
        with self._database.read() as rows:
            found = _rows(rows, "owner = ? AND scheme = ? AND label = ?", owner, scheme, label)
            if not found and not label:
                found = _rows(rows, "owner = ? AND scheme = ? AND is_default = 1", owner, scheme)
        if not found:
            raise NotFoundError(
                f"No connector {name}: {owner} has not connected it (hosted data is data://)",
                f"Connect it with: algo local connector add {name}",
            )
        return found[0]

    def edit(
        self,
        connector: AccountConnector,
        *,
        path: str | None = None,
        writable: bool | None = None,
        default: bool | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> AccountConnector:
        """Change a connector; None keeps a value. To change the default of a scheme, make another one the default."""
        encrypted = None if options is None else self._encrypted(options)
        with self._database.write() as rows:
            if default:
                values = (connector.owner, connector.scheme)
                rows.execute("UPDATE connectors SET is_default = 0 WHERE owner = ? AND scheme = ?", values)
            rows.execute(
                "UPDATE connectors SET path = coalesce(?, path), writable = coalesce(?, writable),"
                " is_default = CASE WHEN ? = 1 THEN 1 ELSE is_default END, options = coalesce(?, options) WHERE id = ?",
                (path, writable, bool(default), encrypted, connector.id),
            )
        return self.find(connector.owner, connector.name)

    def remove(self, owner: str, name: str) -> AccountConnector:
        """Delete a connector and its options; its store is unchanged. Raises NotFoundError."""
        found = self.find(owner, name)
        with self._database.write() as rows:
            rows.execute("DELETE FROM connectors WHERE id = ?", (found.id,))
        with self._lock:
            self._storages.pop(found.id, None)
        return found

    def open(self, connector: AccountConnector) -> Storage:
        """The store of a connector; opened again if any process has changed its options.

        Raises:
            ConfigError: if it cannot be opened with its options.
            PlatformError: if the options are lost, or were encrypted with another key.
        """
        with self._lock:
            kept = self._storages.get(connector.id)
            if kept is None or kept[0] != connector.options:
                kept = connector.options, self._open(connector.scheme, self._options(connector))
                self._storages[connector.id] = kept
            return kept[1]

    def adopt(self, directory: Path) -> None:
        """Import options of connectors from files `ID.json`, in which older versions kept them.

        A file is deleted once the database has its content on disk; files of unknown connectors are kept.
        """
        for file in directory.glob("*.json"):
            with contextlib.suppress(OSError, ValueError), self._database.read() as rows:
                if _rows(rows, "id = ?", file.stem):
                    self._adopt(file)

    def _adopt(self, file: Path) -> None:
        options = json.loads(file.read_bytes())
        if not isinstance(options, dict):
            return
        encrypted = self._encrypted(options)
        with contextlib.suppress(StorageUnavailable):  # the disk may be full; the next process tries again
            with self._database.write(to_disk=True) as rows:
                query = "UPDATE connectors SET options = ? WHERE id = ? AND options IS NULL"
                rows.execute(query, (encrypted, file.stem))
            file.unlink()

    def _encrypted(self, options: Mapping[str, Any]) -> bytes:
        return self._vault.encrypt(json.dumps(dict(options)))

    def _options(self, connector: AccountConnector) -> dict[str, Any]:
        if connector.options is None:
            raise PlatformError(
                f"The options of the connector {connector.name} are missing",
                f"Add it again: algo local connector remove {connector.name}, then add",
            )
        options: dict[str, Any] = json.loads(self._vault.decrypt(connector.options))
        return options


def parse_name(name: str) -> tuple[str, str]:
    """Scheme and label of a connector's name.

    Raises:
        RequestRefused: if the name is invalid, or that of hosted data or local files.
    """
    match = _NAME.fullmatch(name)
    if not match or match[1] in {HOSTED, LOCAL}:
        raise RequestRefused(f"Not a connector: {name!r}", "Write s3, or s3+label with letters and digits")
    return match[1], match[2] or ""


def _rows(rows: Rows, condition: str, *values: str) -> list[AccountConnector]:
    found = rows.execute(f"SELECT {_COLUMNS} FROM connectors WHERE {condition}", values).fetchall()
    return [_connector(*row) for row in found]


def _connector(*row: Any) -> AccountConnector:
    *named, writable, is_default, created_at, options = row
    return AccountConnector(*named, bool(writable), bool(is_default), created_at, options)  # type: ignore[call-arg]  # the columns


def _check_installed(scheme: str) -> None:
    from algo_core.context import App
    from algo_core.storage.registry import check_scheme

    try:
        check_scheme(App().plugins, scheme)
    except ConfigError as error:
        raise RequestRefused(error.message, error.hint) from error


def _installed(scheme: str, options: Mapping[str, Any]) -> Storage:
    """Open a store by the installed plugin that claims its scheme."""
    from algo_core.context import App
    from algo_core.storage.registry import open_store

    return open_store(App().plugins, scheme, options)
