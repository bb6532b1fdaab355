"""Plans of trees, selections, comparisons, sorted listings: on storages of a few lines and on this machine's files."""

from __future__ import annotations

import os
import random
import tracemalloc
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

from algo_core.errors import AlgoError, AlreadyExists, NotFoundError, UsageError
from algo_core.storage.contract import Checksum, Entry, Kind, NotADirectory, Storage
from algo_core.storage.uri import LOCAL, DataUri
from algo_data.engine.attributes import Attributes, attributes_of
from algo_data.engine.io.spool import Spool
from algo_data.engine.options import CopyOptions
from algo_data.engine.patterns import name_pattern, path_pattern
from algo_data.engine.plan.comparison import differs, is_newer, never
from algo_data.engine.plan.concurrent_map import concurrent_map
from algo_data.engine.plan.directories import NoFolders, make
from algo_data.engine.plan.globs import expand
from algo_data.engine.plan.planner import plan
from algo_data.engine.plan.removal import removed
from algo_data.engine.plan.sorting import in_order, order
from algo_data.engine.plan.sync import plan_sync
from algo_data.engine.plan.tree import below
from algo_data.engine.selection import EVERYTHING, Selection
from algo_data.engine.transfer import Place
from algo_data.local.storage import LocalStorage
from algo_data.reporting.advice import advice_for

NOON = datetime(2026, 11, 23, 12, 0, 0, tzinfo=timezone.utc)


class Stock(Storage):
    """Files by path, without content: size and time each; directories are those that files are in, or that were made.

    `depth` is how deep directories can be; `asked` has a line for each call. Listings come in no order.
    """

    def __init__(self, *paths: str, depth: int = 99, prefixes: bool = False) -> None:
        self.files = {path: (len(path), NOON) for path in paths}
        self.made: set[str] = set()
        self.asked: list[str] = []
        self.sums: dict[str, str] = {}
        self.unlistable: set[str] = set()
        self.depth = depth
        self.has_folders = depth == 99
        self.needs_directories = not prefixes

    def _is_directory(self, path: str) -> bool:
        return not path or path in self.made or any(name.startswith(f"{path}/") for name in self.files)

    def stat(self, uri: DataUri) -> Entry:
        path = uri.path.rstrip("/")
        self.asked.append(f"stat {path}")
        if path in self.files:
            size, modified = self.files[path]
            checksum = Checksum("md5", self.sums[path]) if path in self.sums else None
            return Entry(uri, Kind.FILE, size=size, modified=modified, checksum=checksum)
        if self._is_directory(path):
            return Entry(uri, Kind.DIRECTORY)
        raise NotFoundError(f"{uri} is not there")

    def list(self, uri: DataUri) -> Iterator[Entry]:
        path = uri.path.rstrip("/")
        self.asked.append(f"list {path}")
        if path in self.files:
            raise NotADirectory(f"{uri} is a file")
        if path in self.unlistable:
            raise AlgoError(f"{uri} cannot be listed")
        if not self._is_directory(path):
            raise NotFoundError(f"{uri} is not there")
        prefix = f"{path}/" if path else ""
        inside = [name[len(prefix) :] for name in (*self.files, *self.made) if name.startswith(prefix)]
        directories = {name.partition("/")[0] for name in inside if "/" in name or prefix + name in self.made}
        yield from (Entry(uri.child(name), Kind.DIRECTORY) for name in directories)
        for name in inside:
            if "/" not in name and prefix + name in self.files:
                size, modified = self.files[prefix + name]
                yield Entry(uri.child(name), Kind.FILE, size=size, modified=modified)

    def can_hold_directories(self, uri: DataUri) -> bool:
        return len([part for part in uri.path.split("/") if part]) < self.depth

    def mkdir(self, uri: DataUri) -> None:
        self.asked.append(f"mkdir {uri.path}")
        if self._is_directory(uri.path) or uri.path in self.files:
            raise AlreadyExists(f"{uri} exists already")
        if not self._is_directory(uri.parent.path):
            raise NotFoundError(f"{uri.parent} does not exist")
        self.made.add(uri.path)

    def rmdir(self, uri: DataUri, *, force: bool = False) -> int:
        self.asked.append(f"rmdir {uri.path} {force}")
        inside = [name for name in self.files if name.startswith(f"{uri.path}/")]
        if inside and not force:
            raise AlgoError(f"{uri} is not empty")
        for name in inside:
            del self.files[name]
        self.made.discard(uri.path)
        return len(inside)

    def remove(self, uri: DataUri) -> None:
        self.asked.append(f"remove {uri.path}")
        del self.files[uri.path]

    def open(self, uri: DataUri, offset: int = 0, *, version: str | None = None):
        raise NotImplementedError

    def write(self, uri: DataUri, source, size: int | None = None) -> Entry:
        raise NotImplementedError


