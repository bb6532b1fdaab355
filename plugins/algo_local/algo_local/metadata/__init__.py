"""Metadata: the database and what it records."""
