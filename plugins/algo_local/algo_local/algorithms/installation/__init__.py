"""Environments of algorithms: requirements, their installation by pip, uv or npm, and what went wrong."""
