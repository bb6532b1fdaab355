"""From sources and a destination to transfers, one at a time, so that copying starts before a listing has ended."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from algo_core.errors import AlgoError, NotFoundError, UsageError
from algo_core.storage import IsADirectory, NotADirectory, Storage
from algo_core.uri import DataUri
from algo_data.engine.streams import STREAM
from algo_data.globs import expand, has_magic


@dataclass(frozen=True)
class Place:
    """A URI and the storage that it is in."""

    storage: Storage
    uri: DataUri

    def __str__(self) -> str:
        return "-" if self.uri == STREAM else str(self.uri)


@dataclass(frozen=True)
class Transfer:
    """One file to copy."""

    source: Place
    target: Place


StorageOf = Callable[[DataUri], Storage]
Refuse = Callable[[object, AlgoError], None]


def plan(sources: Sequence[DataUri], destination: DataUri, storage_of: StorageOf, refuse: Refuse) -> Iterator[Transfer]:
    """The transfers that copy `sources` to `destination`.

    The destination is looked up once, before anything is copied. If it is a directory, each file goes into it under
    its own name; else it is the name of the copy, and there can be only one. A source that cannot be copied is told to
    `refuse`, and the others go on.

    Raises:
        UsageError: for several sources and one file, or what can have no name.
        NotFoundError: for a directory that is not there, or a pattern that matches nothing.
    """
    if sources.count(STREAM) > 1:
        raise UsageError("Standard input can be copied only once")
    found = _sources(sources, storage_of, refuse)
    first = list(itertools.islice(found, 2))
    is_several = len(sources) > 1 or len(first) > 1
    target = Place(storage_of(destination), destination)
    into = _directory(target, is_several)
    if into and STREAM in sources:
        raise UsageError("What comes from standard input has no name", f"Name the file: {into.uri.child('NAME')}")
    # Names can clash only between what several sources give: one listing has each of them once, however long it is.
    made: set[str] | None = set() if len(sources) > 1 else None
    return _transfers(itertools.chain(first, found), target, into, made, refuse)


def _sources(uris: Sequence[DataUri], storage_of: StorageOf, refuse: Refuse) -> Iterator[Place]:
    for uri in uris:
        try:
            storage = storage_of(uri)
            if uri == STREAM or not has_magic(uri):
                if uri != STREAM and uri.names_directory:
                    raise IsADirectory(f"{uri} is a directory")
                yield Place(storage, uri)
                continue
            for entry in expand(storage, uri):
                if entry.is_directory:
                    refuse(entry.uri, IsADirectory(f"{entry.uri} is a directory"))
                else:
                    yield Place(storage, entry.uri)
        except AlgoError as error:
            refuse(uri, error)


def _directory(target: Place, is_several: bool) -> Place | None:
    """The target if it is a directory, or has to be one.

    Raises:
        UsageError: if it has to be and is a file.
        NotFoundError: if it has to be and is not there.
    """
    uri = target.uri
    if uri == STREAM:
        if is_several:
            raise UsageError("Only one file can be copied to standard output", "Print several with: algo cat")
        return None
    try:
        entry = target.storage.exists(uri)
        is_file = entry is not None and not entry.is_directory
    except NotADirectory:
        entry, is_file = None, True
    if entry and entry.is_directory:
        return target
    if is_file and (is_several or uri.names_directory):
        why = "Several files can only be copied into a directory" if is_several else "Write it without a slash"
        raise UsageError(f"{uri} is a file", why)
    if is_several or uri.names_directory:
        command = "mkdir -p" if uri.is_local else "algo mkdir"
        raise NotFoundError(f"There is no directory {uri}", f"Make it with: {command} {uri}")
    if not uri.is_local and "*" in uri.name:
        raise UsageError(f"A destination cannot be a pattern: {uri}")
    return None


def _transfers(
    sources: Iterable[Place], target: Place, into: Place | None, made: set[str] | None, refuse: Refuse
) -> Iterator[Transfer]:
    for source in sources:
        name = source.uri.name
        place = Place(into.storage, into.uri.child(name)) if into else target
        try:
            if made is not None and name in made:
                raise AlgoError(f"{place} was just made: another source has the same name")
            _check_different(source, place)
        except AlgoError as error:
            refuse(source, error)
            continue
        if made is not None:
            made.add(name)
        yield Transfer(source, place)


def _check_different(source: Place, target: Place) -> None:
    if source.storage is target.storage and source.uri != STREAM and source.storage.is_same(source.uri, target.uri):
        raise AlgoError(f"{source} and {target} are the same file")
