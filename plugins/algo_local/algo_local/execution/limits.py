"""Resource limits of an algorithm's process, and their settings."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from algo_core.errors import ConfigError

_UNITS = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}
_SIZE = re.compile(r"(\d{1,12})\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)
_COUNT = re.compile(r"[0-9]{1,12}")
_PLENTY = 16 << 30


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of each process, except `processes`, which limits all processes of an algorithm together."""

    memory: int
    """Bytes of data that a process may allocate."""
    processes: int
    """Maximum number of processes and threads."""
    open_files: int
    file_size: int
    """Bytes of one file that is written."""

    @classmethod
    def of(cls, environ: Mapping[str, str] = os.environ) -> Limits:
        """The limits from the environment (`ALGO_LOCAL_MEMORY` and others), or the defaults.

        Raises:
            ConfigError: if a variable does not hold a size or number.
        """
        return cls(
            memory=size_of(environ, "ALGO_LOCAL_MEMORY", _most_of_the_memory()),
            processes=count_of(environ, "ALGO_LOCAL_PROCESSES", 512),
            open_files=count_of(environ, "ALGO_LOCAL_OPEN_FILES", 4096),
            file_size=size_of(environ, "ALGO_LOCAL_FILE_SIZE", 16 << 30),
        )


def size_of(environ: Mapping[str, str], name: str, default: int) -> int:
    """Parse a variable: bytes, or a size such as 2G. Raises ConfigError."""
    text = environ.get(name, "").strip()
    if not text:
        return default
    match = _SIZE.fullmatch(text)
    if not match or not int(match[1]):
        raise ConfigError(
            f"{name} must be a size above 0, such as 2G or 512M, not {text!r}", f"Correct or unset {name}"
        )
    return int(match[1]) << _UNITS[match[2].upper()]


def count_of(environ: Mapping[str, str], name: str, default: int) -> int:
    """Parse a variable: a whole number above 0. Raises ConfigError."""
    text = environ.get(name, "").strip()
    if not text:
        return default
    if not _COUNT.fullmatch(text) or not int(text):
        raise ConfigError(f"{name} must be a whole number above 0, not {text!r}", f"Correct or unset {name}")
    return int(text)


def seconds_of(environ: Mapping[str, str], name: str, default: float) -> float:
    """Parse a variable: a whole number of seconds, 0 included. Raises ConfigError."""
    text = environ.get(name, "").strip()
    if not text:
        return default
    if not text.isdecimal() or not text.isascii() or len(text) > 9:
        raise ConfigError(f"{name} must be a number of seconds, not {text!r}", f"Correct or unset {name}")
    return float(text)


def _most_of_the_memory() -> int:
    """Three quarters of the machine's memory, so that an algorithm fails before the machine starts to swap."""
    return physical_memory() // 4 * 3


def physical_memory() -> int:
    """The machine's memory in bytes."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return _PLENTY
