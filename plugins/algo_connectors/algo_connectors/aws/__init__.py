"""Amazon S3: its signature, credentials and requests, over algo's own connections."""
