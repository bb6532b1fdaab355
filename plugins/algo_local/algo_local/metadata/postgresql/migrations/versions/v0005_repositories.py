"""Which repositories in the object store are current, and which front end builds which algorithm."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"

_STATEMENTS = (
    'CREATE TABLE repositories (algorithm TEXT COLLATE "C" PRIMARY KEY REFERENCES algorithms (id) ON DELETE CASCADE,'
    ' content TEXT COLLATE "C" NOT NULL)',
    'CREATE TABLE builders (algorithm TEXT COLLATE "C" PRIMARY KEY REFERENCES algorithms (id) ON DELETE CASCADE,'
    ' owner TEXT COLLATE "C" NOT NULL, expires_at DOUBLE PRECISION NOT NULL)',
)


def upgrade() -> None:
    """Make the tables."""
    for statement in _STATEMENTS:
        op.execute(statement)
