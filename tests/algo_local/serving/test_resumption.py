"""Calls without a response that were accepted are executed, whatever becomes of the server before a worker has them."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest
from support.serving import ALGO, algo
from support.several import Several, eventually
from support.wire import PATIENCE

from algo_local.opening import open_platform
from algo_local.platform import Platform
from algo_local.records.live_call import Input, KeyTaken, TakenOver
from algo_local.records.record import FULL, LOST, Answer, Record
from algo_local.records.resumption import Resumption
from algo_local.records.rows import Question
from algo_local.state import State
from algo_local.web.resumption import take_up

ON_BOTH_DATABASES = True

HOLD = """
import time
def apply(path):
    open(path, "a").write("x")
    time.sleep(600)
"""
NOTE = """
def apply(input):
    path, number = input
    with open(path, "a") as file:
        file.write(f"{number} ")
    return number
"""
LOAD = """
import os, time
with open("BASE/loading", "a") as file:
    file.write("x")
while os.path.exists("BASE/hold"):
    time.sleep(0.01)
def apply(path):
    with open(path, "a") as file:
        file.write("x")
    return "once"
"""
COUNT = 8


@pytest.fixture(scope="module")
def served_root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A state with algorithms of jane, an administrator; one worker runs at a time."""
    base = tmp_path_factory.mktemp("resumption")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "ALGO_LOCAL_ROOT": base / "root",
            "HOME": base,
            "ALGO_CONFIG_DIR": base / "config",
            "ALGO_CACHE_DIR": base / "cache",
            "ALGO_LOCAL_SANDBOX": "off",
            "ALGO_LOCAL_WORKERS": "1",
            "LOGNAME": "jane",
        }.items():
            patch.setenv(name, str(value))
        platform = open_platform(base / "root")
        for name, code in {"Hold": HOLD, "Note": NOTE, "Load": LOAD}.items():
            (base / name / "src").mkdir(parents=True)
            (base / name / "src" / "__init__.py").touch()
            (base / name / "src" / f"{name}.py").write_text(code.replace("BASE", str(base)))
            platform.publish(base / name, "jane", name, "1.0.0", network_access="full")
        platform.close()
        Several.key = algo("local", "key", "new", "jane", "--admin").stdout.strip()
        yield base


@contextlib.contextmanager
def watched() -> Iterator[Any]:
    """`algo local top` on a terminal."""
    program, *arguments = (*ALGO, "local", "top", "--interval", "0.1")
    environ = {**os.environ, "TERM": "xterm"}
    child: Any = pexpect.spawn(program, list(arguments), env=environ, encoding="utf-8", timeout=PATIENCE)
    try:
        yield child
        child.send("q")
        child.expect(pexpect.EOF)
    finally:
        child.close(force=True)


@pytest.mark.parametrize(
    ("options", "number"),
    [
        (("--processes", "2"), 0),
        (("--processes", "2"), signal.SIGTERM),
        ((), signal.SIGKILL),
        ((), signal.SIGTERM),
    ],
    ids=["engine killed", "all ended", "killed", "ended"],
)
def test_what_no_worker_had_runs_once_in_order_on_the_next(
    served_root: Path, tmp_path: Path, options: tuple[str, ...], number: int
) -> None:
    held, noted = tmp_path / "held", tmp_path / "noted"
    with contextlib.ExitStack() as stack:
        several = stack.enter_context(contextlib.closing(Several(*options)))
        with several.clients(1) as (client,):
            first = client("POST", "algo/jane/Hold?output=void", str(held))[1]["request_id"]
            eventually(held.exists)
            made = [
                client("POST", "algo/jane/Note?output=void", [str(noted), each])[1]["request_id"]
                for each in range(COUNT)
            ]
        watching = stack.enter_context(watched())
        watching.expect_exact(f"{COUNT} waiting, 1 running, 1 worker ")
        if number:
            several.stop(number)
            watching.expect_exact(f"{COUNT} waiting, 0 running, 0 workers ")
            several = stack.enter_context(contextlib.closing(Several(*options)))
        else:
            several.crash(several.engine)
        with several.clients(1) as (client,):
            found = [client("GET", f"requests/{each}/result?wait=60")[1].get("result") for each in made]
            assert found == list(range(COUNT))
            lost = client("GET", f"requests/{first}/result")[1]["error"]["message"]
            assert "shutting down" in lost if number == signal.SIGTERM else "ended while the call ran" in lost
            assert not client("GET", "requests?state=running,queued")[1]["results"]
        watching.expect_exact("  0 waiting, 0 running")
    assert noted.read_text().split() == list(map(str, range(COUNT)))
    assert held.read_text() == "x"


