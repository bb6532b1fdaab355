"""Acme cluster, as an executor of algo local serve."""
