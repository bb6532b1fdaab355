"""Calls by state: the index of SQLite's schema 14, of all states."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the index."""
    op.execute("CREATE INDEX requests_by_state ON requests (state, created_at)")
