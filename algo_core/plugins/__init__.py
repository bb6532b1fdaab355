"""Plugins: hook specifications, the index of what is installed, loading and policy."""
