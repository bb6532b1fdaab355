"""Prefetches listings of a remote tree, to hide latency."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from enum import Enum, auto

from algo_core.storage.contract import Entry
from algo_core.storage.uri import DataUri
from algo_data.engine.relative import joined, parent_of, prefix_of

AT_ONCE = 16
"""Maximum number of concurrent listings."""

PAGE = 1000
"""Maximum number of prefetched entries per directory: a page of the platform's listings (API section 4.4)."""

HELD = 10_000
"""Maximum number of prefetched entries in total; twice as many for directories that are needed before held ones, so
that distant directories do not block near ones."""

Enters = Callable[[str, Entry], bool]
"""Whether to enter a directory; called with its path below the top, and its entry.

It can be called in advance, and from several threads.
"""


class _State(Enum):
    FORESEEN = auto()
    LISTED = auto()
    KNOWN = auto()
    TAKEN = auto()
    DROPPED = auto()


class _Directory:
    """A directory, its position in the order of use, and its prefetched entries."""

    def __init__(self, relative: str, entry: Entry, above: _Directory | None, index: int) -> None:
        self.relative = relative
        self.entry = entry
        self.above = above
        self.place: tuple[int, ...] = (*above.place, index) if above else ()
        self.state = _State.FORESEEN
        self.below: dict[str, _Directory] = {}
        self.taken: _Directory | None = None
        self.seen = 0
        self.listing: Iterator[Entry] | None = None
        self.held: deque[Entry] = deque()
        self.error: BaseException | None = None

    def leads_back(self, entry: Entry) -> bool:
        """Whether an entry in it is this directory, or one above it."""
        directory: _Directory | None = self
        while directory and entry.version:
            if entry.version == directory.entry.version:
                return True
            directory = directory.above
        return False


class Prefetcher:
    """Provides the listings of a tree to one thread, which walks it depth first.

    Other threads list the directories that are needed next, as far as they are known: `AT_ONCE` at a time, a page of
    each, `HELD` entries in total. Exceptions of `listing` are raised at their position. `close` ends it early: no
    further listing begins, and running ones end by themselves.
    """

    def __init__(self, listing: Callable[[DataUri], Iterator[Entry]], enters: Enters) -> None:
        self._listing = listing
        self._enters = enters
        self._changed = threading.Condition()
        self._known: dict[str, _Directory] = {}
        self._waiting: list[tuple[tuple[int, ...], int, _Directory]] = []
        self._numbers = itertools.count()
        self._threads = self._held = 0
        self._farthest: tuple[int, ...] = ()
        self._is_closed = False

    def entries(self, relative: str, directory: Entry) -> Iterator[Entry]:
        """The entries of a directory as they arrive; `relative` is its path below the top ("" for the top).

        This ends the listing of its previous sibling. Directories that are not entered must be forgotten (`forget`), to
        free their entries.
        """
        taken = self._take(relative, directory)
        if taken.listing is None and taken.error is None:
            taken.listing = self._listing(directory.uri)
        while True:
            while taken.held:
                yield taken.held.popleft()
            if taken.error:
                raise taken.error
            entry = next(taken.listing, None) if taken.listing else None
            if entry is None:
                return
            if entry.is_directory:
                self._foresee(taken, [entry])
            yield entry

    def forget(self, relative: str) -> None:
        """A directory will not be entered."""
        with self._changed:
            directory = self._known.get(relative)
            if directory and directory.above and directory.above.below.pop(relative, None):
                self._drop(directory)
                self._start_worker()

    def close(self) -> None:
        """Begin no further listings."""
        with self._changed:
            self._is_closed = True
            self._waiting.clear()

    def _take(self, relative: str, entry: Entry) -> _Directory:
        """Take a directory that is needed now: from here on it belongs to the calling thread."""
        above = self._known.get(parent_of(relative)) if relative else None
        if above and not above.held and not above.error:
            self._read(above)  # on behind the directory that is needed, for those that come after it
        with self._changed:
            directory = self._known.get(relative)
            if directory is None or directory.state in {_State.TAKEN, _State.DROPPED}:
                directory = self._known[relative] = _Directory(relative, entry, above, -1)
            if above:
                if above.taken:
                    self._drop(above.taken)
                above.below.pop(relative, None)
                above.taken = directory
            while directory.state is _State.LISTED:
                self._changed.wait()
            directory.state = _State.TAKEN
            self._held -= len(directory.held)
            self._start_worker()
        return directory

    def _drop(self, directory: _Directory) -> None:
        if directory.state is _State.KNOWN:
            self._held -= len(directory.held)
        directory.state = _State.DROPPED
        if self._known.get(directory.relative) is directory:
            del self._known[directory.relative]
        for below in (*directory.below.values(), *([directory.taken] if directory.taken else [])):
            self._drop(below)

    def _read(self, directory: _Directory) -> None:
        """Read at most a page of a listing."""
        try:
            if directory.listing is None:
                directory.listing = self._listing(directory.entry.uri)
            for entry in itertools.islice(directory.listing, PAGE):
                directory.held.append(entry)
        except BaseException as error:  # whatever it is, it is raised at its turn
            directory.error = error
            if isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
                raise
        self._foresee(directory, directory.held)

    def _foresee(self, directory: _Directory, entries: Iterable[Entry]) -> None:
        prefix = prefix_of(directory.relative)
        found = (
            (joined(prefix, entry.name, is_directory=True), entry)
            for entry in entries
            if entry.is_directory and not directory.leads_back(entry)
        )
        ahead = [(relative, entry) for relative, entry in found if self._enters(relative, entry)]
        with self._changed:
            if directory.state is _State.DROPPED:
                return
            for relative, entry in ahead[: max(0, PAGE - len(directory.below))]:
                if relative in directory.below:
                    continue  # a listing has given it twice
                below = _Directory(relative, entry, directory, directory.seen)
                directory.seen += 1
                directory.below[relative] = below
                self._known[relative] = below
                heapq.heappush(self._waiting, (below.place, next(self._numbers), below))
            self._start_worker()

    def _start_worker(self) -> None:
        while self._threads < AT_ONCE - 1 and (directory := self._next()):  # one is the thread that all is for
            self._threads += 1
            threading.Thread(target=self._work, args=(directory,), name="algo-listing", daemon=True).start()

    def _next(self) -> _Directory | None:
        """The directory to list now, or None."""
        while self._waiting and not self._is_closed:
            place, _, directory = self._waiting[0]
            is_needed = directory.state is _State.FORESEEN
            if is_needed and self._held >= (2 * HELD if place < self._farthest else HELD):
                return None
            heapq.heappop(self._waiting)
            if is_needed:
                directory.state = _State.LISTED
                self._farthest = max(self._farthest, place)
                return directory
        return None

    def _work(self, first: _Directory) -> None:
        directory: _Directory | None = first
        while directory:
            self._read(directory)
            with self._changed:
                if directory.state is _State.LISTED:
                    directory.state = _State.KNOWN
                    self._held += len(directory.held)
                self._changed.notify_all()
                directory = self._next()
                if directory is None:
                    self._threads -= 1
