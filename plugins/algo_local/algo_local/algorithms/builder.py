"""Builds an algorithm's directory: from the author's files to a build from which processes start."""

from __future__ import annotations

import contextlib
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from algo_core.locks import locked, locked_if_free
from algo_local.algorithms.build import TITLES, Build, BuildError, Language
from algo_local.algorithms.configuration import read_configuration
from algo_local.algorithms.installation.environments import Environments
from algo_local.algorithms.languages.interpreters import (
    Python,
    Report,
    Wanted,
    find_python,
    parse_python,
    python_named_in,
)
from algo_local.algorithms.schemas.algorithm_schemas import read_schemas
from algo_local.algorithms.source_trees.published import content_hash, keep, nodes
from algo_local.algorithms.source_trees.r_scripts import tell_lines_left_out
from algo_local.algorithms.source_trees.sources import check_runnable, copy_tree, find_module
from algo_local.refusals import StorageUnavailable
from algo_local.trees import remove_abandoned, remove_tree

__all__ = ["BuildError", "Builder"]

_UNFINISHED = ".building-"


class SharedBuilds(Protocol):
    """A store in which front ends on several machines share the sources of builds. All raise StorageUnavailable."""

    def keep(self, tree: Path) -> None:
        """Store a published tree, unless it is there."""

    def fetch(self, name: str, tree: Path) -> bool:
        """Write the files of a tree into an empty directory; False if it is not stored. BuildError if it is damaged."""

    def keep_python(self, environment: str, version: str) -> None:
        """Store the version of Python of an environment, so that others are made like it."""

    def python_of(self, environment: str) -> str:
        """The version of Python of an environment; empty if it is not known."""


