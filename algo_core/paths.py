"""Where the project keeps its files on this machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

APP = "algo"
CONFIG_FILE = "config.toml"


def _xdg(environ: Mapping[str, str], variable: str, default: str) -> Path | None:
    """The XDG base directory, where that rule applies: importing platformdirs for it would cost more than the rest."""
    if sys.platform in {"darwin", "win32"} or "ANDROID_ROOT" in environ:
        return None
    chosen = environ.get(variable, "").strip()
    if os.path.isabs(chosen):
        return Path(chosen, APP)
    home = environ.get("HOME")
    return Path(home, default, APP) if home else None


def config_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """The user's configuration directory: `ALGO_CONFIG_DIR`, else platformdirs' `user_config_dir`."""
    if chosen := environ.get("ALGO_CONFIG_DIR"):
        return Path(chosen).expanduser()
    if found := _xdg(environ, "XDG_CONFIG_HOME", ".config"):
        return found
    from platformdirs import user_config_path

    return user_config_path(APP, appauthor=False)


def cache_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """The cache directory: `ALGO_CACHE_DIR`, else platformdirs' `user_cache_dir`."""
    if chosen := environ.get("ALGO_CACHE_DIR"):
        return Path(chosen).expanduser()
    if found := _xdg(environ, "XDG_CACHE_HOME", ".cache"):
        return found
    from platformdirs import user_cache_path

    return user_cache_path(APP, appauthor=False)


def site_config_file(environ: Mapping[str, str] = os.environ) -> Path:
    """The administrator's file: `ALGO_SITE_CONFIG`, else `config.toml` in platformdirs' site config directory."""
    if chosen := environ.get("ALGO_SITE_CONFIG"):
        return Path(chosen)
    if sys.platform not in {"darwin", "win32"} and not environ.get("XDG_CONFIG_DIRS"):
        return Path("/etc/xdg", APP, CONFIG_FILE)
    from platformdirs import site_config_path

    return site_config_path(APP, appauthor=False) / CONFIG_FILE


def legacy_config_file(environ: Mapping[str, str] = os.environ) -> Path | None:
    """The file of the older command lines (API sections 9.3, 10.4), if there is a home to look in."""
    base = environ.get("LOCALAPPDATA") if sys.platform == "win32" else environ.get("HOME")
    if not base:
        return None
    return Path(base, "Algorithmia" if sys.platform == "win32" else ".algorithmia", "config")
