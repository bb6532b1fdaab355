"""Builds on record: of which sources, how they went, and what they said (API section 6.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from algo_local.algorithms.registry import Algorithm
    from algo_local.metadata.database import Database

IN_PROGRESS = "in-progress"
SUCCEEDED = "succeeded"
FAILED = "failed"

_QUERY = """
SELECT b.id, b.commit_hash, b.status, b.log, b.started_at, b.finished_at,
       (SELECT v.major || '.' || v.minor || '.' || v.revision FROM versions v
        WHERE v.build = b.id AND v.unpublished_at IS NULL
        ORDER BY v.major DESC, v.minor DESC, v.revision DESC LIMIT 1)
FROM builds b WHERE b.algorithm = ? ORDER BY b.started_at DESC, b.id
"""


@dataclass(frozen=True, slots=True)
class BuildRecord:
    """A build, whatever came of it. Times are in seconds since the epoch."""

    id: str
    commit: str
    status: str
    log: str
    started_at: float
    finished_at: float | None
    version: str | None
    """The newest version that it is published as."""


def builds_of(database: Database, algorithm: Algorithm) -> list[BuildRecord]:
    """The builds of an algorithm, newest first."""
    with database.read() as rows:
        return [BuildRecord(*row) for row in rows.execute(_QUERY, (algorithm.id,)).fetchall()]
