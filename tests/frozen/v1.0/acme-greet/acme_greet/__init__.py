"""Acme greet, as a subcommand of `algo`."""
