"""Acme archive, as a connector of algo."""
