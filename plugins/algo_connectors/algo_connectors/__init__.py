"""Object stores and other file systems for `algo`, over fsspec."""
