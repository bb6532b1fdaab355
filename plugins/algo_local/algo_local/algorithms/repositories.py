"""The platform's own git repository of each algorithm: its sources and their history (API section 6.5).

A repository is bare, and made when it is first asked for: with what the algorithm was last built from, or else with the
template of its environment. Builds are made of commits; the branch that counts is the one that `HEAD` names.

Where several machines share repositories, each has copies, which follow the shared state before they are read. A change
is made to a draft, and is nobody's until the shared state is that of the draft.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from algo_core.files import replacing
from algo_core.locks import locked
from algo_local.algorithms.fetching import fetch
from algo_local.algorithms.repository_files import branches_of, bring_to, copy_to
from algo_local.algorithms.source_trees.archives import FILE, LINK, PROGRAM, TreeEntry, checked_name
from algo_local.error_codes import ErrorCode
from algo_local.permissions import notify
from algo_local.refusals import Invalid, Missing, StorageUnavailable
from algo_local.trees import remove_abandoned, remove_tree

if TYPE_CHECKING:
    from dulwich.objects import Commit, ObjectID
    from dulwich.repo import Repo

    from algo_local.algorithms.registry import Algorithm, Registry
    from algo_local.metadata.scms import Scms, Source

BRANCH = b"refs/heads/master"
_SUBMODULE = 0o160000
_COMMIT = re.compile(r"[0-9a-f]{40}")
_UNFINISHED = ""
"""The note of a copy that is being brought to another state."""

_TRIES = 100
"""How often a change is made anew because another machine was faster."""

_T = TypeVar("_T")


class Copy(NamedTuple):
    """The repository of an algorithm on this machine, in the shared state `name`."""

    name: str
    path: Path


class Shared(Protocol):
    """Where front ends on several machines find each other's repositories. All raise StorageUnavailable."""

    def current(self, algorithm: str) -> str | None:
        """The name of the state that an algorithm's repository is in now; None if it was never stored."""

    def keep(self, algorithm: str, draft: Path, before: Copy | None = None) -> str:
        """Store what a draft has and the state `before` has not, and return the name of the draft's state.

        It is nobody's until `replace`.
        """

    def replace(self, algorithm: str, before: str | None, name: str, stored_at: float) -> bool:
        """Make what is stored the repository; False if another state than `before` is by now. Missing if it is gone."""

    def fetch(self, name: str, draft: Path, copy: Copy | None = None) -> bool:
        """Make a repository of what is stored, and of a copy of an older state; False if that is not there."""

    def drop(self, name: str, kept: str | None = None) -> None:
        """Remove a state that is nobody's, but for what the state `kept` has as well."""

    def discard(self, algorithm: str, name: str | None) -> None:
        """Remove what is stored of an algorithm that was deleted; `name` is a state that it was in."""


