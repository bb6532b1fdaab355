"""Environments of every kind with the core in them, made from wheels that are packed on the spot: no index is asked."""

from __future__ import annotations

import compileall
import json
import os
import py_compile
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import importlib_metadata
import pytest
from packaging.requirements import Requirement
from support.environments import ROOT, make_with_pip, wheels_of
from support.shared import made_once, shared_directory

from algo_core.errors import ExitCode
from algo_core.testing import Home, Result

WHEEL = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"

PLUGIN = """
from algo_core import Command, hookimpl

@hookimpl
def algo_commands():
    return [Command("{command}", "{package}.commands:run", help="Say {command}.", group="Acme")]
"""

COMMANDS = """
import json, sys
import click
from algo_core import pass_app

@click.command()
@click.argument("words", nargs=-1)
@pass_app
def run(app, words):
    '''Say something.'''
    {imports}
    app.output.print(json.dumps({{"say": "{text}", "words": words, "prefix": sys.prefix, "lib": {lib},
                                  "profile": app.profiles.resolve(app.profile_flag).address}}))
"""

OWN = ("algo-core", "algo-plugins")
"""What every place has."""

PROFILE = '[profiles.default]\naddress = "https://platform.example"\napi_key = "sim123456789012345678901234"\n'


class House:
    """A folder of wheels, which is all the index that a test has."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def wheel(
        self, name: str, version: str, files: Mapping[str, str], requires: Sequence[str] = (), entries: str = ""
    ) -> Path:
        """A wheel with these files."""
        stem = f"{name.replace('-', '_')}-{version}"
        wheel = self.path / f"{stem}-py3-none-any.whl"
        lines = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}", *(f"Requires-Dist: {r}" for r in requires)]
        with zipfile.ZipFile(wheel, "w") as archive:
            for path, text in files.items():
                archive.writestr(path, text)
            archive.writestr(f"{stem}.dist-info/METADATA", "\n".join([*lines, ""]))
            archive.writestr(f"{stem}.dist-info/WHEEL", WHEEL)
            archive.writestr(f"{stem}.dist-info/entry_points.txt", entries)
            archive.writestr(f"{stem}.dist-info/RECORD", "")
        return wheel

    def plugin(
        self,
        name: str,
        version: str = "1.0",
        *,
        command: str = "greet",
        text: str = "hello",
        requires: Sequence[str] = (),
        lib: str | None = None,
        source: str | None = None,
    ) -> Path:
        """A wheel with a plugin that has one command; `lib` is a module whose VERSION it tells."""
        package = name.replace("-", "_")
        told = COMMANDS.format(text=text, imports=f"import {lib}" if lib else "", lib=f"{lib}.VERSION" if lib else None)
        files = {
            f"{package}/__init__.py": "",
            f"{package}/plugin.py": source or PLUGIN.format(command=command, package=package),
            f"{package}/commands.py": told,
        }
        entries = f"[algo.plugins]\n{package} = {package}.plugin\n"
        return self.wheel(name, version, files, ["algo-core", *requires], entries)

    def library(self, name: str, version: str, *requires: str) -> Path:
        """A wheel with a module that knows its version."""
        return self.wheel(name, version, {f"{name.replace('-', '_')}.py": f"VERSION = {version!r}\n"}, requires)


def pack_installed(folder: Path, name: str) -> None:
    """A wheel of a distribution as it is installed for the tests."""
    found = importlib_metadata.distribution(name)
    stem = f"{name.replace('-', '_')}-{found.version}"
    with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as archive:
        info = ""
        for file in found.files or []:
            if file.parts[0] == ".." or file.suffix == ".pyc":
                continue
            if file.parts[0].endswith(".dist-info"):
                info = file.parts[0]
            if file.name not in {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}:
                archive.write(str(file.locate()), str(file))
        archive.writestr(f"{info}/RECORD", "")


def add_bytecode(wheel: Path, scratch: Path) -> None:
    """Put into a wheel what Python would compile its modules to, in every environment anew."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(scratch)
    always = py_compile.PycInvalidationMode.UNCHECKED_HASH  # the times of the files depend on who unpacks them
    compileall.compile_dir(scratch, quiet=2, stripdir=scratch, invalidation_mode=always)
    with zipfile.ZipFile(wheel, "a") as archive:
        for compiled in sorted(scratch.rglob("*.pyc")):
            archive.write(compiled, compiled.relative_to(scratch))
    shutil.rmtree(scratch)


def closure(requirements: Sequence[str]) -> set[str]:
    """The names of everything that requirements need."""
    found: set[str] = set()
    open_ones = [Requirement(text) for text in requirements]
    while open_ones:
        requirement = open_ones.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        if requirement.name not in found:
            found.add(requirement.name)
            needed = importlib_metadata.distribution(requirement.name).requires or []
            open_ones += [Requirement(text) for text in needed]
    return found


