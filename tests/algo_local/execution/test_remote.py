"""The executor of a front end keeps the contract, and loses nothing where one end of its connections dies."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from algo_core.errors import PermissionDenied
from algo_local.algorithms.build import Build
from algo_local.callers import CallContext
from algo_local.execution.executor import Description, Executor, Notice
from algo_local.execution.payload import Failure, Outcome, Payload
from algo_local.execution.relay.engine import EngineServer
from algo_local.execution.relay.marks import MARKS, Marks
from algo_local.execution.relay.remote import EngineUnavailable, RemoteExecutor
from algo_local.execution.relay.wire import Channel, Gone, Kind
from algo_local.execution.workers.local_pool import LocalPool
from algo_local.refusals import Forbidden, StorageFull, StorageUnavailable, TooManyCalls
from algo_local.testing import ExecutorContract, context_for, wait_for

BUILD = Build("c" * 40, Path("/source"), Path("/python"), "src.Hello", "the log", secrets=(("A", "\udc80"),))


class FixedEndpoint:
    address = "http://127.0.0.1:9"

    def serve_also(self, listener: Any) -> Callable[[], None]:
        return listener.close  # type: ignore[no-any-return]  # a socket's


class Calls:
    """Notes what the engine says of calls."""

    def __init__(self) -> None:
        self.counts: list[str] = []
        self.seen: list[tuple[str, Outcome | None]] = []
        self.adopted: list[tuple[str, Outcome]] = []
        self.tell: Callable[[list[Any]], None] | None = None

    @contextlib.contextmanager
    def counted(self, account: str) -> Iterator[None]:
        if account == "full":
            raise TooManyCalls("Too many concurrent requests")
        self.counts.append(account)
        yield

    @contextlib.contextmanager
    def hosted(self, context: CallContext, tell: Callable[[list[Any]], None]) -> Iterator[None]:
        self.tell = tell
        yield

    def ended(self, context: CallContext, build: Build, outcome: Outcome | None, waited: float | None) -> None:
        self.seen.append((context.request_id, outcome))

    def adopt(self, context: CallContext, build: Build, outcome: Outcome, worker: str) -> None:
        self.adopted.append((context.request_id, outcome))

    def settled(self) -> None: ...


class TestRemote(ExecutorContract):
    @pytest.fixture
    def executor(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Executor]:
        monkeypatch.setenv("ALGO_LOCAL_SANDBOX", "off")
        pool = LocalPool(FixedEndpoint, tmp_path / "root" / "processes")
        marks = Marks(1)
        engine, remote = EngineServer(pool, Calls(), marks=marks), RemoteExecutor(marks=marks.share(0))
        ours, theirs = socket.socketpair()
        engine.serve(theirs)
        remote.connect(ours)
        yield remote
        remote.close()
        engine.close()
        pool.close()


class Fake:
    """An executor of which each call does what a test says."""

    def __init__(self) -> None:
        self.does: Callable[..., Any] = lambda payload, **options: options["on_start"]("worker")
        self.given: list[tuple[Build, Payload, dict[str, Any]]] = []
        self.cancelled: list[str] = []

    def start(self) -> None: ...

    def call(self, build: Build, payload: Payload, **options: Any) -> Outcome:
        self.given.append((build, payload, options))
        found = self.does(payload, **options)
        return found if isinstance(found, Outcome) else Outcome(payload, None, 0.5, "")

    def cancel(self, request_id: str) -> bool:
        self.cancelled.append(request_id)
        return True

    def context_of(self, token: str) -> CallContext | None:
        return context_for() if token == "token" else None

    def describe(self) -> Description:
        return Description(1, 2, 3, 4)

    def drain(self, seconds: float) -> bool:
        return True

    def close(self) -> None: ...


class Pair:
    """A front end's executor, with an engine that can die and be started again."""

    def __init__(self, *, is_marked: bool = True) -> None:
        self.fake, self.calls = Fake(), Calls()
        self.marks = Marks(1) if is_marked else None
        self.remote = RemoteExecutor(marks=self.marks.share(0) if self.marks else None)
        self.engines: list[EngineServer] = []

    def start_engine(self) -> None:
        ours, theirs = socket.socketpair()
        self.engines.append(EngineServer(self.fake, self.calls, marks=self.marks))
        self.engines[-1].serve(theirs)
        self.remote.connect(ours)

    def call(self, data: Any = "x", kind: Any = "text", **options: Any) -> Outcome:
        options = {"timeout": 30.0, "context": context_for(), **options}
        return self.remote.call(BUILD, Payload(kind, data), **options)

    def begin(self, **options: Any) -> tuple[threading.Thread, list[Outcome]]:
        found: list[Outcome] = []
        thread = threading.Thread(target=lambda: found.append(self.call(**options)))
        thread.start()
        return thread, found


