"""Alembic's directory: the environment and the versions of the schema."""