def uri(path: str) -> DataUri:
    return DataUri("stock", path)


def local(path: Path) -> DataUri:
    return DataUri(LOCAL, str(path))


def planned(source: Storage, target: Storage, sources: list[str], destination: str, **manner) -> list[str]:
    """`source > target` of each transfer, sorted; what was refused begins with `!`."""
    refused: list[str] = []
    storages = {"from": source, "to": target}
    transfers = plan(
        [DataUri("from", path) for path in sources],
        DataUri("to", destination),
        lambda uri: storages[uri.scheme],
        lambda what, error: refused.append(f"! {what}: {error.message}"),
        CopyOptions(**manner),
    )
    return sorted([f"{t.source.uri.path} > {t.target.uri.path}" for t in transfers]) + refused


TREE = ("t/a", "t/s/b", "t/s/u/c", "t/e/.d")


# Trees


def test_a_tree_goes_into_a_directory_under_its_name_and_else_becomes_it():
    there = Stock("out/x")
    assert planned(Stock(*TREE), there, ["t"], "out", is_recursive=True) == [
        "t/a > out/t/a",
        "t/e/.d > out/t/e/.d",
        "t/s/b > out/t/s/b",
        "t/s/u/c > out/t/s/u/c",
    ]
    assert there.made == {"out/t", "out/t/s", "out/t/s/u", "out/t/e"}
    assert planned(Stock(*TREE), Stock(), ["t"], "new", is_recursive=True)[0] == "t/a > new/a"
    assert planned(Stock(*TREE), Stock(), ["t/"], "new/", is_recursive=True)[0] == "t/a > new/a"


def test_each_directory_is_listed_once_and_no_file_is_asked_for():
    source = Stock(*TREE)
    planned(source, Stock("out/x"), ["t"], "out", is_recursive=True)
    assert sorted(source.asked) == ["list t", "list t/e", "list t/s", "list t/s/u", "stat t"]


def test_a_storage_with_prefixes_is_not_asked_to_make_directories():
    bucket = Stock("out/x", prefixes=True)
    planned(Stock(*TREE), bucket, ["t"], "out", is_recursive=True)
    assert [line for line in bucket.asked if line.startswith("mkdir")] == []


def test_a_dry_plan_makes_nothing():
    there = Stock("out/x")
    assert len(planned(Stock(*TREE), there, ["t"], "out", is_recursive=True, is_dry=True)) == 4
    assert there.made == set()


def test_transfers_carry_what_the_listing_knew():
    (transfer,) = plan([uri("t")], uri("new"), lambda _: STOCK, print, CopyOptions(is_recursive=True))
    assert transfer.entry is not None
    assert transfer.entry.size == 3


STOCK = Stock("t/a")


def test_a_directory_without_recursion_is_refused_with_the_way():
    seen: list[AlgoError] = []
    list(plan([uri("t/")], uri("new"), lambda _: STOCK, lambda what, error: seen.append(error)))
    assert "algo cp -r" in str(advice_for(seen[0]))


def test_a_plan_starts_while_a_listing_still_goes_on():
    class Endless(Stock):
        def list(self, uri: DataUri) -> Iterator[Entry]:
            number = 0
            while True:
                number += 1
                yield Entry(uri.child(f"f{number}"), Kind.FILE)

    transfers = plan(
        [DataUri("a", "d")],
        DataUri("b", "new"),
        lambda uri: Endless("d/x") if uri.scheme == "a" else Stock(),
        print,
        CopyOptions(is_recursive=True),
    )
    assert [next(transfers).target.uri.path for _ in range(3)] == ["new/f1", "new/f2", "new/f3"]


