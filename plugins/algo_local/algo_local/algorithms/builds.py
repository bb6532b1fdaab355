"""Builds on record: commit, state and log (API section 6.4)."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from algo_core.locks import locked, locked_if_free

if TYPE_CHECKING:
    from algo_local.algorithms.build import Build
    from algo_local.algorithms.build_leases import BuildLeases
    from algo_local.algorithms.registry import Algorithm, Registry
    from algo_local.metadata.database import Database, Rows

MOST_ATTEMPTS = 3
"""How often a requested build is begun: one that ends the platform each time is not repeated for ever."""

UNBUILT_SECONDS = 3600.0
"""Time after which a requested build that nobody has built counts as failed, if somebody looks at it."""

IN_PROGRESS = "in-progress"
SUCCEEDED = "succeeded"
FAILED = "failed"
REMOVED = "removed"
"""Only the number of a withdrawn version is left of it, which is never used again."""

_QUERY = """
SELECT b.id, b.commit_hash, b.status, b.log, b.started_at, b.finished_at,
       (SELECT v.major || '.' || v.minor || '.' || v.revision FROM versions v
        WHERE v.build = b.id AND v.unpublished_at IS NULL
        ORDER BY v.major DESC, v.minor DESC, v.revision DESC LIMIT 1)
FROM builds b WHERE b.algorithm = ? AND b.status != 'removed' ORDER BY b.started_at DESC, b.id
"""
_AGAIN = "The process that built this has ended: it is built again\n"
_REQUESTED = "status = 'in-progress' AND attempts IS NOT NULL"
_VERSIONS = "SELECT 1 FROM versions WHERE build = ?"


@dataclass(frozen=True, slots=True)
class BuildRecord:
    """A build that runs, has succeeded or has failed. Times are in seconds since the epoch."""

    id: str
    commit: str
    status: str
    log: str
    """What it has said so far."""
    started_at: float
    finished_at: float | None
    version: str | None
    """The newest version that it is published as."""


class RequestedBuild(NamedTuple):
    """A build that is on record before it begins, and is begun again if the process that builds it ends."""

    id: str
    commit: str


class Builds:
    """The builds of all algorithms. Builds of one algorithm run one after the other, in any process.

    `locks` is a directory with a file for each algorithm, locked while a build of it runs, which shows when the build
    of a killed process has ended. `leases` do the same for processes on all machines.
    """

    def __init__(self, database: Database, locks: Path, leases: BuildLeases | None = None) -> None:
        self._database = database
        self._locks = locks
        self._leases = leases

    def of(self, algorithm: Algorithm) -> list[BuildRecord]:
        """The builds of an algorithm, newest first."""
        found = self._read(algorithm)
        if any(build.status == IN_PROGRESS for build in found):
            with self._one_at_a_time(algorithm, wait=False) as free:
                if free:
                    self._end_abandoned(algorithm, requested_before=time.time() - UNBUILT_SECONDS)
                    found = self._read(algorithm)
        return found

    def find(self, algorithm: Algorithm, identifier: str) -> BuildRecord | None:
        """A build of an algorithm by its id."""
        return next((build for build in self.of(algorithm) if build.id == identifier), None)

    @contextmanager
    def turn(self, algorithm: Algorithm) -> Iterator[None]:
        """Hold the algorithm's build lock within the block; waits for a running build."""
        with self._one_at_a_time(algorithm, wait=True):
            self._end_abandoned(algorithm)
            yield

    def begin(self, algorithm: Algorithm, commit: str) -> str:
        """Record the start of a build and return its id; a repeated or requested build of a commit keeps its id.

        Raises:
            LeaseLost: if another machine has taken the build over; `succeed` and `fail` as well.
        """
        with self._database.write() as rows:
            self._check_turn(rows, algorithm)
            identifier = self._known(rows, algorithm, commit) or str(uuid.uuid4())
            rows.execute(
                "INSERT INTO builds (id, algorithm, commit_hash, status, started_at) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (id) DO UPDATE"
                " SET status = excluded.status, started_at = excluded.started_at, finished_at = NULL,"
                " log = CASE WHEN builds.status = excluded.status AND builds.attempts > 0 THEN ? ELSE '' END,"
                " attempts = builds.attempts + 1",
                (identifier, algorithm.id, commit, IN_PROGRESS, time.time(), _AGAIN),
            )
        return identifier

    @staticmethod
    def _known(rows: Rows, algorithm: Algorithm, commit: str) -> str:
        """The build of a commit that has succeeded, or else was requested; empty if there is none."""
        found = rows.execute(
            f"SELECT id FROM builds WHERE algorithm = ? AND commit_hash = ? AND (status = 'succeeded' OR {_REQUESTED})"
            " ORDER BY status DESC, id",
            (algorithm.id, commit),
        ).fetchone()
        return str(found[0]) if found else ""

    def request(self, algorithm: Algorithm, commit: str) -> None:
        """Record that a commit is to be built, unless it was built or requested; `PendingBuilds` builds it."""
        with self._database.write() as rows:
            if not self._known(rows, algorithm, commit):
                rows.execute(
                    "INSERT INTO builds (id, algorithm, commit_hash, status, started_at, attempts)"
                    " VALUES (?, ?, ?, ?, ?, 0)",
                    (str(uuid.uuid4()), algorithm.id, commit, IN_PROGRESS, time.time()),
                )

    def requested(self, algorithm: Algorithm) -> RequestedBuild | None:
        """The build that was requested first, and has not ended."""
        query = f"SELECT id, commit_hash FROM builds WHERE algorithm = ? AND {_REQUESTED} ORDER BY started_at, id"
        with self._database.read() as rows:
            found = rows.execute(query, (algorithm.id,)).fetchone()
        return RequestedBuild(*found) if found else None

    def is_requested(self, identifier: str) -> bool:
        """Whether a build was requested, and has not ended."""
        with self._database.read() as rows:
            return bool(rows.execute(f"SELECT 1 FROM builds WHERE id = ? AND {_REQUESTED}", (identifier,)).fetchone())

    def waiting(self) -> list[str]:
        """The ids of the algorithms with requested builds that have not ended."""
        with self._database.read() as rows:
            found = rows.execute(f"SELECT DISTINCT algorithm FROM builds WHERE {_REQUESTED}").fetchall()
        return [str(row[0]) for row in found]

    def is_free(self, algorithm: Algorithm) -> bool:
        """Whether no build of an algorithm runs, in any process."""
        with self._one_at_a_time(algorithm, wait=False) as free:
            return free

    def settle(self, algorithm: Algorithm, commit: str) -> None:
        """Forget that a commit was requested which was built by other means, or does not exist. The turn is held."""
        with self._database.write() as rows:
            self._check_turn(rows, algorithm)
            rows.execute(
                f"DELETE FROM builds WHERE algorithm = ? AND commit_hash = ? AND {_REQUESTED}", (algorithm.id, commit)
            )

    def record_failure(self, algorithm: Algorithm, commit: str, started_at: float, log: str) -> None:
        """Record a failed build that was not started with `begin`."""
        with self._database.write() as rows:
            rows.execute(
                "INSERT INTO builds (id, algorithm, commit_hash, status, log, started_at, finished_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (str(uuid.uuid4()), algorithm.id, commit, FAILED, log, started_at, time.time()),
            )

    def say(self, identifier: str, line: str) -> None:
        """Add a line to the log of a running build."""
        with self._database.write(is_guarded=False) as rows:
            rows.execute("UPDATE builds SET log = log || ? WHERE id = ?", (f"{line}\n", identifier))

    def succeed(self, registry: Registry, algorithm: Algorithm, identifier: str, build: Build) -> None:
        """Record that a build has succeeded."""
        with self._database.write(is_guarded=False) as rows:
            self._check_turn(rows, algorithm)
            rows.execute(
                "UPDATE builds SET status = ?, source = ?, python = ?, module = ?, finished_at = ? WHERE id = ?",
                (
                    SUCCEEDED,
                    registry.stored(build.source),
                    registry.stored_interpreter(build.python),
                    build.module,
                    time.time(),
                    identifier,
                ),
            )

    def fail(self, algorithm: Algorithm, identifier: str, reason: str, log: str | None = None) -> None:
        """Record that a build has failed; `log` replaces its log if it is longer."""
        with self._database.write(is_guarded=False) as rows:
            self._check_turn(rows, algorithm)
            rows.execute(
                "UPDATE builds SET status = ?, log = coalesce(?, log) || ?, finished_at = ? WHERE id = ?",
                (FAILED, log, f"{reason}\n", time.time(), identifier),
            )

    @staticmethod
    def remove(rows: Rows, identifier: str) -> bool:
        """Delete a build inside a transaction; False, and nothing is deleted, if a version of it is published."""
        if rows.execute(f"{_VERSIONS} AND unpublished_at IS NULL", (identifier,)).fetchone():
            return False
        if rows.execute(_VERSIONS, (identifier,)).fetchone():
            rows.execute(
                "UPDATE builds SET status = ?, source = '', python = '', log = '' WHERE id = ?", (REMOVED, identifier)
            )
        else:
            rows.execute("DELETE FROM builds WHERE id = ?", (identifier,))
        return True

    def forget(self, algorithm: Algorithm) -> None:
        """Remove the build lock of a deleted algorithm."""
        self._lock(algorithm).unlink(missing_ok=True)
        if self._leases:
            self._leases.forget(algorithm.id)

    def _check_turn(self, rows: Rows, algorithm: Algorithm) -> None:
        if self._leases:
            self._leases.check(rows, algorithm.id)

    def _read(self, algorithm: Algorithm) -> list[BuildRecord]:
        with self._database.read() as rows:
            return [BuildRecord(*row) for row in rows.execute(_QUERY, (algorithm.id,)).fetchall()]

    def _end_abandoned(self, algorithm: Algorithm, *, requested_before: float = 0.0) -> None:
        """Have builds of ended processes failed, but for the requested ones that may be begun again."""
        query = (
            "SELECT id FROM builds WHERE algorithm = ? AND status = ?"
            " AND (attempts IS NULL OR attempts >= ? OR started_at < ?)"
        )
        with self._database.read() as rows:
            found = rows.execute(query, (algorithm.id, IN_PROGRESS, MOST_ATTEMPTS, requested_before)).fetchall()
        for (identifier,) in found:
            self.fail(algorithm, identifier, "ERROR: the platform ended while this build ran: build it again")

    def _lock(self, algorithm: Algorithm) -> Path:
        return self._locks / f"{algorithm.id}.build"

    @contextmanager
    def _one_at_a_time(self, algorithm: Algorithm, *, wait: bool) -> Iterator[bool]:
        """Hold the algorithm's lock; False, and not held, if others hold it and this should not wait."""
        self._locks.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not wait:
            with locked_if_free(self._lock(algorithm)) as is_held:
                if not is_held:
                    yield False
                    return
                with self._leased(algorithm, wait=False) as is_leased:
                    yield is_leased
            return
        with locked(self._lock(algorithm)), self._leased(algorithm, wait=True):
            yield True

    def _leased(self, algorithm: Algorithm, *, wait: bool) -> AbstractContextManager[bool]:
        return self._leases.held(algorithm.id, wait=wait) if self._leases else nullcontext(True)
