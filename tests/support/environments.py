"""Fresh environments, in which wheels are installed as people install them."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from algo_core.errors import ExitCode
from algo_core.testing import SECONDS
from support.shared import made_once, shared_directory

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = sorted(str(path.parent.relative_to(ROOT)) for path in ROOT.glob("plugins/*/pyproject.toml"))
STANDARD = (".", *(path for path in PLUGINS if path != "plugins/algo_ray"))
"""The directories of the core and of all standard plugins; algo-ray needs Ray, which is large."""


def wheels_of(factory: pytest.TempPathFactory, *projects: str) -> Path:
    """A folder with wheels of these projects of the repository, given by their directories; built once."""

    def build(folder: Path) -> None:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"),
                *("--wheel-dir", folder, *(ROOT / project for project in projects)),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == ExitCode.OK, done.stderr

    # By the whole path: there are frozen copies of projects with the same name.
    name = "-".join(project.strip("./").replace("/", "_") or "core" for project in projects)
    return made_once(shared_directory(factory) / f"wheels-of-{name}", build)


def standard_environment(factory: pytest.TempPathFactory) -> Environment:
    """An environment in which `algo-core[standard]` was installed, and nothing else; made once for all workers."""
    wheels = wheels_of(factory, *STANDARD)

    def make(directory: Path) -> None:
        Environment(directory, wheels).install("algo-core[standard]")

    return Environment(made_once(shared_directory(factory) / "fresh-environment", make), wheels)


def own_tests(directory: Path) -> tuple[str | Path, ...]:
    """A run of pytest within a test: its files stay in the test's directory, and it tidies up after no other run."""
    return ("pytest", "-q", "-p", "no:cacheprovider", "--basetemp", directory / "own")


def make_with_pip(path: Path) -> None:
    """Make a virtual environment with the pip of this one, which takes a fiftieth of the time of `ensurepip`."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", path], check=True)
    pip = importlib.metadata.distribution("pip")  # wherever it is: this environment may stand on another one
    (packages,) = path.glob("lib/python*/site-packages")
    for name in ("pip", f"pip-{pip.version}.dist-info"):
        shutil.copytree(str(pip.locate_file(name)), packages / name)
    program = path / "bin" / "pip"
    program.write_text(f"#!{path}/bin/python\nfrom pip._internal.cli.main import main\nraise SystemExit(main())\n")
    program.chmod(0o755)


class Environment:
    """A virtual environment, made unless it is there.

    What is installed comes from the wheels first, in the versions of `constraints.txt`.
    """

    def __init__(self, path: Path, wheels: Path) -> None:
        self.path = path
        self.bin = path / "bin"
        self._wheels = wheels
        if not (path / "pyvenv.cfg").exists():
            make_with_pip(path)

    def copy(self, path: Path) -> Environment:
        """A copy at another path, which can be changed."""
        shutil.copytree(self.path, path, symlinks=True)
        for program in (path / "bin").iterdir():
            if not program.is_symlink() and (content := program.read_bytes()).startswith(b"#!%b/" % bytes(self.path)):
                program.write_bytes(content.replace(bytes(self.path), bytes(path), 1))
        return Environment(path, self._wheels)

    def install(self, *requirements: str) -> None:
        """Install with the environment's own pip."""
        done = subprocess.run(
            [
                self.bin / "python",
                "-m",
                "pip",
                "install",
                "--quiet",
                "--no-compile",
                "--disable-pip-version-check",
                *requirements,
            ],
            env={**os.environ, **self.pip_settings},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == ExitCode.OK, done.stderr

    @property
    def pip_settings(self) -> dict[str, str]:
        """What makes pip take the wheels, and the versions that everything else was tested with."""
        return {"PIP_FIND_LINKS": str(self._wheels), "PIP_CONSTRAINT": str(ROOT / "constraints.txt")}

    @property
    def mypy_settings(self) -> dict[str, str]:
        """What makes mypy look at the installed packages once for all tests."""
        return {"MYPY_CACHE_DIR": str(self.path / "mypy-cache")}

    @property
    def site_packages(self) -> Path:
        """Where its packages are."""
        (found,) = self.path.glob("lib/python*/site-packages")
        return found

    def run(self, *words: str | Path, cwd: Path, environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Run one of its programs, with its programs first on the path; stdout and stderr together."""
        program, *rest = words
        return subprocess.run(
            [self.bin / program, *rest],
            cwd=cwd,
            env={**environ, **self.mypy_settings, "PATH": f"{self.bin}:{environ['PATH']}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            timeout=SECONDS * 2,
            text=True,
            check=False,
        )