def test_a_file_where_a_directory_should_be_stops_that_part_only():
    found = planned(Stock(*TREE), Stock("out/t/s"), ["t"], "out", is_recursive=True)
    assert found == ["t/a > out/t/a", "t/e/.d > out/t/e/.d", "! from://t/s: to://out/t/s is a file"]
    with pytest.raises(UsageError, match="is a file"):
        planned(Stock(*TREE), Stock("out"), ["t"], "out", is_recursive=True)


def test_a_part_that_cannot_be_listed_is_refused_and_the_rest_planned():
    source = Stock(*TREE)
    source.unlistable.add("t/s")
    found = planned(source, Stock("out/x"), ["t"], "out", is_recursive=True)
    assert found == ["t/a > out/t/a", "t/e/.d > out/t/e/.d", "! from://t/s: from://t/s cannot be listed"]


@pytest.mark.parametrize("destination", ["t", "t/new", "t/s", "t/s/new"])
def test_a_tree_is_never_copied_into_itself(destination):
    storage, refused = Stock(*TREE), []
    transfers = plan(
        [uri("t")],
        uri(destination),
        lambda _: storage,
        lambda what, error: refused.append(error),
        CopyOptions(is_recursive=True),
    )
    assert list(transfers) == []
    assert isinstance(refused[0], UsageError)


# What cannot hold folders


@pytest.mark.parametrize("destination", ["me", "me/c", "me/new"])
def test_a_tree_with_directories_is_refused_by_a_collection_before_anything(destination):
    seen: list[AlgoError] = []
    there = Stock("me/c/x", depth=2)
    storages = {"from": Stock(*TREE), "to": there}
    transfers = plan(
        [DataUri("from", "t")],
        DataUri("to", destination),
        lambda uri: storages[uri.scheme],
        lambda what, error: seen.append(error),
        CopyOptions(is_recursive=True),
    )
    assert list(transfers) == []
    assert isinstance(seen[0], NoFolders)
    assert "--flatten" in str(advice_for(seen[0]))
    assert there.made == set()


def test_a_flat_directory_becomes_a_collection():
    there = Stock("me/c/x", depth=2)
    assert planned(Stock("t/a", "t/b"), there, ["t"], "me", is_recursive=True) == ["t/a > me/t/a", "t/b > me/t/b"]
    assert there.made == {"me/t"}
    excluded = planned(Stock(*TREE), there, ["t"], "me/new", is_recursive=True, selection=Selection((), ("s", "e/")))
    assert excluded == ["t/a > me/new/a"]


def test_flattening_puts_all_files_side_by_side_and_refuses_a_name_that_comes_twice():
    there = Stock("me/c/x", depth=2)
    found = planned(Stock("t/a", "t/s/b", "t/s/a"), there, ["t"], "me/c", is_recursive=True, flattens=True)
    names = [line for line in found if not line.startswith("!")]
    assert sorted(line.partition(" > ")[2] for line in names) == ["me/c/a", "me/c/b"]
    assert [line for line in found if line.startswith("!")] and "just written" in found[-1]


# What is left out


