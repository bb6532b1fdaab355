"""The directory of the embedded platform's state."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from algo_core.errors import ConfigError
from algo_core.settings.paths import data_dir

ROOT_VARIABLE = "ALGO_LOCAL_ROOT"
"""Environment variable for the directory of the state."""


def state_root(environ: Mapping[str, str] = os.environ) -> Path:
    """The directory of the platform's state: `ALGO_LOCAL_ROOT`, else `local` in the user's data directory.

    Raises:
        ConfigError: if the environment names neither it nor a home directory to put it in.
    """
    if chosen := environ.get(ROOT_VARIABLE):
        return Path(os.path.abspath(os.path.expanduser(chosen)))
    found = Path(data_dir(environ), "local")
    if not found.is_absolute():
        raise ConfigError(
            "There is no home directory for the embedded platform's state",
            f"Set HOME, or name a directory with {ROOT_VARIABLE}",
        )
    return found
