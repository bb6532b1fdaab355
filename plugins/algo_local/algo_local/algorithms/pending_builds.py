"""Builds that pushes have asked for, in the background of a process that need not be the one that was pushed to.

They are on record before they begin. If the process that builds ends, another one begins anew: the next one that is
served in its directory at once, those of other machines when its lease has expired.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from algo_core.errors import AlgoError

if TYPE_CHECKING:
    from algo_local.algorithms.builds import Builds
    from algo_local.algorithms.compilation import Compiler
    from algo_local.algorithms.registry import Algorithm, Registry


class PendingBuilds:
    """Builds what was requested, one commit of an algorithm after the other, each algorithm in a thread.

    `in_background` runs those threads. `forward` has another process build what was requested of an algorithm, given
    its id; False if this one is to do so. `check` raises if the platform cannot be changed now.
    """

    def __init__(
        self,
        registry: Registry,
        builds: Builds,
        compiler: Callable[[], Compiler],
        in_background: Callable[[Callable[[], object]], None],
        forward: Callable[[str], bool],
        check: Callable[[], None],
    ) -> None:
        self._registry = registry
        self._builds = builds
        self._compiler = compiler
        self._in_background = in_background
        self._forward = forward
        self._check = check
        self._lock = threading.Lock()
        self._building: set[str] = set()
        """The ids of the algorithms that a thread of this process builds."""

    def request(self, algorithm: Algorithm, commit: str) -> None:
        """Have a commit built in the background. StorageUnavailable if that cannot be recorded."""
        self._builds.request(algorithm, commit)
        self.start(algorithm)

    def start(self, algorithm: Algorithm) -> None:
        """Have built what was requested of an algorithm, and forgotten what was not pushed after all."""
        if not self._forward(algorithm.id):
            self.begin(algorithm.id)

    def begin(self, identifier: str) -> None:
        """Begin to build what was requested of an algorithm, given its id."""
        with self._lock:
            if identifier in self._building:
                return
            self._building.add(identifier)
        self._in_background(partial(self._build, identifier))

    def begin_all(self) -> None:
        """Begin to build whatever was requested and is not being built, in any process.

        Raises:
            StorageUnavailable: if the database cannot be used, or the platform is being moved.
        """
        for identifier in self._builds.waiting():
            self._check()
            algorithm = self._registry.algorithm(identifier)
            if algorithm and identifier not in self._building and self._builds.is_free(algorithm):
                self.begin(identifier)

    def _build(self, identifier: str) -> None:
        try:
            with contextlib.suppress(AlgoError):  # it has been deleted meanwhile, or is tried again later
                while self._build_next(identifier):
                    pass
        finally:
            with self._lock:
                self._building.discard(identifier)

    def _build_next(self, identifier: str) -> bool:
        """Build what was requested first; False if there is nothing, and this thread is to end."""
        with self._lock:  # who requests something after this sees that nobody builds
            algorithm = self._registry.algorithm(identifier)
            requested = self._builds.requested(algorithm) if algorithm else None
            if not algorithm or not requested:
                self._building.discard(identifier)
                return False
        self._check()
        self._compiler().compile_requested(algorithm, requested)
        return True
