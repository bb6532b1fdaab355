"""pip, uv and pipx: dry runs and changes of an environment."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from algo_core.plugins.policy import normalized
from algo_core.scratch import scratch_directory
from algo_plugins.installer.process import run, run_search
from algo_plugins.installer.sources import redacted

UNKNOWN = "?"
"""The version of something that has to be built before its version is known."""


class Change(NamedTuple):
    """A distribution that would be installed: its normalized name, its version, and its URL if no index gives it."""

    name: str
    version: str
    url: str | None = None


class Locked(NamedTuple):
    """What requirements files say beside requirements: options of indexes, and the hashes that each file must have."""

    options: tuple[str, ...] = ()
    hashes: Mapping[str, tuple[str, ...]] = {}

    def line(self, requirement: str) -> str:
        """A requirement as a line of such a file."""
        return " ".join([requirement, *(f"--hash={value}" for value in self.hashes.get(name_in(requirement), ()))])


NOT_LOCKED = Locked()
"""No requirements file."""

SAFE_PATH = ["-P"] if sys.version_info >= (3, 11) else []
"""Keeps modules in the current directory from being taken for those of a tool, where Python can."""


class Tool(Protocol):
    """A tool that changes one interpreter's environment. Each method raises AlgoError if it fails."""

    name: str

    def lock(self, locked: Locked) -> None:
        """Obey requirements files from now on."""

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

    def search(
        self, requirements: Sequence[str], constraints: Iterable[str] = (), *, alone: bool = False
    ) -> list[Change]:
        """The changes of an installation into an empty environment; `alone`: without dependencies.

        Raises NetworkError if an index that may have newer versions cannot be asked, NotFoundError if none knows one.
        Tools pass over an index that does not answer, or refuses, where something is installed already.
        """


