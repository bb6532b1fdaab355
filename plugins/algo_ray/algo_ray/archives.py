"""Archives of builds in Ray's object store, from which nodes fetch what they lack (driver process)."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from algo_ray.packing import Need, digest_of, pack, pack_environment

_KEPT_ARCHIVES = 256
"""Sources and environments that are kept in the object store for nodes that may ask for them."""


class Archives:
    """What nodes may need of builds, in Ray's object store, by the hash of its content."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[Any, str]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, need: Need) -> tuple[Need, list[Any]]:
        """A build as nodes keep it, and references to its source and environment. OSError if one cannot be read."""
        source, _ = self._put(need, need.commit, lambda: pack(Path(need.source)))
        environment, digest = self._put(need, os.path.basename(need.environment), lambda: pack_environment(need))
        return need._replace(digest=digest), [source, environment]

    def _put(self, need: Need, name: str, make: Callable[[], bytes]) -> tuple[Any, str]:
        import ray

        if not name:
            return None, ""
        with self._lock:
            if name not in self._kept:
                archive = make()
                self._kept[name] = ray.put(archive), digest_of(need, archive)
                if len(self._kept) > _KEPT_ARCHIVES:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(name)
            return self._kept[name]