@pytest.fixture(params=[True, False], ids=["marked", "told"])
def joined(request: pytest.FixtureRequest) -> Iterator[Pair]:
    joined = Pair(is_marked=request.param)
    joined.start_engine()
    yield joined
    joined.remote.close()
    for engine in joined.engines:
        engine.close()


def ended(begun: tuple[threading.Thread, list[Outcome]]) -> Outcome:
    begun[0].join(30)
    return begun[1][0]


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("text", "\ud800 half of a pair \x00"),
        ("json", {"a": [1, None, 2.5, float("inf"), 10**300, "\udfff"]}),
        ("json", None),
        ("binary", bytes(range(256)) * 5000),
        ("binary", b""),
    ],
    ids=["text", "json", "null", "binary", "empty"],
)
def test_anything_passes_both_ways(joined: Pair, kind: Any, data: Any) -> None:
    printed = "æ\x00\n" * 50_000
    joined.fake.does = lambda payload, **options: Outcome(Payload(kind, payload.data), None, 0.25, printed)
    assert joined.call(data, kind) == Outcome(Payload(kind, data), None, 0.25, printed)
    (build, payload, options), *_ = joined.fake.given
    assert build == Build(*BUILD_WITHOUT_LOG)
    assert (payload.content_type, payload.data) == (kind, data)
    assert 29 < options["timeout"] <= 30


BUILD_WITHOUT_LOG = (
    BUILD.commit,
    BUILD.source,
    BUILD.python,
    BUILD.module,
    "",
    "full",
    0,
    0,
    BUILD.resources,
    BUILD.secrets,
)


@pytest.mark.parametrize("ended", ["", "cancelled", "lost"])
def test_a_failure_passes(joined: Pair, ended: Any) -> None:
    failure = Failure("no \udc00", "LoadingError", "trace", ended=ended)
    joined.fake.does = lambda payload, **options: Outcome(None, failure, 1.5, "printed")
    assert joined.call() == Outcome(None, failure, 1.5, "printed")


def test_what_cannot_be_said_in_json_is_a_failure(joined: Pair) -> None:
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    joined.fake.does = lambda payload, **options: Outcome(Payload("json", nested), None, 0.0, "")
    failure = joined.call().failure
    assert failure is not None
    assert "JSON" in failure.message


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (TooManyCalls("full"), TooManyCalls),
        (EngineUnavailable("away"), StorageUnavailable),
        (StorageFull("no room"), StorageFull),
        (Forbidden("not yours", 2001), PermissionDenied),
        (UnicodeError("no text"), ValueError),
        (ValueError("no"), ValueError),
        (ConnectionError("cluster"), Exception),
        (SystemExit(3), Exception),
    ],
)
def test_what_an_executor_raises_is_raised_here(joined: Pair, raised: BaseException, kind: type[Exception]) -> None:
    def does(payload: Payload, **options: Any) -> None:
        raise raised

    joined.fake.does = does
    with pytest.raises(kind, match=str(raised)) as caught:
        joined.call()
    assert getattr(caught.value, "code", None) == getattr(raised, "code", None) or isinstance(raised, SystemExit)
    joined.fake.does = lambda payload, **options: None
    assert joined.call().failure is None


