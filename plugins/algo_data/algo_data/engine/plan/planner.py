"""Plans transfers from sources and a destination, lazily: copying starts before a listing has ended."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from algo_core.errors import AlgoError, UsageError
from algo_core.storage.contract import Entry, NotADirectory, Storage
from algo_core.storage.uri import DataUri, is_only_key
from algo_data.engine.failures import (
    DirectoryLoop,
    HoldsNoFiles,
    InputHasNoName,
    InputHasNoTime,
    NoSuchName,
    SeveralToOutput,
    SourceIsDirectory,
    SourceIsLink,
)
from algo_data.engine.io.streams import STREAM
from algo_data.engine.leftovers import is_leftover
from algo_data.engine.options import CopyOptions
from algo_data.engine.plan.comparison import is_newer
from algo_data.engine.plan.concurrent_map import QUESTIONS
from algo_data.engine.plan.directories import check_apart, check_fits, make, missing
from algo_data.engine.plan.globs import expand, has_magic, spans_directories
from algo_data.engine.plan.skip import skip_existing
from algo_data.engine.plan.tree import OnError, below
from algo_data.engine.relative import prefix_of
from algo_data.engine.run.moving import when_all_are_known
from algo_data.engine.transfer import UNNAMED, NotPlanned, Place, StorageOf, Transfer, Unlisted

if TYPE_CHECKING:
    from algo_data.engine.plan.dry_run import DryRun


class _Found(NamedTuple):
    """A source; `is_match` if it matched a pattern, so that its name in the listing is used."""

    place: Place
    entry: Entry | None = None
    is_match: bool = False

    @property
    def name(self) -> str:
        """The name of its copy in a directory."""
        return self.entry.name if self.is_match and self.entry else self.place.uri.name

    @property
    def is_directory(self) -> bool:
        return self.entry is not None and self.entry.is_directory


def plan(
    sources: Iterable[DataUri],
    destination: DataUri,
    storage_of: StorageOf,
    on_error: OnError,
    options: CopyOptions | None = None,
    on_tree: Callable[[Place], None] | None = None,
    *,
    are_names: bool = False,
) -> Iterator[Transfer]:
    """The transfers that copy `sources` to `destination`.

    The destination is looked up once, before anything is copied. If it is a directory, each source goes into it under
    its own name; else it is the name of the copy, and there can be only one. A source that cannot be copied is
    reported to `on_error`, and the others go on: a directory of a tree as an `Unlisted`, if it can be planned again. A
    directory that can be copied is reported to `on_tree`. With `are_names`, a source is never a pattern, and the
    destination is always a directory. A partial local file (`LeftoverStorage`) is a source only if it is named.

    Raises:
        UsageError: for several sources and one file, or a source without a name.
        NotFoundError: for a missing directory, or a pattern without a match.
    """
    options = options or CopyOptions()
    if isinstance(sources, Sequence) and sources.count(STREAM) > 1:
        raise UsageError("Standard input can be copied only once")
    if options.replaces is is_newer and isinstance(sources, Sequence) and STREAM in sources:
        raise InputHasNoTime
    given = iter(sources)
    named = list(itertools.islice(given, 2))
    found = _sources(itertools.chain(named, given), storage_of, on_error, options, are_names=are_names)
    first = list(itertools.islice(found, 2))
    is_several = len(named) > 1 or len(first) > 1 or options.flattens or are_names
    is_tree = len(first) == 1 and first[0].is_directory
    target = Place(storage_of(destination), destination)
    into = _directory(target, is_several=is_several, is_tree=is_tree)
    if into and STREAM in named:
        raise InputHasNoName(into.uri)
    # Names can clash only between what several sources give: one listing has each of them once, however long it is.
    clash = len(named) > 1 or options.flattens or any(spans_directories(uri) for uri in named)
    meets = (
        clash and options.is_recursive and (are_names or _may_meet(sources if isinstance(sources, Sequence) else ()))
    )
    made: set[str] | None = set() if clash else None
    dry_run = _dry_run(options)
    planner = _Planner(target, into, on_error, options, on_tree, made, trees_meet=meets, dry_run=dry_run)
    transfers = planner.transfers(itertools.chain(first, found))
    # Asking this machine's file system takes less time than asking a thread to.
    at_once = 1 if destination.is_local and not are_names else QUESTIONS
    if options.replaces:
        transfers = skip_existing(transfers, options.replaces, on_error, at_once, options.tally)
    return dry_run.passed(transfers, on_error) if dry_run else transfers


def _dry_run(options: CopyOptions) -> DryRun | None:
    if not options.is_dry:
        return None
    from algo_data.engine.plan.dry_run import DryRun

    return DryRun()


def _may_meet(sources: Sequence[DataUri]) -> bool:
    """Whether files below a directory can have the same target as files of another source.

    Only where two have one name, or one has none and goes straight into the destination. What patterns match is not
    known yet.
    """
    if len(sources) == 1:
        return spans_directories(sources[0])
    names = {uri.name for uri in sources}
    return len(names) < len(sources) or not names.isdisjoint(UNNAMED) or any(map(has_magic, sources))


def _sources(
    uris: Iterable[DataUri], storage_of: StorageOf, on_error: OnError, options: CopyOptions, *, are_names: bool
) -> Iterator[_Found]:
    for uri in uris:
        try:
            storage = storage_of(uri)
            if uri == STREAM or are_names or not has_magic(uri):
                if uri != STREAM and options.is_recursive:
                    entry = storage.stat(uri)
                    yield _Found(Place(storage, uri), entry)
                    continue
                if uri != STREAM and uri.names_directory and not storage.paths_are_keys:
                    raise SourceIsDirectory(uri) if storage.stat(uri).is_directory else _is_file(uri)
                yield _Found(Place(storage, uri))
                continue
            for entry in expand(storage, uri, on_error):
                if is_leftover(storage, entry.uri):
                    continue
                if entry.is_directory and not options.is_recursive:
                    on_error(entry.uri, SourceIsDirectory(entry.uri))
                else:
                    yield _Found(Place(storage, entry.uri), entry, is_match=True)
        except AlgoError as error:
            on_error(uri, error)


def _is_file(uri: DataUri) -> NotADirectory:
    return NotADirectory(f"{uri} is a file", "Write it without the trailing slash")


def _directory(target: Place, *, is_several: bool, is_tree: bool) -> Place | None:
    """The target if it is a directory, or must be an existing one.

    Raises:
        UsageError: if it has to be and is a file.
        NotFoundError: if it has to be one and does not exist.
    """
    uri = target.uri
    if uri == STREAM:
        if is_several or is_tree:
            raise SeveralToOutput
        return None
    try:
        entry = target.storage.exists(uri)
        is_file = entry is not None and not entry.is_directory
    except NotADirectory:
        entry, is_file = None, True
    if entry and entry.is_directory:
        return target
    if is_file and is_tree:
        raise UsageError(f"{uri} is a file", "A directory can only be copied into a directory, or to a new name")
    if is_file and (is_several or uri.names_directory):
        several, slash = "Several files can only be copied into a directory", "Write it without the trailing slash"
        raise UsageError(f"{uri} is a file", several if is_several else slash)
    if is_several or (uri.names_directory and not is_tree):
        if uri.names_directory and not target.storage.needs_directories:
            return target  # the slash says that a directory is meant, and there it comes about with its first file
        raise missing(target)
    if not uri.is_local and "*" in uri.name:
        raise UsageError(f"A destination cannot be a pattern: {uri}")
    return None


class _Planner:
    """Plans the target of each file of the sources."""

    def __init__(
        self,
        target: Place,
        into: Place | None,
        on_error: OnError,
        options: CopyOptions,
        on_tree: Callable[[Place], None] | None,
        made: set[str] | None,
        *,
        trees_meet: bool,
        dry_run: DryRun | None,
    ) -> None:
        self._target = target
        self._into = into
        self._on_error = on_error
        self._options = options
        self._on_tree = on_tree
        self._made = made
        self._trees_meet = trees_meet
        self._dry_run = dry_run

    def transfers(self, sources: Iterable[_Found]) -> Iterator[Transfer]:
        for found in sources:
            try:
                if found.entry and found.entry.is_directory:
                    yield from self._tree(found, found.entry)
                elif self._options.selection.takes(found.name):
                    if self._into and not (self._into.storage.can_hold_files(self._into.uri)):
                        raise HoldsNoFiles(self._into)
                    into = self._into.child(found.name) if self._into else None
                    yield from self._file(found.place, found.entry, into)
            except AlgoError as error:
                self._on_error(found.place, error)

    def _tree(self, found: _Found, top: Entry) -> Iterator[Transfer]:
        """The transfers of all files of a directory; target directories are made."""
        options, source = self._options, found.place
        if options.removes_sources and source.storage.is_link(source.uri):
            raise SourceIsLink(source.uri)
        if options.flattens and self._into:
            for relative, entry in below(source.storage, top, enters=self._enters, on_error=self._on_error):
                if self._takes(source.storage, relative, entry):
                    yield from self._placed(source.storage, entry, self._into, entry.name, self._file)
            return
        base = self._into or self._target
        if self._into and (found.is_match or found.name not in UNNAMED):
            base = self._into.subdirectory(found.name)
        check_apart(source, base)
        check_fits(source, base, options.selection, is_there=base is self._into)
        if base is not self._into:
            self._make(base)
        if self._on_tree:
            self._on_tree(source)
        yield from self.part(Unlisted(source, base, "", options.removes_sources), top)

    def again(self, part: Unlisted) -> Iterator[Transfer]:
        """The transfers of a directory that could not be planned before; reported again if it cannot be planned now."""
        source = part.source
        try:
            top = source.storage.stat(source.uri)
            if not top.is_directory:
                raise NotADirectory(f"{source} is a file")
            if part.removes_source and source.storage.is_link(source.uri):
                raise SourceIsLink(source.uri)
            self._make(part.target)
        except AlgoError as error:
            self._on_error(part, error)
            return
        yield from self.part(part, top)

    def part(self, part: Unlisted, top: Entry) -> Iterator[Transfer]:
        """The transfers of a directory of a tree; parts that cannot be listed or made are reported."""
        source, base, top_relative, removes_source = part
        storage, prefix = source.storage, prefix_of(top_relative)

        def part_of(uri: DataUri) -> object:
            relative = uri.path[len(top.uri.path) :].removeprefix("/")
            if self._trees_meet:  # what the others have made is not known when it is planned again
                return uri
            if not relative:
                return Unlisted(Place(storage, uri), base, top_relative, removes_source)
            if is_only_key(relative) and not base.storage.paths_are_keys:
                return uri
            return Unlisted(Place(storage, uri), base.child(relative), prefix + relative, removes_source)

        def enters(relative: str, entry: Entry) -> bool:
            return self._options.selection.enters(prefix + relative)

        def prepares(relative: str, entry: Entry) -> bool:
            try:
                if removes_source and storage.is_link(entry.uri):
                    self._on_error(entry.uri, SourceIsLink(entry.uri))
                    return False
                self._make(base.child(relative))
            except AlgoError as error:
                self._on_error(part_of(entry.uri), error)
                return False
            return True

        def on_error(what: object, error: AlgoError) -> None:
            if isinstance(what, DataUri) and not isinstance(error, DirectoryLoop):
                what = part_of(what)
            self._on_error(what, error)

        placed = self._file if self._trees_meet else self._different
        found = below(storage, top, enters=enters, prepares=prepares, on_error=on_error)
        try:
            for relative, entry in found:
                if self._takes(storage, prefix + relative, entry):
                    yield from self._placed(storage, entry, base, relative, placed)
        except AlgoError as error:
            self._on_error(part_of(top.uri), error)

    def _placed(
        self,
        storage: Storage,
        entry: Entry,
        base: Place,
        relative: str,
        transfers: Callable[[Place, Entry, Place], Iterator[Transfer]],
    ) -> Iterator[Transfer]:
        """The transfer of a file to its path below a directory; reported if there can be no such path."""
        source = Place(storage, entry.uri)
        try:
            target = base.child(relative)
        except NoSuchName as error:
            self._on_error(source, error)
            return
        yield from transfers(source, entry, target)

    def _takes(self, storage: Storage, relative: str, entry: Entry) -> bool:
        """Whether a file of a tree is selected; partial files are not."""
        if entry.is_directory or not self._options.selection.takes(relative):
            return False
        return not is_leftover(storage, entry.uri)

    def _make(self, directory: Place) -> None:
        if directory.storage.needs_directories:
            (self._dry_run.make if self._dry_run else make)(directory)

    def _enters(self, relative: str, entry: Entry) -> bool:
        return self._options.selection.enters(relative)

    def _file(self, source: Place, entry: Entry | None, target: Place | None) -> Iterator[Transfer]:
        place = target or self._target
        if self._made is not None and place.uri.path in self._made:
            self._on_error(source, AlgoError(f"{place} was just written: another source has the same name"))
            return
        for transfer in self._different(source, entry, place):
            if self._made is not None:
                self._made.add(place.uri.path)
            yield transfer

    def _different(self, source: Place, entry: Entry | None, target: Place) -> Iterator[Transfer]:
        """The transfer, unless source and target are one file, through a link in a tree."""
        storage = source.storage
        try:
            is_same = storage is target.storage and source.uri != STREAM and storage.is_same(source.uri, target.uri)
        except AlgoError as error:
            self._on_error(source, error)
            return
        if is_same:
            self._on_error(source, AlgoError(f"{source} and {target} are the same file"))
        else:
            yield Transfer(source, target, entry, self._options.removes_sources)


def plan_again(
    parts: Iterable[Transfer | Unlisted | NotPlanned], on_error: OnError, options: CopyOptions, storage_of: StorageOf
) -> Iterator[Transfer]:
    """The failed transfers of an earlier plan, and those of directories that could not be planned then.

    Failures known by name only are reported again after all others are planned.
    """
    dry_run = _dry_run(options)
    transfers = _again(parts, on_error, options, storage_of, dry_run)
    if options.replaces:
        transfers = skip_existing(transfers, options.replaces, on_error, tally=options.tally)
    return dry_run.passed(transfers, on_error) if dry_run else transfers


def _again(
    parts: Iterable[Transfer | Unlisted | NotPlanned],
    on_error: OnError,
    options: CopyOptions,
    storage_of: StorageOf,
    dry_run: DryRun | None,
) -> Iterator[Transfer]:
    unknown: list[NotPlanned] = []
    for part in parts:
        if isinstance(part, NotPlanned):
            unknown.append(part)
        elif isinstance(part, Transfer):
            yield part
        else:
            how = options._replace(removes_sources=part.removes_source)
            planner = _Planner(part.target, None, on_error, how, None, None, trees_meet=False, dry_run=dry_run)
            transfers = planner.again(part)
            is_far = part.removes_source and not part.source.uri.is_local
            yield from when_all_are_known(transfers, storage_of) if is_far else transfers
    for error in unknown:
        on_error(error.what, error)
