"""Virtual environments of algorithms, made from requirements and shared by equal requirements."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from algo_core.locks import locked
from algo_core.text import decoded
from algo_local.algorithms.build import BuildError
from algo_local.algorithms.configuration import read_configuration
from algo_local.algorithms.installation.installing import REQUIREMENTS, make_environment
from algo_local.algorithms.languages.interpreters import Python, Report, base_interpreter, ours
from algo_local.algorithms.languages.rscript import PROGRAM as RSCRIPT
from algo_local.algorithms.languages.rscript import required_r
from algo_local.trees import make_read_only, make_writable, remove_tree

_CODE_HINT = (
    "Building a package runs its code on the platform's machine: publish with 'algo local publish' there, or have its"
    " operator set ALGO_LOCAL_BUILD_CODE=on"
)
_NAME_LENGTH = 40

NODE = "node"
"""The name of the interpreter in an environment of JavaScript."""

_CONTINUED = re.compile(r"\\\n")
_COMMENT = re.compile(r"(^|\s)#.*")


class Interpreter(NamedTuple):
    """The runtime of a build."""

    program: str
    environment: Path | None
    """The virtual environment with what it requires; None if it requires nothing."""
    runtime: str = ""
    """Node.js as its environment names it, or Rscript, where that runs the algorithm: `program` then only starts it."""


def interpreter_of(python: Path) -> Interpreter:
    """The interpreter for a build that was made with `python`.

    A build without requirements runs on the interpreter of this process, without its packages: the interpreter that
    published it may be gone, with the environment that `algo` was installed in.
    """
    environment = python.parent.parent
    if environment.parent.name == "environments" and len(environment.name) == _NAME_LENGTH:
        if python.name in (NODE, RSCRIPT):
            return Interpreter(base_interpreter(), environment, str(python))
        return Interpreter(str(python), environment)
    return Interpreter(base_interpreter(), None)


def requirements_of(source: Path) -> str:
    """The requirement lines of `algorithmia.conf`, else of `requirements.txt`; empty without any."""
    configured = read_configuration(source).dependencies
    if configured is not None:
        return "\n".join(configured)
    try:
        text = decoded((source / REQUIREMENTS).read_bytes())
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise BuildError(f"Cannot read {REQUIREMENTS}: {error}") from error
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("#"))


class Environments:
    """The environments below one directory, each in a directory of its own, named by what it was made from.

    An environment is complete when it holds a copy of its requirements, which is written last; one without is the rest
    of an interrupted build, and is made again. It is built in its final place, because its scripts name their
    interpreter by full path; a lock prevents two concurrent builds, also in different processes.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def name_of(self, program: Path) -> str:
        """The name of the environment that a program is in; empty if it is in none."""
        return program.relative_to(self._root).parts[0] if program.is_relative_to(self._root) else ""

    def python_for(
        self, source: Path, commit: str, report: Report, *, run_code: bool = True, python: Python | None = None
    ) -> Path:
        """The interpreter for the source tree: ours, or that of an environment.

        There is an environment if the tree requires something, or `python` is not ours. Without `run_code`, nothing
        that the requirements lead to is run: wheels are unpacked, and no package is built. Raises BuildError if the
        requirements do not install; its log is what the installer said.
        """
        requirements = requirements_of(source)
        python = python or ours()
        if not requirements and python.version == ours().version:
            return Path(sys.executable)
        if not run_code:
            check_names_only(requirements)

        def make(environment: Path) -> None:
            _make(environment, python, source, requirements, report, run_code=run_code)

        return self._made(_identity(requirements, commit, python), "python", requirements, make, report)

    def node_for(
        self, source: Path, commit: str, report: Report, *, run_code: bool = True, with_tests: bool = False
    ) -> Path:
        """Node.js in an environment with what the source tree's package.json requires; also for tests, if asked for.

        Without `run_code`, no script of any package is run. Raises BuildError as above, and if there is no Node.js.
        """
        from algo_local.algorithms.installation import npm
        from algo_local.algorithms.languages.node import required_node

        node = required_node()
        package = npm.read_package(source)
        if not run_code:
            package.check_names_only()
        identity = hashlib.sha256(package.identity(commit, node, run_code=run_code, with_tests=with_tests)).hexdigest()

        def make(environment: Path) -> None:
            (environment / "bin").mkdir(parents=True)
            (environment / "bin" / NODE).symlink_to(node.program)
            if not package.requires(with_tests=with_tests):
                return
            with _copy_of(source) as directory:
                npm.install(node, package, directory, report, run_code=run_code, with_tests=with_tests)
                (directory / npm.MODULES).mkdir(exist_ok=True)  # all of it may be optional
                shutil.move(directory / npm.MODULES, environment / npm.MODULES)

        requirements = "\n".join(package.lines(with_tests=with_tests))
        return self._made(identity[:_NAME_LENGTH], NODE, requirements, make, report)

    def r_for(self, report: Report) -> Path:
        """Rscript in an environment of its own, for all algorithms in R: their packages are those of the machine.

        Raises:
            BuildError: if there is no R that runs algorithms.
        """
        r = required_r()

        def make(environment: Path) -> None:
            (environment / "bin").mkdir(parents=True)
            (environment / "bin" / RSCRIPT).symlink_to(r.program)

        identity = hashlib.sha256("\0".join([r.text, r.program, os.uname().machine]).encode()).hexdigest()
        return self._made(identity[:_NAME_LENGTH], RSCRIPT, "", make, report)

    def _made(
        self, identity: str, program: str, requirements: str, make: Callable[[Path], None], report: Report
    ) -> Path:
        """The program of an environment, which is created if missing."""
        environment = self._root / identity
        path = environment / "bin" / program
        self._root.mkdir(parents=True, exist_ok=True)
        with locked(
            environment.with_suffix(".lock"),
            waiting=lambda: report("Waiting for another build of the same environment"),
        ):
            if (environment / REQUIREMENTS).exists() and path.exists():
                report("The environment for these requirements exists already")
                return path
            remove_tree(environment)
            try:
                make(environment)
                (environment / REQUIREMENTS).write_text(f"{requirements}\n" if requirements else "", "utf-8")
                make_read_only(environment)  # algorithms of several accounts share it
            except BaseException:
                with contextlib.suppress(OSError):
                    remove_tree(environment)
                raise
        return path


