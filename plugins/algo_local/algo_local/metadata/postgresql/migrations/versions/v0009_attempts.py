"""How often a build that a push asked for was begun: a column of SQLite's schema 19."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the column."""
    op.execute("ALTER TABLE builds ADD COLUMN attempts BIGINT")