@pytest.mark.parametrize(
    ("include", "exclude", "taken"),
    [
        ((), (), ["a.txt", "b.log", "s/.c.txt", "s/d.log", "s/t/e.txt"]),
        (("*.txt",), (), ["a.txt", "s/.c.txt", "s/t/e.txt"]),
        ((), ("*.log",), ["a.txt", "s/.c.txt", "s/t/e.txt"]),
        (("*.txt", "*.log"), ("s",), ["a.txt", "b.log"]),
        ((), ("t/",), ["a.txt", "b.log", "s/.c.txt", "s/d.log"]),
        ((), ("a.txt/",), ["a.txt", "b.log", "s/.c.txt", "s/d.log", "s/t/e.txt"]),
        (("s/*",), (), ["s/.c.txt", "s/d.log"]),
        (("s/**",), (), ["s/.c.txt", "s/d.log", "s/t/e.txt"]),
        (("**/e.*",), (), ["s/t/e.txt"]),
        ((), (".*",), ["a.txt", "b.log", "s/d.log", "s/t/e.txt"]),
        (("[ab].*",), ("b*",), ["a.txt"]),
        (("./a.txt", "./s/./d.log"), (), ["a.txt", "s/d.log"]),
        (("./d.log",), (), []),
        ((), ("./s/",), ["a.txt", "b.log"]),
        (("s/",), (), ["s/.c.txt", "s/d.log", "s/t/e.txt"]),
        (("t/",), (), ["s/t/e.txt"]),
        (("s/t/",), (), ["s/t/e.txt"]),
        (("./t/", "a.txt/"), (), []),
    ],
)
def test_a_selection_takes_what_is_included_and_not_excluded(include, exclude, taken):
    files = ("a.txt", "b.log", "s/.c.txt", "s/d.log", "s/t/e.txt")
    found = planned(
        Stock(*(f"d/{name}" for name in files)),
        Stock("out/x"),
        ["d"],
        "out",
        is_recursive=True,
        selection=Selection(include, exclude),
    )
    assert [line.partition(" > out/d/")[2] for line in found] == taken


def test_files_that_are_named_are_selected_too():
    assert planned(Stock("a", "b"), Stock("out/x"), ["a", "b"], "out", selection=Selection((), ("b",))) == ["a > out/a"]


@pytest.mark.parametrize("pattern", ["", "/", "./", "../a", "a/../b"])
def test_a_pattern_that_nothing_can_match_is_a_usage_error(pattern):
    for patterns in (((pattern,), ()), ((), (pattern,))):
        with pytest.raises(UsageError, match="nothing can match"):
            Selection(*patterns)


@pytest.mark.parametrize("pattern", ["[z-a]", "x/[9-0]"])
def test_a_pattern_that_cannot_be_read_is_a_usage_error(pattern):
    with pytest.raises(UsageError, match="Not a pattern"):
        Selection((pattern,))


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("a*b", ["ab", "axxb"], ["a/b", "abc"]),
        ("[!a]", ["b", "!"], ["a", "/"]),
        ("[^a]", ["b", "^"], ["a"]),
        ("[]a]", ["]", "a"], ["b"]),
        ("[a-c].", ["a.", "c."], ["d.", "ax"]),
        ("[", ["["], ["a"]),
        ("[a", ["[a"], ["a"]),
        ("a[", ["a["], ["a"]),
        ("[\\d]", ["\\", "d"], ["7"]),
        ("[a&&b]", ["a", "&", "b"], ["c"]),
        ("x+(y)", ["x+(y)"], ["xxy"]),
        ("**", ["ab"], ["a/b"]),
        ("?", ["ü", "\n"], ["/", ""]),
    ],
)
def test_names_match_as_in_a_shell(pattern, matching, other):
    match = name_pattern(pattern).match
    assert [text for text in (*matching, *other) if match(text)] == matching


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["ab", "a/xb", "x/a/b"]),
        ("**/b", ["b", "a/b"], ["ab"]),
        ("a/**", ["a/b", "a/b/c"], ["a", "ab"]),
        ("/a/*", ["a/b"], ["a/b/c"]),
    ],
)
def test_two_stars_stand_for_any_number_of_directories(pattern, matching, other):
    match = path_pattern(pattern).match
    assert [text for text in (*matching, *other) if match(text)] == matching


# Conditions


def facts(size: int | None = 1, modified: float | None = 1000.0) -> Attributes:
    return Attributes("f", False, size, modified)


def test_a_file_is_replaced_by_what_is_newer_or_has_another_size():
    assert not never(facts(), facts(2, 0.0))
    assert is_newer(facts(modified=1001.0), facts())
    assert not is_newer(facts(modified=1000.9), facts())
    assert not is_newer(facts(modified=999.0), facts())
    assert is_newer(facts(modified=None), facts())
    assert differs(facts(2), facts())
    assert differs(facts(None), facts(None))
    assert not differs(facts(), facts(modified=5000.0))


