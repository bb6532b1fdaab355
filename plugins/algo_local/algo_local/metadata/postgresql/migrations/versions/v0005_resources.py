"""What workers take of a node of a cluster, as algorithms' settings say: a column of SQLite's schema 16."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the column."""
    op.execute("ALTER TABLE algorithms ADD COLUMN resources TEXT COLLATE \"C\" NOT NULL DEFAULT ''")
