"""One `algo` at a time changes plugins."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

from algo_core.errors import ConfigError
from algo_core.locks import locked
from algo_core.settings.paths import data_dir


@contextmanager
def plugins_lock(environ: Mapping[str, str], say: Callable[[str], None]) -> Iterator[None]:
    """Wait until no other process of this user installs or removes plugins.

    Raises:
        ConfigError: if the data directory cannot be written.
    """
    folder = data_dir(environ)
    held = locked(
        os.path.join(folder, "plugins.lock"),
        waiting=lambda: say("Waiting for another algo that installs or removes plugins ..."),
    )
    with ExitStack() as stack:
        try:
            os.makedirs(folder, mode=0o700, exist_ok=True)
            stack.enter_context(held)
        except OSError as error:
            raise ConfigError(f"Cannot write {folder}: {error.strerror}", "Set ALGO_DATA_DIR to another path") from None
        yield
