"""The setting for private addresses of notifications."""

from __future__ import annotations

import os
from collections.abc import Mapping

from algo_core.errors import ConfigError

VARIABLE = "ALGO_LOCAL_NOTIFY_PRIVATE"


def sends_to_private_addresses(environ: Mapping[str, str] = os.environ, *, is_public: bool) -> bool:
    """Whether private and loopback addresses may be notified; by default only by platforms for one machine.

    Raises:
        ConfigError: if the variable is neither `on` nor `off`.
    """
    value = environ.get(VARIABLE, "").strip().lower()
    if value in {"on", "off"}:
        return value == "on"
    if value:
        raise ConfigError(f"{VARIABLE} must be on or off, not {value!r}", f"Set {VARIABLE}=on, or remove it")
    return not is_public
