"""The options of connectors, encrypted: those of all machines in one place."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Make the column."""
    op.execute("ALTER TABLE connectors ADD COLUMN options BYTEA")
