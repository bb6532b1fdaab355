"""The package of the plugin `algo-plugins`."""
