"""Manage algorithms and what belongs to an account, over the API of any platform."""
