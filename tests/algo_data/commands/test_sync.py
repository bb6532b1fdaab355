"""A sync compares listings while they arrive; when one turns out not to be sorted nothing is lost by that."""

from __future__ import annotations

import itertools
import random
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import datetime, timezone

import pytest

from algo_core.errors import AlgoError
from algo_core.storage.contract import Entry, Kind
from algo_core.storage.uri import DataUri
from algo_data.engine.options import CopyOptions
from algo_data.engine.plan.comparison import differs, is_newer, never
from algo_data.engine.plan.sync import plan_sync
from algo_data.engine.transfer import Place

NOON = datetime(2026, 11, 23, 12, 0, 0, tzinfo=timezone.utc)


class Far:
    """Directories by path; each is a function that gives `(name, size)` in the order of its listing.

    A name with a slash at its end is a directory.
    """

    has_folders = True
    needs_directories = False
    paths_are_keys = False

    def __init__(self, **directories: Callable[[], Iterator[tuple[str, int]]]) -> None:
        self.directories = directories
        self.listed: list[str] = []
        self.given = 0

    def stat(self, uri: DataUri) -> Entry:
        return Entry(uri, Kind.DIRECTORY)

    exists = stat

    def list(self, uri: DataUri) -> Iterator[Entry]:
        self.listed.append(uri.path)
        for name, size in self.directories[uri.path]():
            self.given += 1
            yield Entry(
                uri.child(name.rstrip("/")),
                Kind.DIRECTORY if name.endswith("/") else Kind.FILE,
                size=size,
                modified=NOON,
            )

    scan = list


def names(*given: str) -> Callable[[], Iterator[tuple[str, int]]]:
    return lambda: iter([(name, 1) for name in given])


def synced(source: Far, target: Far, **manner) -> tuple[Iterator[str], list[str], list[str]]:
    """The paths that are copied, while they are; those that were told as extra, and what was refused."""
    extra: list[str] = []
    refused: list[str] = []
    transfers = plan_sync(
        Place(source, DataUri("from", "a")),
        Place(target, DataUri("to", "b")),
        lambda what, error: refused.append(error.message),
        lambda relative, is_directory: extra.append(relative + "/" * is_directory),
        CopyOptions(**manner),
    )
    return (t.target.uri.path[2:] for t in transfers), extra, refused


def endless(first: int = 0, step: int = 1) -> Iterator[tuple[str, int]]:
    return ((f"{n:09d}", 1) for n in itertools.count(first, step))


def test_copying_starts_while_both_listings_arrive():
    source, target = Far(a=endless), Far(b=lambda: endless(step=2))
    copied, extra, _ = synced(source, target)
    assert list(itertools.islice(copied, 3)) == ["000000001", "000000003", "000000005"]
    assert source.given + target.given < 20
    assert extra == []


def test_what_is_extra_is_told_when_both_listings_have_ended():
    source = Far(a=names("m"))
    copied, extra, _ = synced(source, Far(b=names("d/", "a", "z")))
    assert next(copied) == "m"
    assert extra == []
    assert list(copied) == []
    assert extra == ["d/", "a", "z"]


def test_nothing_is_sorted_in_a_file_that_comes_sorted(monkeypatch):
    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: pytest.fail("it went through a temporary file"))
    monkeypatch.setattr("algo_data.engine.plan.sorting.HELD", 10)
    rows = [(f"{n:05d}", 1) for n in range(30_000)]
    copied, _, _ = synced(Far(a=lambda: iter(rows)), Far(b=lambda: iter(rows[1:])))
    assert list(copied) == ["00000"]


@pytest.mark.parametrize("replaces", [differs, is_newer, never])
@pytest.mark.parametrize("seed", range(30))
def test_in_whatever_order_listings_come_nothing_is_deleted_or_replaced_wrongly(replaces, seed):
    chance = random.Random(seed)
    every = [f"{n:02d}" for n in range(25)] + [f"d{n}/" for n in range(4)]
    mine, theirs = (sorted(chance.sample(every, 20), key=lambda n: (n[-1] != "/", n)) for _ in range(2))
    common = set(mine) & set(theirs)
    for listing in (mine, theirs)[seed % 3 : 2]:
        for _ in range(chance.randrange(1, 9)):
            listing.append(listing.pop(chance.randrange(len(listing))))
    within = {f"a/{name[:-1]}": names("x", "y") for name in every[-4:]}
    there = {f"b/{name[:-1]}": names("y", "z") for name in every[-4:]}
    copied, extra, refused = synced(Far(a=names(*mine), **within), Far(b=names(*theirs), **there), replaces=replaces)
    found = list(copied)
    needed = {name for name in mine if name not in common and name[-1] != "/"}
    for name in mine:
        if name[-1] == "/":
            needed |= {f"{name}x"} if name in common else {f"{name}x", f"{name}y"}
    assert len(found) == len(set(found))
    if replaces is differs:  # a file can be copied for nothing
        found = [name for name in found if "/" in name or name not in common]
    assert set(found) == needed
    gone = {name for name in theirs if name not in common}
    assert sorted(extra) == sorted(gone | {f"{name}z" for name in common if name[-1] == "/"})
    assert refused == []


