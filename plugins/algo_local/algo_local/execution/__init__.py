"""Execution: processes that run algorithms, and the protocol they speak."""
