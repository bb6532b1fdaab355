"""The files of an algorithm in R: the one with its entry point, whether all can be parsed, and what they require."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from algo_core.text import decoded
from algo_local.advice import for_r_package
from algo_local.algorithms.build import BuildError
from algo_local.algorithms.configuration import NAME, read_configuration
from algo_local.algorithms.languages.interpreters import Report
from algo_local.algorithms.languages.rscript import clean_environment, required_r
from algo_local.algorithms.source_trees.modules import first_module, missing_entry_point

ENDINGS = (".R", ".r")
"""How the names of files with code end."""

PACKAGES = "packages.txt"
"""The file that names the packages that are required, a line each."""

_PARSER = Path(__file__).with_name("parse_scripts.R")
_PARSE_SECONDS = 120
_ENTRY = re.compile(rb"\balgorithm\b|\bgetAlgorithmHandler\b|\bsource\s*\(")
"""What a file has that defines a function `algorithm`, or what it has from another."""

_PACKAGE = re.compile(r"[A-Za-z][A-Za-z0-9.]*")
_SUPPLIED = ("algorithmia", "testthat")
"""Packages that older templates name: the platform stands in for the first, and calls need no tests."""


def find_r_script(directory: Path, name: str) -> str:
    """The path, within a published tree, of the file with the algorithm's entry point.

    It is the one that `algorithmia.conf` names, else `src/NAME.R`, else `src/ALGONAME.R`, else `src/Algorithm.R`.

    Raises:
        BuildError: if there is none, or it, or another file in `src`, cannot be parsed; or if the machine lacks a
            package of `packages.txt`.
    """
    entry = _entry(directory, name)
    found = {*_files(directory / "src"), directory / entry}
    _check(directory, sorted(found))
    if not _ENTRY.search((directory / entry).read_bytes()):
        raise BuildError(
            f"{entry} has no entry point: it defines no function algorithm",
            "Write in it: algorithm <- function(input) { ... }",
        )
    return entry


def looks_like_r(directory: Path) -> bool:
    """Whether a directory that names no language has files in R, or a packages.txt, and no Python module."""
    source = directory / "src"
    found = (directory / PACKAGES).is_file() or any(path.suffix in ENDINGS for path in source.glob("*"))
    return found and not any(source.glob("*.py"))


def tell_lines_left_out(directory: Path, report: Report) -> None:
    """Report the lines of packages.txt that name no package."""
    for line in _lines(directory):
        if not _PACKAGE.fullmatch(line):
            report(f"{PACKAGES}: {line[:100]!r} is not carried out: install such packages in this machine's R library")


def _entry(directory: Path, name: str) -> str:
    configuration = read_configuration(directory)
    said = configuration.module
    if said:
        candidates = [said if "/" in said else f"src/{said.replace('.', '/')}"]
    else:
        names = dict.fromkeys([name, *([configuration.algoname] if configuration.algoname else [])])
        candidates = [f"src/{one}" for one in (*names, "Algorithm", "algorithm")]
    if found := first_module(directory, candidates, ENDINGS):
        return found
    if said:
        raise missing_entry_point(said, candidates[0], ".R")
    held = sorted(path.name for path in (directory / "src").glob("*") if path.suffix in ENDINGS)
    raise BuildError(
        f"There is no src/{name}.R (src holds {', '.join(held) or 'no file in R'})",
        f'Rename the file to {name}.R, or name it in {NAME} as "entry_point"',
    )


def _files(source: Path) -> Iterator[Path]:
    return (path for path in source.rglob("*") if path.suffix in ENDINGS and path.is_file())


def _lines(directory: Path) -> list[str]:
    try:
        text = decoded((directory / PACKAGES).read_bytes())
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise BuildError(f"Cannot read {PACKAGES}: {error}") from error
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _check(directory: Path, paths: list[Path]) -> None:
    """Have R parse files, without running them. BuildError if one has no syntax that it knows, or a package lacks."""
    r = required_r()
    names = [path.relative_to(directory).as_posix() for path in paths]
    packages = [line for line in _lines(directory) if _PACKAGE.fullmatch(line) and line not in _SUPPLIED]
    try:
        done = subprocess.run(
            [r.program, "--vanilla", "--default-packages=NULL", str(_PARSER)],
            cwd=directory,
            input=json.dumps({"files": names, "packages": packages}),
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=_PARSE_SECONDS,
            check=True,
            env=clean_environment(),
        )
        found: dict[str, Any] = json.loads(done.stdout)
    except subprocess.CalledProcessError as error:
        raise BuildError(f"R {r.text} cannot read the files: {error.stderr.strip()[-300:]}") from error
    except subprocess.TimeoutExpired as error:
        raise BuildError(f"R {r.text} took too long to read the files") from error
    for problem in found["problems"][:1]:
        line = str(problem["source"]).strip()
        raise BuildError(
            f"{problem['file']}, line {problem['line']}: {problem['message']}",
            f"Correct it: {line}" if line else "Correct it",
            line,
        )
    for package in found["missing"][:1]:
        raise BuildError(
            f"{PACKAGES} requires {package}, which this platform's R does not have", for_r_package(package)
        )
