"""Opens a platform together with the callback endpoint of its algorithms; commands and servers call this."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from algo_local.platform import Platform
from algo_local.state import State

if TYPE_CHECKING:
    from algo_local.execution.factories import Opener
    from algo_local.serving.callback import CallbackEndpoint

_platforms: dict[State, Platform] = {}
_lock = threading.Lock()


def open_platform(state: State | Path, open_executor: Opener | None = None, *, keeps_workers: bool = False) -> Platform:
    """The platform of a state, ready to run algorithms, with an executor of this machine or of a plugin."""
    return Platform(state, open_callback=_open_callback, open_executor=open_executor, keeps_workers=keeps_workers)


def platform_at(state: State) -> Platform:
    """The platform of a state; all clients in this process share it, and with it the warm algorithms."""
    with _lock:
        if state not in _platforms:
            _platforms[state] = open_platform(state, keeps_workers=True)
        return _platforms[state]


def _open_callback(platform: Platform) -> CallbackEndpoint:
    from algo_local.serving.callback import CallbackEndpoint
    from algo_local.web.app import Application

    return CallbackEndpoint(Application(platform))
