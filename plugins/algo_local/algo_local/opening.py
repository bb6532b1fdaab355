"""Opens a platform together with the callback endpoint of its algorithms."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from algo_local.platform import Platform

if TYPE_CHECKING:
    from algo_local.execution.factories import Opener
    from algo_local.serving.callback import CallbackEndpoint

_platforms: dict[Path, Platform] = {}
_lock = threading.Lock()


def open_platform(root: Path, open_executor: Opener | None = None, *, keeps_workers: bool = False) -> Platform:
    """The platform of a directory, ready to run algorithms, with an executor of this machine or of a plugin."""
    return Platform(root, open_callback=_open_callback, open_executor=open_executor, keeps_workers=keeps_workers)


def platform_at(root: Path) -> Platform:
    """The platform of a directory; all clients in this process share it, and with it the warm algorithms."""
    with _lock:
        if root not in _platforms:
            _platforms[root] = open_platform(root, keeps_workers=True)
        return _platforms[root]


def _open_callback(platform: Platform) -> CallbackEndpoint:
    from algo_local.serving.callback import CallbackEndpoint
    from algo_local.web.app import Application

    return CallbackEndpoint(Application(platform))
