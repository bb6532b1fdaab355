"""Directories for copied trees: where they can be, and making them."""

from __future__ import annotations

import os
from collections.abc import Container, Iterator

from algo_core.errors import AlgoError, AlreadyExists, NotFoundError, RequestRefused, UsageError
from algo_core.storage.contract import Entry, NotADirectory
from algo_core.storage.uri import LOCAL, DataUri, is_only_key
from algo_data.engine.failures import MissingDirectory, NoFolders
from algo_data.engine.leftovers import is_leftover
from algo_data.engine.plan.tree import below
from algo_data.engine.relative import joined, prefix_of
from algo_data.engine.selection import Selection
from algo_data.engine.transfer import Place


def make(place: Place, *, with_parents: bool = False) -> None:
    """Make a directory if it is not there; with `with_parents` those above it as well.

    Raises:
        NotADirectory: if a file stands there.
        AlgoError: if it cannot be made; nothing has been made then, where that can be known beforehand.
    """
    storage = place.storage
    if with_parents and not (storage.has_folders or storage.can_hold_directories(place.uri.parent)):
        raise RequestRefused(
            f"{place} cannot be made: {place.uri.parent} cannot hold directories", "Hosted collections hold files only"
        )
    try:
        place.storage.mkdir(place.uri)
    except AlreadyExists:
        if not place.storage.stat(place.uri).is_directory:
            raise NotADirectory(f"{place} is a file") from None
    except NotFoundError:
        above = Place(place.storage, place.uri.parent)
        if not with_parents or above == place:
            raise
        make(above, with_parents=True)
        make(place)


def check_apart(source: Place, target: Place) -> None:
    """Refuse a copy of a directory to itself, or into itself, which would never end; links on the way are followed."""
    if source.storage is not target.storage:
        return
    top, place, before = _real(source.uri), _real(target.uri), None
    while place != before:
        if source.storage.is_same(top, place):
            raise UsageError(f"{target} is {source} itself, or in it", "Copy it to a destination outside of it")
        place, before = place.parent, place


def _absolute(uri: DataUri) -> DataUri:
    return DataUri(LOCAL, os.path.abspath(os.path.expanduser(uri.path))) if uri.is_local else uri


def _real(uri: DataUri) -> DataUri:
    """Where it is on this machine, or will be: as far as it is there, without links."""
    return DataUri(LOCAL, os.path.realpath(_absolute(uri).path)) if uri.is_local else uri


def check_fits(source: Place, target: Place, selection: Selection, *, is_there: bool) -> None:
    """Refuse a tree that the target cannot hold before anything is copied.

    Only the first page of the source's listing is read for that: directories come first. For the directory of an
    account all of it is, and the first page of each directory in it. What cannot be listed is told when it is its turn.

    Raises:
        NoFolders: with the ways in which it can be copied.
    """
    if target.storage.has_folders:
        return
    collection = target.uri if is_there else target.uri.parent
    if not is_there and not target.storage.can_hold_directories(target.uri.parent):
        raise NoFolders(f"{source} cannot become a directory in {collection}", source, collection)
    _check_level(source, source, target, selection, "")


def _check_level(top: Place, source: Place, target: Place, selection: Selection, prefix: str) -> None:
    takes_directories = target.storage.can_hold_directories(target.uri)
    takes_files = target.storage.can_hold_files(target.uri)
    for entry in _as_far_as_listed(source):
        relative = joined(prefix, entry.name, is_directory=entry.is_directory)
        if entry.is_directory:
            if not selection.enters(relative):
                continue
            if not takes_directories:
                what = f"{top} holds the directory {relative}, and {target} cannot hold directories"
                raise NoFolders(what, top, target.uri, may_be_missing=True)
            if not is_only_key(entry.name):
                below = source.child(entry.name), target.child(entry.name)
                _check_level(top, *below, selection, prefix_of(relative))
        elif takes_files:
            return
        elif selection.takes(relative) and not is_leftover(source.storage, entry.uri):
            what = f"{top} holds the file {relative}, and {target} holds files in collections only"
            raise NoFolders(what, top, target.child("COLLECTION").uri, may_be_missing=True)


def _as_far_as_listed(place: Place) -> Iterator[Entry]:
    try:
        yield from place.storage.list(place.uri)
    except AlgoError:
        return


def missing(place: Place) -> MissingDirectory:
    """That a directory does not exist."""
    can_exist = place.storage.has_folders or place.storage.can_hold_directories(place.uri.parent)
    return MissingDirectory(place.uri, can_exist=can_exist)


def remove_emptied(tree: Place, selection: Selection, refused: Container[DataUri]) -> None:
    """Remove the directories of a tree in which nothing is left, of those that the selection enters.

    Those that hold something stay, what a link leads to, and with all that is in it what was `refused`.
    """

    def enters(relative: str, entry: Entry) -> bool:
        return selection.enters(relative) and not tree.storage.is_link(entry.uri) and entry.uri not in refused

    try:
        found = below(tree.storage, tree.storage.stat(tree.uri), enters=enters)
        directories = [entry.uri for relative, entry in found if entry.is_directory and enters(relative, entry)]
    except AlgoError:  # prefixes go with the last file; and of what cannot be listed nobody knows that nothing is left
        return
    for uri in reversed(directories):
        remove_if_empty(Place(tree.storage, uri))
    remove_if_empty(tree)


def remove_if_empty(place: Place) -> None:
    """Remove a directory that nothing is left in; one that is not empty, or has gone, is no failure."""
    try:
        place.storage.rmdir(place.uri)
    except AlgoError:
        pass
