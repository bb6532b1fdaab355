"""Pages of each listing of calls: the indexes of SQLite's schema 15.

The state is before the time. Their conditions hold for each call: a query says with one which index it wants.
"""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"

_INDEXES = {
    "requests_by_time": "(created_at) WHERE id != 'by_time'",
    "requests_by_state": "(state, created_at) WHERE id != 'by_state'",
    "requests_by_account": "(account, state, created_at) WHERE id != 'by_account'",
    "requests_by_algorithm": "(algorithm, state, created_at) WHERE id != 'by_algorithm'",
    "requests_by_account_and_algorithm": (
        "(account, algorithm, state, created_at) WHERE id != 'by_account_and_algorithm'"
    ),
    "requests_by_parent": "(parent, account, state, created_at) WHERE parent != ''",
}


def upgrade() -> None:
    """Make the indexes in the place of those before."""
    op.execute("DROP INDEX requests_by_account_and_state")
    for name, what in _INDEXES.items():
        op.execute(f"DROP INDEX {name}")
        op.execute(f"CREATE INDEX {name} ON requests {what}")
