"""Runs pip, uv and pipx as processes: dry runs, changes, and error messages."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from algo_core.errors import AlgoError, NetworkError, NotFoundError
from algo_core.plugins.policy import normalized
from algo_plugins.installer.sources import redacted, trouble_in

UNKNOWN = "?"
"""The version of something that has to be built before its version is known."""

LAST_LINES = 12
"""Number of lines shown of a failed tool's output."""


TIME_TO_PUT_BACK = 10.0
"""Seconds that an interrupted tool gets to roll back."""


class Change(NamedTuple):
    """A distribution that would be installed: its normalized name, its version, and its URL if no index gives it."""

    name: str
    version: str
    url: str | None = None


class Unresolvable(AlgoError):
    """No set of versions satisfies everything that is asked for."""


SAFE_PATH = ["-P"] if sys.version_info >= (3, 11) else []
"""Keeps modules in the current directory from being taken for those of a tool, where Python can."""


class Tool(Protocol):
    """A tool that changes one interpreter's environment. Each method raises AlgoError if it fails."""

    name: str

    def resolve(
        self, requirements: Sequence[str], constraints: Iterable[str] = (), *, upgrade: bool = False
    ) -> list[Change]:
        """The changes of `install`, as a dry run."""

    def install(self, requirements: Sequence[str], constraints: Iterable[str] = (), *, upgrade: bool = False) -> None:
        """Install requirements; `upgrade` takes the newest versions that fit."""

    def uninstall(self, names: Sequence[str]) -> None:
        """Remove distributions, without their dependencies."""

    def stage(self, requirements: Sequence[str], folder: str) -> None:
        """Install into a separate folder, without dependencies."""

    def check_sources(self, requirements: Sequence[str]) -> None:
        """Raise NetworkError if an index that may have newer versions cannot be asked, NotFoundError if none knows one.

        Tools pass over an index that does not answer, or refuses, where something is installed already.
        """


class Pip:
    """pip of one interpreter, for that interpreter or (`target`) for another one."""

    name = "pip"

    def __init__(self, python: str, environ: Mapping[str, str], *, target: str | None = None) -> None:
        for_target = ["--python", target] if target else []
        self._command = [python, *SAFE_PATH, "-m", "pip", "--no-input", "--disable-pip-version-check", *for_target]
        self._environ = _for_tools(environ, foreign=target is not None)

    def resolve(
        self, requirements: Sequence[str], constraints: Iterable[str] = (), *, upgrade: bool = False
    ) -> list[Change]:
        """Ask pip for its installation report."""
        import json

        with tempfile.TemporaryDirectory(prefix="algo-") as folder:
            report = os.path.join(folder, "report.json")
            self._install(["--dry-run", "--report", report], requirements, constraints, upgrade)
            items = json.loads(Path(report).read_text("utf-8"))["install"]
        return [_from_report(item) for item in items]

    def install(self, requirements: Sequence[str], constraints: Iterable[str] = (), *, upgrade: bool = False) -> None:
        """Run `pip install`."""
        self._install([], requirements, constraints, upgrade)

    def _install(
        self, options: Sequence[str], requirements: Sequence[str], constraints: Iterable[str], upgrade: bool
    ) -> None:
        with _constraints_file(constraints) as file:
            log = f"{file}.log"  # only there pip says, with any settings, that an index could not be reached
            upgrading = ["--upgrade"] if upgrade else []
            command = [*self._command, "install", "--log", log, *options, *upgrading, "--constraint", file]
            run(self.name, [*command, *requirements], self._environ, f"install {_printable(requirements)}", log=log)

    def stage(self, requirements: Sequence[str], folder: str) -> None:
        """Run `pip install --target`."""
        self._install(["--target", folder, "--no-deps", "--no-compile"], requirements, [], False)

    def check_sources(self, requirements: Sequence[str]) -> None:
        """Look for the requirements as if nothing were installed, and read in the log which index did not answer."""
        with _constraints_file([]) as file:
            log = f"{file}.log"
            command = [*self._command, "install", "--log", log, "--dry-run", "--no-deps", "--ignore-installed"]
            _check_sources(self.name, [*command, *requirements], self._environ, log=log)

    def uninstall(self, names: Sequence[str]) -> None:
        """Run `pip uninstall`."""
        run(self.name, [*self._command, "uninstall", "--yes", *names], self._environ, f"uninstall {', '.join(names)}")


