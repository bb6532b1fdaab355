"""The engine on storages of a few lines: it knows nothing but the contract."""

from __future__ import annotations

import hashlib
import io
import itertools
from collections.abc import Iterator

import pytest

from algo_core.errors import AlgoError, NetworkError, NotFoundError, UsageError
from algo_core.http import retry as patience
from algo_core.http.retry import Tries
from algo_core.storage.contract import Checksum, Entry, IsADirectory, Kind, Storage
from algo_core.storage.uri import DataUri, parse_data_uri
from algo_data.engine import CopyOptions, run_transfers
from algo_data.engine.io.blocks import SizeMismatch, blocks
from algo_data.engine.io.digest import Corrupted
from algo_data.engine.io.source import CannotResume, FileSource
from algo_data.engine.io.streams import STREAM, StandardStreams
from algo_data.engine.plan.globs import expand
from algo_data.engine.plan.planner import plan
from algo_data.engine.run.worker import execute
from algo_data.engine.transfer import Place, Transfer


class Memory(Storage):
    """Files in a dictionary; `breaks` are positions at which reading breaks off, once each."""

    def __init__(self, **files: bytes) -> None:
        self.files = {name.replace("__", "/"): content for name, content in files.items()}
        self.asked: list[str] = []
        self.breaks: list[int] = []
        self.versions = True
        self.checksum: str | None = None
        self.endless = False

    def stat(self, uri: DataUri) -> Entry:
        self.asked.append(f"stat {uri.path}")
        path = uri.path.rstrip("/")
        if path in self.files:
            return self._entry(uri)
        if any(name.startswith(f"{path}/") for name in self.files):
            return Entry(uri, Kind.DIRECTORY)
        raise NotFoundError(f"{uri} is not there")

    def _entry(self, uri: DataUri) -> Entry:
        content = self.files[uri.path.rstrip("/")]
        version = hashlib.sha1(content).hexdigest() if self.versions else None
        checksum = Checksum("md5", self.checksum) if self.checksum else None
        return Entry(uri, Kind.FILE, size=len(content), version=version, checksum=checksum)

    def list(self, uri: DataUri) -> Iterator[Entry]:
        self.asked.append(f"list {uri.path}")
        prefix = f"{uri.path.rstrip('/')}/" if uri.path else ""
        if self.endless:
            return (Entry(uri.child(f"f{n}"), Kind.FILE) for n in itertools.count())
        names = sorted({name[len(prefix) :].partition("/")[0] for name in self.files if name.startswith(prefix)})
        kinds = {name: f"{prefix}{name}" in self.files for name in names}
        return (
            Entry(uri.child(name), Kind.FILE if kinds[name] else Kind.DIRECTORY)
            for name in sorted(names, key=lambda name: (kinds[name], name))
        )

    def open(self, uri: DataUri, offset: int = 0, *, version: str | None = None):
        self.asked.append(f"open {uri.path} {offset}")
        if uri.path not in self.files:
            raise NotFoundError(f"{uri} is not there")
        entry = self._entry(uri)
        return _Reader(self, entry, self.files[uri.path], offset if version == entry.version else 0)

    def write(self, uri: DataUri, source, size: int | None = None) -> Entry:
        self.files[uri.path] = b"".join(bytes(block) for block in blocks(source, size))
        return Entry(uri, Kind.FILE, size=len(self.files[uri.path]))

    def mkdir(self, uri: DataUri) -> None:
        raise NotImplementedError

    def rmdir(self, uri: DataUri, *, force: bool = False) -> int:
        raise NotImplementedError

    def remove(self, uri: DataUri) -> None:
        del self.files[uri.path]


class _Reader:
    def __init__(self, storage: Memory, entry: Entry, content: bytes, offset: int) -> None:
        self.entry, self.offset = entry, offset
        self._storage, self._content, self._at = storage, content, offset

    def readinto(self, buffer) -> int:
        stop = min(len(self._content), self._at + min(len(buffer), 10))
        breaks = self._storage.breaks
        if breaks and self._at <= breaks[0] < stop:
            stop = breaks[0]
            if self._at == stop:
                breaks.pop(0)
                raise NetworkError("broken")
        part = self._content[self._at : stop]
        buffer[: len(part)] = part
        self._at = stop
        return len(part)

    def close(self) -> None:
        pass


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    pauses: list[float] = []
    monkeypatch.setattr(patience.time, "sleep", pauses.append)
    return pauses


def uri(path: str) -> DataUri:
    return DataUri("memory", path)


ALPHABET = bytes(range(65, 91))


