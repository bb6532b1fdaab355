"""Algorithms: sources, builds, versions, and the environments that they run in."""
