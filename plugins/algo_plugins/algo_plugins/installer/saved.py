"""What a change of the environment of `algo` replaces, kept so that it can be put back.

    PREFIX/.algo-plugins/preparing    being written, and worth nothing yet
    PREFIX/.algo-plugins/changing     a change is under way, or was interrupted
    PREFIX/.algo-plugins/kept/N       what the last change of some distributions replaced

Each is a directory with `manifest.json` and the replaced files, which are hard links where the file system has them:
tools replace files and do not write into them. One rename begins a change and one ends it, and putting back can be
repeated, so that whatever kills a process leaves a state that `Saved.pending` finds and `put_back` mends.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import asdict, dataclass, field
from email import message_from_string
from pathlib import Path
from typing import Any

from algo_core.files import replacing
from algo_core.plugins.recorded import CHANGES, CHANGING
from algo_plugins.installer.present import Distribution

PIPX = "pipx_metadata.json"

Installed = Callable[[], Mapping[str, Distribution]]
"""Reads what is installed."""


@dataclass
class Kept:
    """A distribution that a change replaces or adds: both versions, and the replaced files relative to the prefix."""

    name: str
    version: str
    previous: str | None
    files: list[str] = field(default_factory=list)


class Saved:
    """A saved state: one directory, as above."""

    def __init__(self, prefix: Path, folder: Path) -> None:
        self._prefix = prefix
        self.folder = folder
        manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
        self.distributions = [Kept(**kept) for kept in manifest["distributions"]]
        self._added: list[str] = manifest["added"]
        self._pipx: dict[str, Any] = manifest["pipx"]

    @classmethod
    def pending(cls, prefix: str) -> Saved | None:
        """The change that was begun and neither finished nor put back."""
        folder = Path(prefix, CHANGES, CHANGING)
        return cls(Path(prefix), folder) if folder.is_dir() else None

    @classmethod
    def all_kept(cls, prefix: str) -> list[Saved]:
        """What finished changes replaced, the newest first."""
        folders = [path for path in Path(prefix, CHANGES, "kept").glob("*") if path.name.isdecimal()]
        return [cls(Path(prefix), path) for path in sorted(folders, key=lambda path: int(path.name), reverse=True)]

    def put_back(self, installed: Installed) -> bool:
        """Undo the change, however far it went; whether anything differed."""
        differed = _remove(self._prefix, self._added, self._replaced)
        return self.place(self.distributions, installed) or differed

    def place(self, chosen: Sequence[Kept], installed: Installed) -> bool:
        """Put files of these distributions in the stead of those of the installed versions; whether any differed."""
        differed = False
        for kept in chosen:
            self._remove_put_aside(kept)
        current = installed()
        for kept in chosen:
            differed |= _remove(self._prefix, files_of(self._prefix, current.get(kept.name)), self._replaced)
            for path in kept.files:
                differed |= self._place(path)
        self._put_pipx({kept.name for kept in chosen})
        return differed

    @property
    def _replaced(self) -> set[str]:
        return {path for kept in self.distributions for path in kept.files}

    def _remove_put_aside(self, kept: Kept) -> None:
        """Remove what pip has put aside, as `~cme`, and could not put back itself."""
        for part in {part for path in kept.files for part in Path(path).parents if part.name}:
            stash = self._prefix / part.parent / f"~{part.name[1:]}"
            if stash.is_dir():
                shutil.rmtree(stash, ignore_errors=True)

    def _place(self, path: str) -> bool:
        source, target = self.folder / "files" / path, self._prefix / path
        if os.path.lexists(target) and os.path.samefile(source, target):
            return False
        target.parent.mkdir(parents=True, exist_ok=True)
        _forget_bytecode(target)
        beside = target.with_name(f".{target.name}.algo-plugins")
        beside.unlink(missing_ok=True)
        _link(source, beside)
        beside.replace(target)
        return True

    def _put_pipx(self, names: set[str]) -> None:
        """Give pipx its entries of these distributions back."""
        file = self._prefix / PIPX
        entries = {name: entry for name, entry in self._pipx.items() if name in names}
        if not entries:
            return
        metadata = json.loads(file.read_text("utf-8"))
        for name, entry in entries.items():
            metadata["injected_packages"].pop(name, None)
            if entry is not None:
                metadata["injected_packages"][name] = entry
        with replacing(file, durable=True) as out:
            out.write(json.dumps(metadata, indent=4, sort_keys=True).encode())

    def needs(self, kept: Kept) -> list[str]:
        """The requirements of the saved version of a distribution."""
        for path in kept.files:
            if path.endswith(".dist-info/METADATA"):
                text = (self.folder / "files" / path).read_text("utf-8", "replace")
                return [str(value) for value in message_from_string(text).get_all("Requires-Dist", [])]
        return []

    def discard(self) -> None:
        """Forget this state."""
        _discard(self.folder)

    def forget(self, names: Set[str]) -> None:
        """Forget what is kept of distributions that are gone."""
        for state in Saved.all_kept(str(self._prefix)):
            if {kept.name for kept in state.distributions if kept.previous} <= names:
                state.discard()

    def keep(self) -> None:
        """End a change: its replaced files stay for a rollback, instead of older ones of the same distributions."""
        names = {kept.name for kept in self.distributions if kept.previous}
        if not names:
            self.discard()
            return
        place = self._prefix / CHANGES / "kept"
        place.mkdir(exist_ok=True)
        newest = max((int(state.folder.name) for state in Saved.all_kept(str(self._prefix))), default=0)
        self.forget(names)
        self.folder = self.folder.rename(place / str(newest + 1))


def begin(prefix: str, kept: Sequence[Kept], may_add: Iterable[str], installed: Mapping[str, Distribution]) -> Saved:
    """Save the files of what a change replaces, and mark it as begun.

    `may_add` are paths that new versions may have; those that exist already are none that it adds.

    Raises:
        OSError: if they cannot be written.
    """
    home = Path(prefix, CHANGES)
    folder = home / "preparing"
    for left in [folder, *home.rglob(".gone-*")]:
        _discard(left)
    (folder / "files").mkdir(parents=True)
    for each in kept:
        each.files = files_of(Path(prefix), installed.get(each.name)) if each.previous else []
        for path in each.files:
            target = folder / "files" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            _link(Path(prefix, path), target)
    added = sorted({path for path in may_add if not os.path.lexists(os.path.join(prefix, path))})
    manifest = {"distributions": [asdict(each) for each in kept], "added": added, "pipx": _pipx(prefix, kept)}
    with (folder / "manifest.json").open("w", encoding="utf-8") as file:
        json.dump(manifest, file)
        file.flush()
        os.fsync(file.fileno())
    return Saved(Path(prefix), folder.rename(home / CHANGING))


def files_of(prefix: Path, distribution: Distribution | None) -> list[str]:
    """The files of an installed distribution that exist, relative to the environment; what lies outside is left out."""
    found = set()
    for path in distribution.files or () if distribution else ():
        file = Path(os.path.normpath(str(path.locate())))
        found.add(file)
        if file.parent.name.endswith(".dist-info"):
            found.update(file.parent.iterdir() if file.parent.is_dir() else ())
    root = prefix.resolve()
    inside = (file for file in found if file.is_file() and (file.is_relative_to(prefix) or file.is_relative_to(root)))
    return sorted(str(file.relative_to(prefix if file.is_relative_to(prefix) else root)) for file in inside)


def paths_of(staged: Path, prefix: str, site: str) -> Iterator[str]:
    """Where the files of a staging folder may be in the environment: beside other packages, or as programs and data."""
    for file in staged.rglob("*"):
        if file.is_file() and "__pycache__" not in file.parts:
            path = str(file.relative_to(staged))
            yield os.path.relpath(os.path.join(site, path), prefix)
            yield path


def _pipx(prefix: str, kept: Iterable[Kept]) -> dict[str, Any]:
    try:
        injected = json.loads(Path(prefix, PIPX).read_text("utf-8"))["injected_packages"]
    except (OSError, ValueError, KeyError):
        return {}
    return {each.name: injected.get(each.name) for each in kept}


def _remove(prefix: Path, paths: Iterable[str], but: Container[str]) -> bool:
    """Remove files, their bytecode, what a tool noted about them, and the directories that are empty then."""
    removed = False
    for path in paths:
        if path in but:
            continue
        file = prefix / path
        if os.path.lexists(file):
            removed = True
            file.unlink()
        _forget_bytecode(file)
        if file.parent.name.endswith(".dist-info") and file.name == "METADATA":
            shutil.rmtree(file.parent, ignore_errors=True)
        for folder in file.parents:
            if folder == prefix or not _is_removed_if_empty(folder):
                break
    return removed


def _is_removed_if_empty(folder: Path) -> bool:
    try:
        folder.rmdir()
    except OSError:
        return False
    return True


def _forget_bytecode(file: Path) -> None:
    """Python takes bytecode for that of a source with the same time and size."""
    if file.suffix == ".py":
        cache = file.parent / "__pycache__"
        for compiled in cache.glob(f"{file.stem}.*.pyc"):
            compiled.unlink(missing_ok=True)
        _is_removed_if_empty(cache)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)


def _discard(folder: Path) -> None:
    """Remove a directory; it has another name from the first moment on."""
    gone = folder.with_name(f".gone-{folder.name.removeprefix('.gone-')}")
    if folder.exists() and folder != gone:
        shutil.rmtree(gone, ignore_errors=True)
        folder.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)
