"""Hosted data as a storage, over the data API (API section 4)."""