def _identity(requirements: str, commit: str, python: Python) -> str:
    """Equal for equal requirements on an equal interpreter; requirements that name files depend on the tree as well."""
    lines = _told(requirements)
    names_files = any(line.startswith(("-", ".", "/")) or "/" in line for line in lines)
    parts = [
        # Options apply to the lines after them; without options, the order does not matter.
        "\n".join(lines if names_files else sorted(set(lines))),
        commit if names_files else "",
        python.prefix,
        sys.version if python == ours() else python.text,
        os.uname().machine,
        os.environ.get("PYTHON_INDEX_URL", ""),
    ]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:_NAME_LENGTH]


def _told(requirements: str) -> list[str]:
    """Requirement lines: continued lines are joined, comments and surplus space removed."""
    joined = _CONTINUED.sub(" ", requirements)
    lines = (" ".join(_COMMENT.sub("", line).split()) for line in joined.splitlines())
    return [line for line in lines if line]


def check_names_only(requirements: str) -> None:
    """Raise BuildError unless requirements are packages by name, which come from the index as wheels."""
    for line in requirements.splitlines():
        said = line.partition(" #")[0]
        if said.startswith(("-", ".")) or any(part in said for part in ("/", "\\", "@", "${")):
            raise BuildError(f"{REQUIREMENTS} may name packages only here, not {line[:100]!r}", _CODE_HINT)


def _make(
    environment: Path, python: Python, source: Path, requirements: str, report: Report, *, run_code: bool
) -> None:
    with _copy_of(source) as directory:
        (directory / REQUIREMENTS).unlink(missing_ok=True)  # the copy is as read-only as the original
        (directory / REQUIREMENTS).write_text(requirements + "\n", "utf-8")
        try:
            make_environment(
                environment, python, directory, report, requires=bool(requirements), only_wheels=not run_code
            )
        except BuildError as error:
            if not run_code:  # installers report a package without a wheel as missing
                raise BuildError(f"{error.message} (packages without a wheel are not built here)", _CODE_HINT) from None
            raise


@contextlib.contextmanager
def _copy_of(source: Path) -> Iterator[Path]:
    """A temporary copy of a published tree for pip, which builds the tree's own packages in place."""
    with tempfile.TemporaryDirectory(prefix=".building-", dir=source.parent) as scratch:
        directory = Path(scratch, "tree")
        shutil.copytree(source, directory, symlinks=True)
        make_writable(directory)
        yield directory
