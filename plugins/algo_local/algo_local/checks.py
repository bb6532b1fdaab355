"""Checks of the embedded platform for `algo doctor`."""

from __future__ import annotations

import os
import shutil

from algo_core.errors import AlgoError
from algo_local.paths import state_root
from algo_local.platform import Platform
from algo_local.state import State

LOW_BYTES = 100 << 20
"""Minimum free space in bytes."""


def check_sandbox() -> tuple[bool, str]:
    """Check the sandbox against the settings.

    Raises:
        ConfigError: if a setting is invalid.
    """
    from algo_local.execution.limits import Limits
    from algo_local.execution.workers.sandbox import WITHOUT, protection

    Limits.of()
    found = protection(state_root())
    if found.sandbox:
        return True, found.reason
    return not found.required, f"{'required, but ' if found.required else ''}none: {found.reason}; {WITHOUT}"


def check_state() -> tuple[bool, str]:
    """Check that the state is readable and writable, without creating it."""
    try:
        state = State.of()
        root = state.root
        if not state.exists:
            return True, f"not used yet (its directory will be {root})"
        if root.exists() and not os.access(root, os.R_OK | os.W_OK | os.X_OK):
            return False, f"{root} is not readable and writable for you"
        counts = Platform(state).metadata.counts()
        free = shutil.disk_usage(root).free
    except AlgoError as error:
        return False, error.message
    if free < LOW_BYTES:
        return False, f"only {free >> 20} MiB are free for {root}"
    return True, f"{counts['algorithms']} algorithms, {counts['collections']} collections in {state}"
