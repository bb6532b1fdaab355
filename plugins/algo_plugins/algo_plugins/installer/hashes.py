"""The hashes of what requirements files have installed, kept for `algo plugins restore` and `upgrade`.

They lie in requirements files beside the user's configuration, which only their owner can read, since addresses of
indexes may hold passwords:

    requirements/installed.txt       of the plugins beside `algo`, dependencies included
    requirements/isolated-NAME.txt   of the environment of an isolated plugin
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from algo_core.files import replacing
from algo_core.settings.config import Config
from algo_plugins.installer import requirements_file
from algo_plugins.installer.requirements_file import Contents
from algo_plugins.installer.tools import NOT_LOCKED, Locked

NOTHING = Contents([], NOT_LOCKED)

_HEADING = "# Written by algo plugins install -r: the hashes that algo plugins restore checks.\n"


def read(config: Config, isolated: str | None = None) -> Contents:
    """The hashes kept for plugins beside `algo`, or for an isolated one; empty for plugins installed without hashes.

    Raises:
        UsageError: if the file cannot be understood; it names the line.
    """
    file = _file(config, isolated)
    return requirements_file.read([str(file)], require_hashes=True) if file.exists() else NOTHING


def keep(config: Config, files: Contents, isolated: str | None = None) -> None:
    """Keep the hashes of requirements files; those of other plugins beside `algo` stay, in the versions of `files`."""
    if not files.locked.hashes:
        return
    older = NOTHING if isolated else read(config)
    by_name = {want.name: want.text for contents in (older, files) for want in contents.requirements}
    locked = Locked(
        tuple(dict.fromkeys([*older.locked.options, *files.locked.options])),
        {**older.locked.hashes, **files.locked.hashes},
    )
    _write(_file(config, isolated), locked, by_name.values())


def forget(config: Config, names: Iterable[str], recorded: Iterable[str]) -> None:
    """Forget removed plugins; with the last of the `recorded` plugins its dependencies are forgotten, too."""
    gone = set(names)
    for name in gone:
        _file(config, name).unlink(missing_ok=True)
    older = read(config)
    left = [want for want in older.requirements if want.name not in gone]
    if {want.name for want in left}.isdisjoint(recorded):
        _file(config, None).unlink(missing_ok=True)
    elif len(left) < len(older.requirements):
        _write(_file(config, None), older.locked, [want.text for want in left])


def _write(file: Path, locked: Locked, requirements: Iterable[str]) -> None:
    file.parent.mkdir(mode=0o700, exist_ok=True)
    lines = [*locked.options, *map(locked.line, requirements)]
    with replacing(file, mode=0o600, durable=True) as out:
        out.write((_HEADING + "".join(f"{line}\n" for line in lines)).encode())


def _file(config: Config, isolated: str | None) -> Path:
    name = f"isolated-{isolated}.txt" if isolated else "installed.txt"
    return Path(config.user_file).parent / "requirements" / name
