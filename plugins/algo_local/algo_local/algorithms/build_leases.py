"""Leases of builds: of several machines with one database, one front end or engine builds an algorithm.

A lease is a row that expires by the database's clock. If the builder dies, another one builds when its lease has
expired, or at once if it has the same directory. A builder that lost its lease records nothing: the transaction that
would record the build checks the lease.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from algo_core.errors import AlgoError
from algo_core.files import replacing
from algo_core.locks import acquire
from algo_local.error_codes import ErrorCode
from algo_local.metadata.database import IntegrityError
from algo_local.refusals import Missing, StorageUnavailable

if TYPE_CHECKING:
    from algo_local.metadata.database import Database, Rows

LEASE_SECONDS = 30.0
RENEW_SECONDS = 5.0
"""Time between two renewals; several may fail while the database is away."""

WAIT_SECONDS = 0.5
"""Time between two looks at a lease that another machine has."""

_NOW = "extract(epoch FROM clock_timestamp())"
_TAKE = (
    f"INSERT INTO builders (algorithm, owner, expires_at) VALUES (?, ?, {_NOW} + ?) ON CONFLICT (algorithm) DO UPDATE"
    " SET owner = excluded.owner, expires_at = excluded.expires_at"
    f" WHERE builders.expires_at < {_NOW} OR builders.owner IN (?, ?)"
)
_LOOK = f"SELECT 1 FROM builders WHERE algorithm = ? AND expires_at >= {_NOW} AND owner NOT IN (?, ?)"
_RENEW = f"UPDATE builders SET expires_at = {_NOW} + ? WHERE algorithm = ? AND owner = ?"
_GIVE = "DELETE FROM builders WHERE algorithm = ? AND owner = ?"


class LeaseLost(StorageUnavailable):
    """Another process builds the algorithm now, since this one has not renewed its lease in time."""


class BuildLeases:
    """Leases of a database on a server, for the holders of the build locks of one directory, `notes`.

    A holder of an algorithm's build lock knows that earlier holders in this directory are dead. The file `ID.builder`
    names the lease that the last one had, or was about to take, and the one before that.
    """

    def __init__(self, database: Database, notes: Path) -> None:
        self._database = database
        self._notes = notes
        self._held: dict[str, str] = {}
        """The owners' names of the leases that this process has, by the ids of algorithms."""

    @contextmanager
    def held(self, algorithm: str, *, wait: bool) -> Iterator[bool]:
        """Hold the lease of an algorithm; False, and not held, if another machine has it and this should not wait.

        Raises:
            Missing: if the algorithm was deleted.
        """
        note = self._notes / f"{algorithm}.builder"
        owner = secrets.token_hex(16)
        before = self._before(note)
        while not self._take(algorithm, note, owner, before):
            if not wait:
                yield False
                return
            time.sleep(WAIT_SECONDS)
        ended = threading.Event()
        renewal = threading.Thread(target=self._renew, args=(algorithm, owner, ended), name="algo-builder", daemon=True)
        try:
            self._held[algorithm] = owner
            renewal.start()
            yield True
        finally:
            ended.set()
            self._held.pop(algorithm, None)
            with contextlib.suppress(AlgoError), self._database.write(is_guarded=False) as rows:  # or it expires
                rows.execute(_GIVE, (algorithm, owner))

    def check(self, rows: Rows, algorithm: str) -> None:
        """Raise LeaseLost if a lease of this process was taken by another one, inside the transaction that counts."""
        owner = self._held.get(algorithm)
        query = "SELECT 1 FROM builders WHERE algorithm = ? AND owner = ?"
        if not owner or not rows.execute(query, (algorithm, owner)).fetchone():
            raise LeaseLost("Another front end has taken over this build, since this one was not heard of")

    def forget(self, algorithm: str) -> None:
        """Remove what is left of an algorithm that was deleted."""
        (self._notes / f"{algorithm}.builder").unlink(missing_ok=True)

    @staticmethod
    def _before(note: Path) -> tuple[str, str]:
        """The owners of the leases that were last held in this directory; nobody where there are no locks."""
        try:
            with open(note, "rb") as file:
                owners = "" if acquire(file) is None else file.read().decode("ascii", "replace")
        except FileNotFoundError:
            owners = ""
        last, _, previous = owners.partition(" ")
        return last, previous

    def _take(self, algorithm: str, note: Path, owner: str, before: tuple[str, str]) -> bool:
        with self._database.read() as rows:
            if rows.execute(_LOOK, (algorithm, *before)).fetchone():
                return False
        # Before the lease is taken: if this process is killed in between, the next one knows which lease is dead.
        with replacing(note, mode=0o600) as file:
            file.write(f"{owner} {before[0]}".encode("ascii", "replace"))
        try:
            with self._database.write() as rows:
                return rows.execute(_TAKE, (algorithm, owner, LEASE_SECONDS, *before)).rowcount > 0
        except IntegrityError:
            message = "The algorithm was deleted in the meantime"
            raise Missing(message, ErrorCode.ALGORITHM_ID_DOES_NOT_EXIST) from None

    def _renew(self, algorithm: str, owner: str, ended: threading.Event) -> None:
        while not ended.wait(RENEW_SECONDS):
            with contextlib.suppress(AlgoError), self._database.write(is_guarded=False) as rows:
                if not rows.execute(_RENEW, (LEASE_SECONDS, algorithm, owner)).rowcount:
                    return
