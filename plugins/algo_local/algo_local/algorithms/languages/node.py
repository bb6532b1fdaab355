"""Node.js on this machine, which runs algorithms in JavaScript, and npm, which installs what they require."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from algo_core.errors import ConfigError
from algo_local.algorithms.build import BuildError

OLDEST = (16, 0)
"""The oldest Node.js that algorithms can run on: that of `execution/inside/runner.js`."""

VARIABLE = "ALGO_LOCAL_NODE"
INSTALL = f"Install Node.js {OLDEST[0]} or later, with npm (Debian: apt-get install nodejs npm), or set {VARIABLE}"

_ASK = "JSON.stringify([process.versions.node, process.execPath])"
_ASK_SECONDS = 20


class Node(NamedTuple):
    """A Node.js."""

    version: tuple[int, ...]
    program: str
    npm: str | None
    """The path of npm: the one beside it, else one on the PATH."""

    @property
    def text(self) -> str:
        """The version as text."""
        return ".".join(map(str, self.version))


def find_node(environ: Mapping[str, str] = os.environ) -> Node | None:
    """Node.js as `ALGO_LOCAL_NODE` says, else the one on the PATH; None if there is none, or it is too old.

    Raises:
        ConfigError: if the variable names no Node.js.
    """
    wanted, path = environ.get(VARIABLE, "").strip(), environ.get("PATH", os.defpath)
    if wanted.lower() == "off":
        return None
    program = shutil.which(wanted or "node", path=path)
    found = _examined(program) if program else None
    if wanted and not found:
        raise ConfigError(
            f"{VARIABLE} is not the path of Node.js: {wanted}", "Correct it to the path of node, or to off; or unset it"
        )
    if not found or found[0] < OLDEST:
        return None
    version, real = found
    beside = [os.path.join(os.path.dirname(one), "npm") for one in (program or "", real)]
    npm = next((one for one in beside if os.access(one, os.X_OK)), None) or shutil.which("npm", path=path)
    return Node(version, real, npm)


def required_node(environ: Mapping[str, str] = os.environ) -> Node:
    """The same. BuildError, with what to install, if there is none."""
    if found := find_node(environ):
        return found
    program = shutil.which("node", path=environ.get("PATH", os.defpath))
    older = _examined(program) if program and not environ.get(VARIABLE, "").strip() else None
    there = f"and this platform has {'.'.join(map(str, older[0]))}" if older else "which this platform does not have"
    needed = f"Node.js {OLDEST[0]} or later" if older else "Node.js"
    raise BuildError(f"Algorithms in JavaScript need {needed}, {there}", INSTALL)


@cache
def _examined(program: str) -> tuple[tuple[int, ...], str] | None:
    """Version and path reported by a program, maybe a version manager's script; None unless it is Node.js."""
    try:
        done = subprocess.run(
            [program, "-p", _ASK],
            capture_output=True,
            text=True,
            timeout=_ASK_SECONDS,
            check=True,
            stdin=subprocess.DEVNULL,
        )
        text, real = json.loads(done.stdout)
        return tuple(int(part) for part in str(text).split("-")[0].split(".")), str(Path(real).resolve(strict=True))
    except (OSError, subprocess.SubprocessError, ValueError, TypeError):
        return None
