"""Where the project keeps its files on this machine.

Paths are plain strings: every start of `algo` needs two of them, and importing pathlib would cost more.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

__all__ = ["cache_dir", "config_dir", "data_dir"]

APP = "algo"
CONFIG_FILE = "config.toml"
ISOLATED_COMMANDS = "commands"
"""The list in `isolated_dir`: a line for each command of an isolated plugin, its name, a tab and its help line."""

ISOLATED_FACTS = "algo-isolated.json"
"""The file in an isolated plugin's environment that describes it."""


def config_dir(environ: Mapping[str, str] = os.environ) -> str:
    """The user's configuration directory: `ALGO_CONFIG_DIR`, else platformdirs' `user_config_dir`."""
    return _user_dir(environ, "config", ".config")


def user_config_file(environ: Mapping[str, str] = os.environ) -> str:
    """The user's configuration file; it need not exist."""
    return os.path.join(config_dir(environ), CONFIG_FILE)


def cache_dir(environ: Mapping[str, str] = os.environ) -> str:
    """The cache directory: `ALGO_CACHE_DIR`, else platformdirs' `user_cache_dir`.

    A plugin keeps files there, in a folder of its own, that only cost time when they are gone.
    """
    return _user_dir(environ, "cache", ".cache")


def data_dir(environ: Mapping[str, str] = os.environ) -> str:
    """The user's data directory: `ALGO_DATA_DIR`, else platformdirs' `user_data_dir`.

    A plugin keeps files there, in a folder of its own, that must stay.
    """
    return _user_dir(environ, "data", os.path.join(".local", "share"))


def _user_dir(environ: Mapping[str, str], kind: str, default: str) -> str:
    """A directory of the user; `default` is its XDG path below the home directory.

    The XDG rule is applied here: importing platformdirs would cost more than the rest of a start.
    """
    if chosen := environ.get(f"ALGO_{kind.upper()}_DIR"):
        return os.path.expanduser(chosen)
    if sys.platform not in {"darwin", "win32"} and "ANDROID_ROOT" not in environ:
        base = environ.get(f"XDG_{kind.upper()}_HOME", "").strip()
        if os.path.isabs(base):
            return os.path.join(base, APP)
        if home := environ.get("HOME"):
            return os.path.join(home, default, APP)
    import platformdirs

    found: str = getattr(platformdirs, f"user_{kind}_dir")(APP, appauthor=False)
    return found


def isolated_dir(environ: Mapping[str, str] = os.environ) -> str:
    """The directory of isolated plugins: an environment for each, `bin/` with their executables, and a list."""
    return os.path.join(data_dir(environ), "isolated")


def system_site_file() -> str:
    """The system's administrator file. Its path is fixed: no variable changes it."""
    if sys.platform == "darwin":
        return f"/Library/Application Support/{APP}/{CONFIG_FILE}"
    if sys.platform == "win32":
        from platformdirs import site_config_dir

        return os.path.join(site_config_dir(APP, appauthor=False), CONFIG_FILE)
    return f"/etc/xdg/{APP}/{CONFIG_FILE}"


def site_config_files(environ: Mapping[str, str] = os.environ) -> list[str]:
    """The administrator's files, the most binding first: the system's, then those that `ALGO_SITE_CONFIG` and
    `XDG_CONFIG_DIRS` add.

    Anybody can set the variables, so they can only add to the system's file.
    """
    files = [system_site_file(), environ.get("ALGO_SITE_CONFIG", "")]
    for directory in environ.get("XDG_CONFIG_DIRS", "").split(os.pathsep):
        if os.path.isabs(directory):
            files.append(os.path.join(directory, APP, CONFIG_FILE))
    return list(dict.fromkeys(file for file in files if file))


def legacy_config_file(environ: Mapping[str, str] = os.environ) -> str | None:
    """The file of the older command lines (API sections 9.3, 10.4), if there is a home to look in."""
    base = environ.get("LOCALAPPDATA") if sys.platform == "win32" else environ.get("HOME")
    if not base:
        return None
    return os.path.join(base, "Algorithmia" if sys.platform == "win32" else ".algorithmia", "config")