class Builder:
    """Builds below `root`: source trees in `root/sources`, by content hash; their environments in `root/environments`.

    Any number of threads and processes may build at once, the same directory included. `sources` overrides the
    place of the source trees; `shared` is the store that several machines share.
    """

    def __init__(self, root: Path, sources: Path | None = None, shared: SharedBuilds | None = None) -> None:
        self._shared = shared
        self._fetching = threading.Lock()
        self._known_to_be_shared: set[Path] = set()
        self._sources = sources or root.resolve() / "sources"
        self._turns = root.resolve() / "sources" / ".builds.lock"
        self._environments = Environments(root.resolve() / "environments")

    @contextlib.contextmanager
    def building(self) -> Iterator[None]:
        """Protect a build from pruning until it is recorded."""
        with locked(self._lock(), shared=True):
            yield

    @contextlib.contextmanager
    def none_builds(self) -> Iterator[bool]:
        """Yield whether no process builds; within the block, no build begins."""
        with locked_if_free(self._lock()) as is_held:
            yield is_held

    def _lock(self) -> Path:
        self._turns.parent.mkdir(parents=True, exist_ok=True)
        return self._turns

    def build(
        self,
        directory: Path,
        owner: str,
        name: str,
        *,
        report: Callable[[str], None] | None = None,
        run_code: bool = True,
        python: Wanted = (),
        preferred: Wanted = (),
    ) -> Build:
        """Copy, check and equip the algorithm in `directory`, for publication as OWNER/NAME.

        `report` is called with each line of the build log as it comes. Without `run_code` no code of packages is run.
        `python` is the version of Python to run it with; if it is empty, `algorithmia.conf` says, else the platform's
        own runs it, or one of version `preferred` if there is any.
        Raises BuildError for a directory without an algorithm that runs here, or that requires what does not install.
        Incomplete results of an interrupted build are never used.
        """
        lines: list[str] = []
        commit = ""

        def say(line: str) -> None:
            lines.append(line)
            if report is not None:
                report(line)

        try:
            with self.building():
                language = check_runnable(directory)
                if self._sources.is_relative_to(directory.resolve()):
                    raise BuildError(
                        f"The platform keeps its state in {self._sources.parent}, inside the algorithm's directory",
                        "Set ALGO_LOCAL_ROOT to a directory outside of it",
                    )
                if language != "python3" and python:
                    raise BuildError(f"The algorithm is in {TITLES[language]}, not in Python", "Leave out --python")
                if language == "r":
                    commit, source, module = self._keep(directory, owner, name, language, say)
                    tell_lines_left_out(source, say)
                    program = self._environments.r_for(say)
                elif language == "javascript":
                    commit, source, module = self._keep(directory, owner, name, language, say)
                    program = self._environments.node_for(source, commit, say, run_code=run_code)
                else:
                    interpreter = chosen_python(python or python_of(directory), preferred, say)
                    commit, source, module = self._keep(directory, owner, name, language, say)
                    program = self._environments.python_for(source, commit, say, run_code=run_code, python=interpreter)
                if self._shared:
                    self._shared.keep(source)
                    if language == "python3" and (environment := self._environments.name_of(program)):
                        self._shared.keep_python(environment, interpreter.text)
        except OSError as error:  # for example a full disk
            raise BuildError(f"Cannot build {owner}/{name}: {error}", log="\n".join(lines)) from error
        except BuildError as error:
            log = "\n".join(part for part in ("\n".join(lines), error.log) if part)
            failed = BuildError(f"Cannot build {owner}/{name}: {error.message}", error.hint, log)
            failed.commit = error.commit or commit
            raise failed from error
        say(f"Built {owner}/{name}")
        return Build(commit, source, program, module, "\n".join(lines) + "\n")

    def fetch_source(self, build: Build) -> None:
        """Ensure that the source tree of a build is on this machine; fetch it from the shared store if necessary.

        Raises:
            BuildError: if it is missing there, or does not match the build.
            StorageUnavailable: if it cannot be fetched now.
        """
        source = build.source
        if not self._shared or source.parent != self._sources:
            return
        if not source.is_dir():
            with self._fetching, self.building():
                if not source.is_dir():
                    self._fetch(self._shared, source)
        elif source not in self._known_to_be_shared:  # built before the platform had a shared store
            with contextlib.suppress(StorageUnavailable):  # the build runs here without being shared
                self._shared.keep(source)
        self._known_to_be_shared.add(source)

    def _fetch(self, shared: SharedBuilds, source: Path) -> None:
        with self._unfinished() as unfinished:
            tree = unfinished / "tree"
            tree.mkdir()
            if not shared.fetch(source.name, tree):
                raise BuildError(
                    f"The files of the build {source.name} are not on this machine, and not in the object store",
                    "Start the platform on the machine that has built it, or publish the algorithm again",
                )
            if content_hash(nodes(tree)) != source.name:
                raise BuildError(f"The stored files of the build {source.name} are not those that were built")
            keep(tree, source)

    def equip(self, build: Build, *, run_code: bool) -> Path:
        """Make the environment of a build again if it is missing; returns its interpreter.

        Raises:
            BuildError, OSError: if it cannot be made.
        """
        source, environments = build.source, self._environments
        with self.building():
            if build.language == "r":
                return environments.r_for(_unheard)
            if build.language == "javascript":
                return environments.node_for(source, source.name, _unheard, run_code=run_code)
            noted = self._shared.python_of(environments.name_of(build.python)) if self._shared else ""
            python = chosen_python(parse_python(noted)[:2] if noted else python_of(source), (), _unheard)
            return environments.python_for(source, source.name, _unheard, run_code=run_code, python=python)

    @contextlib.contextmanager
    def _unfinished(self) -> Iterator[Path]:
        """A temporary directory beside the source trees, for a tree that is being written."""
        self._sources.mkdir(parents=True, exist_ok=True)
        remove_abandoned(self._sources, _UNFINISHED + "*")
        unfinished = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=self._sources))
        try:
            yield unfinished
        finally:
            with contextlib.suppress(OSError):
                remove_tree(unfinished)

    def _keep(self, directory: Path, owner: str, name: str, language: Language, say: Report) -> tuple[str, Path, str]:
        """Commit, path and module of the published source tree, which is created atomically."""
        with self._unfinished() as unfinished:
            tree = unfinished / "tree"
            tree.mkdir()
            commit = copy_tree(directory, tree, owner, name)
            try:
                module = find_module(tree, name, language)
            except BuildError as error:
                error.commit = commit
                raise
            kept = self._sources / commit
            keep(tree, kept)
        read_schemas(kept, module)
        say(f"Source {commit}, module {module}")
        return commit, kept, module


def _unheard(line: str) -> None:
    """Discard a line of the log of a build that was made before."""


def python_of(directory: Path) -> Wanted:
    """The version of Python that `algorithmia.conf` asks for, alone or with the language; empty for any."""
    configuration = read_configuration(directory)
    return configuration.python if len(configuration.python) > 1 else python_named_in(configuration.language)


def chosen_python(wanted: Wanted, preferred: Wanted, report: Report) -> Python:
    """The interpreter to build for: one of version `wanted`, else `preferred` if installed, else this process's own."""
    if not wanted and preferred:
        try:
            return find_python(preferred, report)
        except BuildError as error:
            report(f"{error.message}: it is built for the platform's own")
    return find_python(wanted, report)
