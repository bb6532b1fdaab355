"""How accepted calls can be executed by another process, as SQLite's schema 16 has it."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the column."""
    op.execute("ALTER TABLE requests ADD COLUMN resumption TEXT COLLATE \"C\" NOT NULL DEFAULT ''")
