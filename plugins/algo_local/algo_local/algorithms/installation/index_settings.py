"""Pip's configured package indexes as uv options, so that both install from the same indexes."""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_NAMES = {
    *("index-url", "extra-index-url", "find-links", "no-index", "trusted-host"),
    *("cert", "client-cert", "proxy", "timeout", "pre", "constraint"),
}
_TRUE = {"1", "true", "yes", "on"}
_SYSTEM_UV_FILE = "/etc/uv/uv.toml"


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """Settings of pip, by the names of its options."""

    settings: Mapping[str, str]
    environ: Mapping[str, str]

    def uv_options(self) -> list[str]:
        """The equivalent options of `uv pip install`."""
        found = self.settings
        options: list[str] = []
        if index := found.get("index-url"):
            options += ["--default-index", index]
        for name, option in (
            ("extra-index-url", "--index"),
            ("find-links", "--find-links"),
            ("trusted-host", "--allow-insecure-host"),
            ("constraint", "--constraint"),
        ):
            for value in found.get(name, "").split():
                options += [option, value]
        if found.get("no-index", "").lower() in _TRUE:
            options.append("--no-index")
        if found.get("pre", "").lower() in _TRUE:
            options += ["--prerelease", "allow"]
        # As pip does: the best version of all indexes, not the first index that knows the name.
        return [*options, "--index-strategy", "unsafe-best-match"]

    def uv_variables(self) -> dict[str, str]:
        """The equivalent environment variables, and those that make uv ignore the algorithm's own settings."""
        found = self.settings
        variables: dict[str, str] = {}
        for name, variable in (("cert", "SSL_CERT_FILE"), ("client-cert", "SSL_CLIENT_CERT")):
            if value := found.get(name):
                variables[variable] = value
        if proxy := found.get("proxy"):
            variables |= {"HTTP_PROXY": proxy, "HTTPS_PROXY": proxy}
        if timeout := found.get("timeout"):
            variables["UV_HTTP_TIMEOUT"] = timeout
        # A uv.toml or pyproject.toml in the algorithm's tree is not ours; a person's own file is.
        own = self.environ.get("UV_CONFIG_FILE") or next(filter(os.path.isfile, _uv_files(self.environ)), "")
        return {**variables, **({"UV_CONFIG_FILE": own} if own else {"UV_NO_CONFIG": "1"})}


def index_settings(environ: Mapping[str, str]) -> IndexSettings:
    """What pip would use, from its files and variables (the weakest first), and from the platform's own.

    `PYTHON_INDEX_URL` stands in for the index, as with pip here.
    """
    found: dict[str, str] = {}
    for path in _pip_files(environ):
        found |= _read(path)
    for name in _NAMES:
        if value := environ.get(f"PIP_{name.upper().replace('-', '_')}"):
            found[name] = value
    if index := environ.get("PYTHON_INDEX_URL"):
        found["index-url"] = index
    return IndexSettings(found, environ)


def _pip_files(environ: Mapping[str, str]) -> list[Path]:
    own = environ.get("PIP_CONFIG_FILE")
    if own == os.devnull:
        return []
    home = Path(environ.get("HOME") or "/")
    user = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    return [
        *(Path(directory, "pip", "pip.conf") for directory in environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":")),
        Path("/etc/pip.conf"),
        home / ".pip" / "pip.conf",
        *([home / "Library" / "Application Support" / "pip" / "pip.conf"] if sys.platform == "darwin" else []),
        user / "pip" / "pip.conf",
        Path(sys.prefix, "pip.conf"),
        *([Path(own)] if own else []),
    ]


def _uv_files(environ: Mapping[str, str]) -> list[str]:
    home = environ.get("HOME") or "/"
    return [os.path.join(environ.get("XDG_CONFIG_HOME") or f"{home}/.config", "uv", "uv.toml"), _SYSTEM_UV_FILE]


def _read(path: Path) -> dict[str, str]:
    parser = configparser.RawConfigParser()
    try:
        parser.read(path, "utf-8")
        return {
            name.replace("_", "-"): value.strip()
            for section in ("global", "install")
            if parser.has_section(section)
            for name, value in parser.items(section)
            if name.replace("_", "-") in _NAMES
        }
    except (configparser.Error, UnicodeDecodeError, OSError):  # pip says so when it is asked
        return {}