class Uv:
    """uv, for the interpreter `target`."""

    name = "uv"

    def __init__(self, uv: str, environ: Mapping[str, str], *, target: str, foreign: bool = False) -> None:
        self._uv = uv
        self._target = ["--python", target]
        self._environ = _for_tools(environ, foreign=foreign)

    def resolve(
        self, requirements: Sequence[str], constraints: Iterable[str] = (), *, upgrade: bool = False
    ) -> list[Change]:
        """Read what a dry run says: its lines are the same in every version of uv, other formats are not."""
        said = self._install(["--dry-run"], requirements, constraints, upgrade)
        return [change for line in said.splitlines() if (change := _from_line(line))]

    def install(self, requirements: Sequence[str], constraints: Iterable[str] = (), *, upgrade: bool = False) -> None:
        """Run `uv pip install`."""
        self._install([], requirements, constraints, upgrade)

    def _install(
        self, options: Sequence[str], requirements: Sequence[str], constraints: Iterable[str], upgrade: bool
    ) -> str:
        with _constraints_file(constraints) as file:
            upgrading = [part for r in requirements if upgrade for part in ("--upgrade-package", name_in(r))]
            command = [self._uv, "pip", "install", *self._target, *options, *upgrading, "--constraint", file]
            return run(self.name, [*command, *requirements], self._environ, f"install {_printable(requirements)}")

    def stage(self, requirements: Sequence[str], folder: str) -> None:
        """Run `uv pip install --target`."""
        self._install(["--target", folder, "--no-deps"], requirements, [], False)

    def check_sources(self, requirements: Sequence[str]) -> None:
        """Look for the requirements as if nothing were installed; only at this length uv says who refuses."""
        with tempfile.TemporaryDirectory(prefix="algo-") as empty:
            anew = ["--dry-run", "--no-deps", "--no-cache", "--target", empty]
            command = [self._uv, "pip", "install", "--verbose", *self._target, *anew]
            _check_sources(self.name, [*command, *requirements], self._environ)

    def uninstall(self, names: Sequence[str]) -> None:
        """Run `uv pip uninstall`."""
        command = [self._uv, "pip", "uninstall", *self._target, *names]
        run(self.name, command, self._environ, f"uninstall {', '.join(names)}")


class Pipx:
    """pipx, so that it knows of the plugins in its environment and brings them back when it reinstalls that.

    `inner` is pip or uv for the same environment: it answers what would change, and does what pipx has no command for.
    """

    name = "pipx"

    def __init__(self, pipx: str, environ: Mapping[str, str], prefix: str, inner: Tool) -> None:
        self._pipx = pipx
        self._place = Path(prefix)
        self._inner = inner
        # the environment's own place says where its pipx lives, also if this shell would use another
        home = str(self._place.parent.parent)
        self._environ = {**_for_tools(environ), "PIPX_HOME": home, "USE_EMOJI": "0"}

    def resolve(
        self, requirements: Sequence[str], constraints: Iterable[str] = (), *, upgrade: bool = False
    ) -> list[Change]:
        """Ask the tool within."""
        return self._inner.resolve(requirements, constraints, upgrade=upgrade)

    def install(self, requirements: Sequence[str], constraints: Iterable[str] = (), *, upgrade: bool = False) -> None:
        """Inject distributions that pipx does not know; the inner tool changes the others.

        `pipx inject --force` would install every dependency anew, the running core included.
        """
        known = self._injected()
        new = [requirement for requirement in requirements if name_in(requirement) not in known]
        rest = [requirement for requirement in requirements if requirement not in new]
        if rest:
            self._inner.install(rest, constraints, upgrade=upgrade)
        if new:
            command = [self._pipx, "inject", self._place.name, *new]
            run(self.name, command, self._environ, f"inject {_printable(new)}")
            known = self._injected()
            # what was there as a dependency already, pipx does not inject
            if passed_over := [requirement for requirement in new if name_in(requirement) not in known]:
                self._inner.install(passed_over, constraints, upgrade=upgrade)

    def stage(self, requirements: Sequence[str], folder: str) -> None:
        """Have the tool within do it."""
        self._inner.stage(requirements, folder)

    def check_sources(self, requirements: Sequence[str]) -> None:
        """Have the tool within do it."""
        self._inner.check_sources(requirements)

    def uninstall(self, names: Sequence[str]) -> None:
        """Uninject injected distributions; the inner tool removes those that came with the core."""
        known = self._injected()
        if injected := [name for name in names if name in known]:
            command = [self._pipx, "uninject", "--leave-deps", self._place.name, *injected]
            run(self.name, command, self._environ, f"uninject {', '.join(injected)}")
        if rest := [name for name in names if name not in known]:
            self._inner.uninstall(rest)

    def _injected(self) -> set[str]:
        import json

        try:
            kept = json.loads((self._place / "pipx_metadata.json").read_text("utf-8"))
            return {normalized(name) for name in kept["injected_packages"]}
        except (OSError, ValueError, KeyError, TypeError):
            return set()