# Sources


def test_a_source_resumes_at_the_position_where_it_broke():
    storage = Memory(f=ALPHABET)
    storage.breaks = [7, 12, 12, 12]
    assert FileSource(storage, uri("f"), 4).read() == ALPHABET
    assert [line for line in storage.asked if line.startswith("open")] == [
        "open f 0",
        "open f 7",
        *["open f 12"] * 3,
    ]


def test_it_gives_up_when_it_gets_nowhere(no_pauses):
    storage = Memory(f=ALPHABET)
    storage.breaks = [7] * 9
    with pytest.raises(NetworkError, match="broken"):
        FileSource(storage, uri("f"), 3).read()
    assert len(no_pauses) == 3


def test_a_checksum_that_is_another_comes_before_the_last_block():
    storage = Memory(f=ALPHABET)
    storage.checksum = hashlib.md5(b"something else").hexdigest()
    source = FileSource(storage, uri("f"), 3)
    given = []
    with pytest.raises(Corrupted):
        given.extend(bytes(block) for block in blocks(source, 26))
    assert len(b"".join(given)) < 26


def test_a_checksum_counts_also_after_a_break_and_a_rewind():
    storage = Memory(f=ALPHABET)
    storage.checksum = hashlib.md5(ALPHABET).hexdigest()
    storage.breaks = [15]
    source = FileSource(storage, uri("f"), 3)
    assert source.readinto(bytearray(12)) == 10
    source.seek(0)
    assert source.read() == ALPHABET


def test_it_tells_how_far_it_is():
    seen: list[tuple[int, int | None]] = []
    FileSource(Memory(f=ALPHABET), uri("f"), 3, lambda *facts: seen.append(facts)).read()
    assert seen == [(10, 26), (20, 26), (26, 26)]


def test_a_version_that_changes_cannot_be_resumed():
    storage = Memory(f=ALPHABET)
    storage.breaks = [15]
    source = FileSource(storage, uri("f"), 3)
    source.readinto(bytearray(10))
    source.readinto(bytearray(10))
    storage.files["f"] = b"other"
    with pytest.raises(CannotResume):
        source.readinto(bytearray(10))


# The worker


def test_the_worker_starts_anew_when_a_source_cannot_go_on(no_pauses):
    source, target = Memory(f=ALPHABET), Memory()
    source.versions = False
    source.breaks = [7, 7]
    execute(
        Transfer(Place(source, uri("f")), Place(target, uri("g"))), lambda position, size: None, CopyOptions(tries=2)
    )
    assert target.files == {"g": ALPHABET}
    source.breaks = [7] * 3
    with pytest.raises(NetworkError):
        execute(
            Transfer(Place(source, uri("f")), Place(target, uri("h"))),
            lambda position, size: None,
            CopyOptions(tries=2),
        )
    assert "h" not in target.files


def test_what_was_printed_is_never_printed_twice():
    source = Memory(f=ALPHABET)
    source.versions = False
    source.breaks = [17]
    printed = io.BytesIO()
    target = Place(StandardStreams(None, printed), STREAM)
    with pytest.raises(CannotResume):
        execute(Transfer(Place(source, uri("f")), target), lambda position, size: None, CopyOptions(tries=5))
    assert printed.getvalue() == ALPHABET[:17]


def test_patience_grows_is_spread_and_bounded():
    pauses: list[float] = []
    retries = Tries(12, pauses.append)
    for _ in range(12):
        retries.spend_on(NetworkError("again"))
    with pytest.raises(NetworkError):
        retries.spend_on(NetworkError("enough"))
    assert all(0 <= pause <= min(20.0, 0.25 * 2**spent) for spent, pause in enumerate(pauses))
    assert len(set(pauses)) > 6
    retries.renew()
    retries.spend_on(NetworkError("again"))


# Blocks


@pytest.mark.parametrize(("content", "size"), [(b"12345", 4), (b"12345", 6), (b"", 1), (b"1", 0)])
def test_blocks_have_the_announced_size_or_raise_before_the_last(content, size):
    given = []
    with pytest.raises(SizeMismatch):
        given.extend(bytes(block) for block in blocks(io.BytesIO(content), size))
    assert len(b"".join(given)) < max(size, 1)


def test_blocks_are_at_most_a_mebibyte():
    content = bytes(5 << 20)
    sizes = [len(block) for block in blocks(io.BytesIO(content))]
    assert sizes == [1 << 20] * 5


# The planner


