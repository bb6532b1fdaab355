"""Traces of what `algo` does, by OpenTelemetry."""
