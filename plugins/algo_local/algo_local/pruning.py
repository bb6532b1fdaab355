"""Frees disk space (`algo local prune`): removes builds that no version names, environments that no build uses, and
leftovers.

Nothing that is in use is removed: workers hold the trees of their builds (`trees.in_use`), and builds keep
`Builder.building` until they are recorded. Trees are moved to the platform's trash first, so that no half of one is
ever found under its name.
"""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from algo_core.locks import is_held, locked_if_free
from algo_local.algorithms import drafts
from algo_local.algorithms.builds import Builds
from algo_local.algorithms.installation.installing import PACKAGES
from algo_local.execution.workers.process_tree import kill_marked
from algo_local.records.rows import BY_ALGORITHM, sweep
from algo_local.trees import Links, disk_use, remove_tree, unused

if TYPE_CHECKING:
    from algo_local.metadata.database import Rows
    from algo_local.platform import Platform

DAY = 86400.0
_HOUR = 3600.0

_OLD_BUILDS = f"""
SELECT b.id, a.owner || '/' || a.name, b.commit_hash, b.source FROM builds b JOIN algorithms a ON a.id = b.algorithm
WHERE b.status IN ('succeeded', 'failed') AND b.finished_at < ?
  AND NOT EXISTS (SELECT 1 FROM versions v WHERE v.build = b.id AND v.unpublished_at IS NULL)
  AND b.id != (SELECT n.id FROM builds n WHERE n.algorithm = b.algorithm AND n.status IN ('succeeded', 'failed')
               ORDER BY n.finished_at DESC, n.id LIMIT 1)
  AND b.id != coalesce((SELECT n.id FROM builds n WHERE n.algorithm = b.algorithm AND n.status = 'succeeded'
                        ORDER BY n.finished_at DESC, n.started_at DESC LIMIT 1), '')
  AND NOT EXISTS (SELECT 1 FROM requests r WHERE r.{BY_ALGORITHM} AND r.algorithm = b.algorithm
                  AND r.state IN ('queued', 'running'))
ORDER BY b.finished_at
"""
_UNFINISHED_TREES = (("sources", ".building-*"), ("repositories", ".checkout-*"), ("repositories", ".making-*"))


class _Undo(Exception):
    """Ends a transaction of a dry run."""


@dataclass(frozen=True, slots=True)
class Removed:
    """A part of the platform's state that was removed."""

    kind: str
    """`build`, `source`, `environment`, `packages`, `calls` or `leftover`."""
    name: str
    size: int
    """Bytes of disk."""


