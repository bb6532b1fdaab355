"""The index: which plugins are installed, and which commands, connectors and hooks each has.

It is built by loading every plugin module once, kept in the cache directory, and believed as long as nothing that it
was made from has changed: the directories of `sys.path` (every install and uninstall touches one) and the files of the
plugin modules themselves, compared by their times in whole nanoseconds and their sizes. A cache that is missing,
damaged or cannot be written costs time and nothing else.
"""

from __future__ import annotations

import marshal
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from algo_core.version import __version__

if TYPE_CHECKING:
    from algo_core.plugins.policy import Policy

FORMAT = 3

Stamp = tuple[str, int, int]
"""A path, its modification time in nanoseconds and its size; -1 for both where there is nothing."""


class PluginRecord:
    """What the index knows of one plugin.

    `commands` holds `(name, target, help, group, hidden, example)`, `connectors` `(scheme, target, help, labels,
    direct)`; `error` is the cause in one line if the plugin could not be loaded, `refusal` the reason if it was not
    allowed to; `seconds` is how long loading it took.
    """

    __slots__ = (
        "commands",
        "connectors",
        "dist",
        "entry",
        "error",
        "hooks",
        "module",
        "refusal",
        "remarks",
        "seconds",
        "traceback",
        "version",
    )

    def __init__(self, entry: str, module: str, dist: str, version: str) -> None:
        self.entry = entry
        self.module = module
        self.dist = dist
        self.version = version
        self.commands: list[tuple[str, str, str, str, bool, str]] = []
        self.connectors: list[tuple[str, str, str, bool, bool]] = []
        self.hooks: list[str] = []
        self.remarks: list[str] = []
        self.error: str | None = None
        self.traceback: str | None = None
        self.refusal: str | None = None
        self.seconds = 0.0

    @property
    def label(self) -> str:
        """Distribution and version, for messages."""
        return f"{self.dist} {self.version}"

    def dump(self) -> dict[str, Any]:
        """All members, as values that marshal can write."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def restore(cls, members: Mapping[str, Any]) -> PluginRecord:
        """The record that `dump` wrote."""
        record = cls(members["entry"], members["module"], members["dist"], members["version"])
        for name in cls.__slots__:
            setattr(record, name, members[name])
        return record


Loader = Callable[[PluginRecord], list[str]]
"""Loads a plugin's module, fills its record, and gives the files that this loaded."""


def search_path() -> list[str]:
    """Where distributions are looked for: `sys.path` without the entry of the script or the current directory."""
    skipped = {os.path.abspath(sys.path[0] or os.getcwd())} if sys.path else set()
    kept = [entry for entry in sys.path if entry and os.path.abspath(entry) not in skipped]
    script_home_is_installed = any("site-packages" in entry for entry in skipped)
    return [*skipped, *kept] if script_home_is_installed else kept


def stamp(path: str) -> Stamp:
    """A path with its time and size."""
    try:
        found = os.stat(path)
    except OSError:
        return (path, -1, -1)
    return (path, found.st_mtime_ns, found.st_size)


def _identity(policy: Policy) -> tuple[Any, ...]:
    """What an index holds for: this interpreter, these paths, this version, these lasting refusals."""
    return (FORMAT, __version__, sys.version, sys.prefix, tuple(search_path()), policy.fingerprint)


def _file(cache: str, identity: tuple[Any, ...]) -> str:
    import zlib

    return os.path.join(cache, f"plugins-{zlib.crc32(repr(identity[2:5]).encode()):08x}.index")


def read(cache: str, policy: Policy) -> list[PluginRecord] | None:
    """The kept index, if it is there, whole, and still true."""
    identity = _identity(policy)
    try:
        with open(_file(cache, identity), "rb") as file:
            kept = marshal.loads(file.read())
        if kept["identity"] != identity or any(stamp(entry[0]) != entry for entry in kept["stamps"]):
            return None
        return [PluginRecord.restore(members) for members in kept["plugins"]]
    except (OSError, ValueError, EOFError, TypeError, KeyError, IndexError):
        return None


def build(cache: str, policy: Policy, load: Loader) -> list[PluginRecord]:
    """Look at every installed plugin and keep what was found; passing refusals are obeyed and then not kept."""
    identity = _identity(policy)
    older = _older_commands(cache, identity)
    stamps = {entry: stamp(entry) for entry in search_path()}
    records = []
    complete = True
    for record in discover():
        records.append(record)
        record.refusal = policy.lasting_refusal(record.dist, record.version)
        if record.refusal:
            continue
        if policy.passing_refusal(record.dist):
            complete = False
            continue
        for path in load(record):
            stamps[path] = stamp(path)
        if record.error:
            record.commands = older.get((record.dist, record.entry), [])
    if complete:
        _keep(cache, identity, list(stamps.values()), records)
    return records


def discover() -> list[PluginRecord]:
    """The plugins that installed distributions name, sorted; nothing of them is loaded."""
    import importlib_metadata

    from algo_core.plugins.policy import normalized
    from algo_core.plugins.types import GROUP

    found: dict[tuple[str, str], PluginRecord] = {}
    for path in search_path():
        try:
            distributions = list(importlib_metadata.distributions(path=[path]))
        except OSError:
            continue
        for distribution in distributions:
            try:
                entries = [e for e in distribution.entry_points if e.group == GROUP]
                if not entries:
                    continue
                name, version = normalized(distribution.metadata["Name"] or ""), distribution.version
            except Exception:  # a damaged distribution must not hide the others
                continue
            for entry in entries:
                found.setdefault((name, entry.name), PluginRecord(entry.name, entry.value, name, version or "?"))
    return [found[key] for key in sorted(found)]


def _older_commands(cache: str, identity: tuple[Any, ...]) -> dict[tuple[str, str], Any]:
    """Commands that plugins had when they last loaded: a plugin that is broken now keeps its place in the help."""
    try:
        with open(_file(cache, identity), "rb") as file:
            kept = marshal.loads(file.read())
        return {(members["dist"], members["entry"]): members["commands"] for members in kept["plugins"]}
    except (OSError, ValueError, EOFError, TypeError, KeyError):
        return {}


def _keep(cache: str, identity: tuple[Any, ...], stamps: Iterable[Stamp], records: Iterable[PluginRecord]) -> None:
    from algo_core.files import replacing

    kept = {"identity": identity, "stamps": list(stamps), "plugins": [record.dump() for record in records]}
    try:
        os.makedirs(cache, exist_ok=True, mode=0o700)
        with replacing(_file(cache, identity), mode=0o600) as file:
            file.write(marshal.dumps(kept))
    except OSError:
        pass  # read-only or full: the next start builds it again
