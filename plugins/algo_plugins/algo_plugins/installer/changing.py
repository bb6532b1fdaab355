"""Changes of the environment of `algo` that are made whole or not at all, whatever ends them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from algo_core.errors import AlgoError, ConfigError, PluginError
from algo_plugins.installer import present
from algo_plugins.installer.outcome import Step
from algo_plugins.installer.saved import Kept, Saved, begin


class Restored(PluginError):
    """A plugin does not work after a change, which was undone."""

    def __init__(self, message: str, steps: Sequence[Step]) -> None:
        super().__init__(message, "Stay with what works, and tell the plugin's authors; see: algo plugins outdated")
        self._steps = steps

    def json_members(self) -> dict[str, Any]:
        """The versions that are installed again (None: the distribution is not installed, as before)."""
        return {"restored": [{"distribution": step.distribution, "version": step.previous} for step in self._steps]}


@contextmanager
def reversible(
    steps: Sequence[Step], may_add: Iterable[str], say: Callable[[str], None], *, is_removal: bool = False
) -> Iterator[Saved]:
    """Make a change in the block; if it raises, the environment is put back as it was.

    What it replaced is kept for a rollback; what was removed, and what was kept of that, is not.

    Raises:
        ConfigError: if the environment cannot be written.
    """
    kept = [Kept(step.distribution, step.version, step.previous) for step in steps]
    try:
        saved = begin(sys.prefix, kept, may_add, present.distributions())
    except OSError as error:
        raise _not_writable(error) from None
    try:
        yield saved
    except BaseException as error:
        is_told = isinstance(error, Restored)
        if _undo(saved) and not is_told:
            say(f"Undone: {_again(saved.distributions)}")
        raise
    if is_removal:
        saved.discard()
        saved.forget({step.distribution for step in steps})
    else:
        saved.keep()


def mend(say: Callable[[str], None]) -> None:
    """Undo a change that was interrupted, and say so.

    Raises:
        ConfigError: if the environment cannot be written.
    """
    saved = Saved.pending(sys.prefix)
    if saved is None:
        return
    _undo(saved)
    say(f"An interrupted change of plugins was undone: {_again(saved.distributions)}")


def refuse_interrupted() -> None:
    """Raise PluginError if a change was interrupted, for those that may change nothing."""
    if saved := Saved.pending(sys.prefix):
        names = ", ".join(kept.name for kept in saved.distributions)
        raise PluginError(f"A change of plugins was interrupted ({names})", "Undo it with: algo plugins restore")


def put_back(steps: Iterable[Step]) -> str:
    """A clause that says what is installed again after these were undone."""
    return _again(Kept(step.distribution, step.version, step.previous) for step in steps)


def _undo(saved: Saved) -> bool:
    importlib.invalidate_caches()
    try:
        differed = saved.put_back(present.distributions)
        saved.discard()
    except OSError as error:
        raise _not_writable(error) from None
    importlib.invalidate_caches()
    return differed


def _again(distributions: Iterable[Kept]) -> str:
    return "; ".join(
        f"{kept.name} {kept.previous} is installed again" if kept.previous else f"{kept.name} was removed again"
        for kept in distributions
    )


def _not_writable(error: OSError) -> AlgoError:
    return ConfigError(f"Cannot change {Path(sys.prefix)}: {error.strerror}", "Check its permissions and free space")
