"""One `algo` at a time changes plugins."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from algo_core.errors import ConfigError
from algo_core.settings.paths import data_dir


@contextmanager
def turn(environ: Mapping[str, str], say: Callable[[str], None]) -> Iterator[None]:
    """Wait until no other process of this user installs or removes plugins.

    Raises:
        ConfigError: if the data directory cannot be written.
    """
    try:
        import fcntl
    except ImportError:  # a system without advisory locks: whoever installs twice at once has to look out
        yield
        return
    folder = data_dir(environ)
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        descriptor = os.open(os.path.join(folder, "plugins.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigError(f"Cannot write {folder}: {error.strerror}", "ALGO_DATA_DIR names another place") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Waiting for another algo that installs or removes plugins ...")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
