"""The Python interpreters of this machine, found by version."""

from __future__ import annotations

import glob
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from algo_core.errors import ConfigError
from algo_local.algorithms.build import BuildError

Report = Callable[[str], None]

OLDEST = (3, 6)
"""The oldest Python that algorithms can be written for: that of `execution/inside/runner.py`."""

_ASK = "import sys; print(sys.version_info[0], sys.version_info[1], sys.version_info[2], sys.base_prefix)"
_ASK_SECONDS = 20
_LIST_SECONDS = 60
_NAMED = re.compile(r"python[-_ ]?(\d+(?:\.\d+){1,2})|python([23]\d{1,2})", re.IGNORECASE)
_VERSION = re.compile(r"\d{1,3}(\.\d{1,3}){0,2}")

Wanted = tuple[int, ...]
"""A version of Python, or the beginning of one: (3, 8)."""


class Python(NamedTuple):
    """An interpreter that is in no virtual environment."""

    version: tuple[int, ...]
    program: str
    prefix: str

    @property
    def text(self) -> str:
        """The version as text."""
        return ".".join(map(str, self.version))


def parse_python(text: str) -> Wanted:
    """Read `3.8` or `3.8.18`. ConfigError for anything else, or for a Python that is too old."""
    if not _VERSION.fullmatch(text.strip()):
        raise ConfigError(f"Not a version of Python: {text!r}", "Write it as 3.8 or 3.8.18")
    wanted = tuple(map(int, text.strip().split(".")))
    if wanted < OLDEST[: len(wanted)]:
        raise ConfigError(f"Algorithms need Python {'.'.join(map(str, OLDEST))} or later, not {text.strip()}")
    return wanted


def python_named_in(text: str) -> Wanted:
    """The Python version in the name of a language or environment: `python3.7`, `python37`, `Python 3.8 + TensorFlow`;
    empty without one.
    """
    match = _NAMED.search(text)
    if not match:
        return ()
    if match[1]:
        return tuple(map(int, match[1].split(".")))
    return int(match[2][0]), int(match[2][1:])


def base_interpreter() -> str:
    """The base interpreter of ours, outside any virtual environment."""
    base = getattr(sys, "_base_executable", None)
    return str(base) if base and os.path.exists(base) else sys.executable


def interpreter_base(environment: Path | None) -> str:
    """The base interpreter of a virtual environment; without one, the platform's own interpreter."""
    if environment:
        program = environment / "bin" / "python"
        for line in _lines(environment / "pyvenv.cfg"):
            name, _, value = line.partition("=")
            if name.strip() == "home":
                return os.path.join(value.strip(), os.path.basename(os.path.realpath(program)))
    return base_interpreter()


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return []


def ours() -> Python:
    """The interpreter that the platform runs on."""
    return Python(tuple(sys.version_info[:3]), base_interpreter(), sys.base_prefix)


def uv_program(environ: Mapping[str, str] = os.environ) -> str | None:
    """The path of uv: that of its package beside us, else the one on the PATH; None if it is missing."""
    try:
        from uv import find_uv_bin

        return str(find_uv_bin())
    except (ImportError, FileNotFoundError):
        return shutil.which("uv", path=environ.get("PATH"))


def find_python(wanted: Wanted, report: Report, environ: Mapping[str, str] = os.environ) -> Python:
    """The newest interpreter of a version: ours if it fits, else one of this machine, else one that uv downloads.

    uv downloads one only if `ALGO_LOCAL_PYTHON_DOWNLOADS` is `on`.

    Raises:
        BuildError: if there is none; it names those that there are, and the command that installs one.
        ConfigError: if the variable is neither `on` nor `off`.
    """
    if not wanted or ours().version[: len(wanted)] == wanted:
        return ours()
    text = ".".join(map(str, wanted))
    if wanted < OLDEST[: len(wanted)]:
        oldest = ".".join(map(str, OLDEST))
        raise BuildError(f"Algorithms need Python {oldest} or later, not {text}", "Name a later version, or none")
    if found := _newest(wanted, environ):
        return found
    uv = uv_program(environ)
    if uv and downloads_allowed(environ):
        report(f"Downloading Python {text}")
        done = subprocess.run([uv, "python", "install", text], capture_output=True, text=True, check=False)
        installed.cache_clear()
        _examined.cache_clear()
        if found := _newest(wanted, environ):
            return found
        report(done.stderr.strip())
    known = ", ".join(python.text for python in sorted({ours(), *installed()}, reverse=True))
    command = f"{_shell_name(uv, environ)} python install {text}" if uv else f"pyenv install {text}"
    raise BuildError(
        f"Python {text} is not installed on this machine, which has {known}",
        f"Install it with: {command}; or let the platform do so: ALGO_LOCAL_PYTHON_DOWNLOADS=on",
    )


