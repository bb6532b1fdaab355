"""The environment of `algo`, and the tool that changes it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from importlib.util import find_spec
from typing import NamedTuple

from algo_core.errors import ConfigError
from algo_core.plugins.recorded import CORE
from algo_plugins.installer.tools import Pip, Pipx, Tool, Uv


class Environment(NamedTuple):
    """The environment that `algo` runs in: what made it, its directory, and the tool that changes it."""

    kind: str
    prefix: str
    tool: Tool


def find(environ: Mapping[str, str]) -> Environment:
    """The running environment.

    A pipx environment is changed through pipx, so that `pipx reinstall` brings the plugins back; a uv tool's through
    `uv pip`, since `uv tool install --with` would resolve the core anew (`algo plugins restore` brings back what
    `uv tool upgrade` may drop); any other virtual environment with its own pip, else with uv.

    Raises:
        ConfigError: if plugins cannot be installed into it; the hint is the command that can.
    """
    prefix = sys.prefix
    if os.path.exists(os.path.join(prefix, "pipx_metadata.json")):
        pipx = shutil.which("pipx", path=environ.get("PATH"))
        name = os.path.basename(prefix)
        if not pipx:
            raise ConfigError(
                "algo is installed by pipx, and pipx is not on PATH",
                f"Put pipx on PATH, or run: pipx inject {name} REQUIREMENT",
            )
        return Environment("pipx", prefix, Pipx(pipx, environ, prefix, _plain(environ, pipx)))
    if os.path.exists(os.path.join(prefix, "uv-receipt.toml")):
        uv = shutil.which("uv", path=environ.get("PATH"))
        if not uv:
            raise ConfigError(
                "algo is installed by uv, and uv is not on PATH",
                f"Put uv on PATH, or run: uv pip install --python {sys.executable} REQUIREMENT",
            )
        return Environment("uv-tool", prefix, Uv(uv, environ, target=sys.executable))
    if prefix == sys.base_prefix:
        raise _managed_by_others()
    return Environment("venv", prefix, _plain(environ))


def tool_for(environ: Mapping[str, str], python: str) -> Tool:
    """A tool that changes another interpreter's environment; that one needs no pip of its own.

    Raises:
        ConfigError: if there is neither pip nor uv.
    """
    if find_spec("pip"):
        return Pip(sys.executable, environ, target=python)
    if uv := _uv(environ):
        return Uv(uv, environ, target=python, foreign=True)
    raise _no_tool()


def _plain(environ: Mapping[str, str], pipx: str | None = None) -> Tool:
    if find_spec("pip"):
        return Pip(sys.executable, environ)
    if uv := _uv(environ) or (pipx and _uv_of(pipx, environ)):
        return Uv(uv, environ, target=sys.executable)
    raise _no_tool()


def _uv(environ: Mapping[str, str]) -> str | None:
    found = shutil.which("uv", path=environ.get("PATH"))
    if found or not os.path.exists(os.path.join(sys.prefix, "pipx_metadata.json")):
        return found
    pipx = shutil.which("pipx", path=environ.get("PATH"))
    return _uv_of(pipx, environ) if pipx else None


def _uv_of(pipx: str, environ: Mapping[str, str]) -> str | None:
    """The uv that pipx brings along for environments without pip."""
    asked = [pipx, "environment", "--value", "PIPX_UV_BINARY"]
    done = subprocess.run(asked, env=dict(environ), capture_output=True, text=True, check=False)
    path = done.stdout.strip()
    return path if done.returncode == 0 and os.path.isfile(path) else None


def _no_tool() -> ConfigError:
    return ConfigError(
        f"There is neither pip nor uv to install plugins into {sys.prefix}",
        f"Add pip with: {sys.executable} -m ensurepip; or put uv on PATH",
    )


def _managed_by_others() -> ConfigError:
    marker = os.path.join(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED")
    owner = "managed by the operating system" if os.path.exists(marker) else "not a virtual environment"
    return ConfigError(
        f"algo runs in {sys.prefix}, which is {owner}: plugins are not installed there",
        f"Install algo in an environment of its own: pipx install {CORE}; then: pipx inject {CORE} REQUIREMENT\n"
        "Or use an isolated one: algo plugins install --isolated REQUIREMENT",
    )