@pytest.mark.parametrize(("replaces", "expected"), [(never, ["new"]), (is_newer, ["new", "newer"]), (None, 4)])
def test_a_plan_leaves_out_what_need_not_be_copied(replaces, expected):
    source = Stock(*(f"d/{name}" for name in ("new", "newer", "older", "same")))
    target = Stock(*(f"out/d/{name}" for name in ("newer", "older", "same")))
    target.files["out/d/newer"] = (1, datetime(2000, 1, 1, tzinfo=timezone.utc))
    target.files["out/d/older"] = (1, datetime(2030, 1, 1, tzinfo=timezone.utc))
    found = planned(source, target, ["d"], "out", is_recursive=True, replaces=replaces)
    names = [line.rpartition("/")[2] for line in found]
    assert names == expected if isinstance(expected, list) else len(names) == expected
    assert [line for line in source.asked if line.startswith("stat")] == ["stat d"]


def test_questions_are_answered_in_order_and_their_errors_raised():
    assert list(concurrent_map(lambda n: n * n, range(100), 7)) == [(n, n * n) for n in range(100)]
    assert list(concurrent_map(lambda n: -n, [1, 2], 1)) == [(1, -1), (2, -2)]
    with pytest.raises(ZeroDivisionError):
        list(concurrent_map(lambda n: 1 // n, [1, 0, 1], 2))


def test_no_more_is_taken_in_advance_than_twice_what_is_asked_at_once():
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(1000):
            taken.append(number)
            yield number

    answers = concurrent_map(lambda n: n, items(), 4)
    next(answers)
    assert len(taken) == 8
    answers.close()


# Sorted listings


def rows(names: list[str]) -> list[Attributes]:
    return [Attributes(name, False, len(name), 1.5) for name in names]


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 2345])
@pytest.mark.parametrize("shuffled", [False, True])
def test_any_listing_comes_in_order(count, shuffled):
    names = [f"{number:05d}" for number in range(count)]
    given = random.Random(5).sample(names, count) if shuffled else names
    assert [row.name for row in in_order(rows(given), held=10)] == names


def test_odd_names_and_missing_facts_survive_the_temporary_file():
    given = [
        Attributes("caf\udce9", False, None, None),
        Attributes("ü\n", True, None, None, "1:2"),
        Attributes("a", True, None, None),
    ]
    again = list(in_order([*given, *rows([str(n) for n in range(50)])], held=3))
    assert sorted(again, key=order) == again
    assert set(given) <= set(again)


def test_memory_does_not_grow_with_a_listing():
    def peak(count: int) -> int:
        tracemalloc.start()
        try:
            for _ in in_order((Attributes(f"{n * 7919 % count:09d}", False, n, 0.5) for n in range(count)), held=2000):
                pass
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(80_000) < 3 * peak(8_000)


def test_without_room_for_the_temporary_file_the_error_says_so(monkeypatch):
    class Full:
        def write(self, data: bytes) -> int:
            raise OSError(28, "No space left on device")

        def tell(self) -> int:
            return 0

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *facts: object) -> None:
            pass

    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: Full())
    with pytest.raises(AlgoError, match="Not enough space"):
        list(in_order(rows(["a", "b", "c"]), held=2))


# Sync


def synced(source: Stock, target: Stock, destination: str = "b", **manner) -> tuple[list[str], list[str], list[str]]:
    """Paths below the target that are copied, those that are only there, and what was refused; the first two sorted."""
    extra: list[str] = []
    refused: list[str] = []
    transfers = plan_sync(
        Place(source, DataUri("from", "a")),
        Place(target, DataUri("to", destination)),
        lambda what, error: refused.append(f"{what}: {error.message}"),
        lambda relative, is_directory: extra.append(relative + "/" * is_directory),
        CopyOptions(**manner),
    )
    return sorted(t.target.uri.path.partition("/")[2] for t in transfers), sorted(extra), refused


