"""Google Cloud Storage: its JSON API over algo's own connections, or through gcsfs."""
