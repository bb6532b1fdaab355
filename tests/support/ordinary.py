"""The rights of an ordinary user, whoever runs the tests: root can read what nobody may."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from algo_core.testing import Home

_CAPABILITIES = "-dac_override,-dac_read_search"
_OVERRIDES = 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
_VERSION = 0x20080522


def as_ordinary_user(home: Home) -> Home:
    """The same home, in which commands have the rights of an ordinary user."""
    if os.geteuid():
        return home
    program = home.root / "algo-without-override"
    words = f"setpriv --bounding-set={_CAPABILITIES} --inh-caps={_CAPABILITIES} {home.program}"
    program.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
    program.chmod(0o755)
    return Home(home.root, cache=Path(home.environ["ALGO_CACHE_DIR"]), environ=home.environ, program=program)


@contextmanager
def closed(directory: Path) -> Iterator[None]:
    """Let nobody look into a directory while the block runs, this thread included."""
    mode = directory.stat().st_mode
    directory.chmod(0)
    try:
        with ordinary_rights():
            yield
    finally:
        directory.chmod(mode)


@contextmanager
def ordinary_rights() -> Iterator[None]:
    """Take these rights from this thread while the block runs."""
    assert sys.platform == "linux"
    libc = ctypes.CDLL(None, use_errno=True)
    header, now = (ctypes.c_uint32 * 2)(_VERSION, 0), (ctypes.c_uint32 * 6)()
    assert libc.capget(header, now) == 0
    less = (ctypes.c_uint32 * 6)(*now)
    less[0] &= ~_OVERRIDES
    assert libc.capset(header, less) == 0
    try:
        yield
    finally:
        assert libc.capset(header, now) == 0
