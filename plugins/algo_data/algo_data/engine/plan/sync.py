"""Plans a sync: a merge join of the two sorted listings as they arrive."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from algo_core.errors import AlgoError
from algo_core.storage.contract import Entry, IncompleteListing, Kind, NotADirectory
from algo_data.engine.attributes import Attributes, attributes_of
from algo_data.engine.failures import DirectoryLoop, NoSuchName, SourceIsFile
from algo_data.engine.io.spool import Spool
from algo_data.engine.leftovers import is_in_use, is_leftover
from algo_data.engine.options import CopyOptions
from algo_data.engine.plan.comparison import differs, has_other_size, has_same_content, is_unseen
from algo_data.engine.plan.concurrent_map import concurrent_map
from algo_data.engine.plan.conflicts import Directories, Obstructed, in_the_way
from algo_data.engine.plan.directories import check_apart, check_fits, make
from algo_data.engine.plan.prefetch import Prefetcher
from algo_data.engine.plan.sorting import Listing, OutOfOrder, in_order, side_by_side
from algo_data.engine.plan.tree import OnError
from algo_data.engine.relative import joined, prefix_of
from algo_data.engine.selection import Selection
from algo_data.engine.transfer import Place, Tally, Transfer

Extra = Callable[[str, bool], None]
"""Called with the path of each extra entry of the target, and whether it is a directory."""


def plan_sync(
    source: Place,
    target: Place,
    on_error: OnError,
    extra: Extra | None,
    options: CopyOptions,
    obstructed: Obstructed | None = None,
) -> Iterator[Transfer]:
    """The transfers of all files of `source` that are missing or different in `target`.

    The target is made if it is missing. A directory that cannot be listed is reported to `on_error`, and nothing in it
    to `extra`, which is told of a directory when both of its listings have ended. What cannot be copied because a
    directory stands where the file should go, or a file where the directory should, is told to `obstructed`, or else to
    `on_error`. Memory depends neither on the number of files nor on the order of listings.

    Raises:
        NotFoundError, NotADirectory: if the source is no directory.
        UsageError: if one is in the other, or the target cannot hold the source.
    """
    top = source.storage.stat(source.uri)
    if not top.is_directory:
        raise SourceIsFile(source)
    there = target.storage.exists(target.uri)
    if there and not there.is_directory:
        raise NotADirectory(f"{target} is a file", "Name a directory; it need not exist")
    check_apart(source, target)
    check_apart(target, source)
    check_fits(source, target, options.selection, is_there=there is not None)
    if there is None and not options.is_dry and target.storage.needs_directories:
        make(target, with_parents=True)
    join = _Join(source, target, on_error, extra, options, obstructed)
    level = _Level(source, target, top, "", is_there=there is not None)
    if not options.by_checksum:
        return (pair.transfer for pair in join.pairs(level))
    return join.different(level)


def plan_freed(
    source: Place, target: Place, on_error: OnError, freed: Iterable[tuple[str, bool, int | None]], options: CopyOptions
) -> Iterator[Transfer]:
    """The transfers of the conflicts reported to `obstructed`, after their removal."""
    for relative, is_directory, size in freed:
        place, goal = source.child(relative), target.child(relative)
        if not is_directory:
            yield Transfer(place, goal, Entry(place.uri, Kind.FILE, size=size))
            continue
        try:
            if goal.storage.needs_directories and not options.is_dry:
                make(goal)
            join = _Join(source, target, on_error, None, options)
            level = _Level(place, goal, place.storage.stat(place.uri), relative, is_there=False)
            yield from (pair.transfer for pair in join.pairs(level))
        except AlgoError as error:
            on_error(place, error)


class _Level(NamedTuple):
    """A directory of the source, its path below the top, and its counterpart, which may be missing."""

    source: Place
    target: Place
    entry: Entry
    relative: str
    is_there: bool

    @property
    def there(self) -> Entry:
        """The counterpart as an entry."""
        return Entry(self.target.uri, Kind.DIRECTORY)


class _Pair(NamedTuple):
    """A file to copy; `is_sure` if no checksum has to be compared."""

    transfer: Transfer
    is_sure: bool = True


class _Side:
    """The listings of one of the two trees, while they arrive in order.

    The API only promises that directories come first (section 4.4), but names come in order. Local file systems have no
    order, but partial files: they are not part of a source, nor of a target while they are being written.
    """

    def __init__(self, top: Place, selection: Selection, *, is_source: bool) -> None:
        self._is_source = is_source
        self._storage = top.storage
        self._scan = top.storage.scan
        self.arrives_sorted = not top.uri.is_local
        self._lookahead = None
        if not top.uri.is_local:
            self._lookahead = Prefetcher(top.storage.scan, lambda relative, entry: selection.enters(relative))

    def listing(self, relative: str, directory: Entry) -> Listing:
        """A listing as it arrives, or sorted first."""
        if self._lookahead:
            found = map(attributes_of, self._lookahead.entries(relative, directory))
            return Listing(found if self.arrives_sorted else in_order(found))
        return self.sorted_anew(directory)

    def sorted_anew(self, directory: Entry) -> Listing:
        """A listing again, sorted first."""
        found = self._scan(directory.uri)
        return Listing(in_order(attributes_of(entry) for entry in found if not self._is_left_out(entry)))

    def _is_left_out(self, entry: Entry) -> bool:
        return is_leftover(self._storage, entry.uri) and (self._is_source or is_in_use(self._storage, entry.uri))

    def forget(self, relative: str) -> None:
        """A directory will not be listed."""
        if self._lookahead:
            self._lookahead.forget(relative)

    def close(self) -> None:
        """Stop prefetching."""
        if self._lookahead:
            self._lookahead.close()


class _Join:
    def __init__(
        self,
        source: Place,
        target: Place,
        on_error: OnError,
        extra: Extra | None,
        options: CopyOptions,
        obstructed: Obstructed | None = None,
    ) -> None:
        self._source = _Side(source, options.selection, is_source=True)
        self._target = _Side(target, options.selection, is_source=False)
        self._on_error = on_error
        self._extra = extra
        self._obstructed = obstructed
        self._options = options
        self._tally = options.tally or Tally()
        self._replaces = has_other_size if options.by_checksum else options.replaces or differs
        if not options.by_checksum and options.replaces not in (None, differs):
            # Until a listing has ended nobody can be sure that it was sorted and that a file is not in it: too late
            # for a copy that promises to leave some of what is there.
            self._target.arrives_sorted = False

    def different(self, top: _Level) -> Iterator[Transfer]:
        """The files without equal checksums."""

        def has_changed(pair: _Pair) -> bool | AlgoError:
            try:
                return pair.is_sure or not has_same_content(pair.transfer.source, pair.transfer.target)
            except AlgoError as error:
                return error

        for pair, answer in concurrent_map(has_changed, self.pairs(top)):
            if isinstance(answer, AlgoError):
                self._on_error(pair.transfer.source, answer)
            elif answer:
                yield pair.transfer
            else:
                self._tally.skipped += 1

    def pairs(self, top: _Level) -> Iterator[_Pair]:
        """The files of a tree to copy, or to compare by checksum."""
        levels = [(top, self._level(top))]
        try:
            yield from self._walk(levels)
        finally:
            self._source.close()
            self._target.close()

    def _walk(self, levels: list[tuple[_Level, Iterator[_Pair | _Level]]]) -> Iterator[_Pair]:
        while levels:
            level, found = levels[-1]
            try:
                item = next(found, None)
            except AlgoError as error:
                if len(levels) == 1 and not isinstance(error, IncompleteListing):
                    raise
                self._on_error(level.source, error)
                item = None
            if item is None:
                levels.pop()
            elif isinstance(item, _Pair):
                yield item
            elif any(item.entry.version and item.entry.version == above.entry.version for above, _ in levels):
                loop = DirectoryLoop(item.source)
                self._on_error(item.source, loop)
            else:
                levels.append((item, self._level(item)))

    def _level(self, level: _Level) -> Iterator[_Pair | _Level]:
        """One directory: its files to copy, and its subdirectories."""
        relative = level.relative
        ours = self._source.listing(relative, level.entry)
        theirs = self._target.listing(relative, level.there) if level.is_there else Listing(())
        # A directory that seems to be missing would be copied with all that is in it: first its turn must be over in
        # a listing that is known to be sorted. A file that seems to be missing is copied at once, for nothing at worst.
        waits = level.is_there and self._target.arrives_sorted
        with Spool() as extras, Spool() as missing, Directories() as alone:
            try:
                for one, other in side_by_side(ours, theirs):
                    if one and one.is_directory and not other and waits:
                        missing.add(*one)
                    elif one:
                        yield from self._compared(level, one, other, alone)
                    elif other:
                        if other.is_directory:
                            alone.add(other.name)
                        self._note(level, other, extras)
            except OutOfOrder as error:
                side = self._source if error.listing is ours else self._target
                side.arrives_sorted = False
                left = itertools.chain(itertools.starmap(Attributes, missing), ours.rest())
                yield from self._anew(level, left)
                ours.check()
                return
            for row in missing:
                yield from self._compared(level, Attributes(*row), None, alone)
            self._tell(extras)

    def _anew(self, level: _Level, left: Iterator[Attributes]) -> Iterator[_Pair | _Level]:
        """The rest of a directory of the source, when a listing turned out not to be sorted.

        The entries before were compared and are not copied again. The extras so far are unreliable: only two complete
        listings can tell.
        """
        theirs = self._target.sorted_anew(level.there) if level.is_there else Listing(())
        with Directories() as alone:
            for one, other in side_by_side(Listing(in_order(left)), theirs):
                if one:
                    yield from self._compared(level, one, other, alone)
                elif other and other.is_directory:
                    alone.add(other.name)
        if not self._extra or not level.is_there:
            return
        ours, theirs = self._source.sorted_anew(level.entry), self._target.sorted_anew(level.there)
        with Spool() as extras:
            for one, other in side_by_side(ours, theirs):
                if other and not one:
                    self._note(level, other, extras)
            self._tell(extras)

    def _compared(
        self, level: _Level, ours: Attributes, theirs: Attributes | None, alone: Directories
    ) -> Iterator[_Pair | _Level]:
        """The transfers of an entry of the source; `alone` are directories that only the target has."""
        if is_unseen(ours) or is_unseen(theirs):
            return  # which is told when the listing ends
        relative = joined(prefix_of(level.relative), ours.name, is_directory=ours.is_directory)
        try:
            yield from self._needed(level, ours, theirs, relative, alone)
        except NoSuchName as error:
            self._on_error(_below(level.source, ours), error)

    def _needed(
        self, level: _Level, ours: Attributes, theirs: Attributes | None, relative: str, alone: Directories
    ) -> Iterator[_Pair | _Level]:
        if ours.is_directory:
            place = _below(level.source, ours)
            entry = Entry(place.uri, Kind.DIRECTORY, version=ours.identity)
            if not self._options.selection.enters(relative):
                return
            below = _Level(place, _below(level.target, ours), entry, relative, theirs is not None)
            if self._is_made(below, level):
                yield below
            else:
                self._source.forget(relative)
        elif self._options.selection.takes(relative):
            if theirs is None and level.target.storage.needs_directories and alone.has(ours.name):
                self._obstruct(_below(level.source, ours), _below(level.target, ours), relative, ours)
            elif theirs is None or self._replaces(ours, theirs):
                yield self._pair(level, ours, is_sure=True)
            elif self._options.by_checksum:
                yield self._pair(level, ours, is_sure=False)
            else:
                self._tally.skipped += 1

    def _pair(self, level: _Level, ours: Attributes, *, is_sure: bool) -> _Pair:
        place = _below(level.source, ours)
        entry = Entry(place.uri, Kind.FILE, size=ours.size)
        return _Pair(Transfer(place, _below(level.target, ours), entry), is_sure)

    def _is_made(self, level: _Level, above: _Level) -> bool:
        if level.is_there or not level.target.storage.needs_directories:
            return True
        try:
            if not self._options.is_dry:
                make(level.target)
            elif above.is_there and (there := level.target.storage.exists(level.target.uri)) and not there.is_directory:
                raise NotADirectory(f"{level.target} is a file")
        except NotADirectory:
            attributes = Attributes(level.source.uri.name, True, None, None)
            self._obstruct(level.source, level.target, level.relative, attributes)
            return False
        except AlgoError as error:
            self._on_error(level.source, error)
            return False
        return True

    def _obstruct(self, source: Place, target: Place, relative: str, ours: Attributes) -> None:
        if self._obstructed:
            self._obstructed(relative, ours.is_directory, ours.size)
        else:
            self._on_error(source, in_the_way(source, target, of_directory=ours.is_directory))

    def _note(self, level: _Level, theirs: Attributes, extras: Spool) -> None:
        """Store the extras of the target until both listings have ended."""
        if is_unseen(theirs):
            return
        relative = joined(prefix_of(level.relative), theirs.name, is_directory=theirs.is_directory)
        selection = self._options.selection
        if theirs.is_directory:
            self._target.forget(relative)
        if self._extra and (selection.enters(relative) if theirs.is_directory else selection.takes(relative)):
            extras.add(relative, theirs.is_directory)

    def _tell(self, extras: Spool) -> None:
        if self._extra:
            for relative, is_directory in extras:
                self._extra(relative, is_directory)


def _below(directory: Place, attributes: Attributes) -> Place:
    """The place of an entry in a directory."""
    return directory.subdirectory(attributes.name) if attributes.is_directory else directory.child(attributes.name)
