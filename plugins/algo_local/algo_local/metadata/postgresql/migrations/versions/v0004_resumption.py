"""How accepted calls can be executed by another process, as SQLite's schema 15 has it."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the column."""
    op.execute("ALTER TABLE requests ADD COLUMN resumption TEXT COLLATE \"C\" NOT NULL DEFAULT ''")
