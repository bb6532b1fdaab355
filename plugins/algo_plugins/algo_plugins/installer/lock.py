"""One `algo` at a time changes plugins."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

from algo_core.errors import ConfigError
from algo_core.locks import locked
from algo_core.plugins.recorded import CHANGES
from algo_core.settings.paths import data_dir
from algo_plugins.installer.process import inherited


@contextmanager
def plugins_lock(environ: Mapping[str, str], say: Callable[[str], None]) -> Iterator[None]:
    """Wait until no other process of this user, or in this environment, installs or removes plugins.

    The tools that are run meanwhile hold it as well: one may go on after the `algo` that started it was killed.

    Raises:
        ConfigError: if the data directory cannot be written.
    """
    folder = data_dir(environ)

    def waiting() -> None:
        say("Waiting for another algo that installs or removes plugins ...")

    with ExitStack() as stack:
        try:
            os.makedirs(folder, mode=0o700, exist_ok=True)
            held = [stack.enter_context(locked(os.path.join(folder, "plugins.lock"), waiting=waiting))]
            if sys.prefix != sys.base_prefix and os.access(sys.prefix, os.W_OK):
                home = os.path.join(sys.prefix, CHANGES)
                os.makedirs(home, exist_ok=True)
                held.append(stack.enter_context(locked(os.path.join(home, "lock"), waiting=waiting)))
            stack.enter_context(inherited(held))
        except OSError as error:
            raise ConfigError(f"Cannot write {folder}: {error.strerror}", "Set ALGO_DATA_DIR to another path") from None
        yield
