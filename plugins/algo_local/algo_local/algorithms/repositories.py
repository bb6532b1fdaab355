"""The platform's own git repository of each algorithm: its sources and their history (API section 6.5).

A repository is bare, and made when it is first asked for: with what the algorithm was last built from, or else with the
template of its environment. Builds are made of commits; the branch that counts is the one that `HEAD` names.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from algo_core.locks import locked
from algo_local.algorithms.fetching import fetch
from algo_local.algorithms.source_trees.archives import FILE, LINK, PROGRAM, TreeEntry, checked_name
from algo_local.error_codes import ErrorCode
from algo_local.refusals import Invalid, Missing
from algo_local.trees import remove_abandoned, remove_tree

if TYPE_CHECKING:
    from dulwich.objects import Commit, ObjectID
    from dulwich.repo import Repo

    from algo_local.algorithms.registry import Algorithm, Registry
    from algo_local.metadata.scms import Scms, Source

BRANCH = b"refs/heads/master"
_SUBMODULE = 0o160000
_COMMIT = re.compile(r"[0-9a-f]{40}")


class Repositories:
    """The repositories below one directory, named by the ids of their algorithms."""

    def __init__(self, root: Path, registry: Registry, scms: Scms) -> None:
        self._root = root
        self._registry = registry
        self._scms = scms

    def path(self, algorithm: Algorithm) -> Path:
        """The path of an algorithm's repository, which need not exist."""
        return self._root / f"{algorithm.id}.git"

    @contextmanager
    def open(self, algorithm: Algorithm, *, changing: bool = False) -> Iterator[Repo]:
        """The repository of an algorithm, with its first commit at least; with `changing`, others wait meanwhile."""
        from dulwich.repo import Repo

        path = self.path(algorithm)
        if not path.is_dir():
            self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
            with locked(self._lock(algorithm)):
                if not path.is_dir():
                    self._make(algorithm, path, self.origin(algorithm))
        with locked(self._lock(algorithm)) if changing else nullcontext():
            if changing:
                _unlock(path)
            with Repo(str(path)) as repository:
                yield repository

    def commit(self, algorithm: Algorithm, entries: Iterable[TreeEntry], author: str, message: str) -> str:
        """Commit a tree and return the commit's id; an unchanged tree returns the newest commit's.

        Raises:
            Invalid: if the entries are no tree, or the algorithm has its sources elsewhere.
        """
        if self.origin(algorithm):
            message = "The sources of this algorithm are on another host: change them there"
            raise Invalid(message, ErrorCode.ONLY_INTERNAL_SCM_MAY_MODIFY_CODE)
        with self.open(algorithm, changing=True) as repository:
            parent = _head(repository)
            tree = _store_tree(repository, entries)
            if parent and _commit_of(repository, parent).tree == tree:
                return parent.decode()
            return _add_commit(repository, tree, parent, author, message, time.time())

    def origin(self, algorithm: Algorithm) -> Source | None:
        """The external source of an algorithm's repository, of which the local one is a copy; None without one."""
        return self._scms.source(algorithm.id, algorithm.owner)

    def refresh(self, algorithm: Algorithm) -> None:
        """Fetch new commits from an algorithm's external source, if it has one.

        Raises:
            Invalid: if that fails.
        """
        origin = self.origin(algorithm)
        if origin and self.path(algorithm).is_dir():
            with self.open(algorithm, changing=True) as repository:
                fetch(repository, origin)

    def record(self, algorithm: Algorithm, source: Path, author: str, message: str) -> None:
        """Commit a source tree that was published from a directory, if the repository exists."""
        if self.path(algorithm).is_dir() and not self.origin(algorithm):
            self.commit(algorithm, directory_entries(source), author, message)

    def newest(self, algorithm: Algorithm) -> str:
        """The id of the newest commit. Raises Missing if the branch was deleted."""
        with self.open(algorithm) as repository:
            head = _head(repository)
        if not head:
            raise Missing("The repository has no commit", ErrorCode.INVALID_REQUEST)
        return head.decode()

    def log(self, algorithm: Algorithm, since: str = "", until: str = "") -> list[Commit]:
        """The commits from `since`, which is included, to `until`, newest first; all without them.

        Raises:
            Missing: if there is no such commit.
        """
        with self.open(algorithm) as repository:
            last = _known(repository, until or self.newest(algorithm))
            first = _known(repository, since) if since else None
            parents = list(_commit_of(repository, first).parents) if first else []
            return [entry.commit for entry in repository.get_walker(include=[last], exclude=parents)]

    @contextmanager
    def checkout(self, algorithm: Algorithm, commit: str) -> Iterator[Path]:
        """A directory with the files of a commit, for as long as it is used. Missing if there is no such commit."""
        with self.open(algorithm) as repository:
            tree = _commit_of(repository, _known(repository, commit)).tree
            remove_abandoned(self._root, ".checkout-*")
            with tempfile.TemporaryDirectory(prefix=".checkout-", dir=self._root) as scratch:
                directory = Path(scratch, algorithm.name)
                _write_tree(repository, tree, directory)
                yield directory

    def _lock(self, algorithm: Algorithm) -> Path:
        return self._root / f"{algorithm.id}.lock"

    def discard(self, algorithm: Algorithm) -> None:
        """Remove the repository of an algorithm that is deleted."""
        remove_tree(self.path(algorithm))
        self._lock(algorithm).unlink(missing_ok=True)

    def _make(self, algorithm: Algorithm, path: Path, origin: Source | None) -> None:
        from dulwich.refs import HEADREF, Ref
        from dulwich.repo import Repo

        remove_abandoned(self._root, ".making-*")
        unfinished = Path(tempfile.mkdtemp(prefix=".making-", dir=self._root))
        try:
            bare = unfinished / "bare"
            with Repo.init_bare(str(bare), mkdir=True) as repository:
                repository.refs.set_symbolic_ref(HEADREF, Ref(BRANCH))
                if origin:
                    fetch(repository, origin)
                else:
                    tree = _store_tree(repository, self._first_entries(algorithm))
                    _add_commit(repository, tree, None, algorithm.owner, "Initial commit", algorithm.created_at)
            os.rename(bare, path)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)

    def _first_entries(self, algorithm: Algorithm) -> Iterable[TreeEntry]:
        newest = self._registry.newest_build(algorithm)
        if newest and newest.build.source.is_dir():
            return directory_entries(newest.build.source)
        from algo_local.algorithms.catalog import template_files

        names = ((b"__USER__", algorithm.owner.encode()), (b"__ALGO__", algorithm.name.encode()))
        return [
            TreeEntry(_replaced(name.encode(), names).decode(), FILE, _replaced(content, names))
            for name, content in template_files(algorithm.algorithm_environment, algorithm.language)
        ]


