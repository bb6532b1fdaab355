"""Tests to inherit for every storage.

    from algo_core.testing.storage import StorageContract


    class TestAcme(StorageContract):
        @pytest.fixture
        def storage(self):
            return AcmeStorage(...)

        @pytest.fixture
        def directory(self, storage):
            return DataUri("acme", "somewhere/empty")

Everything happens below `directory`, which must exist and be empty. Where a storage cannot have something, say so with
one of the class's attributes.
"""

# ruff: noqa: D102 - a test says what it is for in its name

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from algo_core.errors import AlgoError, AlreadyExists, NotFoundError, RequestRefused
from algo_core.storage.capabilities import (
    ConditionalCopyingStorage,
    ConditionalStorage,
    ConditionsIgnored,
    CopyingStorage,
)
from algo_core.storage.contract import Entry, IsADirectory, Kind, NotADirectory, Reader, Storage, VersionChanged
from algo_core.storage.uri import DataUri

MIB = 1 << 20

ODD_NAMES = (
    "plain.txt",
    "with space.txt",
    "plus+sign",
    "hash#mark",
    "question?mark",
    "per%cent",
    "per%2Fcent",
    "über-日本-🎉.txt",
    "quote'd",
    "a&b=c;d,e",
    "brackets[1]",
    "colon:name",
    "~tilde",
    ".hidden",
    "no-extension",
    "x" * 100,
)


class Interrupted(AlgoError):
    """The error that the tests' sources raise."""


class _Failing(io.BytesIO):
    """Returns all of its bytes, and raises instead of reporting its end."""

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]  # narrower on purpose
        count = super().readinto(buffer)
        if not count:
            raise Interrupted("the source failed at its end")
        return count


