"""R on this machine, which runs algorithms in R with the packages of its library."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from algo_core.errors import ConfigError
from algo_local.algorithms.build import BuildError
from algo_local.state import PASSWORD_VARIABLES

OLDEST = (3, 6)
"""The oldest R that algorithms can run on: that of `execution/inside/runner.R`."""

VARIABLE = "ALGO_LOCAL_R"
PROGRAM = "Rscript"
"""What R's own program for scripts is called."""

INSTALL = (
    f"Install R {'.'.join(map(str, OLDEST))} or later with jsonlite (Debian: apt-get install r-base-core"
    f" r-cran-jsonlite; elsewhere: Rscript -e 'install.packages(\"jsonlite\")'), or set {VARIABLE}"
)

_ASK = (
    'cat(as.character(getRversion()), nzchar(system.file(package = "jsonlite")), file.path(R.home("bin"), "Rscript"))'
)
_ASK_SECONDS = 20


class R(NamedTuple):
    """An R."""

    version: tuple[int, ...]
    has_jsonlite: bool
    program: str
    """The path of Rscript."""

    @property
    def text(self) -> str:
        """The version as text."""
        return ".".join(map(str, self.version))


def find_r(environ: Mapping[str, str] = os.environ) -> R | None:
    """R as `ALGO_LOCAL_R` says, else by the Rscript on the PATH; None if there is none, or it cannot run algorithms.

    Raises:
        ConfigError: if the variable names no R.
    """
    found = _found(environ)
    return found if found and found.version >= OLDEST and found.has_jsonlite else None


def required_r(environ: Mapping[str, str] = os.environ) -> R:
    """The same. BuildError, with what to install, if there is none."""
    found = _found(environ)
    if not found:
        raise BuildError("Algorithms in R need R, which this platform does not have", INSTALL)
    if found.version < OLDEST:
        raise BuildError(
            f"Algorithms in R need R {'.'.join(map(str, OLDEST))} or later, and this platform has {found.text}", INSTALL
        )
    if not found.has_jsonlite:
        raise BuildError(f"Algorithms in R need the package jsonlite, which R {found.text} does not have here", INSTALL)
    return found


def _found(environ: Mapping[str, str]) -> R | None:
    wanted = environ.get(VARIABLE, "").strip()
    if wanted.lower() == "off":
        return None
    program = shutil.which(wanted or PROGRAM, path=environ.get("PATH", os.defpath))
    found = _examined(program) if program else None
    if wanted and not found:
        raise ConfigError(
            f"{VARIABLE} is not the path of R: {wanted}", f"Correct it to the path of {PROGRAM}, or to off; or unset it"
        )
    return found


@cache
def _examined(program: str) -> R | None:
    """Version and path reported by a program; None unless it is Rscript."""
    try:
        done = subprocess.run(
            [program, "--vanilla", "--default-packages=NULL", "-e", _ASK],
            capture_output=True,
            text=True,
            timeout=_ASK_SECONDS,
            check=True,
            stdin=subprocess.DEVNULL,
            env=clean_environment(),
        )
        version, has_jsonlite, path = done.stdout.split(" ", 2)
        return R(tuple(map(int, version.split("."))), has_jsonlite == "TRUE", path) if os.path.isfile(path) else None
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


def clean_environment() -> dict[str, str]:
    """The environment in which R sees what it sees when it runs an algorithm: no library of a person's own."""
    passed = os.environ.items()
    ours = {name: value for name, value in passed if not name.startswith("R_") and name not in PASSWORD_VARIABLES}
    return {**ours, "LC_ALL": "C.UTF-8", "R_LIBS_USER": "NULL"}
