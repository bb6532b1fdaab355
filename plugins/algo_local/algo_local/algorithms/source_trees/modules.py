"""Finds the file of an algorithm in JavaScript or R among candidates."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from algo_local.algorithms.build import BuildError
from algo_local.algorithms.configuration import NAME


def first_module(directory: Path, candidates: Iterable[str], endings: Collection[str]) -> str | None:
    """The first candidate that is a file within a directory, with an ending or without its own; relative to it."""
    root = directory.resolve()
    for candidate in candidates:
        for ending in ("", *endings):
            path = directory / f"{candidate}{ending}"
            if path.suffix in endings and path.is_file() and path.resolve().is_relative_to(root):
                return path.resolve().relative_to(root).as_posix()
    return None


def missing_entry_point(said: str, candidate: str, ending: str) -> BuildError:
    """The error for a configured entry point (`said`) whose file does not exist."""
    missing = said.removeprefix("./") if "/" in said else f"{candidate}{ending}"
    return BuildError(
        f"There is no {missing}, which {NAME} names as the entry point", f"Correct 'entry_point' in {NAME}"
    )
