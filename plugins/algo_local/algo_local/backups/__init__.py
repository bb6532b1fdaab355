"""Backups of a platform: its rows as JSON lines, its files by the digests of their contents, and a manifest of both."""
