"""Making and removing the environments of isolated plugins (`algo_core.plugins.isolated`) and their executables.

An environment is made beside its place and renamed into it; that rename is what installs it. The executables in `bin/`
and the list of commands that `algo --help` reads follow from the environments: `settle` makes them so, and clears up
what an interrupted installation left.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from algo_core.errors import AlgoError, ConfigError
from algo_core.files import replacing
from algo_core.plugins.external import PREFIX
from algo_core.plugins.isolated import Isolated, facts_of, installed, python_of
from algo_core.settings.paths import ISOLATED_COMMANDS, ISOLATED_FACTS, isolated_dir
from algo_plugins.installer.tools import SAFE_PATH

BESIDE = ".new"
PREVIOUS = ".previous"
"""The end of the name under which the version before the last upgrade stays, for a rollback."""
RESERVED = frozenset({"bin", ISOLATED_COMMANDS})
"""Names in the directory that are no environment's."""


@contextmanager
def beside(environ: Mapping[str, str]) -> Iterator[Path]:
    """A new environment, without pip, that is removed at the end of the block unless it has been put into place.

    Raises:
        ConfigError: if the directory cannot be written.
        AlgoError: if the interpreter cannot make environments.
    """
    folder = Path(isolated_dir(environ))
    place = folder / BESIDE
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"Cannot write {folder}: {error.strerror}", "Set ALGO_DATA_DIR to another path") from None
    settle(environ)
    try:
        command = [sys.executable, *SAFE_PATH, "-m", "venv", "--without-pip", str(place)]
        done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, check=False)
        if done.returncode:
            last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
            raise AlgoError(f"{sys.executable} cannot make an environment: {''.join(last)}")
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def put_into_place(environ: Mapping[str, str], place: Path, plugin: Isolated) -> None:
    """Give a new environment its name, replacing an older one."""
    (place / ISOLATED_FACTS).write_text(json.dumps(asdict(plugin), indent=2), "utf-8")
    target = place.with_name(plugin.name)
    older = place.with_name(f".{plugin.name}.old")
    if target.exists():
        target.rename(older)
    try:
        place.rename(target)
    finally:
        settle(environ)


def previous(environ: Mapping[str, str], name: str) -> Isolated | None:
    """The version of an isolated plugin before its last upgrade, if that can run."""
    folder = f".{name}{PREVIOUS}"
    found = facts_of(environ, folder)
    return found if found and os.access(python_of(Path(isolated_dir(environ), folder)), os.X_OK) else None


def swap(environ: Mapping[str, str], name: str) -> None:
    """Put the previous version of an isolated plugin into place, and keep the current one as the previous."""
    folder = Path(isolated_dir(environ))
    try:
        (folder / name).rename(folder / f".{name}.old")
        (folder / f".{name}{PREVIOUS}").rename(folder / name)
    finally:
        settle(environ)


def remove(environ: Mapping[str, str], names: Iterable[str]) -> None:
    """Remove isolated plugins and their executables."""
    folder = Path(isolated_dir(environ))
    for name in names:
        (folder / name).rename(folder / f".{name}.gone")
    settle(environ)


def settle(environ: Mapping[str, str]) -> None:
    """Make executables and the list of commands fit the environments, and clear up what was interrupted."""
    folder = Path(isolated_dir(environ))
    for left in sorted(folder.glob(".*")):  # .old before .previous
        name = left.name[1:].rpartition(".")[0]
        kept = folder / f".{name}{PREVIOUS}"
        if left.suffix == ".old" and not (folder / name).exists():
            left.rename(folder / name)
        elif left.suffix == ".old" and _version(left) not in {None, _version(folder / name)}:
            if kept.exists():
                shutil.rmtree(kept.rename(folder / f".{name}.gone"), ignore_errors=True)
            left.rename(kept)
        elif left.suffix != PREVIOUS or not (folder / name).exists():
            shutil.rmtree(left, ignore_errors=True)
    lines, wanted = [], {}
    for plugin in installed(environ).values():
        for command, text in plugin.commands.items():
            executable = f"{PREFIX}{command}"
            if executable not in wanted:
                wanted[executable] = _launcher(folder / plugin.name, plugin, command)
                lines.append(f"{command}\t{' '.join(text.split())}\n")
    bin = folder / "bin"
    bin.mkdir(exist_ok=True)
    for file in bin.iterdir():
        if file.name not in wanted:
            file.unlink()
    for executable, text in wanted.items():
        _write(bin / executable, text, 0o755)
    _write(folder / ISOLATED_COMMANDS, "".join(lines), 0o644)


def _version(environment: Path) -> str | None:
    try:
        return str(json.loads((environment / ISOLATED_FACTS).read_text("utf-8"))["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(path: Path, text: str, mode: int) -> None:
    content = text.encode("utf-8")
    if not path.is_file() or path.read_bytes() != content:
        with replacing(path, mode=mode) as file:
            file.write(content)


def _launcher(environment: Path, plugin: Isolated, command: str) -> str:
    python = shlex.quote(python_of(environment))
    if command in plugin.scripts:
        # through the interpreter: the script's first line names the place where the environment was made
        words = shlex.quote(str(environment / "bin" / f"{PREFIX}{command}"))
    else:
        words = f"-m algo_core plugins run {shlex.quote(plugin.name)} {shlex.quote(command)}"
    return (
        f"#!/bin/sh\n# {command} of {plugin.name} {plugin.version}, in an environment of its own. "
        "Made by: algo plugins install --isolated\n"
        f"if [ ! -x {python} ]; then\n"
        f"    echo 'error: The environment of {plugin.name}, or its interpreter, is missing' >&2\n"
        "    echo 'hint: Reinstall it with: `algo plugins restore`' >&2\n    exit 8\nfi\n"
        f'exec {python} -I {words} "$@"\n'
    )
