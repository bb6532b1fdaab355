"""The commands of this plugin, below `algo plugins`."""
