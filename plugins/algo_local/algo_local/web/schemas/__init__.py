"""JSON schemas of the API: basic types, bodies by subject, and parameters."""
