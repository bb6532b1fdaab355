"""The directory of a new plugin project: from the templates in `project/` to files whose tests pass as they are.

Templates hold `__DIST__` and the other names of `Project.names` where a project has its own; a file or directory whose
name starts with `dot-` gets a dot, and every file ends in `.tmpl`, so that no tool takes it for code of this project.
"""

from __future__ import annotations

import keyword
import os
import re
import shutil
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from algo_core.errors import AlgoError, AlreadyExists, UsageError
from algo_core.version import __version__

TEMPLATES = Path(__file__).parent / "project"
SUFFIX = ".tmpl"
LONGEST = 40
"""Characters that a name may have, so that no generated line gets too long."""

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_TAKEN = frozenset({"algo_core", "click", "click_option_group", "pluggy", "pytest", "tests"})


@dataclass(frozen=True)
class Project:
    """The names of a plugin project: its distribution, and its command in `algo`."""

    dist: str
    command: str

    @property
    def package(self) -> str:
        """The name of its import package."""
        return self.dist.replace("-", "_")

    @property
    def names(self) -> dict[str, str]:
        """The placeholders of the templates, and their values."""
        major, minor = __version__.split(".")[:2]
        return {
            "__DIST__": self.dist,
            "__PACKAGE__": self.package,
            "__COMMAND__": self.command,
            "__TITLE__": self.dist.replace("-", " ").capitalize(),
            "__CORE__": f">={major}.{minor},<{int(major) + 1}",
        }


def named(dist: str, command: str | None = None) -> Project:
    """The project of this name; its command is called like it, without an `algo-` at the beginning.

    Raises:
        UsageError: if the names are invalid; the hint suggests a valid one.
    """
    _check_name("distribution", dist)
    project = Project(dist, command or dist.removeprefix("algo-"))
    _check_name("command", project.command)
    if project.package in _TAKEN | sys.stdlib_module_names or keyword.iskeyword(project.package):
        raise UsageError(f"Python knows something else by the name {project.package}", f"Try: acme-{dist}")
    return project


def make(project: Project, directory: Path) -> list[str]:
    """Make the project's directory, whole or not at all; the paths of its files, relative to it, sorted.

    Raises:
        AlreadyExists: if the target exists and is not an empty directory.
        AlgoError: if the system does not let it be made.
    """
    # The directory's own path, links followed: what is made beside it must be on the same file system.
    target = Path(os.path.realpath(directory))
    _check_free(target, directory)
    beside = target.parent / f".{target.name}.{uuid.uuid4().hex[:8]}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        beside.mkdir()
        files = sorted(_write(project, beside))
        _check_free(target, directory)
        beside.rename(target)
    except OSError as error:
        raise AlgoError(f"Cannot make {directory}: {error.strerror}") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return files


def _check_name(what: str, name: str) -> None:
    if _NAME.fullmatch(name) and len(name) <= LONGEST:
        return
    better = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-0123456789")[:LONGEST].rstrip("-")
    raise UsageError(
        f"Not a name for a {what}: {name!r}",
        f"Use lower-case letters, digits and hyphens, at most {LONGEST}" + (f": {better}" if better else ""),
    )


def _check_free(target: Path, shown: Path) -> None:
    try:
        is_free = not any(target.iterdir())
    except FileNotFoundError:
        return
    except OSError as error:
        raise AlreadyExists(f"{shown} is in the way: {error.strerror}", "Name another place with --dir") from None
    if not is_free:
        raise AlreadyExists(f"{shown} exists already, and is not empty", "Name another place with --dir")


def _write(project: Project, directory: Path) -> Iterator[str]:
    for template in TEMPLATES.rglob(f"*{SUFFIX}"):
        parts = template.relative_to(TEMPLATES).with_suffix("").parts
        path = _filled("/".join(re.sub(r"^dot-", ".", part) for part in parts), project)
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_text(_filled(template.read_text("utf-8"), project), "utf-8")
        yield path


def _filled(text: str, project: Project) -> str:
    for name, value in project.names.items():
        text = text.replace(name, value)
    return text
