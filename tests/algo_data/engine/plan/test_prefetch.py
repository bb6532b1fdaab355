"""Directories of remote trees are listed before it is their turn: many at once, in order, bounded, and only if needed."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator

import pytest

from algo_core.errors import AlgoError
from algo_core.storage.contract import Entry, Kind
from algo_core.storage.uri import LOCAL, DataUri
from algo_data.engine.plan.prefetch import AT_ONCE, HELD, PAGE
from algo_data.engine.plan.tree import below


class Tree:
    """Directories by path, each with the names in it (those of directories end with a slash); counts its listings."""

    def __init__(self, directories: dict[str, list[str]], scheme: str = "far") -> None:
        self.directories = directories
        self.scheme = scheme
        self.listed: list[str] = []
        self.broken: set[str] = set()
        self.changed = threading.Condition()
        self.running = self.most = 0
        self.wanted = 1
        self.at_once: set[str] = set()
        self.is_open = threading.Event()
        self.is_open.set()

    @property
    def top(self) -> Entry:
        return Entry(DataUri(self.scheme, "top"), Kind.DIRECTORY)

    def list(self, uri: DataUri) -> Iterator[Entry]:
        path = uri.path.partition("/")[2]
        with self.changed:
            self.listed.append(path)
            self.running += 1
            self.most = max(self.most, self.running)
            self.changed.notify_all()
            if path:  # as long as a listing takes: till so many others have begun
                self.changed.wait_for(lambda: self.most >= self.wanted, 5)
        if path not in self.at_once:
            self.is_open.wait(60)
        with self.changed:
            self.running -= 1
        for name in self.directories[path]:
            kind = Kind.DIRECTORY if name.endswith("/") else Kind.FILE
            yield Entry(uri.child(name.rstrip("/")), kind, size=1)
        if path in self.broken:
            raise AlgoError(f"{path} broke off")

    scan = list

    def walk(self, **options) -> list[str]:
        """What is below, and what was refused, in the order in which it came."""
        found: list[str] = []
        options.setdefault("on_error", lambda what, error: found.append(f"! {error.message}"))
        for relative, entry in below(self, self.top, **options):
            found.append(relative + "/" * entry.is_directory)
        return found


def wide(count: int, *within: str) -> dict[str, list[str]]:
    """So many directories side by side, and the same in each."""
    directories = {"": [f"d{n:03d}/" for n in range(count)] + ["f"]}
    for name in directories[""][:-1]:
        directories[name[:-1]] = list(within)
        directories |= {name + below[:-1]: ["x"] for below in within if below.endswith("/")}
    return directories


def await_threads() -> None:
    for thread in threading.enumerate():
        if thread.name == "algo-listing":
            thread.join(20)
            assert not thread.is_alive()


@pytest.mark.parametrize("within", [("x",), ("s/", "t/", "x")])
def test_many_directories_are_listed_at_once_and_come_in_order(within):
    near, far = Tree(wide(60, *within), LOCAL), Tree(wide(60, *within))
    far.wanted = AT_ONCE - 1
    assert far.walk() == near.walk()
    assert near.most == 1
    assert AT_ONCE - 1 <= far.most <= AT_ONCE
    assert sorted(far.listed) == sorted(near.listed)


def test_directories_below_those_that_come_next_are_listed_ahead_as_well():
    directories = wide(5, "s/")
    far = Tree(directories)
    far.wanted = 5
    found = below(far, far.top)
    assert [next(found)[0] for _ in range(2)] == ["d000", "d000/s"]
    await_threads()
    assert set(far.listed) == set(directories)


@pytest.mark.parametrize("seed", range(20))
def test_any_tree_comes_as_it_does_without(seed):
    chance = random.Random(seed)
    directories: dict[str, list[str]] = {}

    def grow(path: str, depth: int) -> None:
        names = [f"{n}/" for n in range(chance.randrange(7) if depth else 0)] + ["f"] * chance.randrange(2)
        chance.shuffle(names)
        directories[path] = names
        for name in names:
            if name.endswith("/"):
                grow(f"{path}/{name[:-1]}".lstrip("/"), depth - 1)

    grow("", 3)
    near, far = Tree(directories, LOCAL), Tree(directories)
    broken = {path for path in directories if path and chance.random() < 0.1}
    shut = {path for path in directories if chance.random() < 0.1}
    for tree in (near, far):
        tree.broken = broken
    options = {
        "enters": lambda relative, entry: not relative.endswith("3"),
        "prepares": lambda relative, entry: relative not in shut,
    }
    assert far.walk(**options) == near.walk(**options)
    assert not any(path.endswith("3") for path in far.listed)
    assert len(far.listed) == len(set(far.listed))


def test_without_anybody_who_is_told_the_first_error_ends_it_at_its_turn():
    far = Tree(wide(20, "x"))
    far.broken = {"d001", "d003"}
    found: list[str] = []
    with pytest.raises(AlgoError, match="d001 broke off"):
        for relative, _ in below(far, far.top):
            found.append(relative)
    assert found == ["d000", "d000/x", "d001", "d001/x"]


def test_what_is_held_is_bounded():
    far = Tree(wide(300, *(f"f{n}" for n in range(PAGE))))
    found = below(far, far.top)
    next(found), next(found)
    await_threads()
    assert len(far.listed) <= 2 + HELD // PAGE + AT_ONCE
    assert sum(1 for _ in found) == 300 * PAGE + 300 - 2 + 1
    assert len(far.listed) == 301


def test_an_endless_directory_is_read_a_page_ahead():
    taken = 0

    class Endless(Tree):
        def list(self, uri: DataUri) -> Iterator[Entry]:
            nonlocal taken
            if uri.path == "top":
                yield from (Entry(uri.child(name), Kind.DIRECTORY) for name in "ab")
            while True:
                taken += uri.name == "b"
                yield Entry(uri.child("f"), Kind.FILE)

        scan = list

    found = below(Endless({}), Tree({}).top)
    assert [next(found)[0] for _ in range(3)] == ["a", "a/f", "a/f"]
    await_threads()
    assert taken == PAGE


@pytest.mark.parametrize("error", [GeneratorExit, KeyboardInterrupt])
def test_whoever_ends_early_lets_nothing_begin_any_more_and_no_thread_stay(error):
    far = Tree(wide(100, "x"))
    far.at_once = {"", "d000"}
    far.is_open.clear()
    found = below(far, far.top)
    assert [next(found)[0] for _ in range(2)] == ["d000", "d000/x"]
    with far.changed:
        assert far.changed.wait_for(lambda: far.running == AT_ONCE - 1, 10)
    with pytest.raises(error):
        found.throw(error)  # type: ignore[attr-defined]  # it is a generator
    far.is_open.set()
    await_threads()
    assert len(far.listed) == 2 + AT_ONCE - 1
    assert not [thread for thread in threading.enumerate() if thread.name == "algo-listing"]


def test_nothing_of_this_machine_is_asked_by_a_thread(monkeypatch):
    def no_thread(*facts: object, **more: object) -> None:
        raise AssertionError("a thread was started")

    monkeypatch.setattr(threading, "Thread", no_thread)
    assert len(Tree(wide(20, "x"), LOCAL).walk()) == 41
    assert len(Tree({"": ["a", "b"]}).walk()) == 2
