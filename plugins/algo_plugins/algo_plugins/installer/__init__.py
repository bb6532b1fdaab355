"""Installs plugins: into the environment of `algo`, or into isolated environments."""
