"""Tests to inherit for every implementation of objects (`algo_local.data.objects.Objects`). Needs pytest."""

# ruff: noqa: D102 - a test says what it is for in its name

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import pytest

from algo_core.errors import NotFoundError, RequestRefused
from algo_local.data.objects import BLOCK, IN_MEMORY, FileInfo, Objects
from algo_local.names import encode_file_name
from algo_local.refusals import ConditionFailed

NAMES = (
    *("a", "A", "a b", "a+b", "a%b", "%41", "a/b", "/", "//", ".", "..", ".x", "x.", "~", "\x00", "\n", "\r\n", "\x7f"),
    *("a?b#c&d=e", "a\\b", "\"'<>|*:;", "ü", "u\u0308", "日本語", "😀", " ", " lead", "trail ", "x" * 255, "é" * 127),
)
"""Names of files, all of which are different files."""

LARGE = b"".join(hashlib.sha256(number.to_bytes(4, "big")).digest() for number in range(BLOCK // 16))
"""Two blocks of content, no part of which repeats."""

_numbers = itertools.count(1)


def put(objects: Objects, directory: str, name: str, content: bytes, *, replaces: str | None = None) -> FileInfo:
    """Store a file."""
    with objects.receive(io.BytesIO(content).read, len(content)) as received:
        return objects.place(received, directory, name, replaces=replaces)


def get(objects: Objects, directory: str, name: str) -> bytes | None:
    """The whole content of a file; None if there is none."""
    found = objects.open(directory, name)
    return _rest(found[0]) if found else None


def _rest(content: BinaryIO | bytes) -> bytes:
    if isinstance(content, bytes):
        return content
    with content:
        return b"".join(iter(lambda: content.read(BLOCK), b""))


class ObjectsContract:
    """Tests of the contract `algo_local.data.objects.Objects`; override `make`."""

    compares = True
    """Whether files can be replaced on a condition."""

    writers = 4
    """Writers that do so at once."""

    atomic = True
    """Whether a reader sees the old file or the new one while it is being replaced."""

    def make(self, place: Path) -> Objects:
        """Objects of which the state is at a place; the same for the same place, as another process would open it."""
        raise NotImplementedError

    @pytest.fixture
    def objects(self, tmp_path: Path) -> Objects:
        return self.make(tmp_path)

    @pytest.fixture
    def another(self, objects: Objects, tmp_path: Path) -> Objects:
        """The same objects in another process."""
        return self.make(tmp_path)

    @pytest.fixture
    def directory(self, objects: Objects) -> str:
        number = next(_numbers)
        made = objects.collection("jane", f"c{number}", f"id-{number}")
        objects.make(made)
        return made

    def test_every_name_comes_back_as_it_was(self, objects: Objects, another: Objects, directory: str) -> None:
        for name in NAMES:
            put(objects, directory, name, name.encode())
        assert sorted(another.names(directory)) == sorted(NAMES)
        found = another.page(directory, None, 1000)
        assert sorted((info.name, info.size) for info in found.files) == sorted((n, len(n.encode())) for n in NAMES)
        assert {name: get(another, directory, name) for name in NAMES} == {name: name.encode() for name in NAMES}
        assert all(another.remove(directory, name) for name in NAMES)
        assert objects.names(directory) == []

    @pytest.mark.parametrize("name", ["", "x" * 256, "ü" * 128, "\ud800"])
    def test_a_name_that_cannot_be_kept_is_refused(self, objects: Objects, directory: str, name: str) -> None:
        with pytest.raises(RequestRefused):
            put(objects, directory, name, b"")
        assert objects.names(directory) == []

    @pytest.mark.parametrize("size", [0, 1, IN_MEMORY - 1, IN_MEMORY, IN_MEMORY + 1, len(LARGE)])
    def test_content_of_any_size(self, objects: Objects, another: Objects, directory: str, size: int) -> None:
        content, now = LARGE[:size], time.time()
        with objects.receive(io.BytesIO(content).read) as received:
            assert (received.size, received.md5) == (size, hashlib.md5(content, usedforsecurity=False).hexdigest())
            placed = objects.place(received, directory, "f")
        opened = another.open(directory, "f")
        assert opened
        content_or_file, info = opened
        assert isinstance(content_or_file, bytes) == (size <= IN_MEMORY)
        assert _rest(content_or_file) == content
        assert (info.name, info.size, info.identity) == ("f", size, placed.identity)
        assert abs(info.modified - now) < 60
        looked_up, listed = another.info(directory, "f"), another.page(directory, None, 10).files
        for told in (looked_up, *listed):
            assert told
            assert (told.name, told.size, told.identity) == ("f", size, placed.identity)
            assert abs(told.modified - info.modified) <= 1  # some stores tell it more precisely than in others places
        assert objects.size(directory) >= size

    def test_a_part_of_a_large_file_is_read(self, objects: Objects, directory: str) -> None:
        put(objects, directory, "f", LARGE)
        opened = objects.open(directory, "f")
        assert opened
        file = opened[0]
        assert not isinstance(file, bytes)
        with file:
            for start in (BLOCK + 7, 3, len(LARGE) - 5, len(LARGE), 0):
                file.seek(start)
                assert file.read(100) == LARGE[start : start + 100]
            buffer = bytearray(50)
            file.seek(IN_MEMORY - 20)
            count = file.readinto(buffer)  # type: ignore[attr-defined]  # unbuffered files have it
            assert 0 < count <= 50
            assert buffer[:count] == LARGE[IN_MEMORY - 20 :][:count]
        assert file.closed

    @pytest.mark.parametrize(
        ("length", "md5", "words"),
        [(6, None, "after 5 of 6 bytes"), (None, "0" * 32, "announced MD5"), (4, None, None)],
    )
    def test_what_is_not_as_announced_is_not_stored(
        self, objects: Objects, directory: str, length: int | None, md5: str | None, words: str | None
    ) -> None:
        put(objects, directory, "f", b"old")
        read = io.BytesIO(b"12345").read
        if words is None:
            with objects.receive(read, length) as received:
                assert received.size == length  # the rest is not part of the file
        else:
            with pytest.raises(RequestRefused, match=words), objects.receive(read, length, md5):
                raise AssertionError("it must not be given out")
        assert get(objects, directory, "f") == b"old"
        assert objects.names(directory) == ["f"]

    def test_a_source_that_breaks_leaves_the_older_file(self, objects: Objects, directory: str) -> None:
        put(objects, directory, "f", b"old")
        blocks = iter([b"x" * BLOCK, b"y" * BLOCK])

        def read(size: int) -> bytes:
            assert get(objects, directory, "f") == b"old"
            try:
                return next(blocks)
            except StopIteration:
                raise ConnectionError("gone") from None

        with pytest.raises(ConnectionError), objects.receive(read):
            raise AssertionError("it must not be given out")
        assert get(objects, directory, "f") == b"old"
        assert objects.names(directory) == ["f"]

    @pytest.mark.parametrize("size", [10, len(LARGE)])
    def test_an_open_file_is_read_as_it_was_or_not_at_all(
        self, objects: Objects, another: Objects, directory: str, size: int
    ) -> None:
        for change in ("replaced", "removed"):
            content, read = LARGE[:size], b""
            put(objects, directory, "f", content)
            opened = objects.open(directory, "f")
            assert opened
            if change == "replaced":
                put(another, directory, "f", content[::-1])
            else:
                another.remove(directory, "f")
            try:
                read = _rest(opened[0])
            except Exception:  # a store may be unable to promise it
                assert size > IN_MEMORY
            else:
                assert read == content

    def test_a_file_is_replaced_on_a_condition(self, objects: Objects, another: Objects, directory: str) -> None:
        if not self.compares:
            with pytest.raises(RequestRefused, match="cannot replace a file on a condition"):
                put(objects, directory, "f", b"x", replaces="")
            assert objects.names(directory) == []
            return
        for number, size in enumerate((10, len(LARGE))):
            name = f"f{number}"
            first = put(objects, directory, name, LARGE[:size], replaces="")
            with pytest.raises(ConditionFailed):
                put(another, directory, name, b"other", replaces="")
            second = put(another, directory, name, LARGE[:size][::-1], replaces=first.identity)
            assert second.identity != first.identity
            with pytest.raises(ConditionFailed):
                put(objects, directory, name, b"other", replaces=first.identity)
            assert get(objects, directory, name) == LARGE[:size][::-1]
            assert objects.remove(directory, name)
            with pytest.raises(ConditionFailed):
                put(objects, directory, name, b"other", replaces=second.identity)
            assert objects.names(directory) == []

    def test_of_several_at_once_one_succeeds(self, objects: Objects, another: Objects, directory: str) -> None:
        identity = ""
        for turn in range(4 if self.compares else 0):

            def attempt(number: int, turn: int = turn, identity: str = identity) -> FileInfo | None:
                content = f"{turn} {number}".encode()
                with contextlib.suppress(ConditionFailed):
                    return put((objects, another)[number % 2], directory, "f", content, replaces=identity)
                return None

            with ThreadPoolExecutor(self.writers) as pool:
                (won,) = filter(None, pool.map(attempt, range(4)))
            assert (found := objects.info(directory, "f"))
            assert found.identity == won.identity
            identity = won.identity

    def test_what_does_not_exist(self, objects: Objects, directory: str) -> None:
        nowhere = objects.collection("jane", "nowhere", "id-nowhere")
        for place in (nowhere, directory):
            assert objects.names(place) == []
            assert objects.page(place, None, 10) == ([], None)
            assert objects.page(place, "x", 10) == ([], None)
            assert objects.info(place, "f") is None
            assert objects.open(place, "f") is None
            assert objects.remove(place, "f") is False
            assert objects.clear(place) == 0
            objects.forget_older(place, 0)
            objects.forget_older(place, 0, "f")
            assert objects.discard(place) == 0
        assert not objects.exists(nowhere)
        assert objects.size(nowhere) == 0

    def test_a_file_needs_its_directory_where_directories_exist(self, objects: Objects, directory: str) -> None:
        objects.discard(directory)
        if objects.keeps_empty:
            with pytest.raises(NotFoundError):
                put(objects, directory, "f", b"")
            assert not objects.exists(directory)
        objects.make(directory)
        put(objects, directory, "f", b"")
        assert objects.exists(directory)

    def test_pages_have_every_file_that_stays_once(self, objects: Objects, another: Objects, directory: str) -> None:
        names = [f"f{number:02}{'/%.'[number % 3]}" for number in range(25)]
        for name in names:
            put(objects, directory, name, b"x")
        pages: list[list[str]] = []
        marker = None
        for turn in itertools.count():
            found = (objects, another)[turn % 2].page(directory, marker, 10)
            pages.append([info.name for info in found.files])
            if found.marker is None:
                break
            assert found.marker == found.files[-1].name
            marker = found.marker
            objects.remove(directory, names[turn])
            put(another, directory, f"f{turn}new", b"x")
        flat = [name for page in pages for name in page]
        assert len(flat) == len(set(flat))
        assert [name for name in flat if name in names] == names
        assert [len(page) for page in pages[:2]] == [10, 10]

    def test_a_page_that_is_full_and_the_last_has_no_marker(self, objects: Objects, directory: str) -> None:
        for name in "abcd":
            put(objects, directory, name, b"")
        assert [info.name for info in objects.page(directory, "a", 3).files] == ["b", "c", "d"]
        assert objects.page(directory, "a", 3).marker is None
        assert objects.page(directory, "a", 2).marker == "c"
        assert [info.name for info in objects.page(directory, "bb", 3).files] == ["c", "d"]
        assert objects.page(directory, "d", 3) == ([], None)

    def test_directories_are_apart(self, objects: Objects) -> None:
        places = [
            objects.collection("jane", "a", "id-a"),
            objects.collection("jane", "a_b", "id-ab"),
            objects.collection("jane_a", "b", "id-b"),
            objects.algorithm_space("jane", "a", "temp", "bob"),
            objects.algorithm_space("jane", "a", "perm", "bob"),
            objects.algorithm_space("jane", "ab", "perm", "bob"),
            objects.algorithm_space("jane", "ab", "perm", "bobby"),
            objects.session_space("req-1"),
            objects.session_space("req-12"),
        ]
        for number, place in enumerate(places):
            objects.make(place)
            put(objects, place, "f", str(number).encode())
        relative = {objects.relative(place, "f") for place in places}
        assert len(relative) == len(places)
        for number, place in enumerate(places):
            assert get(objects, place, "f") == str(number).encode()
            assert objects.discard(place) == 1
            assert objects.names(place) == []
            assert all(objects.names(other) == ["f"] for other in places[number + 1 :])

    def test_the_spaces_of_algorithms(self, objects: Objects) -> None:
        for name, kind, user in [("B", "temp", "bob"), ("A", "perm", "bob"), ("A", "temp", "ann")]:
            place = objects.algorithm_space("jane", name, kind, user)
            objects.make(place)
            put(objects, place, "f", b"x" * 1000)
        assert sorted(objects.algorithm_spaces()) == sorted(
            ("jane", name, kind, user, objects.algorithm_space("jane", name, kind, user))
            for name, kind, user in [("A", "perm", "bob"), ("A", "temp", "ann"), ("B", "temp", "bob")]
        )
        whole = objects.algorithm_data("jane", "A")
        assert objects.exists(whole)
        assert objects.size(whole) >= 2000
        objects.discard(objects.set_aside(whole))
        assert not objects.exists(whole)
        assert [space.name for space in objects.algorithm_spaces()] == ["B"]

    def test_a_directory_is_cleared_removed_and_discarded(self, objects: Objects, another: Objects) -> None:
        def set_aside_and_discard(place: str) -> int:
            return objects.discard(objects.set_aside(place))

        for number, remove in enumerate((objects.clear, set_aside_and_discard)):
            place = objects.collection("jane", "many", f"id-{number}")
            objects.make(place)
            for name in ("a", "b", "ü", ".."):
                put(objects, place, name, b"x")
            assert objects.remove_empty(place) is False
            assert len(another.names(place)) == 4
            assert remove(place) == 4
            assert another.names(place) == []
            assert objects.remove_empty(place) is True
            assert not another.exists(place)
            assert objects.remove_empty(place) is True

    def test_files_are_forgotten_by_their_age(self, objects: Objects, directory: str) -> None:
        for name in "abc":
            put(objects, directory, name, b"x")
        objects.forget_older(directory, 3600)
        objects.forget_older(directory, 3600, "a")
        assert objects.names(directory) == ["a", "b", "c"]
        objects.forget_older(directory, -3600, "b")
        assert objects.names(directory) == ["a", "c"]
        objects.forget_older(directory, -3600)
        assert objects.names(directory) == []

    def test_nothing_is_a_leftover_of_what_is_alive(self, objects: Objects, another: Objects, directory: str) -> None:
        put(objects, directory, "f", b"x")
        session = objects.session_space("req-alive")
        space = objects.algorithm_space("jane", "Alive", "temp", "bob")
        for place in (session, space):
            objects.make(place)
            put(objects, place, "f", b"x")

        def read(size: int) -> bytes:
            assert list(another.leftovers()) == []
            return b""

        with objects.receive(read) as received:
            assert list(another.leftovers()) == []
            objects.place(received, directory, "g")
        assert list(objects.leftovers()) == []

    def test_readers_see_whole_files_only(self, objects: Objects, another: Objects, directory: str) -> None:
        contents = [bytes([number]) * size for number, size in enumerate((10, 5000, IN_MEMORY + 5000))]
        put(objects, directory, "f", contents[0])
        done = threading.Event()

        def write(number: int) -> None:
            for _ in range(6):
                put(objects if number else another, directory, "f", contents[number])

        def read() -> Iterator[bytes]:
            while not done.is_set():
                found = another.open(directory, "f")
                assert found, "it was gone for a moment"
                content = found[0]
                try:
                    yield _rest(content)
                except Exception:
                    assert not isinstance(content, bytes)
                assert [info.name for info in another.page(directory, None, 5).files] == ["f"]

        with ThreadPoolExecutor(4) as pool:
            seen = pool.submit(lambda: {content[:1] + str(len(content)).encode() for content in read()})
            try:
                for writing in [pool.submit(write, number) for number in range(3)]:
                    writing.result()
            finally:
                done.set()
            assert get(another, directory, "f") in contents
            assert not self.atomic or seen.result() <= {
                content[:1] + str(len(content)).encode() for content in contents
            }

    def test_digests_are_kept_by_paths_of_one_directory(self, objects: Objects, directory: str) -> None:
        path = objects.relative(directory)
        assert not path.startswith("/")
        for name in ("f", "ü/.", "%"):
            assert objects.relative(directory, name) == f"{path}/{encode_file_name(name)}"
