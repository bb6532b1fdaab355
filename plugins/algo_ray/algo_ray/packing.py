"""What a node needs of a build: its source tree, and the environment with what it requires, as archives.

They are named by their content, so that a node fetches and unpacks each once, for all workers and platforms.
An environment is carried over as it was installed, which runs no code and needs no package index on the nodes. It fits
nodes with the same kind of interpreter and machine; others are refused.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import platform
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import NamedTuple

from algo_core.errors import AlgoError
from algo_core.locks import locked
from algo_core.text import decoded
from algo_local.algorithms.build import Build, BuildError
from algo_local.algorithms.installation.environments import NODE, Environments, interpreter_of
from algo_local.algorithms.languages.interpreters import find_python
from algo_local.algorithms.languages.node import required_node
from algo_local.algorithms.languages.rscript import PROGRAM as RSCRIPT
from algo_local.algorithms.source_trees.published import keep, whole
from algo_local.trees import make_read_only, remove_abandoned, remove_tree

_WHOLE = "requirements.txt"
"""The file of an environment that is written last."""

_UNFINISHED = ".building-"
_MODULES = "node_modules"


class Need(NamedTuple):
    """A build as a node needs it; paths are those of the platform's machine, by which the driver packs them."""

    commit: str
    module: str
    network_access: str
    secrets: tuple[tuple[str, str], ...]
    source: str
    environment: str
    """The path of its environment; empty if it requires nothing."""
    runtime: str
    """`python`, `node` or `Rscript`: what its environment is for."""
    python: tuple[int, ...]
    """Major and minor version of its Python, of an environment of Python."""
    machine: str
    """What the environment's compiled parts fit."""
    digest: str = ""
    """The hash of the environment's content, by which nodes keep it; the driver adds it."""


def needed(build: Build) -> Need:
    """What a node needs of a build."""
    environment = interpreter_of(build.python).environment
    runtime = build.python.name if build.python.name in (NODE, RSCRIPT) else "python"
    python = _python_of(environment) if environment and runtime == "python" else sys.version_info[:2]
    return Need(
        build.commit,
        build.module,
        build.network_access,
        build.secrets,
        str(build.source),
        str(environment or ""),
        runtime,
        tuple(python),
        machine(),
    )


def machine() -> str:
    """What compiled code of this machine runs on: the system, the processor, and the C library."""
    return f"{sys.platform} {platform.machine()} {platform.libc_ver()[0] or 'libc'}"


def _python_of(environment: Path) -> tuple[int, ...]:
    for line in decoded((environment / "pyvenv.cfg").read_bytes()).splitlines():
        name, _, value = line.partition("=")
        if name.strip() in ("version", "version_info"):
            return tuple(int(part) for part in value.strip().split(".")[:2])
    return sys.version_info[:2]


def pack(directory: Path) -> bytes:
    """An archive of a directory's content. OSError if it cannot be read."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted(os.listdir(directory)):
            archive.add(directory / name, name, filter=_anonymous)
    return content.getvalue()


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


def pack_environment(need: Need) -> bytes:
    """An archive of what is installed in an environment. OSError if it cannot be read."""
    environment = Path(need.environment)
    if need.runtime == "python":
        return pack(_packages(environment, need.python))
    modules = environment / _MODULES
    return pack(modules) if modules.is_dir() else b""


def digest_of(need: Need, archive: bytes) -> str:
    """The hash of an environment: of its archive, and of what it is for."""
    found = hashlib.sha256(f"{need.runtime} {need.python} {need.machine}\n".encode())
    found.update(archive)
    return found.hexdigest()[:40]


def _packages(environment: Path, python: tuple[int, ...]) -> Path:
    return environment / "lib" / f"python{'.'.join(map(str, python[:2]))}" / "site-packages"


class Cache:
    """The builds of a node, below a directory that all workers on it share."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("sources", "environments"):
            (root / name).mkdir(parents=True, exist_ok=True, mode=0o700)

    def has_source(self, need: Need) -> bool:
        """Whether the source tree is there, as it was published."""
        try:
            whole(self.root / "sources" / need.commit)
        except (BuildError, OSError):
            return False
        return True

    def add_source(self, need: Need, archive: bytes) -> None:
        """Unpack a source tree, once on this machine, and again where it was damaged since."""
        sources = self.root / "sources"
        with locked(sources / f".{need.commit}.lock"):
            if self.has_source(need):
                return
            remove_abandoned(sources, _UNFINISHED + "*")
            unfinished = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=sources))
            try:
                _unpack(archive, unfinished / "tree")
                keep(unfinished / "tree", sources / need.commit)
            finally:
                with contextlib.suppress(OSError):
                    remove_tree(unfinished)

    def has_environment(self, need: Need) -> bool:
        """Whether nothing is to be unpacked for its environment."""
        return not need.environment or need.runtime == RSCRIPT or (self._environment(need) / _WHOLE).exists()

    def add_environment(self, need: Need, archive: bytes) -> None:
        """Make an environment, once on this machine.

        Raises:
            AlgoError: if this machine has no interpreter for it, or is of another kind, or the archive was changed.
        """
        environment = self._environment(need)
        with locked(environment.with_name(f".{environment.name}.lock")):
            if self.has_environment(need):
                return
            if archive and need.machine != machine():
                raise AlgoError(f"It was built for {need.machine}, and this node is {machine()}")
            if digest_of(need, archive) != need.digest:
                raise AlgoError("Its environment was changed on the way to the node")
            remove_tree(environment)
            if need.runtime == NODE:
                (environment / "bin").mkdir(parents=True)
                (environment / "bin" / NODE).symlink_to(required_node().program)
                packages = environment / _MODULES
            else:
                python = find_python(need.python, lambda line: None)
                command = [python.program, "-I", "-m", "venv", "--without-pip", str(environment)]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode:
                    raise AlgoError(f"The venv module failed: {done.stderr.strip()[-500:] or done.stdout[-500:]}")
                packages = _packages(environment, need.python)
            if archive:
                _unpack(archive, packages)
            (environment / _WHOLE).write_text("")
            make_read_only(environment)

    def build(self, need: Need) -> Build:
        """The build as it stands here."""
        if need.runtime == RSCRIPT:
            program = Environments(self.root / "environments").r_for(lambda line: None)
        elif need.environment:
            program = self._environment(need) / "bin" / ("python" if need.runtime == "python" else need.runtime)
        else:
            program = Path(sys.executable)
        return Build(
            need.commit,
            self.root / "sources" / need.commit,
            program,
            need.module,
            "",
            network_access="isolated" if need.network_access == "isolated" else "full",
            secrets=need.secrets,
        )

    def _environment(self, need: Need) -> Path:
        return self.root / "environments" / need.digest


def _unpack(archive: bytes, directory: Path) -> None:
    directory.mkdir(exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r") as content:
        if hasattr(tarfile, "fully_trusted_filter"):  # of our own making; links of packages may lead anywhere
            content.extraction_filter = tarfile.fully_trusted_filter
        content.extractall(directory)