@pytest.mark.parametrize(
    ("options", "number"),
    [((), signal.SIGKILL), ((), signal.SIGTERM), (("--processes", "2"), 0)],
    ids=["killed", "ended", "engine killed"],
)
def test_a_call_whose_worker_is_still_loading_runs_once_on_the_next_server(
    served_root: Path, tmp_path: Path, options: tuple[str, ...], number: int
) -> None:
    loading, hold, ran = served_root / "loading", served_root / "hold", tmp_path / "ran"
    loading.unlink(missing_ok=True)
    hold.touch()
    with contextlib.ExitStack() as stack:
        several = stack.enter_context(contextlib.closing(Several(*options)))
        with several.clients(1) as (client,):
            made = client("POST", "algo/jane/Load?output=void", str(ran))[1]["request_id"]
            eventually(loading.exists)
            assert client("GET", f"requests/{made}")[1]["state"] == "queued"
        if number:
            several.stop(number)
        else:
            several.crash(several.engine)
        hold.unlink()
        if number:
            several = stack.enter_context(contextlib.closing(Several(*options)))
        with several.clients(1) as (client,):
            assert client("GET", f"requests/{made}/result?wait=60")[1].get("result") == "once"
    assert ran.read_text() == "x"


# What the record says


def resumption(**options: Any) -> str:
    return Resumption(**{**ASKED, **options}).text


ASKED = {
    "account": "jane",
    "depth": 0,
    "seconds": 30.0,
    "keeps_insights": True,
    "may_repeat": True,
    "idempotent": False,
}


@pytest.fixture
def pair(root: Path) -> Iterator[tuple[Platform, Platform]]:
    """A platform whose process ends, and the next one."""
    pair = open_platform(State.of()), open_platform(State.of())
    for platform in pair:
        platform.records._is_swept = True  # which a thread would do, and be there again by that
    yield pair
    for platform in pair:
        platform.close()


def accept(platform: Platform, number: int = 1, **options: Any) -> Any:
    options = {"is_void": True, "resumption": resumption(), **options}
    record = Record(f"req-{number}", "jane", "a", "jane", "A", "1.0.0", float(number), **options)
    return platform.records.accept(record, Input("text", b"x"), FULL)


def end(platform: Platform) -> None:
    """Have its process be over, for all that others see."""
    platform.records.close()


def start(live: Any) -> None:
    live.started("worker")


@pytest.mark.parametrize(
    ("text", "before", "waits"),
    [
        (resumption(), None, True),
        (resumption(), start, False),
        (resumption(idempotent=True), start, True),
        ("", None, False),
        (resumption(), lambda live: live._recorder._journal.change(cancelled), False),
    ],
    ids=["queued", "running", "running, may run twice", "of no server", "to be cancelled"],
)
def test_only_what_is_safe_waits_for_the_next_server(
    pair: tuple[Platform, Platform], text: str, before: Callable[[Any], object] | None, waits: bool
) -> None:
    first, second = pair
    live = accept(first, resumption=text)
    if before:
        before(live)
    first.records.flush()
    end(first)
    assert [record.id for record in second.records.left_over(9)] == ["req-1"] * waits
    found = second.records.find("req-1")
    assert found
    assert (found.state, found.started_at is None) == (("queued", True) if waits else (LOST, before is not start))
    assert waits or found.failure


def cancelled(rows: Any) -> None:
    rows.execute("UPDATE requests SET cancel = 1")


