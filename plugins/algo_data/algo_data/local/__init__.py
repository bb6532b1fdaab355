"""The local file system as a storage."""
