"""The package of the plugin `algo-run`."""
