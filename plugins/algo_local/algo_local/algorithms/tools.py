"""Programs in an algorithm's own environment: interpreter, shell, tests."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from algo_local.algorithms.build import Build, BuildError
from algo_local.algorithms.builder import chosen_python, python_of
from algo_local.algorithms.installation.environments import Environments, interpreter_of, requirements_of
from algo_local.algorithms.installation.installing import REQUIREMENTS, build_environment
from algo_local.algorithms.installation.npm import MODULES, read_package
from algo_local.algorithms.languages.interpreters import Report
from algo_local.algorithms.languages.node import INSTALL, required_node
from algo_local.algorithms.languages.rscript import PROGRAM as RSCRIPT
from algo_local.algorithms.languages.rscript import clean_environment

_PLACEHOLDER = "no test specified"
"""What `npm init` writes in the place of tests."""

_TEST = re.compile(r"(?:.*/)?(?:(?:[^/]+[._-])?test|test-[^/]+)\.[cm]?js|(?:.*/)?test/.*\.[cm]?js")
"""The names of files with tests, as Node.js finds them."""

_R_TEST = re.compile(r"(?:.*/)?(?:[^/]+_test|test[-_][^/]+)\.[Rr]")
"""The names of files with tests in R, as testthat finds them, or as those of Python are called."""


def with_packages(root: Path, build: Build, directory: Path, packages: Sequence[str], report: Report) -> Path:
    """The interpreter of an environment with what an algorithm requires, and more packages.

    Raises:
        BuildError: if they do not install.
    """
    required = requirements_of(build.source).splitlines()
    python = chosen_python(python_of(directory), (), report)
    with tempfile.TemporaryDirectory(prefix=".tools-", dir=build.source.parent) as scratch:
        source = Path(scratch)
        (source / REQUIREMENTS).write_text("\n".join([*required, *packages]) + "\n", "utf-8")
        return Environments(root / "environments").python_for(source, build.commit, report, python=python)


def with_tests(root: Path, build: Build, report: Report) -> Path:
    """Node.js in an environment with what an algorithm in JavaScript requires, also for its tests.

    Raises:
        BuildError: if that does not install.
    """
    return Environments(root / "environments").node_for(build.source, build.commit, report, with_tests=True)


def javascript_tests(source: Path) -> list[str]:
    """The command that runs the tests of an algorithm in JavaScript; empty if it has none.

    Raises:
        BuildError: if package.json cannot be read, or npm is missing.
    """
    script = read_package(source).members.get("scripts", {}).get("test", "")
    if script and _PLACEHOLDER not in script:
        npm = required_node().npm
        if not npm:
            raise BuildError("npm is missing, which runs the tests of package.json", INSTALL)
        return [npm, "test", "--silent", "--"]
    names = (path.relative_to(source).as_posix() for path in source.rglob("*"))
    return ["node", "--test"] if any(_TEST.fullmatch(name) for name in names) else []


def r_tests(source: Path) -> list[str]:
    """The command that runs the tests of an algorithm in R, file by file in one R; empty if it has none."""
    names = sorted(path.relative_to(source).as_posix() for path in source.rglob("*"))
    found = [name for name in names if _R_TEST.fullmatch(name)]
    source_all = 'for (file in commandArgs(TRUE)) { source(file); cat("ok     ", file, "\\n") }'
    return [RSCRIPT, "--vanilla", "-e", source_all, *found] if found else []


def variables(python: Path, directory: Path, given: Mapping[str, str]) -> dict[str, str]:
    """The caller's environment variables without those of other Pythons, the algorithm's programs first on the PATH."""
    interpreter = interpreter_of(python)
    if python.name == RSCRIPT:
        found = clean_environment()
        return {
            **found,
            "PATH": f"{os.path.dirname(os.path.realpath(python))}:{found.get('PATH', os.defpath)}",
            **given,
        }
    if interpreter.runtime and interpreter.environment:
        modules = interpreter.environment / MODULES
        found = {**build_environment(), "NODE_PATH": str(modules)}
        places = [os.path.dirname(interpreter.runtime), str(modules / ".bin"), found.get("PATH", os.defpath)]
        return {**found, "PATH": ":".join(places), **given}
    place = os.path.dirname(interpreter.program)
    found = {**build_environment(), "PYTHONPATH": str(directory.resolve()), "PYTHONDONTWRITEBYTECODE": "1"}
    found["PATH"] = f"{place}:{found.get('PATH', os.defpath)}"
    if interpreter.environment:
        found["VIRTUAL_ENV"] = str(interpreter.environment)
    return {**found, **given}
