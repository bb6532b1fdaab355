"""The package of the plugin `algo-env`."""
