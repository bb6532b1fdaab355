"""Limits of what is kept of calls (age, number, bytes), and their settings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from algo_local.execution.limits import count_of, size_of

ROW_BYTES = 512
"""The size of a row in bytes, without input and output."""


@dataclass(frozen=True, slots=True)
class Retention:
    """The limits of the record."""

    seconds: float = 7 * 86400.0
    """Age at which calls are forgotten."""
    total: int = 1 << 30
    """Bytes of inputs, outputs and rows together; the oldest go first, inputs and outputs before rows."""
    content: int = 64 << 10
    """Largest input or output that is kept of a call that nobody needs to fetch, and of what was printed; in bytes."""

    @classmethod
    def of(cls, environ: Mapping[str, str] = os.environ) -> Retention:
        """The limits from the environment (`ALGO_LOCAL_RECORD_DAYS`, ...).

        Raises:
            ConfigError: if a variable does not hold a size or number.
        """
        return cls(
            seconds=count_of(environ, "ALGO_LOCAL_RECORD_DAYS", 7) * 86400.0,
            total=size_of(environ, "ALGO_LOCAL_RECORD_SIZE", 1 << 30),
            content=size_of(environ, "ALGO_LOCAL_RECORD_CONTENT", 64 << 10),
        )
