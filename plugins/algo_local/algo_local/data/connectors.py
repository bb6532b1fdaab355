"""The connectors of the platform's accounts: their stores and secrets.

All options are secrets: they are stored in a file of mode 0600 per connector, next to the database, and never printed.
The plugin that claims the scheme opens the store (`algo_core.storage.registry`).
"""

from __future__ import annotations

import json
import re
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from algo_core.errors import AlreadyExists, NotFoundError, PlatformError, RequestRefused
from algo_core.files import replacing
from algo_core.storage.contract import Storage
from algo_core.storage.uri import HOSTED, LOCAL

if TYPE_CHECKING:
    from algo_local.metadata.database import Database, Rows

Opener = Callable[[str, Mapping[str, Any]], Storage]
"""Opens a store by its scheme and options; raises ConfigError if it cannot."""

_NAME = re.compile(r"([a-z][a-z0-9.-]+)(?:\+([a-zA-Z0-9]+))?")
_COLUMNS = "id, owner, scheme, label, path, writable, is_default, created_at"


@dataclass(frozen=True, slots=True)
class AccountConnector:
    """A connector of an account (API section 4.2), without its options."""

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

    @property
    def name(self) -> str:
        """`scheme` or `scheme+label`."""
        return f"{self.scheme}+{self.label}" if self.label else self.scheme


class Connectors:
    """The connectors of all accounts. Opened stores are kept, so that their connections are reused."""

    def __init__(self, database: Database, root: Path, opener: Opener | None = None) -> None:
        self._database = database
        self._directory = root / "connectors"
        self._open = opener or _installed
        self._storages: dict[str, Storage] = {}
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
        """Make a connector; one without a label is the default of its scheme, and so is the first.

        Raises:
            RequestRefused: if it cannot have this name.
            AlreadyExists: if the account has it.
            PlatformError: if its options cannot be stored.
        """
        scheme, label = parse_name(name)
        made = AccountConnector(
            str(uuid.uuid4()), owner, scheme, label, path, writable, default or not label, time.time()
        )
        self._keep(made, options)
        try:
            with self._database.write() as rows:
                others = _rows(rows, "owner = ? AND scheme = ?", owner, scheme)
                if any(other.label == label for other in others):
                    raise AlreadyExists(f"{owner} has a connector {name} already")
                is_default = made.is_default or not others
                if is_default:
                    rows.execute("UPDATE connectors SET is_default = 0 WHERE owner = ? AND scheme = ?", (owner, scheme))
                rows.execute(
                    f"INSERT INTO connectors ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (made.id, owner, scheme, label, path, writable, is_default, made.created_at),
                )
        except BaseException:
            self._file(made).unlink(missing_ok=True)
            raise
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
        """Change a connector; None keeps a value. To change the default of a scheme, make another one the default.

        Raises:
            PlatformError: if its options cannot be stored.
        """
        if options is not None:
            self._keep(connector, options)
        with self._database.write() as rows:
            if default:
                values = (connector.owner, connector.scheme)
                rows.execute("UPDATE connectors SET is_default = 0 WHERE owner = ? AND scheme = ?", values)
            rows.execute(
                "UPDATE connectors SET path = coalesce(?, path), writable = coalesce(?, writable),"
                " is_default = CASE WHEN ? = 1 THEN 1 ELSE is_default END WHERE id = ?",
                (path, writable, bool(default), connector.id),
            )
        with self._lock:
            self._storages.pop(connector.id, None)
        return self.find(connector.owner, connector.name)

    def remove(self, owner: str, name: str) -> AccountConnector:
        """Delete a connector and its options; its store is unchanged. Raises NotFoundError."""
        found = self.find(owner, name)
        with self._database.write() as rows:
            rows.execute("DELETE FROM connectors WHERE id = ?", (found.id,))
        self._file(found).unlink(missing_ok=True)
        with self._lock:
            self._storages.pop(found.id, None)
        return found

    def open(self, connector: AccountConnector) -> Storage:
        """The store of a connector. Raises ConfigError if it cannot be opened with its options."""
        with self._lock:
            if connector.id not in self._storages:
                self._storages[connector.id] = self._open(connector.scheme, self._options(connector))
            return self._storages[connector.id]

    def _file(self, connector: AccountConnector) -> Path:
        return self._directory / f"{connector.id}.json"

    def _keep(self, connector: AccountConnector, options: Mapping[str, Any]) -> None:
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            with replacing(self._file(connector), mode=0o600, durable=True) as file:
                file.write(json.dumps(dict(options)).encode("utf-8"))
        except OSError as error:
            raise PlatformError(f"The connector's options cannot be kept: {error.strerror}") from error

    def _options(self, connector: AccountConnector) -> dict[str, Any]:
        try:
            options: dict[str, Any] = json.loads(self._file(connector).read_bytes())
            return options
        except (OSError, ValueError):
            raise PlatformError(
                f"The options file of the connector {connector.name} is missing",
                f"Make it again: algo local connector remove {connector.name}, then add",
            ) from None


def parse_name(name: str) -> tuple[str, str]:
    """Scheme and label of a connector's name.

    Raises:
        RequestRefused: if it is none, or that of hosted data or local files.
    """
    match = _NAME.fullmatch(name)
    if not match or match[1] in {HOSTED, LOCAL}:
        raise RequestRefused(f"Not a connector: {name!r}", "Write s3, or s3+label with letters and digits")
    return match[1], match[2] or ""


def _rows(rows: Rows, condition: str, *values: str) -> list[AccountConnector]:
    found = rows.execute(f"SELECT {_COLUMNS} FROM connectors WHERE {condition}", values).fetchall()
    return [_connector(*row) for row in found]


def _connector(*row: Any) -> AccountConnector:
    *named, writable, is_default, created_at = row
    return AccountConnector(*named, bool(writable), bool(is_default), created_at)  # type: ignore[call-arg]  # the columns


def _installed(scheme: str, options: Mapping[str, Any]) -> Storage:
    """Open a store by whichever installed plugin claims its scheme."""
    from algo_core.context import App
    from algo_core.storage.registry import open_store

    return open_store(App().plugins, scheme, options)
