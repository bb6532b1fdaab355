"""The version of the core, readable without importing anything else."""

__version__ = "1.0.0"