def _unlock(path: Path) -> None:
    """Remove the locks and unfinished packs that killed processes have left in a repository: our own lock is held."""
    for parent, _, names in os.walk(path):
        for name in names:
            if name.endswith(".lock") or name.startswith("tmp_pack_"):
                with suppress(FileNotFoundError):
                    os.unlink(os.path.join(parent, name))


def directory_entries(root: Path) -> Iterator[TreeEntry]:
    """The entries of a source tree on disk, without compiled files."""
    for parent, directories, names in os.walk(root):
        directories[:] = [name for name in directories if name not in {"__pycache__", ".git"}]
        linked = [name for name in directories if os.path.islink(os.path.join(parent, name))]
        for name in names + linked:
            path = os.path.join(parent, name)
            relative = os.path.relpath(path, root)
            if os.path.islink(path):
                yield TreeEntry(relative, LINK, os.fsencode(os.readlink(path)))
            else:
                mode = PROGRAM if os.stat(path).st_mode & 0o111 else FILE
                yield TreeEntry(relative, mode, Path(path).read_bytes())


def _replaced(text: bytes, names: Iterable[tuple[bytes, bytes]]) -> bytes:
    for placeholder, name in names:
        text = text.replace(placeholder, name)
    return text


def _store_tree(repository: Repo, entries: Iterable[TreeEntry]) -> ObjectID:
    from dulwich.index import commit_tree
    from dulwich.objects import Blob

    blobs: dict[bytes, tuple[ObjectID, int]] = {}
    directories: set[bytes] = set()
    for entry in entries:
        name = checked_name(entry.name).encode("utf-8")
        blob = Blob.from_string(entry.content)
        repository.object_store.add_object(blob)
        blobs[name] = (blob.id, entry.mode)
        parts = name.split(b"/")
        directories.update(b"/".join(parts[:end]) for end in range(1, len(parts)))
    if both := directories & set(blobs):
        raise Invalid(f"{min(both).decode()} is a file and a directory as well", ErrorCode.INVALID_FILE_UPLOAD)
    return commit_tree(repository.object_store, [(name, *found) for name, found in sorted(blobs.items())])


