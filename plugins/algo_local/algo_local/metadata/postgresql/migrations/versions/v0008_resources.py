"""What workers take of a node of a cluster, as algorithms' settings say: a column of SQLite's schema 18."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the column."""
    op.execute("ALTER TABLE algorithms ADD COLUMN resources TEXT COLLATE \"C\" NOT NULL DEFAULT ''")
