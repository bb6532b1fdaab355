"""The package of the plugin `algo-local`."""
