"""Azure Blob Storage: requests over algo's own connections, or through adlfs."""