class Pip:
    """pip of one interpreter, for that interpreter or (`target`) for another one."""

    name = "pip"

    def __init__(self, python: str, environ: Mapping[str, str], *, target: str | None = None) -> None:
        for_target = ["--python", target] if target else []
        self._command = [python, *SAFE_PATH, "-m", "pip", "--no-input", "--disable-pip-version-check", *for_target]
        self._environ = _for_tools(environ, foreign=target is not None)
        self._locked = NOT_LOCKED

    def lock(self, locked: Locked) -> None:
        """Pass the options and hashes on in a requirements file."""
        self._locked = locked

    def resolve(
        self, requirements: Sequence[str], constraints: Iterable[str] = (), *, upgrade: bool = False
    ) -> list[Change]:
        """Ask pip for its installation report."""
        with scratch_directory() as folder:
            report = os.path.join(folder, "report.json")
            self._install(["--dry-run", "--report", report], requirements, constraints, upgrade)
            return _in_report(report)

    def install(self, requirements: Sequence[str], constraints: Iterable[str] = (), *, upgrade: bool = False) -> None:
        """Run `pip install`."""
        self._install([], requirements, constraints, upgrade)

    def _install(
        self, options: Sequence[str], requirements: Sequence[str], constraints: Iterable[str], upgrade: bool
    ) -> None:
        with _files(self._locked, requirements, constraints) as (file, words):
            log = f"{file}.log"  # only there pip says, with any settings, that an index could not be reached
            upgrading = ["--upgrade"] if upgrade else []
            command = [*self._command, "install", "--log", log, *options, *upgrading, "--constraint", file, *words]
            run(self.name, command, self._environ, f"install {_printable(requirements)}", log=log)

    def stage(self, requirements: Sequence[str], folder: str) -> None:
        """Run `pip install --target`."""
        self._install(["--target", folder, "--no-deps", "--no-compile"], requirements, [], False)

    def search(
        self, requirements: Sequence[str], constraints: Iterable[str] = (), *, alone: bool = False
    ) -> list[Change]:
        """Resolve as if nothing were installed, and read in the log which index did not answer."""
        with _files(self._locked, requirements, constraints) as (file, words):
            log, report = f"{file}.log", f"{file}.json"
            options = ["--log", log, "--dry-run", "--report", report, "--ignore-installed", *_alone(alone)]
            command = [*self._command, "install", *options, "--constraint", file, *words]
            run_search(self.name, command, self._environ, log=log)
            return _in_report(report)

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
        self._locked = NOT_LOCKED

    def lock(self, locked: Locked) -> None:
        """Pass the options and hashes on in a requirements file."""
        self._locked = locked

    def resolve(
        self, requirements: Sequence[str], constraints: Iterable[str] = (), *, upgrade: bool = False
    ) -> list[Change]:
        """Read what a dry run says: its lines are the same in every version of uv, other formats are not."""
        return _in_lines(self._install(["--dry-run"], requirements, constraints, upgrade))

    def install(self, requirements: Sequence[str], constraints: Iterable[str] = (), *, upgrade: bool = False) -> None:
        """Run `uv pip install`."""
        self._install([], requirements, constraints, upgrade)

    def _install(
        self, options: Sequence[str], requirements: Sequence[str], constraints: Iterable[str], upgrade: bool
    ) -> str:
        with _files(self._locked, requirements, constraints) as (file, words):
            upgrading = [part for r in requirements if upgrade for part in ("--upgrade-package", name_in(r))]
            command = [self._uv, "pip", "install", *self._target, *options, *upgrading, "--constraint", file, *words]
            return run(self.name, command, self._environ, f"install {_printable(requirements)}")

    def stage(self, requirements: Sequence[str], folder: str) -> None:
        """Run `uv pip install --target`."""
        self._install(["--target", folder, "--no-deps"], requirements, [], False)

    def search(
        self, requirements: Sequence[str], constraints: Iterable[str] = (), *, alone: bool = False
    ) -> list[Change]:
        """Resolve as if nothing were installed; only at this length uv says who refuses."""
        with _files(self._locked, requirements, constraints) as (file, words):
            empty = os.path.join(os.path.dirname(file), "empty")
            options = ["--dry-run", "--no-cache", "--target", empty, "--constraint", file, *_alone(alone)]
            command = [self._uv, "pip", "install", "--verbose", *self._target, *options, *words]
            return _in_lines(run_search(self.name, command, self._environ))

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
        self._is_locked = False

    def lock(self, locked: Locked) -> None:
        """Have the tool within obey: pipx passes no hashes on."""
        self._is_locked = True
        self._inner.lock(locked)

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
        new = [r for r in requirements if not self._is_locked and name_in(r) not in known]
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

    def search(
        self, requirements: Sequence[str], constraints: Iterable[str] = (), *, alone: bool = False
    ) -> list[Change]:
        """Have the tool within do it."""
        return self._inner.search(requirements, constraints, alone=alone)

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


def _printable(requirements: Sequence[str]) -> str:
    return redacted(", ".join(requirements))


def name_in(requirement: str) -> str:
    """The normalized name that a requirement begins with."""
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    return normalized(found.group()) if found else ""


def _alone(alone: bool) -> list[str]:
    return ["--no-deps"] if alone else []


def _in_report(file: str) -> list[Change]:
    import json

    return [_from_report(item) for item in json.loads(Path(file).read_text("utf-8"))["install"]]


def _from_report(item: Mapping[str, Any]) -> Change:
    metadata = item["metadata"]
    url = item["download_info"].get("url") if item.get("is_direct") else None
    return Change(normalized(metadata["name"]), metadata["version"], url)


_PLUS = re.compile(
    r"^ ?\+ (?P<name>[A-Za-z0-9._-]+)(?:==(?P<version>\S+?)| @ (?P<at>\S+))(?: \(from (?P<from>\S+)\))?$"
)


def _in_lines(said: str) -> list[Change]:
    return [change for line in said.splitlines() if (change := _from_line(line))]


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
def _files(locked: Locked, requirements: Sequence[str], constraints: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """A file of constraints, and the words that give a tool the requirements."""
    with scratch_directory() as folder:
        file = os.path.join(folder, "constraints.txt")
        Path(file).write_text("".join(f"{line}\n" for line in constraints), "utf-8")
        if locked == NOT_LOCKED:
            yield file, [*requirements]
            return
        wanted = os.path.join(folder, "requirements.txt")
        lines = [*locked.options, *map(locked.line, requirements)]
        Path(wanted).write_text("".join(f"{line}\n" for line in lines), "utf-8")
        yield file, ["--requirement", wanted]
