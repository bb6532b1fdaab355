"""Hosted data and connectors of the platform."""
