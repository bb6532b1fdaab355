"""Shows which processes of a platform's directory are alive: each holds a lock on its own file.

Calls of a process that has ended are marked as lost, or resumed.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from algo_core.locks import acquire, is_held

DIRECTORY = "running"


class Presence:
    """The liveness of this process for others. Its file is created with the first row of a running call."""

    def __init__(self, root: Path) -> None:
        self._directory = root / DIRECTORY
        self.name = secrets.token_hex(8)
        self._held: int | None = None

    def hold(self) -> None:
        """Mark this process as alive until it ends in any way; may be repeated. OSError if the file cannot be made."""
        if self._held is not None:
            return
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        held = os.open(self._path(self.name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        acquire(held, wait=True)
        self._held = held

    def shared(self) -> int:
        """A descriptor of the lock; a copy keeps this process alive to others even after its end. OSError as `hold`."""
        self.hold()
        assert self._held is not None
        return self._held

    def release(self) -> None:
        """Mark this process as ended; may be repeated."""
        if self._held is not None:
            held, self._held = self._held, None
            with contextlib.suppress(OSError):
                self._path(self.name).unlink()
            os.close(held)

    def is_alive(self, name: str) -> bool:
        """Whether the process of that name is running; the file of an ended one is removed."""
        if name == self.name:
            return True
        path = self._path(name)
        if is_held(path):
            return True
        with contextlib.suppress(OSError):
            path.unlink()
        return False

    def _path(self, name: str) -> Path:
        return self._directory / f"{name}.lock"