def run(tool: str, command: Sequence[str], environ: Mapping[str, str], what: str, *, log: str | None = None) -> str:
    """Run a tool to its end and return its output. `log` is a file with more details of failures.

    Raises:
        NetworkError: if it could not reach a package index.
        Unresolvable: if no versions satisfy the requirements.
        AlgoError: if it failed in another way; the message ends with its last lines.
    """
    try:
        process = subprocess.Popen(
            command, env=dict(environ), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    except OSError as error:
        raise AlgoError(f"Cannot run {command[0]}: {error.strerror}") from None
    said = _all_of(process)
    if process.returncode:
        raise _failure(tool, what, said, process.returncode, _written(log))
    return said


def _all_of(process: subprocess.Popen[bytes]) -> str:
    try:
        try:
            said = process.communicate()[0]
        except KeyboardInterrupt:
            # the terminal has interrupted the tool as well: it puts back what it was about to replace
            process.communicate(timeout=TIME_TO_PUT_BACK)
            raise
    except BaseException:
        process.kill()
        process.wait()
        raise
    return said.decode("utf-8", "replace")


def _check_sources(tool: str, command: Sequence[str], environ: Mapping[str, str], *, log: str | None = None) -> None:
    """Run a search for requirements, and check its whole output for failures."""
    what = "look for newer versions"
    try:
        said = run(tool, command, environ, what, log=log)
    except NetworkError:
        raise
    except AlgoError as error:
        if isinstance(error, Unresolvable) or not MISSING.search(error.message):
            raise
        raise NotFoundError(
            f"No package index has the distribution to upgrade: {error.message}", f"Check {tool}'s index settings"
        ) from None
    if trouble := trouble_in(said + _written(log)):
        raise trouble.error(tool, f"Cannot tell whether there is something to upgrade: {trouble}")


def _written(log: str | None) -> str:
    if log is None:
        return ""
    try:
        return Path(log).read_text("utf-8", "replace")
    except OSError:
        return ""


CLASHES = re.compile(r"ResolutionImpossible|conflicting dependencies|No solution found")
TOO_OLD = re.compile(r"no such option|unexpected argument|unrecognized arguments")
MISSING = re.compile(r"was not found|there are no versions of|No matching distribution")


def _failure(tool: str, what: str, said: str, code: int, log: str) -> AlgoError:
    shown = (line.rstrip() for line in redacted(said).splitlines())
    lines = [line for line in shown if line.strip() and not line.startswith(("DEBUG ", "TRACE "))]
    last = lines[-LAST_LINES:] or [f"it ended with exit code {code}"]
    message = f"{tool} could not {what}:\n" + "\n".join(f"  {line.strip()}" for line in last)
    if trouble := trouble_in(said + log):
        return trouble.error(tool, f"{message}\n{trouble}")
    if TOO_OLD.search(said):
        return AlgoError(
            message, f"This {tool} is too old: upgrade it, pip with: {sys.executable} -m pip install -U pip"
        )
    if CLASHES.search(said) and not MISSING.search(said):
        return Unresolvable(message)
    return AlgoError(message)


def _printable(requirements: Sequence[str]) -> str:
    return redacted(", ".join(requirements))


def name_in(requirement: str) -> str:
    """The normalized name that a requirement begins with."""
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    return normalized(found.group()) if found else ""


def _from_report(item: Mapping[str, Any]) -> Change:
    metadata = item["metadata"]
    url = item["download_info"].get("url") if item.get("is_direct") else None
    return Change(normalized(metadata["name"]), metadata["version"], url)


_PLUS = re.compile(
    r"^ ?\+ (?P<name>[A-Za-z0-9._-]+)(?:==(?P<version>\S+?)| @ (?P<at>\S+))(?: \(from (?P<from>\S+)\))?$"
)


def _from_line(line: str) -> Change | None:
    found = _PLUS.match(line.rstrip())
    if not found:
        return None
    url = found["from"] or found["at"]
    return Change(normalized(found["name"]), found["version"] or _version_in(url), url)


def _version_in(url: str) -> str:
    """The version that the name of a wheel says."""
    file = url.partition("#")[0].rpartition("/")[2]
    parts = file.split("-")
    return parts[1] if file.endswith(".whl") and len(parts) > 4 else UNKNOWN


_NOT_FOR_TOOLS = frozenset(
    {"PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER", "PIP_DRY_RUN", "PIP_REPORT", "PIP_QUIET", "PIP_PYTHON",
     "PIP_REQUIRE_VIRTUALENV", "UV_PYTHON", "UV_SYSTEM_PYTHON", "UV_OUTPUT_FORMAT", "VIRTUAL_ENV", "CONDA_PREFIX"}
)  # fmt: skip
"""Variables that would send an installation elsewhere, or make its report unreadable."""


def _for_tools(environ: Mapping[str, str], *, foreign: bool = False) -> dict[str, str]:
    dropped = {*_NOT_FOR_TOOLS, *({"PYTHONPATH", "PYTHONHOME"} if foreign else ())}
    return {
        **{name: value for name, value in environ.items() if name not in dropped},
        "NO_COLOR": "1",
        "UV_NO_PROGRESS": "1",
        "PYTHONIOENCODING": "utf-8",
    }


@contextmanager
def _constraints_file(constraints: Iterable[str]) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="algo-") as folder:
        file = os.path.join(folder, "constraints.txt")
        Path(file).write_text("".join(f"{line}\n" for line in constraints), "utf-8")
        yield file
