"""Configuration and profiles: where values come from, and how they are edited."""