def test_a_caller_that_refuses_the_start_has_the_call_not_executed(joined: Pair) -> None:
    done: list[str] = []

    def does(payload: Payload, **options: Any) -> None:
        options["on_start"]("worker")
        done.append("executed")

    def refuse(worker: str) -> None:
        raise OSError("the disk is full")

    joined.fake.does = does
    with pytest.raises(OSError, match="the disk is full"):
        joined.call(on_start=refuse)
    assert done == []
    told: list[str] = []
    assert joined.call(on_start=told.append).failure is None
    assert joined.call(on_start=Notice(told.append)).failure is None
    assert (done, told) == (["executed"] * 2, ["worker"] * 2)


def test_one_call_counts_for_its_account(joined: Pair) -> None:
    remote = RemoteExecutor(account=iter(["jane", "", "full"]).__next__)
    ours, theirs = socket.socketpair()
    joined.engines[0].serve(theirs)
    remote.connect(ours)
    options: dict[str, Any] = {"timeout": 30.0, "context": context_for()}
    for _ in range(2):
        remote.call(BUILD, Payload("text", "x"), **options)
    assert joined.calls.counts == ["jane"]
    with pytest.raises(TooManyCalls):
        remote.call(BUILD, Payload("text", "x"), **options)
    remote.close()


def test_insights_and_missing_references_come_back(joined: Pair) -> None:
    def does(payload: Payload, **options: Any) -> None:
        assert joined.calls.tell
        joined.calls.tell([["name", 1]])
        options["context"].missing.append("a/b")

    joined.fake.does = does
    told: list[Any] = []
    joined.remote._on_insights = lambda identifier, found: told.append((identifier, found))
    context = context_for()
    joined.call(context=context)
    assert told == [(context.request_id, [["name", 1]])]
    assert context.missing == ["a/b"]


# One end dies


def begin_without_worker(joined: Pair) -> tuple[tuple[threading.Thread, list[Outcome]], threading.Event]:
    """A call that the engine has and no worker yet; one takes it when the event is set."""
    waits, goes = threading.Event(), threading.Event()

    def does(payload: Payload, **options: Any) -> None:
        waits.set()
        goes.wait(30)
        options["on_start"]("worker")

    joined.fake.does = does
    begun = joined.begin()
    assert waits.wait(30)
    return begun, goes


def test_a_call_that_no_worker_had_runs_on_the_next_engine(joined: Pair) -> None:
    begun, goes = begin_without_worker(joined)
    joined.engines[0].close()
    joined.fake.does = lambda payload, **options: Outcome(Payload("text", "second"), None, 0.0, "")
    joined.start_engine()
    assert ended(begun).result == Payload("text", "second")
    goes.set()
    assert joined.calls.adopted == []


@pytest.mark.parametrize("notice", [True, False])
def test_a_call_that_ran_is_lost_and_not_repeated(joined: Pair, notice: bool) -> None:
    runs, goes = threading.Event(), threading.Event()

    def does(payload: Payload, **options: Any) -> None:
        options["on_start"]("worker")
        runs.set()
        goes.wait(30)

    joined.fake.does = does
    tell: list[str] = []
    begun = joined.begin(on_start=Notice(tell.append) if notice else tell.append)
    assert runs.wait(30)
    joined.engines[0].close()
    joined.start_engine()
    failure = ended(begun).failure
    goes.set()
    assert failure is not None
    assert failure.ended == "lost"
    assert "ended while the call ran" in failure.message
    assert len(joined.fake.given) == 1


