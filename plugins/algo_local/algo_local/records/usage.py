"""Usage statistics of the calls on record, by caller, algorithm and version."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from algo_local.records.rows import BY_ACCOUNT, BY_TIME

if TYPE_CHECKING:
    from algo_local.metadata.database import Rows

COLUMNS = {"caller": "account", "algorithm_owner": "owner", "algorithm_called": "name", "algorithm_version": "version"}
"""The keys for counting calls, and their columns."""

_SUMS = (
    "count(*), sum(CASE WHEN r.state != 'done' THEN 1 ELSE 0 END),"
    " coalesce(sum(r.duration) FILTER (WHERE r.state != 'done'), 0.0),"
    " coalesce(sum(r.duration), 0.0), coalesce(max(a.environment), 'cpu')"
)


class Usage(NamedTuple):
    """Totals of ended calls of one group. Durations are sums in seconds."""

    names: dict[str, str]
    """By the names in `COLUMNS`."""
    calls: int
    errors: int
    error_duration: float
    duration: float
    machine_type: str


def usage(rows: Rows, by: Sequence[str], since: float, until: float, accounts: Sequence[str] | None) -> list[Usage]:
    """Totals of the calls that began in a period (seconds since the epoch), of some accounts or all (None)."""
    columns = ", ".join(f"r.{COLUMNS[name]}" for name in by)
    of = "" if accounts is None else f" AND r.account IN ({', '.join('?' * len(accounts))}) AND r.{BY_ACCOUNT}"
    query = (
        f"SELECT {columns}, {_SUMS} FROM requests r LEFT JOIN algorithms a ON a.id = r.algorithm"
        f" WHERE r.{BY_TIME} AND r.created_at >= ? AND r.created_at < ? AND r.state NOT IN ('queued', 'running'){of}"
        f" GROUP BY {columns} ORDER BY {columns}"
    )
    found = rows.execute(query, [since, until, *(accounts or ())]).fetchall()
    return [Usage(dict(zip(by, row, strict=False)), *row[len(by) :]) for row in found]
