"""The commands of `algo local`, one module per group."""