def test_a_sync_copies_what_is_missing_or_differs_and_tells_what_is_extra():
    source = Stock("a/changed", "a/new", "a/same", "a/s/new", "a/s/same", "a/only/deep/x")
    target = Stock("b/changed", "b/extra", "b/same", "b/s/same", "b/s/extra", "b/gone/y")
    for path in list(target.files):
        target.files[path] = (len(path), NOON)
    target.files["b/changed"] = (1, NOON)
    copied, extra, refused = synced(source, target)
    assert copied == ["changed", "new", "only/deep/x", "s/new"]
    assert extra == ["extra", "gone/", "s/extra"]
    assert refused == []
    assert target.made == {"b/only", "b/only/deep"}
    assert [line for line in source.asked + target.asked if line.startswith("stat")] == ["stat a", "stat b"]


def test_a_sync_makes_its_target_and_those_above():
    target = Stock()
    assert synced(Stock("a/x"), target, "b/c/d")[0] == ["c/d/x"]
    assert target.made == {"b", "b/c", "b/c/d"}
    target = Stock()
    assert synced(Stock("a/x", "a/s/y"), target, is_dry=True)[0] == ["s/y", "x"]
    assert target.made == set()


def test_a_sync_leaves_what_is_not_selected_alone_on_both_sides():
    source = Stock("a/x.txt", "a/x.log", "a/s/y.log", "a/skip/z.txt")
    target = Stock("b/old.txt", "b/old.log", "b/skip/z2.txt")
    copied, extra, _ = synced(source, target, selection=Selection((), ("*.log", "skip")))
    assert (copied, extra) == (["x.txt"], ["old.txt"])


def test_nothing_is_extra_where_the_source_could_not_be_listed():
    source = Stock("a/s/x", "a/y")
    source.unlistable.add("a/s")
    copied, extra, refused = synced(source, Stock("b/s/x", "b/s/other"))
    assert (copied, extra) == (["y"], [])
    assert refused == ["from://a/s: from://a/s cannot be listed"]


def test_a_sync_by_checksum_looks_at_files_of_one_size_only():
    source, target = (
        Stock("a/same", "a/other", "a/size", "a/unknown"),
        Stock("b/same", "b/other", "b/size", "b/unknown"),
    )
    target.files["b/size"] = (99, NOON)
    source.sums = {"a/same": "1", "a/other": "2", "a/size": "3"}
    target.sums = {"b/same": "1", "b/other": "9", "b/size": "3", "b/unknown": "4"}
    assert synced(source, target, by_checksum=True)[0] == ["other", "size", "unknown"]
    assert "stat a/size" not in source.asked