@pytest.fixture(scope="session")
def base_house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wheels of the core and of algo-plugins, of all that they need, and of pip."""
    own = {
        wheel.name.partition("-")[0]: wheel
        for wheel in wheels_of(tmp_path_factory, ".", "plugins/algo_plugins").iterdir()
    }
    core = own["algo_core"]

    def pack(folder: Path) -> None:
        folder.mkdir()
        for wheel in own.values():
            shutil.copy(wheel, folder)
        with zipfile.ZipFile(core) as archive:
            metadata = archive.read(f"{core.name.removesuffix('-py3-none-any.whl')}.dist-info/METADATA").decode()
        needs = [line.partition(": ")[2] for line in metadata.splitlines() if line.startswith("Requires-Dist: ")]
        for name in sorted({*closure([*needs, "hatchling", "editables"]), "pip"}):
            pack_installed(folder, name)
        for wheel in folder.iterdir():
            add_bytecode(wheel, folder.with_name("compiled"))

    return made_once(shared_directory(tmp_path_factory) / "house", pack)


@pytest.fixture
def house(base_house: Path, tmp_path: Path) -> House:
    """A copy of the wheels, to which a test adds its own."""
    folder = tmp_path / "house"
    folder.mkdir()
    for wheel in base_house.iterdir():
        os.link(wheel, folder / wheel.name)
    return House(folder)


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with uv, that of algo-local, and pipx."""

    def install(place: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
        pip = (sys.executable, "-m", "pip", "--python", place / "bin" / "python", "install", "--quiet", "--no-compile")
        subprocess.run([*pip, "--constraint", ROOT / "constraints.txt", "pipx"], check=True)
        (place / "bin" / "uv").symlink_to(Path(sys.executable).with_name("uv"))

    return made_once(shared_directory(tmp_path_factory) / "tools", install) / "bin"


@dataclass
class Place:
    """An environment with the core in it, and a home to run its `algo` in."""

    home: Home
    python: Path
    house: House

    def run(self, *arguments: str | Path, **options: Any) -> Result:
        return self.home.run(*arguments, **options)

    def install(self, *arguments: str | Path, **options: Any) -> Result:
        return self.run("plugins", "install", *arguments, **options)

    def versions(self) -> dict[str, str]:
        """What is installed."""
        code = (
            "import json, importlib.metadata as m;"
            "print(json.dumps({d.metadata['Name']: d.version for d in m.distributions()}))"
        )
        done = subprocess.run([self.python, "-I", "-c", code], capture_output=True, text=True, check=True)
        found: dict[str, str] = json.loads(done.stdout)
        return found

    @property
    def isolated(self) -> Path:
        return self.home.root / "data" / "isolated"


class PlacedHome(Home):
    """A home whose `algo` is that of another environment."""

    algo: Path

    def command(self, *arguments: str | Path) -> list[str]:
        return [str(self.algo), *map(str, arguments)]


MakePlace = Callable[[str], Place]


@pytest.fixture
def make_place(tmp_path: Path, house: House, tools: Path, caches: Path) -> Iterator[MakePlace]:
    """Makes an environment: `venv` (with pip), `bare` (without), `pipx`, `uv-tool`."""

    def make(kind: str) -> Place:
        home = PlacedHome(tmp_path / "home")
        path = os.pathsep.join([str(tmp_path / "bin"), "/usr/bin", "/bin"])
        drop = [
            name for name in home.environ if name.startswith(("PIP", "UV_")) or name in {"VIRTUAL_ENV", "PYTHONPATH"}
        ]
        for name in drop:
            del home.environ[name]
        home.environ |= {
            "PATH": path,
            "ALGO_DATA_DIR": str(home.root / "data"),
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(house.path),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_CACHE_DIR": "1",
            "PIP_NO_COMPILE": "1",  # the wheels have it
            "UV_OFFLINE": "1",
            "UV_FIND_LINKS": str(house.path),
            "UV_CACHE_DIR": str(caches / "uv"),
            "UV_TOOL_DIR": str(tmp_path / "tool"),
            "UV_TOOL_BIN_DIR": str(tmp_path / "tool-bin"),
            "PIPX_HOME": str(tmp_path / "pipx"),
            "PIPX_BIN_DIR": str(tmp_path / "pipx-bin"),
            "PIPX_SHARED_LIBS": str(caches / "pipx"),
            "PIPX_DISABLE_SHARED_LIBS_AUTO_UPGRADE": "1",
        }
        home.write_config(PROFILE)
        (tmp_path / "bin").mkdir(exist_ok=True)
        uv = str(tools / "uv")

        def run(*command: str | Path) -> None:
            done = subprocess.run(command, env=home.environ, capture_output=True, text=True)
            assert done.returncode == ExitCode.OK, done.stdout + done.stderr

        if kind in {"venv", "bare"}:
            place = tmp_path / "env"
            run(uv, "venv", "--python", sys.executable, place)
            with_pip = ["pip"] if kind == "venv" else []
            run(uv, "pip", "install", "--python", place / "bin" / "python", *OWN, *with_pip)
        elif kind == "pipx":
            made_once(caches / "pipx", make_with_pip)
            run(tools / "pipx", "install", "--backend", "pip", "--python", sys.executable, "algo-core")
            run(tools / "pipx", "inject", "algo-core", "algo-plugins")
            place = tmp_path / "pipx" / "venvs" / "algo-core"
        else:
            run(uv, "tool", "install", "--python", sys.executable, "--with", "algo-plugins", "algo-core")
            place = tmp_path / "tool" / "algo-core"
        for name in {"bare": ["uv"], "pipx": ["pipx"], "uv-tool": ["uv"]}.get(kind, []):
            (tmp_path / "bin" / name).symlink_to(tools / name)
        home.algo = place / "bin" / "algo"
        return Place(home, place / "bin" / "python", house)

    yield make
    shutil.rmtree(tmp_path / "home" / "data", ignore_errors=True)


@pytest.fixture(scope="session")
def caches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What uv and pipx keep for the next environment: unpacked wheels, and the pip that pipx installs with."""

    def make(directory: Path) -> None:
        directory.mkdir()

    return made_once(shared_directory(tmp_path_factory) / "caches", make)


@pytest.fixture
def venv(make_place: MakePlace) -> Place:
    """A virtual environment with pip."""
    return make_place("venv")


@pytest.fixture
def place(make_place: MakePlace) -> Place:
    """A virtual environment without pip: uv is quicker, for tests to which the tool does not matter."""
    return make_place("bare")
