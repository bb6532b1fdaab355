"""Virtual environments of algorithms, made from their requirements and shared by equal ones."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from algo_core.locks import locked
from algo_core.text import decoded
from algo_local.algorithms.build import BuildError
from algo_local.algorithms.configuration import read_configuration
from algo_local.algorithms.pip_reason import Reason, reason_of
from algo_local.trees import make_read_only, make_writable, remove_tree

REQUIREMENTS = "requirements.txt"

Report = Callable[[str], None]

_BUILD_VARIABLES = {
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_INPUT": "1",
    "PIP_PROGRESS_BAR": "off",
    "PIP_USER": "0",  # from a configuration file, it would be refused inside a virtual environment
    "PIP_REQUIRE_VIRTUALENV": "0",  # our own pip is not in one; what it installs into is
}
_STRIPPED_VARIABLES = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "VIRTUAL_ENV")
_INSTALLING = f"Installing {REQUIREMENTS}"
_CODE_HINT = (
    "Building a package runs its code on the platform's machine: publish with 'algo local publish' there, or have its"
    " operator set ALGO_LOCAL_BUILD_CODE=on"
)
_NAME_LENGTH = 40
_CONTINUED = re.compile(r"\\\n")
_COMMENT = re.compile(r"(^|\s)#.*")
_TAIL = 12  # lines of pip's output to show when it fails


class Interpreter(NamedTuple):
    """The runtime of a build."""

    program: str
    environment: Path | None
    """The virtual environment with what it requires; None if it requires nothing."""


def interpreter_of(python: Path) -> Interpreter:
    """The interpreter for a build that was made with `python`.

    A build without requirements runs on whichever interpreter runs us now, without our packages: the one that
    published it may be gone, with the environment that `algo` was then installed in.
    """
    environment = python.parent.parent
    if environment.parent.name == "environments" and len(environment.name) == _NAME_LENGTH:
        return Interpreter(str(python), environment)
    return Interpreter(base_interpreter(), None)


def base_interpreter() -> str:
    """The interpreter that ours was made from, if ours is that of a virtual environment."""
    base = getattr(sys, "_base_executable", None)
    return str(base) if base and os.path.exists(base) else sys.executable


def requirements_of(source: Path) -> str:
    """The lines that require something: of `algorithmia.conf`, else of `requirements.txt`; empty if there are none."""
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

    One is whole when it holds a copy of its requirements, which is written last; one without is the rest of an
    interrupted build, and is made anew. It is built where it stays, because scripts in it name their interpreter
    by its full path; a lock keeps two builds apart, also those of different processes.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def python_for(self, source: Path, commit: str, report: Report, *, run_code: bool = True) -> Path:
        """The interpreter for the source tree: with its requirements installed, or ours if it has none.

        Without `run_code`, nothing that the requirements lead to is run: wheels are unpacked, and no package is built.
        Raises BuildError if the requirements do not install; its log is what pip said.
        """
        requirements = requirements_of(source)
        if not requirements:
            return Path(sys.executable)
        if not run_code:
            check_names_only(requirements)
        environment = self._root / _identity(requirements, commit)
        python = environment / "bin" / "python"
        self._root.mkdir(parents=True, exist_ok=True)
        with locked(
            environment.with_suffix(".lock"),
            waiting=lambda: report("Waiting for another build of the same environment"),
        ):
            if (environment / REQUIREMENTS).exists() and python.exists():
                report("The environment for these requirements exists already")
                return python
            remove_tree(environment)
            try:
                _make(environment, source, report, [] if run_code else ["--only-binary", ":all:"])
                (environment / REQUIREMENTS).write_text(requirements + "\n", "utf-8")
                make_read_only(environment)  # algorithms of several accounts share it
            except BaseException:
                with contextlib.suppress(OSError):
                    remove_tree(environment)
                raise
        return python


def _identity(requirements: str, commit: str) -> str:
    """Equal for equal requirements on an equal interpreter; requirements that name files depend on the tree as well."""
    lines = _told(requirements)
    names_files = any(line.startswith(("-", ".", "/")) or "/" in line for line in lines)
    parts = [
        # Options hold for the lines after them; without any, order means nothing.
        "\n".join(lines if names_files else sorted(set(lines))),
        commit if names_files else "",
        sys.base_prefix,
        sys.version,
        os.uname().machine,
        os.environ.get("PYTHON_INDEX_URL", ""),
    ]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:_NAME_LENGTH]


def _told(requirements: str) -> list[str]:
    """What requirements say, line by line: continued lines are joined, comments and surplus space are left out."""
    joined = _CONTINUED.sub(" ", requirements)
    lines = (" ".join(_COMMENT.sub("", line).split()) for line in joined.splitlines())
    return [line for line in lines if line]


def check_names_only(requirements: str) -> None:
    """Raise BuildError unless requirements are packages by name, which come from the index as wheels."""
    for line in requirements.splitlines():
        said = line.partition(" #")[0]
        if said.startswith(("-", ".")) or any(part in said for part in ("/", "\\", "@", "${")):
            raise BuildError(f"{REQUIREMENTS} may name packages only here, not {line[:100]!r}", _CODE_HINT)


def _make(environment: Path, source: Path, report: Report, options: list[str]) -> None:
    python = environment / "bin" / "python"
    report("Making a virtual environment")
    _run([sys.executable, "-I", "-m", "venv", "--without-pip", str(environment)], source, "The venv module", report)
    if _our_pip_installs_elsewhere():
        pip = [sys.executable, "-I", "-m", "pip", "--python", str(python)]
    else:
        _run([str(python), "-I", "-m", "ensurepip", "--default-pip"], source, "Installing pip", report)
        pip = [str(python), "-I", "-m", "pip"]
    index = os.environ.get("PYTHON_INDEX_URL")
    chosen = ["-i", index] if index else []
    with _copy_of(source) as directory:
        if (configured := read_configuration(source).dependencies) is not None:
            (directory / REQUIREMENTS).unlink(missing_ok=True)  # a copy is as read-only as what it was made from
            (directory / REQUIREMENTS).write_text("\n".join(configured) + "\n", "utf-8")
        try:
            _run([*pip, "install", *chosen, *options, "-r", REQUIREMENTS], directory, _INSTALLING, report)
        except BuildError as error:
            if options:  # what has no wheel is told by pip as what does not exist
                raise BuildError(f"{error.message} (packages without a wheel are not built here)", _CODE_HINT) from None
            raise


@contextlib.contextmanager
def _copy_of(source: Path) -> Iterator[Path]:
    """A copy of a published tree for as long as pip is in it: packages that come with the tree are built in place."""
    with tempfile.TemporaryDirectory(prefix=".building-", dir=source.parent) as scratch:
        directory = Path(scratch, "tree")
        shutil.copytree(source, directory, symlinks=True)
        make_writable(directory)
        yield directory


def _our_pip_installs_elsewhere() -> bool:
    """Whether our interpreter has a pip that knows `--python` (22.3 and later): no environment then needs its own."""
    try:
        import pip
    except ImportError:
        return False
    return tuple(int(part) for part in pip.__version__.split(".")[:2]) >= (22, 3)


def build_environment() -> dict[str, str]:
    """What pip may see of our environment: its own settings, proxies and certificates, but none of our Python's."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "ALGORITHMIA_")) and name not in _STRIPPED_VARIABLES
    }
    return kept | _BUILD_VARIABLES


def _run(command: list[str], directory: Path, title: str, report: Report) -> None:
    lines: list[str] = []
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=directory,
        env=build_environment(),
        text=True,
        encoding="utf-8",
        errors="replace",
        umask=0o022,  # algorithms may run as another user than we are
    )
    assert process.stdout is not None
    try:
        with process.stdout:
            for line in process.stdout:
                lines.append(line.rstrip())
                report(lines[-1])
        code = process.wait()
    except BaseException:
        process.kill()
        process.wait()
        raise
    if code:
        told = [line for line in lines if line.strip()]
        reason = reason_of(lines, _lines_of(directory), REQUIREMENTS) or Reason(f"exit code {code}")
        raise BuildError(f"{title} failed: {reason.message}", reason.hint or "\n".join(told[-_TAIL:]) or None)


def _lines_of(directory: Path) -> list[str]:
    try:
        return decoded((directory / REQUIREMENTS).read_bytes()).splitlines()
    except (OSError, UnicodeDecodeError):
        return []
