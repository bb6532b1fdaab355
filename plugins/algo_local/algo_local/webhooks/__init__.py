"""Notifications of clients about calls that have ended, as signed requests to the addresses they gave."""