def test_a_sync_by_checksum_computes_those_of_this_machine(tmp_path: Path):
    for name, content in {"one/same": b"x", "one/other": b"y", "two/same": b"x", "two/other": b"z"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    storage = LocalStorage()
    places = [Place(storage, local(tmp_path / name)) for name in ("one", "two")]
    transfers = plan_sync(*places, pytest.fail, None, CopyOptions(by_checksum=True))
    assert [t.source.uri.name for t in transfers] == ["other"]


@pytest.mark.parametrize(("source", "target"), [("a", "a"), ("a", "a/s"), ("a/s", "a"), ("a", "a/new")])
def test_a_sync_between_a_directory_and_a_part_of_it_is_refused(source, target):
    storage = Stock("a/x", "a/s/y")
    with pytest.raises(UsageError):
        plan_sync(Place(storage, uri(source)), Place(storage, uri(target)), print, print, CopyOptions())


def test_a_sync_needs_two_directories():
    with pytest.raises(NotFoundError):
        synced(Stock("x"), Stock("b/y"))
    with pytest.raises(NotADirectory):
        synced(Stock("a"), Stock("b/y"))
    with pytest.raises(NotADirectory):
        synced(Stock("a/x"), Stock("b"))
    with pytest.raises(NoFolders):
        synced(Stock("a/s/x"), Stock("me/c/y", depth=2), "me/c")


def test_an_entry_that_a_listing_gives_twice_is_copied_once():
    class Twice(Stock):
        def list(self, uri: DataUri) -> Iterator[Entry]:
            for entry in super().list(uri):
                yield entry
                yield entry

    assert synced(Twice("a/x", "a/y"), Stock("b/z"))[0] == ["x", "y"]


# Removing what is extra


def test_extras_are_removed_with_what_is_in_them():
    target, refused = Stock("b/x", "b/d/y", "b/d/s/z", "b/keep"), []
    with Spool() as extras:
        extras.add("x", False)
        extras.add("d", True)
        place = Place(target, uri("b"))
        dry = list(removed(extras, place, EVERYTHING, lambda *facts: refused.append(facts), is_dry=True))
        assert len(target.files) == 4
        done = list(removed(extras, place, EVERYTHING, lambda *facts: refused.append(facts), is_dry=False))
    assert [str(p) for p in dry] == [str(p) for p in done] == ["stock://b/x", "stock://b/d"]
    assert set(target.files) == {"b/keep"}
    assert refused == []


def test_what_is_not_selected_stays_in_an_extra_directory():
    target = Stock("b/d/y.txt", "b/d/s/z.log")
    with Spool() as extras:
        extras.add("d", True)
        done = removed(extras, Place(target, uri("b")), Selection((), ("*.log",)), pytest.fail, is_dry=False)
        assert [str(place) for place in done] == ["stock://b/d/y.txt"]
    assert set(target.files) == {"b/d/s/z.log"}


def test_an_extra_link_to_a_directory_goes_and_what_it_leads_to_stays(tmp_path: Path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").touch()
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "link").symlink_to(tmp_path / "real")
    with Spool() as extras:
        extras.add("link", True)
        place = Place(LocalStorage(), local(tmp_path / "target"))
        assert len(list(removed(extras, place, EVERYTHING, pytest.fail, is_dry=False))) == 1
    assert os.listdir(tmp_path / "target") == []
    assert (tmp_path / "real" / "file").exists()


# Local trees


def test_a_link_back_to_a_directory_above_is_told_and_not_followed(tmp_path: Path):
    (tmp_path / "top" / "s").mkdir(parents=True)
    (tmp_path / "top" / "s" / "f").touch()
    (tmp_path / "top" / "s" / "up").symlink_to(tmp_path / "top")
    refused: list[str] = []
    storage = LocalStorage()
    found = below(
        storage, storage.stat(local(tmp_path / "top")), on_error=lambda what, error: refused.append(error.message)
    )
    assert sorted(relative for relative, _ in found) == ["s", "s/f"]
    assert len(refused) == 1
    assert "leads back" in refused[0]


def test_scanning_gives_what_listing_gives(tmp_path: Path):
    (tmp_path / "d").mkdir()
    (tmp_path / "f").write_text("x")
    (tmp_path / "dangling").symlink_to("nowhere")
    storage, place = LocalStorage(), local(tmp_path)
    by_name = {entry.name: entry for entry in storage.scan(place)}
    assert by_name == {entry.name: entry for entry in storage.list(place)}
    with pytest.raises(NotADirectory):
        next(storage.scan(place.child("f")))
    with pytest.raises(NotFoundError):
        next(storage.scan(place.child("nothing")))


def test_parents_are_made_where_they_are_missing(tmp_path: Path):
    place = Place(LocalStorage(), local(tmp_path / "a" / "b" / "c"))
    with pytest.raises(NotFoundError):
        make(place)
    make(place, with_parents=True)
    make(place, with_parents=True)
    assert (tmp_path / "a" / "b" / "c").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectory):
        make(Place(LocalStorage(), local(tmp_path / "file")))


# Wildcards over directories

