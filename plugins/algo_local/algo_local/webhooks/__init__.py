"""Webhooks: signed notifications about finished calls to addresses that clients gave."""
