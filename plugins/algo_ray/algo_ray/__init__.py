"""Executions on Ray: the executor `ray` of `algo local serve`."""
