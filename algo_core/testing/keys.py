"""Tests to inherit for storages whose paths are object keys, in addition to `StorageContract`."""

# ruff: noqa: D102 - a test says what it is for in its name

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from algo_core.errors import AlgoError, NotFoundError, RequestRefused
from algo_core.storage.contract import Entry, IsADirectory, Kind, NotADirectory, Storage
from algo_core.storage.uri import DataUri
from algo_core.testing.storage import read


class KeyContract:
    """Tests of `algo_core.storage.contract.Storage.paths_are_keys`; override the two fixtures and `make`."""

    odd_keys: tuple[str, ...] = ("o//b", "o///b", "/lead", "d/./b", "d/../b", "e/.", "e/..", "..", "..c/b")
    """Keys with components that no local path has, as far as the store has them."""

    marks_have_content = True
    """Whether the store keeps the content of an object whose key ends in a slash."""

    @pytest.fixture
    def storage(self) -> Storage:
        """The storage to test."""
        raise NotImplementedError

    @pytest.fixture
    def directory(self, storage: Storage) -> DataUri:
        """An empty directory in it."""
        raise NotImplementedError

    def make(self, storage: Storage, uri: DataUri, content: bytes) -> None:
        """Make an object with exactly this key, a slash at its end included, past the storage if need be."""
        raise NotImplementedError

    def test_each_character_of_a_key_counts(self, storage: Storage, directory: DataUri) -> None:
        assert storage.paths_are_keys
        keys = ["b", "d/b", "o/b", "lead", "c/b", *self.odd_keys]
        uris = {key: _at(directory, key) for key in keys}
        for key, uri in uris.items():
            storage.write(uri, io.BytesIO(key.encode()), len(key.encode()))
        for key, uri in uris.items():
            assert read(storage, uri) == key.encode()
            assert storage.stat(uri).size == len(key.encode())
        assert sorted(entry.uri.path for entry in files_below(storage, directory)) == sorted(
            uri.path for uri in uris.values()
        )
        for key in self.odd_keys:
            storage.remove(uris.pop(key))
            assert sorted(entry.uri.path for entry in files_below(storage, directory)) == sorted(
                uri.path for uri in uris.values()
            )

    def test_a_directory_without_a_name_is_listed_and_removed(self, storage: Storage, directory: DataUri) -> None:
        if "o//b" not in self.odd_keys:
            with pytest.raises(AlgoError):
                next(storage.list(_at(directory, "o//")))
            return
        for key in ("o//b", "o/b"):
            storage.write(_at(directory, key), io.BytesIO(b"x"), 1)
        nameless = _at(directory, "o//")
        found = {entry.uri: (entry.kind, entry.name) for entry in storage.list(directory.child("o"))}
        assert found == {nameless: (Kind.DIRECTORY, ""), _at(directory, "o/b"): (Kind.FILE, "b")}
        assert [entry.uri for entry in storage.list(nameless)] == [_at(directory, "o//b")]
        assert storage.stat(nameless).is_directory
        with pytest.raises(RequestRefused):
            storage.rmdir(nameless)
        with pytest.raises(RequestRefused):
            storage.rmdir(directory.child("o"))
        assert storage.rmdir(nameless, force=True) == 1
        assert read(storage, _at(directory, "o/b")) == b"x"
        assert storage.exists(nameless) is None

    def test_an_empty_mark_is_a_directory_and_no_file(self, storage: Storage, directory: DataUri) -> None:
        made, mark = directory.child("made"), _at(directory, "made/")
        storage.mkdir(made)
        assert list(storage.list(made)) == []
        assert storage.stat(mark).is_directory
        with pytest.raises(IsADirectory):
            storage.open(mark)
        with pytest.raises(IsADirectory):
            storage.remove(mark)
        assert storage.rmdir(mark) == 0
        with pytest.raises(NotFoundError):
            storage.remove(mark)

    @pytest.mark.parametrize("has_more", [False, True])
    def test_a_mark_with_content_is_a_file_without_a_name(
        self, storage: Storage, directory: DataUri, has_more: bool
    ) -> None:
        self.make(storage, _at(directory, "m/body/"), b"content")
        if has_more:
            storage.write(_at(directory, "m/body/x"), io.BytesIO(b"x"), 1)
        body, key = directory.child("m").child("body"), _at(directory, "m/body/")
        if not self.marks_have_content:
            with pytest.raises(IsADirectory):
                storage.open(key)
            return
        assert [entry.uri for entry in storage.list(directory.child("m"))] == [body]
        found = {entry.uri: (entry.kind, entry.name, entry.size) for entry in storage.list(body)}
        assert found.pop(key) == (Kind.FILE, "", 7)
        assert len(found) == has_more
        assert storage.stat(body).is_directory
        assert storage.stat(key).is_directory is has_more
        assert read(storage, key) == b"content"
        with pytest.raises(RequestRefused):
            storage.rmdir(body)
        with pytest.raises(RequestRefused if has_more else NotADirectory):
            storage.rmdir(key)
        assert read(storage, key) == b"content"
        storage.remove(key)
        with pytest.raises(AlgoError):
            storage.open(key)
        assert [entry.uri for entry in files_below(storage, directory)] == [_at(directory, "m/body/x")] * has_more

    def test_what_is_removed_with_a_directory_is_all_that_is_in_it(self, storage: Storage, directory: DataUri) -> None:
        keys = [f"m/{key}" for key in self.odd_keys] + ["m/x", "m/deep/y"]
        for key in keys:
            storage.write(_at(directory, key), io.BytesIO(b"x"), 1)
        self.make(storage, _at(directory, "m/body/"), b"content")
        storage.write(_at(directory, "mx"), io.BytesIO(b"x"), 1)
        assert storage.rmdir(directory.child("m"), force=True) == len(keys) + self.marks_have_content
        assert [entry.uri for entry in files_below(storage, directory)] == [_at(directory, "mx")]


def files_below(storage: Storage, directory: DataUri) -> Iterator[Entry]:
    """All files in a directory, on all levels."""
    for entry in storage.scan(directory):
        if entry.is_directory:
            yield from files_below(storage, entry.uri)
        else:
            yield entry


def _at(directory: DataUri, key: str) -> DataUri:
    return directory._replace(path=f"{directory.path}/{key}")