def test_a_listing_that_shifts_while_copies_arrive_costs_another_one():
    """Pages that begin at a number give an entry again when one has come before it: one for copies, one to delete."""
    pages = [["b", "d", "f"], ["d", "f", "h"]]
    source = Far(a=names("a", "b", "c", "d", "f", "h"))
    target = Far(b=lambda: ((name, 1) for page in pages for name in page))
    copied, extra, _ = synced(source, target)
    assert (list(copied), extra) == (["a", "c"], [])
    assert target.listed == ["b", "b", "b"]


def test_a_directory_that_comes_late_is_not_copied_anew():
    """Object stores sort prefixes with their slashes: `d-1/` comes before `d/`."""
    source = Far(a=names("d/", "d-1/", "e/"), **{f"a/{name}": names("f") for name in ("d", "d-1", "e")})
    target = Far(b=names("d-1/", "d/"), **{f"b/{name}": names("f", "g") for name in ("d", "d-1")})
    copied, extra, _ = synced(source, target)
    assert list(copied) == ["e/f"]
    assert sorted(extra) == ["d-1/g", "d/g"]
    assert sorted(path for path in source.listed if path != "a") == ["a/d", "a/d-1", "a/e"]


def test_after_one_unsorted_listing_no_other_of_that_side_is_trusted():
    source = Far(a=names("s/", "y", "x"), **{"a/s": lambda: iter([("1", 1), ("0", 1)])})
    target = Far(b=names("s/", "x", "y"), **{"b/s": names("0", "1")})
    source.directories["a"] = names("t/", "s/", "y", "x")
    source.directories["a/t"] = target.directories["b/t"] = names()
    target.directories["b"] = names("s/", "t/", "x", "y")
    copied, extra, _ = synced(source, target)
    assert (list(copied), extra) == ([], [])
    assert source.listed.count("a") == 2
    assert source.listed.count("a/s") == 1


def test_a_listing_that_breaks_off_makes_nothing_extra():
    def broken() -> Iterator[tuple[str, int]]:
        yield "a", 1
        raise AlgoError("it broke off")

    source = Far(a=names("s/", "z"), **{"a/s": broken})
    copied, extra, refused = synced(source, Far(b=names("s/"), **{"b/s": names("0", "b")}))
    assert (list(copied), extra, refused) == (["s/a", "z"], [], ["it broke off"])


@pytest.mark.parametrize("is_sorted", [True, False])
def test_memory_does_not_grow_with_the_listings(monkeypatch, is_sorted):
    monkeypatch.setattr("algo_data.engine.plan.sorting.in_order.__defaults__", (1000,))

    def peak(count: int) -> int:
        factor = 1 if is_sorted else 7919

        def rows() -> Iterator[tuple[str, int]]:
            return ((f"{n * factor % count:09d}", 1) for n in range(count))

        tracemalloc.start()
        try:
            copied, extra, _ = synced(Far(a=rows), Far(b=rows))
            assert (list(copied), extra) == ([], [])
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(10_000) < 3 * peak(2_000)


def test_directories_of_both_sides_are_listed_ahead():
    ready = threading.Condition()
    begun: list[str] = []

    def slow(path: str) -> Callable[[], Iterator[tuple[str, int]]]:
        def listing() -> Iterator[tuple[str, int]]:
            with ready:
                begun.append(path[0])
                ready.notify_all()
                assert ready.wait_for(lambda: begun.count(path[0]) >= 10, 10), "one after the other"
            yield "f", 1

        return listing

    directories = [f"d{n:02d}/" for n in range(20)]
    source = Far(a=names(*directories), **{f"a/{name[:-1]}": slow(f"a/{name}") for name in directories})
    target = Far(b=names(*directories), **{f"b/{name[:-1]}": slow(f"b/{name}") for name in directories})
    copied, extra, refused = synced(source, target)
    assert (list(copied), extra, refused) == ([], [], [])
    assert sorted(source.listed) == ["a", *(f"a/{name[:-1]}" for name in directories)]