class Repositories:
    """The repositories below one directory, named by ids of algorithms; `shared` is what all machines have."""

    def __init__(self, root: Path, registry: Registry, scms: Scms, shared: Shared | None = None) -> None:
        self._root = root
        self._registry = registry
        self._scms = scms
        self._shared = shared

    def path(self, identifier: str) -> Path:
        """The path of an algorithm's repository, which need not exist."""
        return self._root / f"{identifier}.git"

    @contextmanager
    def open(self, algorithm: Algorithm) -> Iterator[Repo]:
        """The repository of an algorithm to read from, with its first commit at least."""
        from dulwich.repo import Repo

        path = self.path(algorithm.id)
        if self._shared and not self._follows(algorithm.id, self._shared.current(algorithm.id)):
            with self._locked(algorithm.id):
                self._follow(self._shared, algorithm)
        elif not path.is_dir():
            with self._locked(algorithm.id):
                if not path.is_dir():
                    self._make(algorithm, path)
        with Repo(str(path)) as repository:
            yield repository

    def change(self, algorithm: Algorithm, work: Callable[[Repo], _T]) -> _T:
        """Have `work` change an algorithm's repository, and return what it returns; others wait meanwhile.

        Where machines share repositories, it is repeated on the newer state if another machine was faster.

        Raises:
            StorageUnavailable: if the shared state cannot be used, or others change it all the time.
            Missing: if the algorithm was deleted meanwhile.
        """
        from dulwich.repo import Repo

        path = self.path(algorithm.id)
        with self._locked(algorithm.id):
            if self._shared:
                return self._change_shared(self._shared, algorithm, work)
            if path.is_dir():
                _unlock(path)
            else:
                self._make(algorithm, path)
            self._note(algorithm.id).unlink(missing_ok=True)  # if machines shared it before: now it is not a copy
            with Repo(str(path)) as repository:
                return work(repository)

    @contextmanager
    def unchanged(self, identifier: str) -> Iterator[Path | None]:
        """The repository of an algorithm, by its id, that nobody here changes within the block; None without one.

        Raises:
            StorageUnavailable: if the shared state cannot be used.
        """
        content = self._shared.current(identifier) if self._shared else None
        if content is None and not self.path(identifier).is_dir():
            yield None
            return
        with self._locked(identifier):
            if self._shared:
                self._fetch(self._shared, identifier)
            yield self.path(identifier)

    def share(self) -> None:
        """Store the repositories that were made here before there was a place to share them, unless others did.

        Raises:
            StorageUnavailable: if they cannot be stored now; another call goes on.
        """
        if not self._shared:
            return
        for path in self._root.glob("*.git"):
            if self._note(path.stem).exists() or self._shared.current(path.stem):
                continue
            if algorithm := self._registry.algorithm(path.stem):
                with self.open(algorithm):
                    pass

    def commit(self, algorithm: Algorithm, entries: Iterable[TreeEntry], author: str, message: str) -> str:
        """Commit a tree and return the commit's id; an unchanged tree returns the newest commit's.

        Raises:
            Invalid: if the entries are no tree, or the algorithm has its sources elsewhere.
        """
        if self.origin(algorithm):
            message = "The sources of this algorithm are on another host: change them there"
            raise Invalid(message, ErrorCode.ONLY_INTERNAL_SCM_MAY_MODIFY_CODE)
        given = list(entries)

        def work(repository: Repo) -> str:
            parent = _head(repository)
            tree = _store_tree(repository, given)
            if parent and _commit_of(repository, parent).tree == tree:
                return parent.decode()
            return _add_commit(repository, tree, parent, author, message, time.time())

        return self.change(algorithm, work)

    def origin(self, algorithm: Algorithm) -> Source | None:
        """The external source of an algorithm's repository, of which the local one is a copy; None without one."""
        return self._scms.source(algorithm.id, algorithm.owner)

    def refresh(self, algorithm: Algorithm) -> None:
        """Fetch new commits from an algorithm's external source, if it has one.

        Raises:
            Invalid: if that fails.
        """
        origin = self.origin(algorithm)
        if origin and self._exists(algorithm):
            self.change(algorithm, lambda repository: fetch(repository, origin))

    def record(self, algorithm: Algorithm, source: Path, author: str, message: str) -> None:
        """Commit a source tree that was published from a directory, if the repository exists."""
        if self._exists(algorithm) and not self.origin(algorithm):
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
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        remove_abandoned(self._root, ".checkout-*")
        with tempfile.TemporaryDirectory(prefix=".checkout-", dir=self._root) as scratch:
            directory = Path(scratch, algorithm.name)
            with self.open(algorithm) as repository:
                _write_tree(repository, _commit_of(repository, _known(repository, commit)).tree, directory)
            yield directory

    def discard(self, algorithm: Algorithm) -> None:
        """Remove the repository of an algorithm that is deleted."""
        if self._shared:
            self._shared.discard(algorithm.id, self._noted(algorithm.id))
        remove_tree(self.path(algorithm.id))
        for path in (self._note(algorithm.id), self._lock(algorithm.id)):
            path.unlink(missing_ok=True)

    def _exists(self, algorithm: Algorithm) -> bool:
        return self.path(algorithm.id).is_dir() or bool(self._shared and self._shared.current(algorithm.id))

    def _lock(self, identifier: str) -> Path:
        return self._root / f"{identifier}.lock"

    @contextmanager
    def _locked(self, identifier: str) -> Iterator[None]:
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        with locked(self._lock(identifier)):
            yield

    # Of what machines share, each has a copy and a note with the name of the state that it is a copy of.

    def _note(self, identifier: str) -> Path:
        return self._root / f"{identifier}.shared"

    def _noted(self, identifier: str) -> str | None:
        try:
            return self._note(identifier).read_bytes().decode("ascii", "replace")
        except FileNotFoundError:
            return None

    def _copy(self, identifier: str) -> Copy | None:
        name, path = self._noted(identifier), self.path(identifier)
        return Copy(name, path) if name and path.is_dir() else None

    def _follows(self, identifier: str, name: str | None) -> bool:
        return name is not None and name == self._noted(identifier) and self.path(identifier).is_dir()

    def _follow(self, shared: Shared, algorithm: Algorithm) -> str:
        """Have the copy here be what is shared, which is made if nobody has; its name. The lock is held."""
        path = self.path(algorithm.id)
        while not (name := self._fetch(shared, algorithm.id)):
            with self._draft() as draft:
                if path.is_dir():
                    copy_to(path, draft)
                else:
                    self._make(algorithm, draft)
                self._take_effect(shared, algorithm.id, None, draft)
        return name

    def _fetch(self, shared: Shared, identifier: str) -> str | None:
        """Have the copy here be what is shared; its name, or None if nothing is. The lock is held."""
        before = None
        while True:
            name = shared.current(identifier)
            if name is None or self._follows(identifier, name):
                return name
            with self._draft() as draft:
                if shared.fetch(name, draft, self._copy(identifier)):
                    self._keep_own(identifier, draft)
                    self._bring(identifier, draft, name)
                    return name
            if name == before:
                raise StorageUnavailable(
                    f"The repository of an algorithm is not in the object store: {name}",
                    "Restore it there, or the platform from a backup",
                )
            before = name

    def _change_shared(self, shared: Shared, algorithm: Algorithm, work: Callable[[Repo], _T]) -> _T:
        from dulwich.repo import Repo

        for _ in range(_TRIES):
            before = self._follow(shared, algorithm)
            with self._draft() as draft:
                copy_to(self.path(algorithm.id), draft)
                branches = branches_of(draft)
                with Repo(str(draft)) as repository:
                    done = work(repository)
                if branches_of(draft) == branches or self._take_effect(shared, algorithm.id, before, draft):
                    return done
        raise StorageUnavailable(
            f"The repository of {algorithm.owner}/{algorithm.name} is being changed by other processes",
            "Try again in a moment",
        )

    def _take_effect(self, shared: Shared, identifier: str, before: str | None, draft: Path) -> bool:
        """Make a draft the repository of all machines; False, and nothing has changed, if another one was faster."""
        now = time.time()
        name = shared.keep(identifier, draft, self._copy(identifier) if before else None)
        if not shared.replace(identifier, before, name, now):
            shared.drop(name, before)
            return False
        self._bring(identifier, draft, name)
        if before:
            shared.drop(before, name)
        return True

    def _bring(self, identifier: str, draft: Path, name: str) -> None:
        self._write_note(identifier, _UNFINISHED)
        bring_to(self.path(identifier), draft)
        self._write_note(identifier, name)

    def _write_note(self, identifier: str, text: str) -> None:
        with replacing(self._note(identifier), mode=0o600) as file:
            file.write(text.encode("ascii"))

    def _keep_own(self, identifier: str, draft: Path) -> None:
        """Keep what was changed here while nothing was shared, if the shared state is without it. The lock is held."""
        path = self.path(identifier)
        if self._note(identifier).exists() or not path.is_dir():
            return
        from dulwich.repo import Repo

        with Repo(str(path)) as own, Repo(str(draft)) as theirs:
            if all(commit in theirs.object_store for commit in own.get_refs().values()):
                return
        kept = self._root / f"{identifier}.own-{int(time.time())}"
        copy_to(path, kept)
        notify(f"A repository had commits that other machines do not have: they are kept in {kept}")

    @contextmanager
    def _draft(self) -> Iterator[Path]:
        """The path of a repository that nobody has yet."""
        remove_abandoned(self._root, ".draft-*")
        with tempfile.TemporaryDirectory(prefix=".draft-", dir=self._root) as scratch:
            yield Path(scratch, "bare")

    def _make(self, algorithm: Algorithm, path: Path) -> None:
        """Make a repository with its first commit. The lock is held."""
        from dulwich.refs import HEADREF, Ref
        from dulwich.repo import Repo

        remove_abandoned(self._root, ".making-*")
        unfinished = Path(tempfile.mkdtemp(prefix=".making-", dir=self._root))
        try:
            bare = unfinished / "bare"
            with Repo.init_bare(str(bare), mkdir=True) as repository:
                repository.refs.set_symbolic_ref(HEADREF, Ref(BRANCH))
                if origin := self.origin(algorithm):
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
