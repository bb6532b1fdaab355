"""Alembic's environment: runs migrations on the connection that it is given."""

from __future__ import annotations

from alembic import context

from algo_local.metadata.postgresql.schema import VERSION_TABLE

context.configure(connection=context.config.attributes["connection"], version_table=VERSION_TABLE)
context.run_migrations()