def planned(sources: list[str], destination: str, storage: Memory) -> tuple[list[str], list[str]]:
    refused: list[str] = []
    uris = [STREAM if path == "-" else uri(path) for path in sources]
    transfers = plan(
        uris, uri(destination), lambda _: storage, lambda what, error: refused.append(f"{what}: {error.message}")
    )
    return [f"{t.source.uri.path} > {t.target.uri.path}" for t in transfers], refused


def test_a_plan_asks_for_the_destination_once_and_for_no_source():
    storage = Memory(a=b"", b=b"", dir__x=b"")
    assert planned(["a", "b"], "dir", storage) == (["a > dir/a", "b > dir/b"], [])
    assert storage.asked == ["stat dir"]


def test_a_plan_starts_while_an_endless_listing_goes_on():
    storage = Memory(dir__x=b"")
    storage.endless = True
    transfers = plan([uri("many/*")], uri("dir"), lambda _: storage, lambda what, error: None)
    assert [t.target.uri.path for t in itertools.islice(transfers, 3)] == ["dir/f0", "dir/f1", "dir/f2"]


def test_what_cannot_be_copied_is_refused_and_the_rest_planned():
    storage = Memory(a=b"", dir__x=b"", dir__sub__y=b"")
    done, refused = planned(["a", "dir/", "dir/*", "nope*", "dir/x"], "dir", storage)
    assert done == ["a > dir/a"]
    assert [line.partition(": ")[2] for line in refused] == [
        "memory://dir/ is a directory",
        "memory://dir/sub is a directory",
        "memory://dir/x and memory://dir/x are the same file",
        "Nothing matches memory://nope*",
        "memory://dir/x and memory://dir/x are the same file",
    ]


@pytest.mark.parametrize(
    ("sources", "destination", "error"),
    [
        (["a", "b"], "file", UsageError),
        (["a"], "file/", UsageError),
        (["a", "b"], "missing", NotFoundError),
        (["a"], "missing/", NotFoundError),
        (["-"], "dir", UsageError),
        (["-", "-"], "dir", UsageError),
        (["a"], "dir/*", UsageError),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused_before_anything(sources, destination, error):
    with pytest.raises(error):
        planned(sources, destination, Memory(a=b"", b=b"", file=b"", dir__x=b""))


def test_the_run_goes_on_after_a_failure():
    said: list[str] = []

    class Listener:
        def planned(self, transfer):
            pass

        def started(self, transfer):
            said.append(f"start {transfer.source}")

        def advanced(self, transfer, position, size):
            said.append(f"{position}/{size}")

        def finished(self, transfer, entry):
            said.append(f"done {entry.size}")

        def failed(self, what, error: AlgoError):
            said.append(f"failed {what}: {error.message}")

    storage = Memory(b=b"123")
    transfers = (Transfer(Place(storage, uri(n)), Place(storage, uri("x" + n))) for n in "ab")
    run_transfers(transfers, Listener(), CopyOptions(tries=0, max_transfers=1))
    assert said == [
        "start memory://a",
        "failed memory://a: memory://a is not there",
        "start memory://b",
        "3/3",
        "done 3",
    ]


# Wildcards

NAMES = Memory(d__a1=b"", d__b1=b"", d__B1=b"", d__b22=b"", d__s__b3=b"", e__b1=b"", **{"d__.b": b"", "d__b[1]": b""})


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("d/*", ["d/s", "d/B1", "d/a1", "d/b1", "d/b22", "d/b[1]"]),
        ("d/b*", ["d/b1", "d/b22", "d/b[1]"]),
        ("d/b?", ["d/b1"]),
        ("d/[ab]1", ["d/a1", "d/b1"]),
        ("d/[!b]1", ["d/B1", "d/a1"]),
        ("d/b[1]", ["d/b[1]"]),
        ("d/b[[]1]", ["d/b[1]"]),
        ("d/.*", ["d/.b"]),
        ("*/b1", ["d/b1", "e/b1"]),
        ("d/*/", ["d/s"]),
        ("?/?/b*", ["d/s/b3"]),
    ],
)
def test_wildcards_mean_what_they_mean_in_a_shell(pattern, matches):
    assert [entry.uri.path for entry in expand(NAMES, uri(pattern))] == matches


def test_a_wildcard_lists_its_directory_once():
    storage = Memory(d__a=b"", d__b=b"")
    list(expand(storage, uri("d/*")))
    assert storage.asked == ["list d"]


def test_an_opened_directory_is_told_apart():
    with pytest.raises(IsADirectory):
        from algo_data.local.storage import LocalStorage

        LocalStorage().open(parse_data_uri("/"))
