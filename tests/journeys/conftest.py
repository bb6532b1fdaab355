"""The wheels of all distributions, and a fresh environment that they are installed in."""

import subprocess
import sys
from pathlib import Path

import pytest

from algo_core.testing import Home

ROOT = Path(__file__).resolve().parents[2]
DISTRIBUTIONS = [ROOT, *sorted(path.parent for path in (ROOT / "plugins").glob("*/pyproject.toml"))]


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a wheel of every distribution."""
    folder = tmp_path_factory.mktemp("wheels")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", folder]
        + [str(path) for path in DISTRIBUTIONS],
        check=True,
    )
    return folder


def environment(home: Path, wheels: Path, requirement: str) -> Path:
    """A fresh environment with one requirement, taken from the wheels; its `bin`."""
    subprocess.run([sys.executable, "-m", "venv", home], check=True)
    pip = [home / "bin" / "python", "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, "--find-links", wheels, "--constraint", ROOT / "constraints.txt", requirement], check=True)
    return home / "bin"


@pytest.fixture(scope="session")
def fresh_environment(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment in which `algo-core[standard]` was installed, and nothing else; its `bin`."""
    return environment(tmp_path_factory.mktemp("fresh") / "venv", wheels, "algo-core[standard]")


class Installed(Home):
    """A home whose `algo` is the one of the fresh environment."""

    def __init__(self, root: Path, binaries: Path) -> None:
        super().__init__(root)
        self.binaries = binaries

    def command(self, *arguments: str | Path) -> list[str]:
        return [str(self.binaries / "algo"), *map(str, arguments)]


@pytest.fixture
def installed(fresh_environment: Path, tmp_path: Path) -> Installed:
    return Installed(tmp_path / "home", fresh_environment)


@pytest.fixture
def core_alone(wheels: Path, tmp_path: Path) -> Installed:
    """A home in which only the core is installed."""
    return Installed(tmp_path / "home", environment(tmp_path / "venv", wheels, "algo-core"))
