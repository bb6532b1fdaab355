"""Makes missing environments of builds again, for example after a backup was restored, or on another machine."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from algo_core.errors import PlatformError
from algo_local.algorithms.build import Build, BuildError
from algo_local.algorithms.installation.environments import interpreter_of

if TYPE_CHECKING:
    from algo_local.algorithms.builder import Builder
    from algo_local.metadata.database import Database

VARIABLE = "ALGO_LOCAL_BUILD_CODE"


class Equipment:
    """The environments of builds, each checked once in a process.

    Unless the platform `is_alone` on this machine, names of environments may differ between machines: equal
    requirements have different names for different interpreters. `builder` is called when an environment has to be
    made.
    """

    def __init__(
        self, database: Database, builder: Callable[[], Builder], root: Path, *, is_alone: bool = True
    ) -> None:
        self._is_alone = is_alone
        self._made_here: dict[Path, Path] = {}
        self._database = database
        self._builder = builder
        self._root = root
        self._known: set[str] = set()  # text is faster to look up than paths

    def python_for(self, build: Build) -> Path:
        """The interpreter of a build; makes its environment if it is missing.

        Packages run no code then, unless `ALGO_LOCAL_BUILD_CODE` is `on`: the publisher of the build need not be
        trusted with this machine.

        Raises:
            PlatformError: if the environment is missing and cannot be made.
        """
        if str(build.python) in self._known:
            return build.python
        python = self._made_here.get(build.python, build.python)
        if interpreter_of(python).environment and not python.exists() and build.source.is_dir():
            python = self._made_here[build.python] = self._made(build)
            if not self._is_alone:
                return python
            with self._database.write() as rows:
                values = [str(path.relative_to(self._root)) for path in (python, build.source, build.python)]
                rows.execute("UPDATE builds SET python = ? WHERE source = ? AND python = ?", values)
        self._known.add(str(python))
        return python

    def _made(self, build: Build) -> Path:
        from algo_local.algorithms.compilation import builds_run_code

        run_code = builds_run_code(os.environ)
        try:
            return self._builder().equip(build, run_code=run_code)
        except (BuildError, OSError) as error:
            hint = getattr(error, "hint", None) or ""
            if not run_code:
                hint = f"{hint}\nIf you trust its packages to run code on this machine: set {VARIABLE}=on".lstrip()
            raise PlatformError(f"The environment of a build is missing, and cannot be made: {error}", hint) from error
