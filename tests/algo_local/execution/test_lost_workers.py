"""Workers that are started elsewhere, and lost: what becomes of their calls, decided in this process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from algo_local.algorithms.build import Build
from algo_local.execution.payload import Failure, Outcome, Payload
from algo_local.execution.protocol import CANNOT_RUN
from algo_local.execution.scaling import Scaling
from algo_local.execution.workers.contract import NotHandedOver
from algo_local.execution.workers.local_pool import ATTEMPTS, LocalPool
from algo_local.testing import context_for

DONE = Outcome(Payload("json", 1), None, 0.0, "")
LOST = Outcome(None, Failure("its node died", "SystemError", ended="lost"), 0.0, "")
FAILED = Outcome(None, Failure("no", "AlgorithmError"), 0.0, "")
STALE = NotHandedOver("it ended while it was idle", was_idle=True)
NEVER = NotHandedOver("its node died")


class FarWorker:
    """A worker whose calls come to what the test says."""

    is_loaded = is_reusable = True

    def __init__(self, account: str, token: str, said: list[Outcome | Exception], name: str) -> None:
        self.account, self.token, self.name = account, token, name
        self.idle_since = 0.0
        self._said = said
        self._is_fit = True
        self.is_stopped = False

    def call(self, request: bytes, deadline: float, on_output: Callable[[bytes], None] | None = None) -> Outcome:
        said = self._said.pop(0) if self._said else DONE
        self._is_fit = said is DONE
        if isinstance(said, Exception):
            raise said
        return said

    def await_loaded(self, deadline: float, on_output: Callable[[bytes], None] | None = None) -> None:
        if self._said and self._said[0] is NEVER:
            self._is_fit = False
            raise self._said.pop(0)  # type: ignore[misc]

    def load(self, deadline: float) -> Failure | None:
        return None

    def settle(self) -> bool:
        return self._is_fit

    def is_fresh(self, scaling: Scaling) -> bool:
        return True

    def memory(self) -> int:
        return 0

    def kill(self) -> None:
        pass

    def end_input(self) -> None:
        pass

    def stop(self, grace: float = 0.0) -> None:
        self.is_stopped = True

    def hand_over(self, give: Callable[[dict[str, Any], list[int]], bool]) -> bool:
        return False


@dataclass
class FarWorkers:
    """Starts them, unless there is no room."""

    said: list[Outcome | Exception] = field(default_factory=list)
    started: list[FarWorker] = field(default_factory=list)
    room: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(1000))
    places: list[str] = field(default_factory=list)
    """What is said of the place of each that is started."""

    def start(
        self,
        build: Build,
        account: str,
        token: str,
        label: str = "",
        depth: int = 0,
        *,
        on_load: Callable[[], None] = lambda: None,
        on_wait: Callable[[str], None] = lambda reason: None,
    ) -> FarWorker:
        for reason in self.places:
            on_wait(reason)
        assert self.room.acquire(timeout=30)
        self.started.append(FarWorker(account, token, self.said, f"far-{len(self.started)}"))
        return self.started[-1]

    def close(self) -> None:
        pass


def build_with(directory: Path, configuration: str = "{}") -> Build:
    directory.mkdir(exist_ok=True)
    (directory / "algorithmia.conf").write_text(configuration)
    return Build("0" * 40, directory, Path("/usr/bin/python3"), "src.Hello", "")


NO_PLACE = "No node of the cluster has cpus=1, gpus=4"


@pytest.mark.parametrize(
    ("places", "message"),
    [
        ([], CANNOT_RUN),
        ([NO_PLACE], NO_PLACE),
        (["No node had room", NO_PLACE], NO_PLACE),
        ([NO_PLACE, ""], CANNOT_RUN),
    ],
)
def test_a_call_whose_time_ends_before_its_worker_has_a_place_says_why(
    tmp_path: Path, places: list[str], message: str
) -> None:
    far = FarWorkers(room=threading.Semaphore(0), places=places)
    pool = LocalPool(lambda: None, tmp_path, Scaling(most=1), workers=far)  # type: ignore[arg-type,return-value]
    build = build_with(tmp_path / "source")
    try:
        for _ in range(2):  # the second one starts no worker: it waits for the same
            outcome = pool.call(build, Payload("json", 1), timeout=0.1, context=context_for())
            assert outcome.failure
            assert (outcome.failure.message, outcome.failure.error_type) == (message, "TimeoutError")
        far.room.release(1000)
        assert pool.call(build, Payload("json", 1), timeout=30, context=context_for()) is DONE
    finally:
        far.room.release(1000)
        pool.close()


@pytest.mark.parametrize(
    ("configuration", "said", "ended", "workers"),
    [
        ("{}", [DONE], None, 1),
        ("{}", [NEVER, DONE], None, 2),
        ("{}", [NEVER] * ATTEMPTS, "lost", ATTEMPTS),
        ("{}", [STALE] * (ATTEMPTS + 1) + [DONE], None, ATTEMPTS + 2),
        ("{}", [LOST, DONE], "lost", 1),
        ("{}", [NEVER, LOST, DONE], "lost", 2),
        ("{}", [FAILED, DONE], "", 1),
        ('{"idempotent": true}', [LOST, DONE], None, 2),
        ('{"idempotent": true}', [LOST] * ATTEMPTS, "lost", ATTEMPTS),
        ('{"idempotent": true}', [FAILED, DONE], "", 1),
        ("no JSON", [LOST, DONE], "lost", 1),
    ],
)
def test_a_call_is_repeated_where_that_is_safe(
    tmp_path: Path, configuration: str, said: list[Outcome | Exception], ended: str | None, workers: int
) -> None:
    far = FarWorkers(list(said))
    pool = LocalPool(lambda: None, tmp_path, Scaling(), workers=far)  # type: ignore[arg-type,return-value]
    try:
        named: list[str] = []
        outcome = pool.call(
            build_with(tmp_path / "source", configuration),
            Payload("json", 1),
            timeout=30,
            context=context_for(),
            on_start=named.append,
        )
        assert (outcome.failure.ended if outcome.failure else None) == ended
        if ended == "lost":
            assert outcome.failure
            assert "its node died" in outcome.failure.message
        loaded = [number for number in range(workers) if said[number] is not NEVER]
        assert named == [f"far-{number}" for number in loaded], "it is told right before the algorithm gets the request"
    finally:
        pool.close()


def test_a_call_that_was_cancelled_is_not_repeated(tmp_path: Path) -> None:
    far = FarWorkers()
    pool = LocalPool(lambda: None, tmp_path, Scaling(), workers=far)  # type: ignore[arg-type,return-value]
    context = context_for()
    try:
        outcome = pool.call(
            build_with(tmp_path / "source", '{"idempotent": true}'),
            Payload("json", 1),
            timeout=30,
            context=context,
            on_start=lambda name: far.said.append(LOST) or pool.cancel(context.request_id) or None,  # type: ignore[func-returns-value]
        )
        assert outcome.failure
        assert outcome.failure.ended == "cancelled"
        assert len(far.started) == 1
    finally:
        pool.close()


def test_an_idle_worker_makes_room(tmp_path: Path) -> None:
    far = FarWorkers()
    pool = LocalPool(lambda: None, tmp_path, Scaling(), workers=far)  # type: ignore[arg-type,return-value]
    build = build_with(tmp_path / "source")
    try:
        pool.call(build, Payload("json", 1), timeout=30, context=context_for("jane"))
        pool.call(replace(build, module="src.Other"), Payload("json", 1), timeout=30, context=context_for("jane"))
        pool.make_room("bob", build)
        assert [worker.is_stopped for worker in far.started] == [True, False], "the one that was idle the longest"
    finally:
        pool.close()


def test_an_idle_worker_makes_no_room_for_another_one_of_its_kind(tmp_path: Path) -> None:
    far = FarWorkers()
    pool = LocalPool(lambda: None, tmp_path, Scaling(), workers=far)  # type: ignore[arg-type,return-value]
    build = build_with(tmp_path / "source")
    other = replace(build, module="src.Other")
    try:
        pool.call(build, Payload("json", 1), timeout=30, context=context_for("jane"))
        pool.make_room("jane", build)
        assert not far.started[0].is_stopped, "it takes the call itself"
        assert not pool._short, "nobody else has to give way"
        pool.call(other, Payload("json", 1), timeout=30, context=context_for("jane"))
        pool.make_room("jane", build)
        assert [worker.is_stopped for worker in far.started] == [False, True], "it runs something else"
        pool.make_room("bob", build)
        assert far.started[0].is_stopped, "it is somebody else's"
    finally:
        pool.close()


def test_a_busy_account_gives_way_to_one_that_finds_no_room(tmp_path: Path) -> None:
    far = FarWorkers(room=threading.Semaphore(1))
    pool = LocalPool(lambda: None, tmp_path, Scaling(), workers=far)  # type: ignore[arg-type,return-value]
    build = build_with(tmp_path / "source")
    try:
        pool.call(build, Payload("json", 1), timeout=30, context=context_for("jane"))
        pool._scheduler._past["jane"] = 100.0  # seconds of service before
        answers: list[Outcome] = []
        waits = threading.Thread(
            target=lambda: answers.append(pool.call(build, Payload("json", 1), timeout=30, context=context_for("bob")))
        )
        waits.start()
        while not pool.queues():
            pass
        assert pool.queues() == {"demo/Hello": 1}
        with pool._lock:
            pool._short.add("bob")  # as `make_room` says when all are busy
        pool.call(build, Payload("json", 1), timeout=30, context=context_for("jane"))
        assert far.started[0].is_stopped, "it takes no other call of jane's"
        far.room.release()
        waits.join(30)
        assert answers == [DONE]
    finally:
        far.room.release()
        pool.close()
