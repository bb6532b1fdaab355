"""Front ends on several machines: their signs of life, and indexes for pages of a million calls."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"

_STATEMENTS = (
    'CREATE TABLE front_ends (name TEXT COLLATE "C" PRIMARY KEY, beat BIGINT NOT NULL)',
    "CREATE INDEX requests_by_account_and_algorithm ON requests (account, algorithm, created_at)",
    "CREATE INDEX requests_by_account_and_state ON requests (account, state, created_at)",
    "CREATE INDEX requests_by_parent ON requests (parent, account, created_at) WHERE parent != ''",
)


def upgrade() -> None:
    """Make the table and the indexes."""
    for statement in _STATEMENTS:
        op.execute(statement)
