"""Commands on a platform that has been moved: those that change it are refused, the others work."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import click
import pytest

from algo_core.errors import ExitCode
from algo_core.testing import Home
from algo_local.metadata.write_stop import stop_writes
from algo_local.platform import Platform
from algo_local.plugin import _NESTED
from algo_local.state import State

CHANGING = {
    "build remove": ("demo/Hello", "abcd"),
    "connector add": ("s3",),
    "connector remove": ("s3",),
    "data remove": ("demo/Hello", "--yes"),
    "dev": (".",),
    "env remove": ("abcd",),
    "key new": ("jane",),
    "key revoke": ("1",),
    "prune": (),
    "publish": (".", "jane/Other"),
    "reset": ("--secrets", "--yes"),
    "samples": ("LDA",),
}
"""Commands that change a platform, with arguments with which they would."""

OTHERS = {
    *("backup", "connector list", "connector test", "data list", "env list", "key list", "migrate", "restore", "serve"),
    *("shell", "status", "stop", "test", "top"),
}
"""Commands that read it, or that are about the whole of it and what lies elsewhere."""


def _commands() -> Iterator[str]:
    """All commands below `algo local`."""
    for name, (target, _) in _NESTED.items():
        module, _, attribute = target.partition(":")
        command = getattr(importlib.import_module(f"algo_local.commands.{module}"), attribute)
        yield from (f"{name} {each}" for each in command.commands) if isinstance(command, click.Group) else [name]


@pytest.fixture
def moved(algo_home: Home, tmp_path: Path) -> Home:
    algo_home.environ["ALGO_LOCAL_ROOT"] = str(tmp_path / "old")
    with closing(Platform(State(tmp_path / "old"))) as platform:
        stop_writes(platform.database, str(tmp_path / "new"), None)
    return algo_home


def test_every_command_is_listed() -> None:
    assert set(_commands()) == OTHERS | set(CHANGING)


def test_what_would_change_it_names_the_new_place(moved: Home, tmp_path: Path) -> None:
    for command, arguments in CHANGING.items():
        done = moved.run("local", *command.split(), *arguments)
        assert done.code == ExitCode.PLATFORM, (command, done.stderr)
        assert f"has been moved to {tmp_path / 'new'}" in done.stderr, (command, done.stderr)
        assert "algo local migrate --reopen" in done.stderr
    with closing(Platform(State(tmp_path / "old"))) as platform:
        assert not platform.keys.all()


def test_it_is_read_and_reopened(moved: Home) -> None:
    for command in ("status", "key list"):
        assert moved.run("local", *command.split()).code == ExitCode.OK, command
    assert moved.run("local", "migrate", "--reopen").code == ExitCode.OK
    assert moved.run("local", "key", "new", "jane").code == ExitCode.OK