class Pruning:
    """One pass over the state of a platform."""

    def __init__(self, platform: Platform, *, older_than: float = DAY, dry_run: bool = False) -> None:
        """`older_than` is the age in seconds from which builds that no version names are removed."""
        self._platform = platform
        self._root = platform.root
        self._older_than = older_than
        self._dry_run = dry_run
        self._removed: list[Removed] = []
        self._links: Links = {}
        self.is_partial = False
        """Whether builds and environments were left alone, because an algorithm is being built."""
        self.in_use: list[Removed] = []
        """Trees that nobody needs but loaded algorithms, and that were therefore left; calls may or may not run."""

    def run(self) -> list[Removed]:
        """Remove what nobody needs, or with `dry_run` only find it.

        Raises:
            AlgoError: if the database cannot be used, or the platform has been moved elsewhere.
        """
        platform = self._platform
        if not self._dry_run:
            platform.check_writable()  # what nobody needs here may be needed where it has been moved
        platform.records.read(lambda rows: None)  # calls under way are on record, those of ended processes are lost
        with platform.builder.none_builds() as is_alone:
            self.is_partial = not is_alone
            if is_alone:
                self._prune_builds()
        self._prune_calls()
        for name, size in self._platform.objects.leftovers():
            if self._dry_run or self._platform.objects.remove_leftover(name):
                self._removed.append(Removed("leftover", name, size))
        self._prune_repositories()
        self._remove("leftover", _abandoned(self._root / drafts.DIRECTORY, "d-*"))
        for workspace in _abandoned(self._root / "processes", "p-*"):
            if not self._dry_run:
                kill_marked(f"HOME={workspace}/")
            self._remove("leftover", [workspace])
        self._remove("leftover", _leftovers(self._root))
        if not self._dry_run:
            platform.database.compact()
        return self._removed

    def _prune_builds(self) -> None:
        gone: list[str] = []

        def prune(rows: Rows) -> None:
            for identifier, algorithm, commit, source in rows.execute(
                _OLD_BUILDS, (self._platform.database.now() - self._older_than,)
            ).fetchall():
                with unused(self._root / source) if source else contextlib.nullcontext(True) as is_unused:
                    # One whose tree is gone already, or that never had one, is only a row.
                    if (is_unused or not (self._root / source).exists()) and Builds.remove(rows, identifier):
                        gone.append(f"{algorithm}/{commit}")
                    else:
                        self._keep("build", self._root / source)

        with self._transaction() as rows:
            prune(rows)
            named = {row[0] for row in rows.execute("SELECT source FROM builds UNION SELECT python FROM builds")}
        self._removed += [Removed("build", name, 0) for name in gone]
        for kind, paths in unnamed(self._root, named):
            self._remove_unused(kind, paths)
        self._prune_shared(named)
        self._remove("packages", (path for path in [self._root / PACKAGES] if path.is_dir() and any(path.iterdir())))
        unfinished = [path for place, pattern in _UNFINISHED_TREES for path in (self._root / place).glob(pattern)]
        self._remove("leftover", unfinished)

    def _prune_shared(self, named: set[str]) -> None:
        if not (shared := self._platform.shared_sources):
            return
        sources, environments = names_in(named)
        for directory, name, size in shared.unnamed(sources, environments):
            if self._dry_run or shared.remove(directory, name):
                self._removed.append(Removed("source", f"shared {directory}/{name}", size))

    def _prune_repositories(self) -> None:
        """Repositories of algorithms that are deleted, and those in the object store that no row names."""
        old = list(_older(sorted((self._root / "repositories").glob("*.git")), _HOUR))
        with self._platform.database.read() as rows:  # after the listing: what is made meanwhile is younger
            named = {row[0] for row in rows.execute("SELECT id FROM algorithms").fetchall()}
        for path in old:
            if path.stem not in named:
                self._remove("leftover", [path, *(path.parent.glob(f"{path.stem}.[!g]*"))])
        if not (shared := self._platform.shared_repositories):
            return
        for name, size in shared.unnamed():
            if not self._dry_run:
                shared.drop(name)
            self._removed.append(Removed("source", f"shared repositories/{name}", size))

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[Rows]:
        with contextlib.suppress(_Undo), self._platform.database.write() as rows:
            yield rows
            if self._dry_run:
                raise _Undo

    def _prune_calls(self) -> None:
        query = "SELECT count(*), coalesce((SELECT sum(size) FROM request_contents), 0) FROM requests"
        with self._transaction() as rows:
            before = rows.execute(query).fetchone()
            sweep(rows, self._platform.records.retention, self._platform.database.now())
            count, size = (old - new for old, new in zip(before, rows.execute(query).fetchone(), strict=True))
        if count or size:
            name = f"{count} calls" if count else "inputs and outputs of calls"
            self._removed.append(Removed("calls", name, size))

    def _remove_unused(self, kind: str, paths: Iterable[Path]) -> None:
        for path in paths:
            with unused(path) as is_unused:
                if is_unused:
                    self._remove(kind, [path])
                elif path.exists():
                    self._keep(kind, path)

    def _keep(self, kind: str, path: Path) -> None:
        self.in_use.append(Removed(kind, str(path.relative_to(self._root)), disk_use([path], only_freed=True)))

    def _remove(self, kind: str, paths: Iterable[Path]) -> None:
        for path in paths:
            # In a dry run, a file goes with the last of its names.
            size = disk_use([path], only_freed=True, links=self._links if self._dry_run else None)
            if not self._dry_run and not discard(self._root, path):
                continue
            self._removed.append(Removed(kind, str(path.relative_to(self._root)), size))


def unnamed(root: Path, named: set[str]) -> Iterator[tuple[str, list[Path]]]:
    """The source trees and environments that no build names; `named` is what rows have of trees and interpreters."""
    sources, environments = names_in(named)
    yield "source", [path for path in _directories(root / "sources") if path.name not in sources]
    yield "environment", [path for path in _directories(root / "environments") if path.name not in environments]


def names_in(named: set[str]) -> tuple[set[str], set[str]]:
    """The names of the source trees and environments in what rows have."""
    sources = {Path(name).name for name in named if name.startswith("sources/")}
    return sources, {Path(name).parts[1] for name in named if name.startswith("environments/")}


def _directories(directory: Path) -> list[Path]:
    with contextlib.suppress(OSError):
        return sorted(path for path in directory.iterdir() if path.is_dir() and not path.name.startswith("."))
    return []


def discard(root: Path, path: Path) -> bool:
    """Take a tree or file away at once, then delete it; whether that was possible."""
    try:
        if path.is_symlink() or not path.is_dir():
            path.unlink()
            return True
        aside = root / "trash" / uuid.uuid4().hex
        aside.parent.mkdir(mode=0o700, exist_ok=True)
        os.chmod(path, 0o700)
        os.rename(path, aside)
        for suffix in (".seal", ".lock"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
    except OSError:
        return False
    with contextlib.suppress(OSError):  # the next pass tries again
        remove_tree(aside)
    return True


def _leftovers(root: Path) -> Iterator[Path]:
    """What ended processes left behind, besides objects."""
    yield from sorted((root / "trash").glob("*"))
    # A process makes its file before it locks it.
    yield from (path for path in _older(sorted((root / "running").glob("*.lock")), _HOUR) if not is_held(path))


def _older(paths: Iterable[Path], seconds: float) -> Iterator[Path]:
    now = time.time()
    for path in paths:
        with contextlib.suppress(OSError):
            if now - os.lstat(path).st_mtime > seconds:
                yield path


def _abandoned(directory: Path, pattern: str) -> list[Path]:
    """The directories of processes that have ended."""
    if not directory.is_dir():
        return []
    with locked_if_free(directory / ".lock") as is_free:
        return [path for path in sorted(directory.glob(pattern)) if not is_held(path / "lock")] if is_free else []