def test_without_an_engine_a_call_ends_at_its_time_and_a_question_says_so(
    joined: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined.engines[0].close()
    failure = joined.call(timeout=0.2).failure
    assert failure is not None
    assert failure.error_type == "TimeoutError"
    with pytest.raises(EngineUnavailable):
        joined.remote.ask("describe", seconds=0.05)
    begun = joined.begin()
    wait_for(lambda: joined.remote._running)
    assert joined.remote.cancel(next(iter(joined.remote._running)))
    failure = ended(begun).failure
    assert failure is not None
    assert failure.ended == "cancelled"


def test_the_outcome_of_a_call_whose_front_end_died_is_adopted(joined: Pair) -> None:
    runs, goes = threading.Event(), threading.Event()

    def does(payload: Payload, **options: Any) -> None:
        options["on_start"]("worker")
        runs.set()
        goes.wait(30)

    joined.fake.does = does
    ours, theirs = socket.socketpair()
    served = joined.engines[0].serve(theirs)
    front = RemoteExecutor()
    front.connect(ours)
    context = context_for()
    begun = threading.Thread(
        target=front.call, args=(BUILD, Payload("text", "x")), kwargs={"timeout": 30.0, "context": context}
    )
    begun.start()
    assert runs.wait(30)
    for running in list(front._running.values()):
        assert running.channel
        running.channel.cut()  # as the end of its process does
    ours.close()
    begun.join(30)
    goes.set()
    served.join(30)
    assert [identifier for identifier, _ in joined.calls.adopted] == [context.request_id]


def test_questions_are_answered_by_the_engine(joined: Pair) -> None:
    assert joined.remote.context_of("token") is not None
    assert joined.remote.context_of("other") is None
    assert joined.remote.describe() == Description(1, 2, 3, 4)
    assert joined.remote.cancel("req-1")
    assert joined.fake.cancelled == ["req-1"]


def test_a_message_may_hold_what_an_executor_of_a_plugin_makes(joined: Pair) -> None:
    """Subclasses of plain types, which `marshal` refuses."""

    class Text(str): ...

    class Seconds(float): ...

    failure = Failure(Text("Not now"), "SystemError", Text("a\nb"))
    joined.fake.does = lambda payload, **options: Outcome(None, failure, Seconds(1.5), Text("out"))
    assert joined.call() == Outcome(None, failure, 1.5, "out")


@pytest.mark.parametrize(
    "data", [b"", b"?" + bytes(8), b"C\xff\xff\xff\xff\xff\xff\xff\xff", b"C\0\0\0\1\0\0\0\0x", b"C\0\0\0\2\0\0\0\0nu"]
)
def test_what_is_no_message_ends_the_connection(data: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(data)
        ours.shutdown(socket.SHUT_WR)
        with pytest.raises(Gone):
            Channel(theirs).receive()


def test_large_messages_pass_whole() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        body = bytes(range(256)) * 40_000
        sender = threading.Thread(target=lambda: [Channel(ours).send(Kind.ASK, ["x", n], body) for n in range(3)])
        sender.start()
        channel = Channel(theirs)
        assert [channel.receive() for _ in range(3)] == [(Kind.ASK, ["x", n], body) for n in range(3)]
        sender.join()


def test_an_engine_that_hangs_is_not_waited_for_for_ever(joined: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("algo_local.execution.relay.remote.ENGINE_SECONDS", 0.1)
    goes = threading.Event()
    monkeypatch.setattr(joined.fake, "describe", lambda: goes.wait(30) and Description(0, 0, 0, 0), raising=False)
    ours, theirs = socket.socketpair()
    EngineServer(joined.fake, joined.calls).serve(theirs)
    joined.remote.connect(ours)
    with pytest.raises(EngineUnavailable, match="does not answer"):
        joined.remote.describe()
    goes.set()


def test_what_is_new_does_not_wait_for_an_engine_that_hangs(joined: Pair) -> None:
    begun, goes = begin_without_worker(joined)
    joined.remote.doubt(is_silent=True)
    for ask in (joined.call, joined.remote.describe):
        with pytest.raises(EngineUnavailable, match="does not answer"):
            ask()
    joined.engines[0].close()  # as the parent ends it
    joined.fake.does = lambda payload, **options: None
    joined.start_engine()
    assert ended(begun).failure is None
    goes.set()
    joined.remote.doubt(is_silent=True)
    joined.remote.doubt(is_silent=False)
    assert joined.call().failure is None


def test_without_an_engine_nothing_waits_for_longer_than_is_told(joined: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("algo_local.execution.relay.remote.ENGINE_SECONDS", 0.05)
    joined.engines[0].close()
    with pytest.raises(EngineUnavailable, match="is being started again"):
        joined.call()


def test_a_lock_that_is_never_released_is_found(tmp_path: Path) -> None:
    pool = LocalPool(FixedEndpoint, tmp_path / "processes")
    engine, remote = EngineServer(pool, Calls()), RemoteExecutor()
    for lock, check in ((pool._lock, engine.check), (engine._lock, engine.check), (remote._changed, remote.check)):
        check()
        thread = threading.Thread(target=check)
        with lock:
            thread.start()
            thread.join(0.05)
            assert thread.is_alive()
        thread.join(30)
        assert not thread.is_alive()
    pool.close()


# Starts that are marked, and told of later


@pytest.fixture
def marked() -> Iterator[Pair]:
    marked = Pair()
    marked.start_engine()
    yield marked
    marked.remote.close()
    for engine in marked.engines:
        engine.close()


def test_a_call_whose_start_was_not_told_of_yet_is_lost_and_not_repeated(
    marked: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("algo_local.execution.relay.notices.LATE_SECONDS", 3600.0)
    runs, goes = threading.Event(), threading.Event()

    def does(payload: Payload, **options: Any) -> None:
        options["on_start"]("worker")
        runs.set()
        goes.wait(30)

    marked.fake.does = does
    tell: list[str] = []
    begun = marked.begin(on_start=Notice(tell.append))
    assert runs.wait(30)
    marked.engines[0].close()
    marked.start_engine()
    failure = ended(begun).failure
    goes.set()
    assert failure is not None
    assert failure.ended == "lost"
    assert tell == []
    assert len(marked.fake.given) == 1


def test_a_start_is_told_while_a_long_call_runs_and_before_the_end_of_a_short_one(
    marked: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("algo_local.execution.relay.notices._QUIET", 1)  # so that its thread sleeps and wakes again
    goes, told = threading.Event(), []

    def does(payload: Payload, **options: Any) -> None:
        options["on_start"]("worker")
        if payload.data == "long":
            assert goes.wait(30)

    def note(worker: str, at: float) -> None:
        told.append((worker, at))
        goes.set()

    marked.fake.does = does
    for data in ("long", "short", "short", "long"):
        goes.clear()
        before = time.time()
        assert marked.call(data, on_start=Notice(lambda worker: None, note)).failure is None
        worker, at = told.pop()
        assert (worker, told) == ("worker", [])
        assert before <= at <= time.time()
        time.sleep(0.1)


def test_a_call_of_a_front_end_that_is_gone_does_not_start(marked: Pair) -> None:
    waits, goes, started = threading.Event(), threading.Event(), []

    def does(payload: Payload, **options: Any) -> None:
        waits.set()
        assert goes.wait(30)
        options["on_start"]("worker")
        started.append(payload)

    marked.fake.does = does
    begun = marked.begin(on_start=Notice(lambda worker: None))
    assert waits.wait(30)
    for running in list(marked.remote._running.values()):
        assert running.channel
        running.ends = Failure("as its process has ended")
        running.channel.cut()
    ended(begun)
    goes.set()
    wait_for(lambda: not marked.engines[0]._waiting)
    assert started == []


def test_a_call_beyond_the_marks_is_told_as_it_starts(marked: Pair) -> None:
    assert marked.remote._marks
    places = [marked.remote._marks.take() for _ in range(MARKS)]
    assert sorted(place for place in places if place is not None) == list(range(MARKS))
    told: list[str] = []
    assert marked.call(on_start=Notice(told.append)).failure is None
    assert told == ["worker"]
    assert marked.remote._marks.take() is None
