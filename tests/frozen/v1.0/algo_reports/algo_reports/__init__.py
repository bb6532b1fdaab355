"""Reports on hosted data, as a subcommand of `algo`."""
