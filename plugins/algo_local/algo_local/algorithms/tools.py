"""Programs that an author runs in an algorithm's own environment: an interpreter, a shell, tests."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from algo_local.algorithms.build import Build
from algo_local.algorithms.builder import chosen_python, python_of
from algo_local.algorithms.environments import Environments, interpreter_of, requirements_of
from algo_local.algorithms.installing import REQUIREMENTS, build_environment
from algo_local.algorithms.interpreters import Report


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


def variables(python: Path, directory: Path, given: Mapping[str, str]) -> dict[str, str]:
    """The environment of a program: one's own without other Pythons, the algorithm's programs first on the PATH."""
    interpreter = interpreter_of(python)
    place = os.path.dirname(interpreter.program)
    found = {**build_environment(), "PYTHONPATH": str(directory.resolve()), "PYTHONDONTWRITEBYTECODE": "1"}
    found["PATH"] = f"{place}:{found.get('PATH', os.defpath)}"
    if interpreter.environment:
        found["VIRTUAL_ENV"] = str(interpreter.environment)
    return {**found, **given}