DEEP = Stock("d/a.txt", "d/s/b.txt", "d/s/t/c.txt", "d/s/t/d.log", "d/.h/e.txt", "d/s/.f.txt", "g.txt")


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("d/**", ["d/a.txt", "d/s/b.txt", "d/s/t/c.txt", "d/s/t/d.log"]),
        ("d/**/", ["d/s", "d/s/t"]),
        ("d/**/*.txt", ["d/a.txt", "d/s/b.txt", "d/s/t/c.txt"]),
        ("d/**/t/*.log", ["d/s/t/d.log"]),
        ("d/**/c.txt", ["d/s/t/c.txt"]),
        ("**/*.txt", ["d/a.txt", "d/s/b.txt", "d/s/t/c.txt", "g.txt"]),
        ("d/**/t", ["d/s/t"]),
        ("*/s/**/*.log", ["d/s/t/d.log"]),
    ],
)
def test_two_stars_reach_every_level_that_is_not_hidden(pattern, matches):
    assert sorted(entry.uri.path for entry in expand(DEEP, uri(pattern))) == matches


def test_two_stars_list_each_directory_once():
    storage = Stock("d/a.txt", "d/s/b.txt")
    list(expand(storage, uri("d/**/*.txt")))
    assert sorted(storage.asked) == ["list d", "list d/s"]


def test_a_name_that_cannot_be_looked_up_is_an_error_and_not_left_out():
    class Flaky(Stock):
        def stat(self, uri: DataUri) -> Entry:
            if uri.path == "d/s/b.txt":
                raise AlgoError("the connection broke")
            return super().stat(uri)

    storage = Flaky("d/r/b.txt", "d/s/b.txt")
    with pytest.raises(AlgoError, match="the connection broke"):
        list(expand(storage, uri("d/*/b.txt")))


@pytest.mark.parametrize("pattern", ["d/**", "d/**/*.txt", "d/*/*.txt", "d/**/b.txt"])
def test_a_directory_that_cannot_be_listed_is_told_and_the_others_are_matched(pattern):
    storage, refused = Stock("d/r/b.txt", "d/s/b.txt", "d/t/b.txt"), []
    storage.unlistable.add("d/s")
    found = [entry.uri.path for entry in expand(storage, uri(pattern), lambda what, error: refused.append(str(what)))]
    assert (sorted(found), refused) == (["d/r/b.txt", "d/t/b.txt"], ["stock://d/s"])
    with pytest.raises(AlgoError, match="cannot be listed"):
        list(expand(storage, uri(pattern)))
    storage.unlistable.add("d")
    with pytest.raises(AlgoError, match="d cannot be listed"):
        list(expand(storage, uri(pattern), lambda what, error: refused.append(str(what))))


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("**", ["d/a", "d/s/a", "real/a"]),
        ("**/a", ["d/a", "d/s/a", "real/a"]),
        ("**/", ["d", "d/link", "d/s", "d/s/up", "real"]),
        ("d/**/up", ["d/s/up"]),
        ("d/link/**", ["d/link/a"]),
        ("d/*/a", ["d/link/a", "d/s/a"]),
        ("d/**/**/a", ["d/a", "d/s/a"]),
    ],
)
def test_two_stars_go_through_no_link(tmp_path: Path, pattern, matches):
    for name in ("d/a", "d/s/a", "real/a"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "d/link").symlink_to("../real")
    (tmp_path / "d/s/up").symlink_to("..")
    found = expand(LocalStorage(), DataUri(LOCAL, f"{tmp_path}/{pattern}"), pytest.fail)
    assert sorted({os.path.relpath(entry.uri.path, tmp_path) for entry in found}) == matches


def test_a_link_back_that_is_left_out_is_not_told(tmp_path: Path):
    (tmp_path / "t").mkdir()
    (tmp_path / "t/f").touch()
    (tmp_path / "t/up").symlink_to(".")
    storage = LocalStorage()
    manner = CopyOptions(is_recursive=True, selection=Selection((), ("up",)))
    found = plan([local(tmp_path / "t")], local(tmp_path / "new"), lambda uri: storage, pytest.fail, manner)
    assert [transfer.source.uri.name for transfer in found] == ["f"]


def test_facts_are_those_of_the_entry():
    entry = Entry(uri("d/f"), Kind.FILE, size=3, modified=NOON)
    assert attributes_of(entry) == Attributes("f", False, 3, NOON.timestamp())
    assert attributes_of(Entry(uri("d/"), Kind.DIRECTORY, version="7")) == Attributes("d", True, None, None, "7")
