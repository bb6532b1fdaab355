"""Platforms of machines with directories of their own, over one database and one object store."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from algo_local.data.incoming import Incoming
from algo_local.data.store_objects import StoreObjects
from algo_local.opening import open_platform
from algo_local.platform import Platform
from algo_local.state import State
from support.stores import Store


class Machines:
    """Opens their platforms; the object store is in memory."""

    def __init__(self, directory: Path, metadata: str) -> None:
        self._directory = directory
        self._metadata = metadata
        self._store = Store("memory", {}, directory.name)
        self._opened = ExitStack()

    def __call__(self, name: str, *, shares: bool = True) -> Platform:
        """The platform of a machine; unless it `shares`, it has its objects in its directory."""
        root = self._directory / name
        platform = open_platform(State(root, self._metadata, "s3://bucket/prefix" if shares else None))
        self._opened.callback(platform.close)
        if shares:
            incoming = Incoming(str(root / "incoming"))
            place = self._store.uri()
            objects = StoreObjects(self._store.open(), place, "memory://", incoming, set, lambda: "platform")
            platform.parts["objects"] = objects
        return platform

    def close(self) -> None:
        """Close all platforms."""
        self._opened.close()
