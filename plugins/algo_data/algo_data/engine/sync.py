"""The transfers that make one directory like another: both listings side by side, in the order of names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from algo_core.errors import AlgoError
from algo_core.storage import Entry, Kind, NotADirectory
from algo_data.engine.ahead import answered
from algo_data.engine.comparison import Facts, Replaces, differs, facts_of, has_other_size, has_same_content
from algo_data.engine.directories import check_apart, check_fits, make
from algo_data.engine.selection import EVERYTHING, Selection
from algo_data.engine.sorting import in_order
from algo_data.engine.transfer import Place, Transfer
from algo_data.tree import Refuse

Extra = Callable[[str, bool], None]
"""Told what is only at the target, by its path below it, and whether it is a directory."""


@dataclass(frozen=True)
class SyncManner:
    """How to compare, beyond what with what."""

    selection: Selection = EVERYTHING
    """Which files take part; others are left alone on both sides."""

    replaces: Replaces = differs
    """Whether a file takes the place of the one that is there."""

    by_checksum: bool = False
    """Whether files of one size are compared by checksum, whatever their times."""

    is_dry: bool = False
    """Whether nothing is made yet."""


def plan_sync(source: Place, target: Place, refuse: Refuse, extra: Extra, manner: SyncManner) -> Iterator[Transfer]:
    """The transfers that bring all files of `source` to `target` that are missing or differ there.

    The target is made if it is not there. A directory that cannot be listed is told to `refuse`, and nothing in it to
    `extra`. Memory depends neither on the number of files nor on the order of listings.

    Raises:
        NotFoundError, NotADirectory: if the source is no directory.
        UsageError: if one is in the other, or the target cannot hold the source.
    """
    top = source.storage.stat(source.uri)
    if not top.is_directory:
        raise NotADirectory(f"{source} is a file", "Copy it with: algo cp")
    there = target.storage.exists(target.uri)
    if there and not there.is_directory:
        raise NotADirectory(f"{target} is a file", "Name a directory, which need not be there")
    check_apart(source, target)
    check_apart(target, source)
    check_fits(source, target, manner.selection, is_there=there is not None)
    if there is None and not manner.is_dry and target.storage.needs_directories:
        make(target, with_parents=True)
    join = _Join(refuse, extra, manner)
    level = _Level(source, target, top, "", is_there=there is not None)
    if not manner.by_checksum:
        return (pair.transfer for pair in join.pairs(level))
    return join.different(level)


@dataclass(frozen=True)
class _Level:
    """A directory of the source and its counterpart, which need not be there."""

    source: Place
    target: Place
    entry: Entry
    prefix: str
    is_there: bool


@dataclass(frozen=True)
class _Pair:
    """A file to copy; `is_sure` if nothing more has to be known for that."""

    transfer: Transfer
    is_sure: bool = True


class _Join:
    def __init__(self, refuse: Refuse, extra: Extra, manner: SyncManner) -> None:
        self._refuse = refuse
        self._extra = extra
        self._manner = manner
        self._replaces = has_other_size if manner.by_checksum else manner.replaces

    def different(self, top: _Level) -> Iterator[Transfer]:
        """The files whose checksums are not known to be the same."""

        def has_changed(pair: _Pair) -> bool | AlgoError:
            try:
                return pair.is_sure or not has_same_content(pair.transfer.source, pair.transfer.target)
            except AlgoError as error:
                return error

        for pair, answer in answered(has_changed, self.pairs(top)):
            if isinstance(answer, AlgoError):
                self._refuse(pair.transfer.source, answer)
            elif answer:
                yield pair.transfer

    def pairs(self, top: _Level) -> Iterator[_Pair]:
        """The files of a tree that have to be copied, or looked at more closely."""
        levels = [(top, self._level(top))]
        while levels:
            level, found = levels[-1]
            try:
                item = next(found, None)
            except AlgoError as error:
                if len(levels) == 1:
                    raise
                self._refuse(level.source, error)
                item = None
            if item is None:
                levels.pop()
            elif isinstance(item, _Pair):
                yield item
            elif any(item.entry.version and item.entry.version == above.entry.version for above, _ in levels):
                loop = AlgoError(f"{item.source} leads back to a directory above it", "Leave it out with --exclude")
                self._refuse(item.source, loop)
            else:
                levels.append((item, self._level(item)))

    def _level(self, level: _Level) -> Iterator[_Pair | _Level]:
        """One directory: its files that have to be copied, and the directories in it."""
        selection = self._manner.selection
        theirs_too = _entries(level.target) if level.is_there else iter(())
        for ours, theirs in _side_by_side(_entries(level.source), theirs_too):
            if ours is None:
                if theirs is not None:
                    self._only_there(level, theirs)
            elif ours.is_directory:
                relative = level.prefix + ours.name
                place = level.source.child(ours.name)
                entry = Entry(place.uri, Kind.DIRECTORY, version=ours.identity)
                below = _Level(place, level.target.child(ours.name), entry, f"{relative}/", theirs is not None)
                if selection.enters(relative) and self._is_made(below):
                    yield below
            elif selection.takes(level.prefix + ours.name):
                if theirs is None or self._replaces(ours, theirs):
                    yield self._pair(level, ours, is_sure=True)
                elif self._manner.by_checksum:
                    yield self._pair(level, ours, is_sure=False)

    def _pair(self, level: _Level, ours: Facts, *, is_sure: bool) -> _Pair:
        place = level.source.child(ours.name)
        entry = Entry(place.uri, Kind.FILE, size=ours.size)
        return _Pair(Transfer(place, level.target.child(ours.name), entry), is_sure)

    def _is_made(self, level: _Level) -> bool:
        if level.is_there or self._manner.is_dry or not level.target.storage.needs_directories:
            return True
        try:
            make(level.target)
        except AlgoError as error:
            self._refuse(level.source, error)
            return False
        return True

    def _only_there(self, level: _Level, theirs: Facts) -> None:
        relative = level.prefix + theirs.name
        selection = self._manner.selection
        if selection.enters(relative) if theirs.is_directory else selection.takes(relative):
            self._extra(relative, theirs.is_directory)


def _entries(directory: Place) -> Iterator[Facts]:
    return in_order(facts_of(entry) for entry in directory.storage.scan(directory.uri))


def _side_by_side(
    ours: Iterator[Facts], theirs: Iterator[Facts]
) -> Iterator[tuple[Facts, Facts] | tuple[Facts, None] | tuple[None, Facts]]:
    """Both sorted listings as pairs of the same name and kind; an entry that a listing gave twice counts once."""
    one, other = next(ours, None), next(theirs, None)
    while True:
        if one is None:
            if other is None:
                return
            yield None, other
            other = _following(theirs, other)
        elif other is None or one[:2] < other[:2]:
            yield one, None
            one = _following(ours, one)
        elif one[:2] == other[:2]:
            yield one, other
            one, other = _following(ours, one), _following(theirs, other)
        else:
            yield None, other
            other = _following(theirs, other)


def _following(listing: Iterator[Facts], before: Facts) -> Facts | None:
    for facts in listing:
        if facts[:2] != before[:2]:
            return facts
    return None
