"""Where the project keeps its files on this machine.

Paths are plain strings: every start of `algo` asks for two of them, and pathlib would cost more than all of that.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

APP = "algo"
CONFIG_FILE = "config.toml"
ISOLATED_COMMANDS = "commands"
"""The list in `isolated_dir`: a line for each command of an isolated plugin, its name, a tab and its help line."""


def _xdg(environ: Mapping[str, str], variable: str, default: str) -> str | None:
    """The XDG base directory, where that rule applies: importing platformdirs for it would cost more than the rest."""
    if sys.platform in {"darwin", "win32"} or "ANDROID_ROOT" in environ:
        return None
    chosen = environ.get(variable, "").strip()
    if os.path.isabs(chosen):
        return os.path.join(chosen, APP)
    home = environ.get("HOME")
    return os.path.join(home, default, APP) if home else None


def config_dir(environ: Mapping[str, str] = os.environ) -> str:
    """The user's configuration directory: `ALGO_CONFIG_DIR`, else platformdirs' `user_config_dir`."""
    if chosen := environ.get("ALGO_CONFIG_DIR"):
        return os.path.expanduser(chosen)
    if found := _xdg(environ, "XDG_CONFIG_HOME", ".config"):
        return found
    from platformdirs import user_config_dir

    return user_config_dir(APP, appauthor=False)


def cache_dir(environ: Mapping[str, str] = os.environ) -> str:
    """The cache directory: `ALGO_CACHE_DIR`, else platformdirs' `user_cache_dir`."""
    if chosen := environ.get("ALGO_CACHE_DIR"):
        return os.path.expanduser(chosen)
    if found := _xdg(environ, "XDG_CACHE_HOME", ".cache"):
        return found
    from platformdirs import user_cache_dir

    return user_cache_dir(APP, appauthor=False)


def data_dir(environ: Mapping[str, str] = os.environ) -> str:
    """The user's data directory: `ALGO_DATA_DIR`, else platformdirs' `user_data_dir`."""
    if chosen := environ.get("ALGO_DATA_DIR"):
        return os.path.expanduser(chosen)
    if found := _xdg(environ, "XDG_DATA_HOME", os.path.join(".local", "share")):
        return found
    from platformdirs import user_data_dir

    return user_data_dir(APP, appauthor=False)


def isolated_dir(environ: Mapping[str, str] = os.environ) -> str:
    """Where isolated plugins live: an environment for each, `bin/` with their executables, and the list of those."""
    return os.path.join(data_dir(environ), "isolated")


def site_config_file(environ: Mapping[str, str] = os.environ) -> str:
    """The administrator's file: `ALGO_SITE_CONFIG`, else `config.toml` in platformdirs' site config directory."""
    if chosen := environ.get("ALGO_SITE_CONFIG"):
        return chosen
    if sys.platform not in {"darwin", "win32"} and not environ.get("XDG_CONFIG_DIRS"):
        return os.path.join("/etc/xdg", APP, CONFIG_FILE)
    from platformdirs import site_config_dir

    return os.path.join(site_config_dir(APP, appauthor=False), CONFIG_FILE)


def legacy_config_file(environ: Mapping[str, str] = os.environ) -> str | None:
    """The file of the older command lines (API sections 9.3, 10.4), if there is a home to look in."""
    base = environ.get("LOCALAPPDATA") if sys.platform == "win32" else environ.get("HOME")
    if not base:
        return None
    return os.path.join(base, "Algorithmia" if sys.platform == "win32" else ".algorithmia", "config")
