"""Compiles commits into builds, which can be called by their commit ids (API sections 3.2, 6.3)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from algo_core.errors import ConfigError
from algo_local.algorithms.build import BuildError
from algo_local.algorithms.build_leases import LeaseLost
from algo_local.algorithms.builds import BuildRecord
from algo_local.algorithms.catalog import python_of
from algo_local.algorithms.languages.interpreters import python_named_in
from algo_local.error_codes import ErrorCode
from algo_local.refusals import Missing

if TYPE_CHECKING:
    from algo_local.algorithms.build import Build
    from algo_local.algorithms.builder import Builder
    from algo_local.algorithms.builds import Builds, RequestedBuild
    from algo_local.algorithms.registry import Algorithm, Registry
    from algo_local.algorithms.repositories import Repositories


def builds_run_code(environ: Mapping[str, str]) -> bool:
    """Whether builds requested by other accounts may run code of packages. ConfigError for an invalid value."""
    text = environ.get("ALGO_LOCAL_BUILD_CODE", "").strip().lower() or "off"
    if text not in {"on", "off"}:
        raise ConfigError(f"ALGO_LOCAL_BUILD_CODE must be on or off, not {text!r}", "Correct or unset it")
    return text == "on"


class Compiler:
    """Makes builds of commits."""

    def __init__(self, registry: Registry, builds: Builds, repositories: Repositories, builder: Builder) -> None:
        self._registry = registry
        self._builds = builds
        self._repositories = repositories
        self._builder = builder

    def compile(
        self,
        algorithm: Algorithm,
        commit: str = "",
        *,
        is_trusted: bool = False,
    ) -> BuildRecord:
        """Build a commit, or the newest one, and return the build; a successful build is not repeated.

        Unless `is_trusted`, packages are installed without running their code, except if `ALGO_LOCAL_BUILD_CODE` is
        `on`.

        Raises:
            Missing: if there is no such commit.
        """
        if not commit or not self._registry.build(algorithm, commit):
            self._repositories.refresh(algorithm)
        wanted = commit or self._repositories.newest(algorithm)
        identifier = self._compile(algorithm, wanted, is_trusted=is_trusted)
        found = self._builds.find(algorithm, identifier)
        if not found:
            raise Missing("The algorithm was deleted in the meantime", ErrorCode.ALGORITHM_ID_DOES_NOT_EXIST)
        return found

    def compile_requested(self, algorithm: Algorithm, requested: RequestedBuild) -> None:
        """Build what was requested, unless that has ended meanwhile, or there is no such commit."""
        try:
            self._compile(algorithm, requested.commit, requested.id)
        except Missing:  # it was on record before the push took effect, which it did not
            with self._builds.turn(algorithm):
                self._builds.settle(algorithm, requested.commit)

    def _compile(self, algorithm: Algorithm, wanted: str, requested: str = "", *, is_trusted: bool = False) -> str:
        """The build of a commit. One that was requested, by its id, is made if it has not ended meanwhile."""
        run_code = is_trusted or builds_run_code(os.environ)
        while True:
            with contextlib.suppress(LeaseLost), self._builds.turn(algorithm):  # then another machine has built it
                if requested and not self._builds.is_requested(requested):
                    return requested
                known = self._registry.build(algorithm, wanted)
                if known and self._is_here(known.build):
                    self._builds.settle(algorithm, wanted)
                    return known.build_id
                with self._builder.building(), self._repositories.checkout(algorithm, wanted) as directory:
                    identifier = self._builds.begin(algorithm, wanted)
                    self._run(algorithm, identifier, directory, run_code=run_code)
                return identifier

    def _is_here(self, build: Build) -> bool:
        """Whether the files of a build are on this machine, or could be fetched."""
        if not build.source.is_dir():
            try:
                self._builder.fetch_source(build)
            except BuildError:
                return False
            return build.source.is_dir()  # a missing environment is made at the next call
        return build.python.exists()

    def _run(self, algorithm: Algorithm, identifier: str, directory: Path, *, run_code: bool) -> None:
        try:
            build = self._builder.build(
                directory,
                algorithm.owner,
                algorithm.name,
                report=lambda line: self._builds.say(identifier, line),
                run_code=run_code,
                preferred=python_of(algorithm.algorithm_environment) or python_named_in(algorithm.package_set or ""),
            )
        except BuildError as error:
            hint = f"\n{error.hint}" if error.hint else ""
            self._builds.fail(
                algorithm, identifier, f"ERROR: {error.message}{hint}", f"{error.log}\n" if error.log else ""
            )
        except BaseException as error:
            # In any case, mark the build as finished.
            with contextlib.suppress(Exception):
                self._builds.fail(algorithm, identifier, f"ERROR: the platform failed: {type(error).__name__}")
            raise
        else:
            self._builds.succeed(self._registry, algorithm, identifier, build)
