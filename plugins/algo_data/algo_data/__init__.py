"""The package of the plugin `algo-data`."""