def _shell_name(uv: str, environ: Mapping[str, str]) -> str:
    return "uv" if shutil.which("uv", path=environ.get("PATH")) else uv


def downloads_allowed(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether uv may download interpreters. ConfigError for an invalid value."""
    text = environ.get("ALGO_LOCAL_PYTHON_DOWNLOADS", "").strip().lower() or "off"
    if text not in {"on", "off"}:
        raise ConfigError(f"ALGO_LOCAL_PYTHON_DOWNLOADS must be on or off, not {text!r}", "Correct or unset it")
    return text == "on"


def _newest(wanted: Wanted, environ: Mapping[str, str]) -> Python | None:
    text = ".".join(map(str, wanted))
    for programs in (
        (program for program in _near(environ) if text in program),  # those that say so are asked first
        (python.program for python in installed()),
    ):
        found = [python for program in programs if (python := _examined(program))]
        fitting = [python for python in found if python.version[: len(wanted)] == wanted]
        if fitting:
            return max(fitting, key=lambda python: python.version)
    return None


@cache
def installed() -> tuple[Python, ...]:
    """The interpreters of this machine that algorithms can run on: those that uv finds, and those of pyenv."""
    uv = uv_program()
    programs = [*_near(os.environ), *(_listed_by(uv) if uv else [])]
    found = {os.path.realpath(program): program for program in reversed(programs)}
    pythons = (_examined(program) for program in found.values())
    return tuple({python.program: python for python in pythons if python}.values())


def _near(environ: Mapping[str, str]) -> Iterator[str]:
    """Interpreters of pyenv, beside this one, and on the PATH."""
    pyenv = environ.get("PYENV_ROOT") or os.path.join(environ.get("HOME", "/"), ".pyenv")
    for versions in (os.path.join(pyenv, "versions"), os.path.dirname(sys.base_prefix)):
        yield from sorted(glob.glob(os.path.join(glob.escape(versions), "*", "bin", "python3.[0-9]*")))
    for directory in environ.get("PATH", os.defpath).split(os.pathsep):
        if os.path.isabs(directory):
            yield from sorted(glob.glob(os.path.join(glob.escape(directory), "python3.[0-9]*")))


def _listed_by(uv: str) -> list[str]:
    command = [uv, "python", "list", "--only-installed", "--no-config", "--output-format", "json"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_LIST_SECONDS, check=False)
        return [str(entry["path"]) for entry in json.loads(done.stdout) if entry.get("path")]
    except (OSError, subprocess.SubprocessError, ValueError, TypeError, KeyError, AttributeError):
        return []


@cache
def _examined(program: str) -> Python | None:
    """Version and path reported by a program; None unless it is a working Python outside virtual environments."""
    if not re.fullmatch(r"python[\d.]*", os.path.basename(program)):
        return None
    try:
        done = subprocess.run(
            [program, "-I", "-S", "-c", _ASK], capture_output=True, text=True, timeout=_ASK_SECONDS, check=True
        )
        major, minor, micro, prefix = done.stdout.strip().split(" ", 3)
        version = (int(major), int(minor), int(micro))
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    in_prefix = os.path.join(prefix, "bin", f"python{major}.{minor}")
    return Python(version, in_prefix if os.path.exists(in_prefix) else program, prefix) if version >= OLDEST else None
