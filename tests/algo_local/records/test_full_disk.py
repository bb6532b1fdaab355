"""What a platform does whose disk is full: nothing is accepted that cannot be recorded, and nothing lost in silence."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from support.sandbox import wait_until
from support.serving import Served

from algo_core.errors import ExitCode
from algo_local.metadata.keys import ADMINISTRATOR_KEY
from algo_local.metadata.sqlite import SqliteDatabase
from algo_local.platform import Platform
from algo_local.records import journal
from algo_local.records.journal import Journal
from algo_local.records.record import Record
from algo_local.refusals import StorageFull, StorageUnavailable

ONLY_ON_SQLITE = True

FULL = 4096
"""Bytes of the largest file: enough for what is said on standard error, too few for a page of the database."""


class FullDisk:
    """A served platform and its disk, which has no room while `is_full` is set."""

    def __init__(self, served: Served, key: str, administrator: str) -> None:
        self.served = served
        self._key = key
        self._administrator = administrator

    def fill(self) -> None:
        self._limit(FULL)

    def clear(self) -> None:
        self._limit(resource.RLIM_INFINITY)

    def _limit(self, size: int) -> None:
        resource.prlimit(self.served.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        headers = {"Authorization": f"Simple {self._key}", **options.pop("headers", {})}
        return requests.request(method, f"{self.served.address}/v1/{path}", headers=headers, timeout=60, **options)

    def call(self, text: str, query: str = "", key: str = "") -> requests.Response:
        headers = {"Content-Type": "text/plain", **({"Idempotency-Key": key} if key else {})}
        return self.ask("POST", f"algo/jane/Count{query}", data=text, headers=headers)

    def metric(self, name: str) -> float:
        headers = {"Authorization": f"Simple {self._administrator}"}
        text = requests.get(f"{self.served.address}/metrics", headers=headers, timeout=60).text
        found = [float(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name} ")]
        assert found, text
        return found[0]


@pytest.fixture
def disk(serve: Callable[..., Served], platform: Platform, publish: Callable[..., None]) -> Iterator[FullDisk]:
    code = """
        import time
        count = []
        def apply(input):
            count.append(input)
            time.sleep(0.5 * (input == "slow"))
            return f"{input} {len(count)}"
    """
    publish("jane/Count", code)
    jane = platform.keys.create(platform.metadata.ensure_account("jane"), "test")[1]
    administrator = platform.keys.create(platform.account, "monitor", kind=ADMINISTRATOR_KEY)[1]
    disk = FullDisk(serve("--log-calls", "json"), jane, administrator)
    assert disk.call("first", key="known").json()["result"] == "first 1"
    yield disk
    if disk.served.process.poll() is None:
        disk.clear()


def test_a_full_disk_refuses_what_must_be_recorded_and_answers_the_rest(disk: FullDisk) -> None:
    disk.fill()
    answered = disk.call("warm")
    assert answered.json()["result"] == "warm 2"
    identifier = answered.json()["request_id"]
    assert wait_until(lambda: disk.metric("algo_record_write_failures_total") > 0)
    assert disk.metric("algo_records_waiting") >= 1
    shown = disk.ask("GET", f"requests/{identifier}").json()
    assert (shown["state"], shown["input"]["size"]) == ("done", 4)
    assert disk.ask("GET", f"requests/{identifier}/result").json()["result"] == "warm 2"

    for query, key in (("?output=void", ""), ("", "new"), ("?output=void", "newer")):
        refused = disk.call("refused", query, key)
        assert refused.status_code in (503, 507), refused.text
        assert "database" in refused.json()["error"]["message"]
    assert disk.call("first", key="known").json()["result"] == "first 1", "it is on record"
    assert disk.call("other", key="known").status_code == 422
    assert disk.call("warm").json()["result"] == "warm 3", "nothing that was refused has been executed"

    disk.clear()
    assert wait_until(lambda: disk.metric("algo_records_waiting") == 0)
    assert disk.metric("algo_records_lost_total") == 0
    listed = [found["request_id"] for found in disk.ask("GET", "requests").json()["results"]]
    assert identifier in listed
    assert disk.call("refused", key="new").json()["result"] == "refused 4", "the key was not used up"
    said = disk.served.said()
    assert "Records of calls wait in memory, since they cannot be written" in said
    assert "Records of calls are written again; 0 were lost" in said


def test_an_answer_goes_out_though_the_disk_became_full_meanwhile(disk: FullDisk) -> None:
    with ThreadPoolExecutor(1) as other:
        slow = other.submit(disk.call, "slow", key="slow")
        assert wait_until(lambda: disk.ask("GET", "requests?state=running").json()["results"])
        disk.fill()
        assert slow.result().json()["result"] == "slow 2"
    again = disk.call("slow", key="slow")
    assert (again.json()["result"], again.headers["Idempotency-Replayed"]) == ("slow 2", "true")
    disk.clear()
    assert wait_until(lambda: disk.metric("algo_records_waiting") == 0)
    again = disk.call("slow", key="slow")
    assert (again.json()["result"], again.headers["Idempotency-Replayed"]) == ("slow 2", "true")


def test_what_cannot_be_written_until_the_end_is_told(disk: FullDisk) -> None:
    disk.fill()
    identifier = disk.call("warm").json()["request_id"]
    code, said = disk.served.stop()
    assert code == ExitCode.OK, said
    assert f"Calls are not on record (1: {identifier})" in said


def record(number: int) -> Record:
    return Record(f"req-{number}", "jane", "id", "jane", "Echo", "1.0.0", float(number))


def test_what_is_given_up_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a database that has as many pages as it may have."""
    told: list[str] = []
    database = SqliteDatabase(tmp_path / "platform.sqlite3")
    with database.read() as rows:
        (pages,) = rows.execute("PRAGMA page_count").fetchone()
        rows.execute(f"PRAGMA max_page_count={pages}")
    monkeypatch.setattr(journal, "MOST_WAITING", 3)
    monkeypatch.setattr(journal, "MOST_CONTENT", 250_000)
    found = Journal(database, lambda: None, told.append)
    for number in range(6):
        found.put(record(number), {f"digest-{number}": bytes(100_000)})
    found.flush()
    assert (found.waiting, found.lost) == (3, 3)
    assert [found.is_lost(f"req-{number}") for number in range(6)] == [True] * 3 + [False] * 3
    assert [found.pending(f"req-{number}") is not None for number in range(6)] == [False] * 3 + [True] * 3
    assert [found.pending_content(f"digest-{number}") is not None for number in range(6)] == [False] * 4 + [True] * 2
    found.flush()
    with pytest.raises(StorageUnavailable):
        found.change(lambda rows: None)
    assert len(told) == 1, "it is told once"
    with database.read() as rows:
        rows.execute("PRAGMA max_page_count=1000000")
    found.flush()
    assert (found.waiting, found.problem, len(told)) == (0, "", 2)
    assert "3 were lost" in told[1]


def test_a_command_warns_of_what_it_could_not_record(
    embedded: Any, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise StorageFull("database or disk is full")

    assert embedded.run("demo/Hello", b"x").ok
    platform.records.flush()
    with monkeypatch.context() as broken:
        broken.setattr(SqliteDatabase, "write", full)
        identifier = embedded.run("demo/Hello", b"x").json()["request_id"]
        with pytest.warns(UserWarning, match=f"not on record .*{identifier}.*disk is full"):
            platform.wait_for_background()
    platform.wait_for_background()


def test_a_lost_record_is_told_apart_from_none(embedded: Any, platform: Platform) -> None:
    platform.records.writing._gone["req-lost"] = None
    answers = [embedded("GET", f"requests/{name}") for name in ("req-lost", "req-none")]
    assert [answer.status_code for answer in answers] == [410, 404]
    assert "was lost" in answers[0].json()["error"]["message"]
