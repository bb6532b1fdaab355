"""Insights that algorithms report about their calls (API section 3.10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from algo_local.times import iso

if TYPE_CHECKING:
    from algo_local.records.record import Record

RESERVED = frozenset(
    {
        *("request_id", "timestamp", "duration_milliseconds"),
        *("algorithm_owner", "algorithm_name", "algorithm_version"),
    }
)
"""Names that the platform itself gives."""


def described_insights(record: Record) -> dict[str, Any]:
    """The insights of a call, and what the platform adds to them."""
    return {
        "request_id": record.id,
        "timestamp": iso(record.created_at),
        "duration_milliseconds": None if record.duration is None else round(record.duration * 1000, 3),
        "algorithm_owner": record.owner,
        "algorithm_name": record.name,
        "algorithm_version": record.version,
        "insights": listed(record),
    }


def listed(record: Record) -> list[dict[str, Any]]:
    """The insights of a call as an algorithm reports them."""
    return [{"insight_key": name, "insight_value": value} for name, value in record.reported]
