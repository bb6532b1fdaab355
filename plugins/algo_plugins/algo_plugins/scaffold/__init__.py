"""The directory of a new plugin project: from the templates to files whose tests pass as they are.

Templates hold `__DIST__` and the other placeholders of `Project.fill` where a project has its own names; a file or
directory whose name starts with `dot-` gets a dot, and every file ends in `.tmpl`, so that no tool takes it for code of
this project. A project gets the files of `templates/shared` and those of its kind.
"""

from __future__ import annotations

import os
import re
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from algo_core.errors import AlgoError, AlreadyExists
from algo_plugins.scaffold.kinds import Project

TEMPLATES = Path(__file__).parent / "templates"
SUFFIX = ".tmpl"


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
    for folder in (TEMPLATES / "shared", TEMPLATES / project.kind.name):
        for template in folder.rglob(f"*{SUFFIX}"):
            parts = template.relative_to(folder).with_suffix("").parts
            path = project.fill("/".join(re.sub(r"^dot-", ".", part) for part in parts))
            (directory / path).parent.mkdir(parents=True, exist_ok=True)
            (directory / path).write_text(project.fill(template.read_text("utf-8")), "utf-8")
            yield path
