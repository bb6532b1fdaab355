"""Night jobs at Acme, as subcommands of `algo`."""
