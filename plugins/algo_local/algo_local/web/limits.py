"""The platform's limits (API section 3.9)."""

from __future__ import annotations

INPUT_BYTES = 10 << 20
"""Largest body of an invocation."""

OUTPUT_BYTES = 15 << 20
"""Largest result of an invocation, as it is sent."""

DEFAULT_SECONDS = 300.0
MAX_SECONDS = 3000.0
DEPTH = 24
"""Maximum nesting of calls between algorithms."""