def test_a_call_that_may_run_twice_does_not_run_a_third_time(pair: tuple[Platform, Platform]) -> None:
    first, second = pair
    start(accept(first, resumption=resumption(idempotent=True)))
    assert first.records.report("req-1", [("a", 1)])
    first.records._refresh()
    end(first)
    (waiting,) = second.records.left_over(9)
    assert waiting.reported == []
    (live,) = second.records.take_over(second.records.left_over(9))
    start(live)
    end(second)
    with contextlib.closing(open_platform(first.state)) as third:
        assert third.records.left_over(9) == []
        found = third.records.find("req-1")
        assert found
        assert found.state == LOST


def test_one_of_several_servers_takes_a_call_and_the_others_do_not_start_it(pair: tuple[Platform, Platform]) -> None:
    first, second = pair
    mine = accept(first)
    first.records.flush()
    end(first)  # as one that could not be seen for a while
    waiting = second.records.left_over(9)
    (theirs,) = second.records.take_over(waiting)
    assert first.records.take_over(waiting) == []
    with pytest.raises(TakenOver):
        mine.started("worker")
    mine.finished(Answer(None, b"", None, 0.0, ""))
    theirs.started("other")
    first.records.flush()
    found = second.records.find("req-1")
    assert found
    assert (found.state, found.worker) == ("running", "other")
    theirs.finished(Answer("text", b'"y"', None, 0.1, ""))


def test_a_call_that_waits_for_a_server_is_found_by_its_key_and_cancelled_at_once(
    pair: tuple[Platform, Platform],
) -> None:
    first, second = pair
    accept(first, key="k", key_digest="d")
    end(first)
    with pytest.raises(KeyTaken):
        accept(second, 2, key="k", key_digest="d")
    second.records.cancel("req-1")
    found = second.records.find("req-1")
    assert found
    assert found.failure
    assert (found.state, found.failure.message) == ("cancelled", "The call was cancelled")
    assert second.records.left_over(9) == []


def test_what_cannot_be_executed_any_more_is_lost_with_a_reason(pair: tuple[Platform, Platform]) -> None:
    first, second = pair
    hello = first.registry.algorithm("demo", "Hello")
    assert hello
    for number, algorithm in enumerate((hello.id, "none")):
        record = Record(f"req-{number}", "jane", algorithm, "demo", "Hello", "9.9.9", float(number), is_void=True)
        record.resumption = resumption()
        first.records.accept(record, Input("text", b"x"), FULL)
    accept(first, 2)
    record = Record("req-3", "jane", hello.id, "demo", "Hello", "1.0.0", 3.0, is_void=True, resumption=resumption())
    first.records.accept(record, Input("text", b"gone"), FULL)
    record = Record("req-4", "jane", hello.id, "demo", "Hello", "1.0.0", 4.0, is_void=True, resumption='{"new": 1}')
    first.records.accept(record, Input("text", b"x"), FULL)
    first.records.change(lambda rows: rows.execute("DELETE FROM request_contents"))
    end(first)
    second.is_served = True
    assert take_up(second) == 5
    for number, reason in enumerate([*["version does not exist"] * 3, "input is not kept", "does not know how to"]):
        found = second.records.find(f"req-{number}")
        assert found
        assert found.failure
        assert found.state == LOST
        assert reason in found.failure.message
    assert take_up(second) == 0


def test_only_a_server_leaves_calls_to_the_next(platform: Platform, client: Any, publish: Callable[..., None]) -> None:
    """Nobody serves what a command has begun."""
    publish("jane/Echo", "def apply(input):\n    return input\n")
    texts = []
    for platform.is_served in (False, True):
        made = client.run("jane/Echo?output=void", b"1", "application/json").json()["request_id"]
        assert client("GET", f"requests/{made}/result?wait=60").json()["result"] == 1
        texts.append(platform.records.listed(Question(), 1)[0].resumption)
    assert texts[0] == ""
    assert Resumption.of(texts[1]) == (platform.account, 0, 300.0, True, True, False)