class StorageContract:
    """Tests of the contract of `algo_core.storage.contract.Storage`; override the two fixtures."""

    contract: tuple[int, int] = (1, 0)
    """The version of the contract that the storage keeps: tests of a later one pass without looking at it.

    Version 1.1 added that a path is never taken for another one; that a directory that cannot be listed is not taken
    for empty (`unreadable`); that nothing is made below a missing directory or read beyond a file's end; that a file
    which changes while it is read is given whole or fails; and that every checksum is that of the content. A new
    storage sets the newest, `(1, 1)`.
    """

    has_versions = True
    """Whether an entry has a `version` when it is read: without one nothing can be resumed."""

    reads_ranges = True
    """Whether a file can be read from an offset."""

    needs_directories = True
    """Whether a directory must be made before files can be in it (object stores have prefixes instead)."""

    conditional_sizes: tuple[int, ...] = (4096, 8 * MIB + 17)
    """Bytes of files that are written on a condition: in one request, and in parts."""

    conditions_are_atomic = True
    """Whether a condition is compared in one step with the write: servers that play a store, and those without
    conditions, may not."""

    takes_paths_as_written = True
    """Whether `a//b` and `a/./b` are not `a/b`: in hosted data and on this machine they are."""

    @pytest.fixture
    def storage(self) -> Storage:
        """The storage to test."""
        raise NotImplementedError

    @pytest.fixture
    def directory(self, storage: Storage) -> DataUri:
        """An empty directory in it, in which files can be made."""
        raise NotImplementedError

    @pytest.fixture
    def place_for_directories(self, directory: DataUri) -> DataUri:
        """A directory in which directories can be made."""
        return directory

    @contextlib.contextmanager
    def unreadable(self, storage: Storage, directory: DataUri) -> Iterator[tuple[Storage, DataUri] | None]:
        """A storage and a directory in it that is there, and cannot be listed while the block runs.

        It can be this one, with a file in it, which is mended afterwards, or any other. None if there can be none.
        """
        yield None

    # Files

    @pytest.mark.parametrize("size", [0, 1, 4096, MIB, 2 * MIB + 17])
    @pytest.mark.parametrize("is_size_known", [True, False])
    def test_a_file_is_read_as_it_was_written(
        self, storage: Storage, directory: DataUri, size: int, is_size_known: bool
    ) -> None:
        uri, content = directory.child("file.bin"), _content(size)
        written = storage.write(uri, io.BytesIO(content), size if is_size_known else None)
        assert written.kind is Kind.FILE
        assert written.size in (size, None)
        assert read(storage, uri) == content

    @pytest.mark.parametrize("name", ODD_NAMES)
    def test_any_name_is_kept(self, storage: Storage, directory: DataUri, name: str) -> None:
        uri = directory.child(name)
        storage.write(uri, io.BytesIO(name.encode()), None)
        assert read(storage, uri) == name.encode()
        assert [entry.name for entry in storage.list(directory)] == [name]
        assert storage.stat(uri).size == len(name.encode())
        storage.remove(uri)
        assert list(storage.list(directory)) == []

    def test_a_source_is_written_from_its_position(self, storage: Storage, directory: DataUri) -> None:
        source = io.BytesIO(b"before and after")
        source.seek(7)
        storage.write(directory.child("file"), source, 9)
        assert read(storage, directory.child("file")) == b"and after"

    def test_an_older_file_is_replaced(self, storage: Storage, directory: DataUri) -> None:
        uri = directory.child("file")
        storage.write(uri, io.BytesIO(b"something longer"), 16)
        storage.write(uri, io.BytesIO(b"short"), 5)
        assert read(storage, uri) == b"short"

    @pytest.mark.parametrize(("given", "announced"), [(10, 11), (10, 9), (0, 1), (1, 0), (3 * MIB, 3 * MIB + 1)])
    def test_a_source_that_is_longer_or_shorter_than_announced_changes_nothing(
        self, storage: Storage, directory: DataUri, given: int, announced: int
    ) -> None:
        uri = directory.child("file")
        storage.write(uri, io.BytesIO(b"older"), 5)
        with pytest.raises(AlgoError):
            storage.write(uri, io.BytesIO(_content(given)), announced)
        assert read(storage, uri) == b"older"
        assert [entry.name for entry in storage.list(directory)] == ["file"]

    @pytest.mark.parametrize("size", [5, 2 * MIB])
    @pytest.mark.parametrize("is_size_known", [True, False])
    def test_a_source_that_fails_at_its_very_end_changes_nothing(
        self, storage: Storage, directory: DataUri, size: int, is_size_known: bool
    ) -> None:
        uri = directory.child("file")
        storage.write(uri, io.BytesIO(b"older"), 5)
        with pytest.raises(Interrupted):
            storage.write(uri, _Failing(_content(size)), size if is_size_known else None)
        assert read(storage, uri) == b"older"
        assert [entry.name for entry in storage.list(directory)] == ["file"]

    @pytest.mark.parametrize("size", [0, 1, 4096])
    def test_a_small_file_is_written_and_read_at_once(self, storage: Storage, directory: DataUri, size: int) -> None:
        uri, content = directory.child("small"), _content(size)
        assert storage.write_small(uri, b"an older one") is not None
        assert storage.write_small(uri, content).size in (size, None)
        assert read(storage, uri) == content
        found = storage.read_small(uri, max(1, size))
        if found is not None:
            assert (found[0].uri, found[0].size, found[1]) == (uri, size, content)
        if size > 1:
            assert storage.read_small(uri, size - 1) is None

    def test_a_small_file_that_cannot_be_had_is_told_or_left_to_reading(
        self, storage: Storage, directory: DataUri, place_for_directories: DataUri
    ) -> None:
        storage.mkdir(place_for_directories.child("made"))
        with contextlib.suppress(IsADirectory):
            assert storage.read_small(place_for_directories.child("made"), MIB) is None
        with contextlib.suppress(NotFoundError):
            assert storage.read_small(directory.child("nothing"), MIB) is None

    def test_a_file_can_be_read_from_an_offset(self, storage: Storage, directory: DataUri) -> None:
        uri = directory.child("file")
        storage.write(uri, io.BytesIO(b"0123456789"), 10)
        reader = storage.open(uri, 4)
        try:
            assert reader.offset == (4 if self.reads_ranges else 0)
            assert reader.entry.size in (10, None)
            assert _rest(reader) == b"0123456789"[reader.offset :]
        finally:
            reader.close()

    @pytest.mark.parametrize("offset", [10, 11, 5_000_000])
    def test_nothing_is_read_beyond_the_end(self, storage: Storage, directory: DataUri, offset: int) -> None:
        if self.contract < (1, 1):
            return
        uri = directory.child("file")
        storage.write(uri, io.BytesIO(b"0123456789"), 10)
        try:
            reader = storage.open(uri, offset)
        except RequestRefused:
            return
        try:
            assert reader.offset in (0, offset)
            assert _rest(reader) == b"0123456789"[reader.offset :]
        finally:
            reader.close()

    @pytest.mark.parametrize("is_removed", [False, True])
    def test_a_file_that_changes_while_it_is_read_is_given_whole_or_fails(
        self, storage: Storage, directory: DataUri, is_removed: bool
    ) -> None:
        if self.contract < (1, 1):
            return
        uri, content = directory.child("file"), _content(5 * MIB)
        storage.write(uri, io.BytesIO(content), len(content))
        reader = storage.open(uri)
        try:
            buffer = bytearray(70_000)
            begun = bytes(buffer[: reader.readinto(buffer)])
            if is_removed:
                storage.remove(uri)
            else:
                storage.write(uri, io.BytesIO(b"another one"), 11)
            with contextlib.suppress(AlgoError):
                assert begun + _rest(reader) == content
        finally:
            reader.close()

    def test_a_checksum_is_that_of_the_content(self, storage: Storage, directory: DataUri) -> None:
        if self.contract < (1, 1):
            return
        contents = {"one": b"the one", "other": _content(2 * MIB + 17), "empty": b""}
        for name, content in contents.items():
            _check_checksum(storage.write(directory.child(name), io.BytesIO(content), len(content)), content)
        for entry in [*storage.list(directory), *storage.scan(directory)]:
            _check_checksum(entry, contents[entry.name])
        for name, content in contents.items():
            uri = directory.child(name)
            _check_checksum(storage.stat(uri), content)
            reader = storage.open(uri)
            _check_checksum(reader.entry, content)
            reader.close()
            if small := storage.read_small(uri, MIB):
                _check_checksum(small[0], content)
        replaced = storage.write_small(directory.child("one"), b"another one")
        _check_checksum(replaced, b"another one")
        _check_checksum(storage.stat(directory.child("one")), b"another one")

    def test_reading_goes_on_only_in_the_same_version(self, storage: Storage, directory: DataUri) -> None:
        if not self.has_versions:
            pytest.skip("has no versions")
        uri = directory.child("file")
        storage.write(uri, io.BytesIO(b"first version"), 13)
        version = _version(storage, uri)
        assert version is not None
        assert _offset(storage, uri, 6, version) == (6 if self.reads_ranges else 0)
        storage.write(uri, io.BytesIO(b"another one, longer"), 19)
        assert _version(storage, uri) != version
        assert _offset(storage, uri, 6, version) == 0

    def test_many_threads_can_read_and_write(self, storage: Storage, directory: DataUri) -> None:
        def round_trip(number: int) -> bool:
            uri, content = directory.child(f"file{number}"), _content(100_000 + number)
            storage.write(uri, io.BytesIO(content), len(content))
            return read(storage, uri) == content

        with ThreadPoolExecutor(4) as threads:
            assert all(threads.map(round_trip, range(12)))
        assert sum(1 for _ in storage.list(directory)) == 12

    def test_a_file_can_be_removed_once(self, storage: Storage, directory: DataUri) -> None:
        uri = directory.child("file")
        storage.write(uri, io.BytesIO(b"content"), 7)
        storage.remove(uri)
        assert storage.exists(uri) is None
        with pytest.raises(NotFoundError):
            storage.remove(uri)

    @pytest.mark.parametrize("written", ["{}//file", "{}/./file", "{}/x/../file", "{}/file/", "{}/file/.", "{}//"])
    def test_a_path_is_never_taken_for_another(self, storage: Storage, directory: DataUri, written: str) -> None:
        if self.contract < (1, 1):
            return
        if not self.takes_paths_as_written:
            assert not storage.paths_are_keys
            return
        storage.write(directory.child("file"), io.BytesIO(b"content"), 7)
        other = directory._replace(path=written.format(directory.path))
        for attempt in (storage.stat, storage.open, storage.remove, storage.rmdir):
            with pytest.raises(AlgoError):
                attempt(other)
        with pytest.raises(AlgoError):
            storage.rmdir(other, force=True)
        with pytest.raises(AlgoError):
            list(storage.list(other))
        with contextlib.suppress(AlgoError):
            storage.write(other, io.BytesIO(b"other"), 5)
        with contextlib.suppress(AlgoError):
            storage.write_small(other, b"other")
        assert read(storage, directory.child("file")) == b"content"

    # Copies that the storage makes itself

    @pytest.mark.parametrize("size", [0, 4096, 2 * MIB + 17])
    def test_a_copy_within_the_storage_has_the_content(self, storage: Storage, directory: DataUri, size: int) -> None:
        if not isinstance(storage, CopyingStorage):
            return
        source, target, content = directory.child("plus+ ü%20#?"), directory.child("copy of it"), _content(size)
        storage.write(source, io.BytesIO(content), size)
        storage.write(target, io.BytesIO(b"older"), 5)
        seen: list[int] = []
        if (copy := storage.copy_within(source, target, None, seen.append)) is None:
            assert read(storage, target) == b"older"
            return
        assert (copy.uri, copy.kind, copy.size) == (target, Kind.FILE, size)
        assert seen[-1:] == [size]
        assert seen == sorted(seen)
        assert read(storage, target) == content == read(storage, source)
        assert sorted(entry.name for entry in storage.list(directory)) == sorted([source.name, target.name])

    def test_a_copy_within_the_storage_is_never_of_an_older_or_mixed_version(
        self, storage: Storage, directory: DataUri
    ) -> None:
        if not isinstance(storage, CopyingStorage):
            return
        source, target = directory.child("source"), directory.child("target")
        storage.write(source, io.BytesIO(b"first version"), 13)
        (listed,) = storage.list(directory)
        storage.write(source, io.BytesIO(b"another one, longer"), 19)
        if storage.copy_within(source, target, listed, lambda done: None):
            assert read(storage, target) == b"another one, longer"
        else:
            assert storage.exists(target) is None

    def test_a_copy_within_the_storage_that_fails_changes_nothing(
        self, storage: Storage, directory: DataUri, place_for_directories: DataUri
    ) -> None:
        if not isinstance(storage, CopyingStorage):
            return
        target, made = directory.child("target"), place_for_directories.child("made")
        storage.write(target, io.BytesIO(b"older"), 5)
        storage.mkdir(made)
        for source, kind in ((directory.child("nothing"), NotFoundError), (made, IsADirectory)):
            with pytest.raises(kind, match=source.name):
                storage.copy_within(source, target, None, lambda done: None)
            assert read(storage, target) == b"older"
        if self.needs_directories:
            lost = place_for_directories.child("missing")
            with pytest.raises((NotFoundError, RequestRefused)):
                storage.copy_within(target, lost.child("copy"), None, lambda done: None)
            assert storage.exists(lost) is None

    # Writes on a condition

    def test_a_file_is_made_only_if_there_is_none(self, storage: Storage, directory: DataUri) -> None:
        if not isinstance(storage, ConditionalStorage):
            return
        for size in self.conditional_sizes:
            uri, content = directory.child(f"made+ ü%20#? {size}"), _content(size)
            try:
                written = storage.write_if(uri, io.BytesIO(content), size, version=None)
            except ConditionsIgnored:
                assert list(storage.list(directory)) == []
                return
            assert (written.uri, written.size) == (uri, size)
            for again in (b"another", content):
                with pytest.raises(AlreadyExists, match=r"made\+"):
                    storage.write_if(uri, io.BytesIO(again), len(again), version=None)
            assert read(storage, uri) == content
            storage.remove(uri)
            assert list(storage.list(directory)) == []

    def test_a_file_is_replaced_only_if_it_is_the_one_that_was_seen(self, storage: Storage, directory: DataUri) -> None:
        if not isinstance(storage, ConditionalStorage):
            return
        uri = directory.child("file")
        for size in self.conditional_sizes:
            content = _content(size)
            storage.write(uri, io.BytesIO(b"first"), 5)
            first = storage.stat(uri).version
            try:
                second = storage.write_if(uri, io.BytesIO(content), size, version=first)
            except ConditionsIgnored:
                assert read(storage, uri) == b"first"
                return
            assert read(storage, uri) == content
            with pytest.raises(VersionChanged, match="file"):
                storage.write_if(uri, io.BytesIO(content + b"!"), size + 1, version=first)
            assert read(storage, uri) == content
            version = second.version or storage.stat(uri).version
            storage.remove(uri)
            with pytest.raises(VersionChanged, match="file"):
                storage.write_if(uri, io.BytesIO(content), size, version=version)
            assert storage.exists(uri) is None

    def test_a_copy_within_the_storage_replaces_nothing_unseen(self, storage: Storage, directory: DataUri) -> None:
        if not isinstance(storage, ConditionalCopyingStorage):
            return
        source, target, copy = directory.child("source"), directory.child("target"), storage.copy_within_if
        for size in (0, 4096):
            content = _content(size)
            storage.write(source, io.BytesIO(content), size)
            try:
                made = copy(source, target, None, lambda done: None, version=None)
            except ConditionsIgnored:
                assert storage.exists(target) is None
                return
            if made is None:  # it is copied in the ordinary way
                assert storage.exists(target) is None
                continue
            assert (made.uri, made.size) == (target, size)
            with pytest.raises(AlreadyExists, match="target"):
                copy(source, target, None, lambda done: None, version=None)
            assert read(storage, target) == content
            seen = storage.stat(target).version
            storage.write(target, io.BytesIO(b"another"), 7)
            with contextlib.suppress(ConditionsIgnored), pytest.raises(VersionChanged, match="target"):
                copy(source, target, None, lambda done: None, version=seen)
            assert read(storage, target) == b"another"
            assert sorted(entry.name for entry in storage.list(directory)) == ["source", "target"]
            storage.remove(target)

    def test_of_several_writers_at_once_one_wins(self, storage: Storage, directory: DataUri) -> None:
        if not isinstance(storage, ConditionalStorage) or not self.conditions_are_atomic:
            return
        uri, version = directory.child("contended"), None
        for attempt in range(3):
            contents = [f"{attempt} {number}".encode() for number in range(6)]  # a version may be that of a content

            def write(content: bytes, seen: str | None = version) -> bool:
                assert isinstance(storage, ConditionalStorage)
                try:
                    storage.write_if(uri, io.BytesIO(content), len(content), version=seen)
                except (AlreadyExists, VersionChanged):
                    return False
                return True

            with ThreadPoolExecutor(len(contents)) as pool:
                won = list(pool.map(write, contents))
            assert won.count(True) == 1
            assert read(storage, uri) == contents[won.index(True)]
            version = storage.stat(uri).version

    # What is not there, or is the other kind

    def test_a_missing_file_is_not_found(self, storage: Storage, directory: DataUri) -> None:
        uri = directory.child("nothing")
        assert storage.exists(uri) is None
        with pytest.raises(NotFoundError):
            storage.stat(uri)
        with pytest.raises(NotFoundError):
            read(storage, uri)
        with pytest.raises(NotFoundError):
            storage.rmdir(uri)

    def test_a_missing_directory_is_not_found_when_the_listing_starts(
        self, storage: Storage, place_for_directories: DataUri
    ) -> None:
        missing = place_for_directories.child("nothing")
        with pytest.raises(NotFoundError):
            next(storage.list(missing))
        if self.needs_directories:
            with pytest.raises(NotFoundError):
                storage.write(missing.child("file"), io.BytesIO(b"x"), 1)

    def test_nothing_is_made_below_a_missing_directory(self, storage: Storage, place_for_directories: DataUri) -> None:
        if self.contract < (1, 1) or not self.needs_directories:
            return
        missing = place_for_directories.child("nothing")
        for attempt in (
            lambda: storage.write(missing.child("file"), io.BytesIO(b"x"), 1),
            lambda: storage.write(missing.child("file"), io.BytesIO(b"x")),
            lambda: storage.write_small(missing.child("file"), b"x"),
            lambda: storage.mkdir(missing.child("directory")),
        ):
            with pytest.raises((NotFoundError, RequestRefused)):
                attempt()
            assert storage.exists(missing) is None

    def test_a_directory_is_no_file(self, storage: Storage, place_for_directories: DataUri) -> None:
        made = place_for_directories.child("made")
        storage.mkdir(made)
        with pytest.raises(IsADirectory):
            storage.open(made)
        with pytest.raises(IsADirectory):
            storage.remove(made)
        assert storage.stat(made).is_directory

    def test_a_file_is_no_directory(self, storage: Storage, directory: DataUri) -> None:
        uri = directory.child("file")
        storage.write(uri, io.BytesIO(b"content"), 7)
        with pytest.raises(NotADirectory):
            next(storage.list(uri))
        with pytest.raises(NotADirectory):
            storage.rmdir(uri, force=True)
        assert read(storage, uri) == b"content"

    def test_what_cannot_be_listed_is_neither_empty_nor_absent(self, storage: Storage, directory: DataUri) -> None:
        file = directory.child("file")
        storage.write(file, io.BytesIO(b"content"), 7)
        with self.unreadable(storage, directory) as found:
            if found is None:
                return
            broken, uri = found
            for listing in (broken.list, broken.scan, broken.names):
                with pytest.raises(AlgoError) as caught:
                    list(listing(uri))
                assert not isinstance(caught.value, (NotFoundError, NotADirectory))
            with pytest.raises(AlgoError) as caught:
                broken.exists(uri.child("file"))
            assert not isinstance(caught.value, NotFoundError)
            for force in (False, True):
                with pytest.raises(AlgoError):
                    broken.rmdir(uri, force=force)
        assert read(storage, file) == b"content"

    # Directories

    def test_a_listing_has_directories_first_and_the_facts_of_files(
        self, storage: Storage, directory: DataUri, place_for_directories: DataUri
    ) -> None:
        storage.write(directory.child("b"), io.BytesIO(b"12345"), 5)
        storage.write(directory.child("a"), io.BytesIO(b""), 0)
        if directory == place_for_directories:
            storage.mkdir(directory.child("z"))
        found = {entry.name: entry for entry in storage.list(directory)}
        directories = [entry.is_directory for entry in storage.list(directory)]
        assert directories == sorted(directories, reverse=True)
        assert set(found) - {"z"} == {"a", "b"}
        assert found["b"].uri == directory.child("b")
        assert (found["b"].kind, found["b"].size, found["a"].size) == (Kind.FILE, 5, 0)
        modified = found["b"].modified
        assert modified is None or modified.tzinfo is not None

    def test_scanning_gives_what_listing_gives(
        self, storage: Storage, directory: DataUri, place_for_directories: DataUri
    ) -> None:
        for name in ("b", "a", "c"):
            storage.write(directory.child(name), io.BytesIO(name.encode()), 1)
        listed = {entry.name: (entry.kind, entry.size) for entry in storage.list(directory)}
        assert {entry.name: (entry.kind, entry.size) for entry in storage.scan(directory)} == listed
        with pytest.raises(NotFoundError):
            next(storage.scan(place_for_directories.child("nothing")))

    def test_names_are_those_of_the_listing(
        self, storage: Storage, directory: DataUri, place_for_directories: DataUri
    ) -> None:
        for name in ("b", "a", "..c"):
            storage.write(directory.child(name), io.BytesIO(b"x"), 1)
        if directory == place_for_directories:
            storage.mkdir(directory.child("z"))
        listed = [f"{entry.name}/" if entry.is_directory else entry.name for entry in storage.list(directory)]
        assert [name for names in storage.names(directory) for name in names] == listed
        with pytest.raises(NotFoundError):
            next(storage.names(place_for_directories.child("nothing")))
        with pytest.raises(NotADirectory):
            next(storage.names(directory.child("a")))

    def test_a_directory_that_can_hold_files_is_told(self, storage: Storage, directory: DataUri) -> None:
        assert storage.can_hold_files(directory)

    def test_a_directory_that_can_hold_directories_is_told(
        self, storage: Storage, place_for_directories: DataUri
    ) -> None:
        made = place_for_directories.child("made")
        assert storage.can_hold_directories(place_for_directories)
        storage.mkdir(made)
        if storage.can_hold_directories(made):
            storage.mkdir(made.child("within"))
            assert storage.stat(made.child("within")).is_directory
        else:
            with pytest.raises(AlgoError):
                storage.mkdir(made.child("within"))

    def test_making_a_directory_twice_is_told(self, storage: Storage, place_for_directories: DataUri) -> None:
        made = place_for_directories.child("made")
        storage.mkdir(made)
        with pytest.raises(AlreadyExists):
            storage.mkdir(made)
        assert storage.stat(made).is_directory
        assert list(storage.list(made)) == []

    def test_a_directory_with_files_is_removed_only_by_force(
        self, storage: Storage, place_for_directories: DataUri
    ) -> None:
        made = place_for_directories.child("made")
        storage.mkdir(made)
        storage.write(made.child("one"), io.BytesIO(b"1"), 1)
        storage.write(made.child("two"), io.BytesIO(b"2"), 1)
        with pytest.raises(RequestRefused):
            storage.rmdir(made)
        assert read(storage, made.child("one")) == b"1"
        assert storage.rmdir(made, force=True) == 2
        assert storage.exists(made) is None

    def test_an_empty_directory_is_removed(self, storage: Storage, place_for_directories: DataUri) -> None:
        made = place_for_directories.child("made")
        storage.mkdir(made)
        assert storage.rmdir(made) == 0
        assert storage.exists(made) is None

    def test_a_place_is_the_same_as_itself_only(self, storage: Storage, directory: DataUri) -> None:
        one, other = directory.child("one"), directory.child("other")
        for uri in (one, other):
            storage.write(uri, io.BytesIO(b"x"), 1)
        assert storage.is_same(one, one)
        assert not storage.is_same(one, other)


def read(storage: Storage, uri: DataUri) -> bytes:
    """The content of a file."""
    reader = storage.open(uri)
    try:
        assert reader.offset == 0
        return _rest(reader)
    finally:
        reader.close()


def _rest(reader: Reader) -> bytes:
    return b"".join(_blocks(reader))


def _blocks(reader: Reader) -> Iterator[bytes]:
    buffer = bytearray(70_000)  # no power of two, so that blocks do not end where pages do
    while count := reader.readinto(buffer):
        yield bytes(buffer[:count])


def _check_checksum(entry: Entry, content: bytes) -> None:
    if entry.checksum:
        assert entry.checksum.digest == hashlib.new(entry.checksum.algorithm, content).hexdigest(), str(entry.uri)


def _version(storage: Storage, uri: DataUri) -> str | None:
    reader = storage.open(uri)
    try:
        return reader.entry.version
    finally:
        reader.close()


def _offset(storage: Storage, uri: DataUri, offset: int, version: str) -> int:
    reader = storage.open(uri, offset, version=version)
    try:
        return reader.offset
    finally:
        reader.close()


def _content(size: int) -> bytes:
    return bytes(range(251)) * (size // 251) + bytes(range(size % 251))
