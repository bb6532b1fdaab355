"""A folder for PYTHONPATH: with it, the clock of a Python process is the one of a test."""
