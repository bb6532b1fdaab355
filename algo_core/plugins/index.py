"""The index: which plugins are installed, and which commands, connectors and hooks each has.

It is built by loading every plugin module once, in a separate process, stored in the cache directory, and valid as long
as its inputs are unchanged: the directories of `sys.path` (every install and uninstall touches one) and the files of
the plugin modules themselves, compared by their times in whole nanoseconds and their sizes. A missing, damaged or
read-only cache only costs time.
"""

from __future__ import annotations

import marshal
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from algo_core.version import __version__

if TYPE_CHECKING:
    from algo_core.plugins.policy import Policy

FORMAT = 9

KEPT = ("commands", "connectors", "executors", "settings", "services")
"""The members of a record that hold answers of hooks (`Hook.kept_as`)."""

Stamp = tuple[str, int, int]
"""A path, its modification time in nanoseconds and its size; -1 for both where there is nothing."""


class PluginRecord:
    """The index entry of one plugin.

    `commands` holds `(name, target, help, group, hidden, example, role)`, `connectors` `(scheme, target, help, labels,
    direct)`, `executors` `(name, target, help)`, `settings` `(name, help, kind, default, variable, words)`, `services`
    `(name, target)`; `addresses` says how those begin that its transport carries, empty for any; `error` is the cause
    in one line if the plugin could not be loaded, `refusal` the reason if it was not allowed to; `seconds` is how long
    loading it took.
    """

    def __init__(self, entry: str, module: str, dist: str, version: str) -> None:
        self.entry = entry
        self.module = module
        self.dist = dist
        self.version = version
        self.commands: list[tuple[str, str, str, str, bool, str, str]] = []
        self.connectors: list[tuple[str, str, str, bool, bool]] = []
        self.executors: list[tuple[str, str, str]] = []
        self.settings: list[tuple[str, str, str, str, str, str]] = []
        self.services: list[tuple[str, str]] = []
        self.hooks: list[str] = []
        self.addresses: list[str] = []
        self.remarks: list[str] = []
        self.error: str | None = None
        self.traceback: str | None = None
        self.refusal: str | None = None
        self.seconds = 0.0

    def carries(self, address: str) -> bool:
        """Whether its transport may be for an address."""
        return not self.addresses or address.startswith(tuple(self.addresses))

    @property
    def label(self) -> str:
        """Distribution and version, for messages."""
        return f"{self.dist} {self.version}"

    def dump(self) -> dict[str, Any]:
        """All members, as values that marshal can write."""
        return dict(vars(self))

    @classmethod
    def restore(cls, members: dict[str, Any]) -> PluginRecord:
        """The record that `dump` wrote, whose members it takes over: with many plugins, copying them would show."""
        record = cls.__new__(cls)
        record.__dict__ = members
        return record

    def take(self, members: Mapping[str, Any]) -> None:
        """Fill this record with what `dump` wrote in another process, as JSON."""
        vars(self).update(members)
        for name in KEPT:  # JSON knows lists only
            setattr(self, name, [tuple(row) for row in getattr(self, name)])


Loader = Callable[[Sequence[PluginRecord]], Iterable[str]]
"""Loads the modules of plugins, fills their records, and gives the files that this loaded."""


def search_path() -> list[str]:
    """The search path for distributions: `sys.path` without the entry of the script or the current directory."""
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


HOOK_TABLE = os.path.join(os.path.dirname(__file__), "hookspecs.py")
"""Where hooks are declared."""


def hook_api() -> int | None:
    """A checksum of the source of the table of hooks, which is not imported; None without the source."""
    import zlib

    try:
        with open(HOOK_TABLE, "rb") as file:
            return zlib.crc32(file.read())
    except OSError:
        return None


def _identity(policy: Policy) -> tuple[Any, ...]:
    """The key of an index: interpreter, paths, version, hook table, permanent refusals."""
    return (FORMAT, __version__, sys.version, sys.prefix, tuple(search_path()), hook_api(), policy.fingerprint)


def _file(cache: str, identity: tuple[Any, ...]) -> str:
    import zlib

    return os.path.join(cache, f"plugins-{zlib.crc32(repr(identity[2:5]).encode()):08x}.index")


def read(cache: str, policy: Policy) -> list[PluginRecord] | None:
    """The stored index, if it exists, is intact and is still valid."""
    identity = _identity(policy)
    kept = _kept(cache, identity)
    if kept is None or kept["identity"] != identity or any(stamp(entry[0]) != entry for entry in kept["stamps"]):
        return None
    return [PluginRecord.restore(members) for members in kept["plugins"]]


def _kept(cache: str, identity: tuple[Any, ...]) -> dict[str, Any] | None:
    """The content of the file, or None if its checksum does not match.

    marshal itself must not be trusted with such a file; it could even end the process.
    """
    import zlib

    try:
        with open(_file(cache, identity), "rb") as file:
            content = file.read()
    except (OSError, ValueError):
        return None
    head, payload = content[:HEAD_BYTES], content[HEAD_BYTES:]
    if head != _head(payload, zlib.crc32(payload)):
        return None
    kept: dict[str, Any] = marshal.loads(payload)
    return kept


HEAD_BYTES = 16


def _head(payload: bytes, checksum: int) -> bytes:
    """The header of the file: format, length and checksum of the content."""
    return FORMAT.to_bytes(4, "big") + len(payload).to_bytes(8, "big") + checksum.to_bytes(4, "big")


def build(cache: str, policy: Policy, load: Loader) -> list[PluginRecord]:
    """Examine every installed plugin and store the result; passing refusals apply but are not stored."""
    identity = _identity(policy)
    older = {
        (members["dist"], members["entry"]): members for members in (_kept(cache, identity) or {}).get("plugins", ())
    }
    stamps = {entry: stamp(entry) for entry in search_path()}
    records = discover()
    due = []
    complete = True
    for record in records:
        record.refusal = policy.lasting_refusal(record.dist, record.version)
        if record.refusal:
            continue
        if policy.passing_refusal(record.dist):
            complete = False
        else:
            due.append(record)
    for path in load(due):
        stamps[path] = stamp(path)
    for record in records:
        if (record.error or record not in due) and (members := older.get((record.dist, record.entry))):
            # Broken and refused plugins keep their entry, so that errors can name them.
            for name in (*KEPT, "hooks"):
                setattr(record, name, members[name])
    if complete:
        _keep(cache, identity, list(stamps.values()), records)
    return records


def discover() -> list[PluginRecord]:
    """The plugins of all installed distributions, sorted; none is loaded."""
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


def _keep(cache: str, identity: tuple[Any, ...], stamps: Iterable[Stamp], records: Iterable[PluginRecord]) -> None:
    import zlib

    from algo_core.files import replacing

    kept = {"identity": identity, "stamps": list(stamps), "plugins": [record.dump() for record in records]}
    try:
        os.makedirs(cache, exist_ok=True, mode=0o700)
        payload = marshal.dumps(kept)
        with replacing(_file(cache, identity), mode=0o600) as file:
            file.write(_head(payload, zlib.crc32(payload)) + payload)
    except OSError:
        pass  # read-only or full: the next start builds it again
