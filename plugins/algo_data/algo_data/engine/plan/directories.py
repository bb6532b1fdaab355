"""Checks and creates the target directories of copied trees."""

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
    """Make a directory if it is missing; with `with_parents`, its parents as well.

    Raises:
        NotADirectory: if it is a file.
        AlgoError: if it cannot be made; then nothing has been made, where that can be known in advance.
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
    """Refuse to copy a directory to itself or into itself; links are followed."""
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
    """Its absolute local path, with links resolved as far as it exists."""
    return DataUri(LOCAL, os.path.realpath(_absolute(uri).path)) if uri.is_local else uri


def check_fits(source: Place, target: Place, selection: Selection, *, is_there: bool) -> None:
    """Refuse a tree that the target cannot hold, before anything is copied.

    Only the first page of the source's listing is read for that: directories come first. For the directory of an
    account, the whole listing and the first page of each of its directories are read. Listing errors are reported
    later.

    Raises:
        NoFolders: with other ways to copy it.
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
    """The error for a missing directory."""
    can_exist = place.storage.has_folders or place.storage.can_hold_directories(place.uri.parent)
    return MissingDirectory(place.uri, can_exist=can_exist)


def remove_emptied(tree: Place, selection: Selection, refused: Container[DataUri]) -> None:
    """Remove the empty directories of a tree that the selection enters.

    Non-empty directories, targets of links, and `refused` directories with their content are kept.
    """

    def enters(relative: str, entry: Entry) -> bool:
        return selection.enters(relative) and not tree.storage.is_link(entry.uri) and entry.uri not in refused

    try:
        found = below(tree.storage, tree.storage.stat(tree.uri), enters=enters)
        directories = [entry.uri for relative, entry in found if entry.is_directory and enters(relative, entry)]
    except AlgoError:  # prefixes vanish with the last file; a directory that cannot be listed may not be empty
        return
    for uri in reversed(directories):
        remove_if_empty(Place(tree.storage, uri))
    remove_if_empty(tree)


def remove_if_empty(place: Place) -> None:
    """Remove a directory if it is empty; a non-empty or missing one is not an error."""
    try:
        place.storage.rmdir(place.uri)
    except AlgoError:
        pass
