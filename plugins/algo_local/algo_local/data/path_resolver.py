"""Resolves paths of hosted data for a caller: special roots, collections and files (API sections 4.2, 4.3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from algo_core.errors import NotFoundError, RequestRefused
from algo_local.algorithms.visibility import visible_algorithm, visible_algorithms
from algo_local.callers import Caller
from algo_local.data.objects import SPACES, TEMP_SECONDS, Objects
from algo_local.metadata.store import EVERYBODY, OWN_ALGORITHMS, Acl, Metadata

if TYPE_CHECKING:
    from algo_local.algorithms.registry import Registry

DEFAULT = "default"
"""The name of the assigned collection in `data://.algo/default`."""


@dataclass(frozen=True, slots=True)
class Branch:
    """A root: a directory that holds only directories and cannot be changed."""

    folders: Callable[[], list[str]]
    owner: str | None = None
    """The account, if the directories are its collections."""


class Space(NamedTuple):
    """A directory that holds files: a collection, or one of the spaces that always exist."""

    path: str
    uri: str
    readable: bool
    writable: bool
    collection: tuple[str, str] | None = None
    """Owner and name of a collection; None for a space that always exists."""
    acl: Acl | None = None
    lifetime: float | None = None
    """Seconds after which its files are removed."""
    identifier: str = ""
    """The id of a collection."""


class FileLocation(NamedTuple):
    """The location of a file, which need not exist."""

    space: Space
    name: str
    uri: str


Location = Branch | Space | FileLocation


class PathResolver:
    """Resolves paths for the caller of a request."""

    def __init__(self, metadata: Metadata, registry: Callable[[], Registry], objects: Objects) -> None:
        self._metadata = metadata
        self._registry = registry
        self._objects = objects
        self._sessions: set[str] = set()

    def find(self, caller: Caller, parts: Sequence[str]) -> Location:
        """The location of a path, given as its components.

        Raises:
            NotFoundError: for an unknown account, collection or algorithm.
            RequestRefused: if it is not a path of hosted data.
        """
        if "." in parts or ".." in parts:
            raise RequestRefused("'.' and '..' are not allowed in a data URI")
        if not parts:
            return Branch(lambda: self._root(caller))
        if parts[0] == ".algo":
            return self._algorithm_data(caller, parts)
        if parts[0] == ".session":
            return self._session(caller, parts)
        return self._hosted(caller, parts)

    def _root(self, caller: Caller) -> list[str]:
        return [caller.account, ".algo", *([".session"] if caller.inside else [])]

    def _hosted(self, caller: Caller, parts: Sequence[str]) -> Location:
        owner = caller.account if parts[0] == ".my" else parts[0]
        if owner != caller.account and self._metadata.account(owner) != owner:
            raise NotFoundError(f"No account {owner}")
        if len(parts) == 1:
            return Branch(lambda: self._collections(caller, owner), owner)
        found = self._metadata.collection_named(owner, parts[1])
        uri = _uri(parts[:2])
        if found is None:
            raise NotFoundError(f"Directory {uri} does not exist")
        space = Space(
            self._objects.collection(owner, parts[1], found.id),
            uri,
            readable=_may_read(caller, owner, found.acl),
            writable=caller.acts_for(owner),
            collection=(owner, parts[1]),
            acl=found.acl,
            identifier=found.id,
        )
        return _within(space, parts, 2)

    def _collections(self, caller: Caller, owner: str) -> list[str]:
        return [name for name, acl in self._metadata.collections(owner) if _may_read(caller, owner, acl)]

    def _session(self, caller: Caller, parts: Sequence[str]) -> Location:
        if not caller.inside:
            raise NotFoundError("data://.session exists only while an algorithm runs, and only for algorithms")
        self._sessions.add(caller.inside.session)
        return _within(self._special(self._objects.session_space(caller.inside.session), parts[:1]), parts, 1)

    def forget_session(self, session: str) -> bool:
        """Forget a session; True if its path was ever resolved, otherwise it has no directory.

        Only this process resolves paths for the session's calls.
        """
        if session not in self._sessions:
            return False
        self._sessions.discard(session)
        return True

    def _algorithm_data(self, caller: Caller, parts: Sequence[str]) -> Location:
        if caller.inside and parts[1:2] == [DEFAULT]:
            return self._default_collection(caller, caller.inside.algorithm, parts)
        depth = 1
        if caller.inside and (len(parts) == 1 or parts[1] in SPACES):
            owner, name = caller.inside.algorithm
        elif len(parts) == 1:
            return Branch(lambda: sorted({found.owner for found in visible_algorithms(self._registry(), caller)}))
        elif len(parts) == 2:
            return self._algorithms_of(caller, parts[1])
        else:
            found = visible_algorithm(self._registry(), caller, parts[1], parts[2])
            if not found:
                raise NotFoundError(f"No algorithm {parts[1]}/{parts[2]}, hence no {_uri(parts)}")
            owner, name, depth = found.owner, found.name, 3
        if len(parts) == depth:
            return Branch(lambda: list(SPACES))
        kind = parts[depth]
        if kind not in SPACES:
            raise NotFoundError(f"{_uri(parts[: depth + 1])} does not exist; an algorithm has the spaces perm and temp")
        path = self._objects.algorithm_space(owner, name, kind, caller.account)
        space = self._special(path, parts[: depth + 1], TEMP_SECONDS if kind == "temp" else None)
        return _within(space, parts, depth + 1)

    def _default_collection(self, caller: Caller, algorithm: tuple[str, str], parts: Sequence[str]) -> Location:
        """The collection assigned to the calling algorithm (API section 4.9)."""
        found = self._registry().algorithm(*algorithm)
        collection = self._metadata.collection(found.default_collection or "") if found else None
        if not collection:
            raise NotFoundError(f"No collection is assigned to {'/'.join(algorithm)}, hence no {_uri(parts)}")
        return self._hosted(caller, [collection.owner, collection.name, *parts[2:]])

    def _algorithms_of(self, caller: Caller, owner: str) -> Branch:
        names = sorted(found.name for found in visible_algorithms(self._registry(), caller, owner))
        if not names:
            raise NotFoundError(
                f"data://.algo/{owner} does not exist; write data://.algo/OWNER/NAME/temp"
                if owner in SPACES
                else f"data://.algo/{owner} does not exist"
            )
        return Branch(lambda: names)

    def _special(self, path: str, parts: Sequence[str], lifetime: float | None = None) -> Space:
        return Space(path, _uri(parts), readable=True, writable=True, lifetime=lifetime)


def _within(space: Space, parts: Sequence[str], depth: int) -> Space | FileLocation:
    if len(parts) == depth:
        return space
    if len(parts) > depth + 1:
        raise NotFoundError(f"{_uri(parts)} cannot exist: hosted data has no folders inside {space.uri}")
    return FileLocation(space, parts[depth], _uri(parts))


def _uri(parts: Sequence[str]) -> str:
    return "data://" + "/".join(parts)


def _may_read(caller: Caller, owner: str, acl: Acl) -> bool:
    if caller.acts_for(owner) or acl == EVERYBODY:
        return True
    return acl == OWN_ALGORITHMS and caller.inside is not None and caller.inside.algorithm[0] == owner
