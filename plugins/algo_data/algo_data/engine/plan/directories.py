"""Directories for copied trees: where they can be, and making them."""

from __future__ import annotations

import os
from collections.abc import Container, Iterator

from algo_core.errors import AlgoError, AlreadyExists, NotFoundError, RequestRefused, UsageError
from algo_core.storage.contract import Entry, NotADirectory
from algo_core.storage.uri import LOCAL, DataUri, pasted
from algo_data.engine.plan.selection import Selection
from algo_data.engine.plan.tree import below
from algo_data.engine.relative import is_odd, joined, prefix_of
from algo_data.engine.transfer import Place
from algo_data.hosted.api_path import how_to_make
from algo_data.local.leftovers import is_unfinished

COLLECTION_HINT = "Files go into a collection: data://.my/COLLECTION/FILE"


class NoFolders(UsageError):
    """A tree was to be copied to where no directory can be in another (API section 4.2)."""


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
            raise UsageError(f"{target} is {source} itself, or in it", "Copy it to a place outside of it")
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
        raise _no_folders(f"{source} cannot become a directory in {collection}", source, collection)
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
                raise _no_folders(what, top, target.uri, may_be_missing=True)
            if not is_odd(entry.name):
                below = source.child(entry.name), target.child(entry.name)
                _check_level(top, *below, selection, prefix_of(relative))
        elif takes_files:
            return
        elif selection.takes(relative) and not is_unfinished(entry.uri):
            what = f"{top} holds the file {relative}, and {target} holds no files but in collections"
            raise _no_folders(what, top, target.child("COLLECTION").uri, may_be_missing=True)


def _as_far_as_listed(place: Place) -> Iterator[Entry]:
    try:
        yield from place.storage.list(place.uri)
    except AlgoError:
        return


def _no_folders(what: str, source: Place, collection: DataUri, *, may_be_missing: bool = False) -> NoFolders:
    files, into = pasted(str(source).rstrip("/") or "/"), pasted(collection)
    before = f"algo mkdir -p {into} && " if may_be_missing else ""
    return NoFolders(
        f"{what}: hosted collections hold files only",
        f"Put all files of the tree straight into it: {before}algo cp -r --flatten {files} {into}; "
        f"or only those at the top: {before}algo cp --flatten --exclude '*/' {files} {into}; "
        "or copy to a connector that has folders, such as s3://; or pack the tree into one file first",
    )


def no_directory(place: Place) -> NotFoundError:
    """That a directory is missing, and how to make it, where there can be one."""
    uri, storage = place.uri, place.storage
    hint = f"Make it with: mkdir -p {pasted(uri)}" if uri.is_local else how_to_make(uri)
    if not (storage.has_folders or storage.can_hold_directories(uri.parent)):
        hint = f"{uri.parent} holds files only: name one in it, or copy to it"
    return NotFoundError(f"There is no directory {uri}", hint)


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