def _add_commit(
    repository: Repo, tree: ObjectID, parent: ObjectID | None, author: str, message: str, moment: float
) -> str:
    from dulwich.objects import Commit
    from dulwich.refs import HEADREF

    commit = Commit()
    commit.tree = tree
    commit.parents = [parent] if parent else []
    commit.author = commit.committer = f"{author} <{author}>".encode()
    commit.author_time = commit.commit_time = int(moment)
    commit.author_timezone = commit.commit_timezone = 0
    commit.encoding = b"UTF-8"
    commit.message = message.encode("utf-8", "replace") + b"\n"
    repository.object_store.add_object(commit)
    branch = repository.refs.follow(HEADREF)[0][-1]
    if not repository.refs.set_if_equals(branch, parent, commit.id):
        raise Invalid("The repository was changed in the meantime: try again", ErrorCode.INVALID_REQUEST)
    return commit.id.decode()


def _head(repository: Repo) -> ObjectID | None:
    """The newest commit; None if the branch was deleted."""
    from dulwich.refs import HEADREF

    try:
        return repository.refs[HEADREF]
    except KeyError:
        return None


def _known(repository: Repo, commit: str) -> ObjectID:
    from dulwich.objects import Commit

    identifier: ObjectID = commit.encode("ascii", "replace")  # type: ignore[assignment]  # 40 digits, or none of them
    if not _COMMIT.fullmatch(commit) or identifier not in repository.object_store:
        raise Missing(f"No commit {commit[:50]} in the algorithm's repository", ErrorCode.INVALID_REQUEST)
    if not isinstance(repository.object_store[identifier], Commit):
        raise Missing(f"{commit} is not a commit", ErrorCode.INVALID_REQUEST)
    return identifier


def _commit_of(repository: Repo, identifier: ObjectID) -> Commit:
    from dulwich.objects import Commit

    found = repository.object_store[identifier]
    assert isinstance(found, Commit)
    return found


def _write_tree(repository: Repo, tree: ObjectID, directory: Path) -> None:
    """Write a tree into a new directory. Names are checked, since they come from pushed commits."""
    from dulwich.objects import Blob, Tree

    directory.mkdir()
    found = repository.object_store[tree]
    assert isinstance(found, Tree)
    for raw, mode, identifier in found.items():
        assert raw is not None
        assert mode is not None
        assert identifier is not None
        name = raw.decode("utf-8", "surrogateescape")
        if "/" in name or name != checked_name(name):
            raise Invalid(f"Not a name in a source tree: {name[:100]!r}", ErrorCode.INVALID_REQUEST)
        path = directory / name
        content = repository.object_store[identifier] if mode != _SUBMODULE else None
        if isinstance(content, Tree):
            _write_tree(repository, content.id, path)
        elif isinstance(content, Blob) and mode & 0o170000 == LINK:
            os.symlink(os.fsdecode(content.data), path)
        elif isinstance(content, Blob):
            path.write_bytes(content.data)
            path.chmod(0o755 if mode & 0o111 else 0o644)
        else:
            raise Invalid(f"{name} is a submodule, which is not built", ErrorCode.INVALID_REQUEST)
