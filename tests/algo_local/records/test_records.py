"""Calls on record: what is kept, who sees it, idempotency keys, cancelling, and what a crash leaves."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.sandbox import wait_until

from algo_core.errors import PlatformError
from algo_local.algorithms import lifecycle
from algo_local.opening import open_platform
from algo_local.platform import Platform
from algo_local.records import rows as table
from algo_local.records.limits import Retention
from algo_local.records.live_call import Input, KeyTaken
from algo_local.records.presence import Presence
from algo_local.records.record import CUT_SHORT_FAILURE, LOST, LOST_FAILURE, Answer, Record
from algo_local.records.recorder import Recorder
from algo_local.refusals import CommitUnknown

ON_BOTH_DATABASES = True

ECHO = """
    def apply(input):
        print("got", input)
        if input == "fail":
            raise ValueError("no")
        return input
"""
COUNTED = """
    import os, time
    def apply(input):
        COUNT.append(input)
        time.sleep(input)
        return len(COUNT)
    COUNT = []
"""
SLEEP = "import time\ndef apply(input):\n    print('began', flush=True)\n    time.sleep(input)\n    return 'slept'\n"


@pytest.fixture
def echo_name(publish: Callable[..., None]) -> str:
    publish("jane/Echo", ECHO)
    return "jane/Echo"


def shown(client: Any, identifier: str) -> dict[str, Any]:
    answer = client("GET", f"requests/{identifier}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_call_is_on_record_with_what_went_in_and_came_out(client: Any, echo_name: str) -> None:
    called = client.run(f"{echo_name}?stdout=true", b"HAL").json()
    found = shown(client, called["request_id"])
    assert (found["state"], found["account"], found["algorithm"], found["version"]) == (
        "done",
        "jane",
        echo_name,
        "1.0.0",
    )
    assert found["created_at"] <= found["started_at"] <= found["finished_at"]
    assert (found["input"]["content_type"], found["input"]["size"]) == ("text", 3)
    assert (found["output"]["content_type"], found["output"]["size"]) == ("text", len('"HAL"'))
    assert found["duration"] == called["metadata"]["duration"]
    path = f"requests/{called['request_id']}"
    assert client("GET", f"{path}/result?stdout=true").json() == called
    assert client("GET", f"{path}/result?output=raw").content == b"HAL"
    assert client("GET", f"{path}/input").content == b"HAL"
    assert client("GET", f"{path}/logs").json()["logs"] == "got HAL\n"


@pytest.mark.parametrize(
    ("body", "content_type"),
    [(b'{"a": [1, 2.50]}', "application/json"), (b"\0\xff", "application/octet-stream"), ("ü".encode(), "text/plain")],
)
def test_every_type_is_given_again_as_it_was(client: Any, echo_name: str, body: bytes, content_type: str) -> None:
    called = client.run(echo_name, body, content_type)
    path = f"requests/{called.json()['request_id']}"
    assert client("GET", f"{path}/result").content == called.content
    assert client("GET", f"{path}/input").content == body
    raw = client("GET", f"{path}/result?output=raw")
    direct = client.run(f"{echo_name}?output=raw", body, content_type)
    assert (raw.content, raw.headers["Content-Type"]) == (direct.content, direct.headers["Content-Type"])


def test_a_failure_is_on_record_as_well(client: Any, echo_name: str) -> None:
    called = client.run(echo_name, b"fail").json()
    found = shown(client, called["request_id"])
    assert (found["state"], found["failure"]["message"], found["output"]) == ("failed", "no", None)
    assert client("GET", f"requests/{called['request_id']}/result").json() == called
    assert client("GET", f"requests/{called['request_id']}/result?output=raw").status_code == 400


def test_a_void_call_is_fetched_later(client: Any, publish: Callable[..., None]) -> None:
    publish("jane/Sleep", SLEEP)
    identifier = client.run("jane/Sleep?output=void", b"0.3", "application/json").json()["request_id"]
    early = client("GET", f"requests/{identifier}/result")
    assert early.status_code in {200, 202}
    if early.status_code == 202:
        assert early.json()["state"] in {"queued", "running"}
    assert client("GET", f"requests/{identifier}/result?wait=60").json()["result"] == "slept"
    assert shown(client, identifier)["void"] is True


@pytest.mark.parametrize("wait", ["-1", "61", "nan", "x", "inf"])
def test_waiting_is_bounded(embedded: Any, echo_name: str, wait: str) -> None:
    identifier = embedded.run(echo_name).json()["request_id"]
    assert embedded("GET", f"requests/{identifier}/result?wait={wait}").status_code == 400


def test_a_call_is_cancelled_while_it_runs_and_while_it_waits(
    client: Any, platform: Platform, publish: Callable[..., None]
) -> None:
    publish("jane/Sleep", SLEEP)
    identifiers = [
        client.run("jane/Sleep?output=void", b"3600", "application/json").json()["request_id"] for _ in range(2)
    ]
    assert wait_until(lambda: shown(client, identifiers[0])["state"] == "running")
    for identifier in identifiers:
        found = client("POST", f"requests/{identifier}/cancel?wait=60").json()
        assert (found["state"], found["failure"]["message"]) == ("cancelled", "The call was cancelled")
    again = client("POST", f"requests/{identifiers[0]}/cancel").json()
    assert again["state"] == "cancelled"
    platform.wait_for_background()


def test_another_process_is_told_to_cancel(platform: Platform, embedded: Any, publish: Callable[..., None]) -> None:
    """As when `algo run --async` runs in one terminal and `algo requests cancel` in another."""
    publish("jane/Sleep", SLEEP)
    identifier = embedded.run("jane/Sleep?output=void", b"3600", "application/json").json()["request_id"]
    other = open_platform(platform.state)
    found = other.records.find(identifier)
    assert found
    assert not found.is_finished
    other.records.cancel(identifier)
    ended = other.records.wait(identifier, 60)
    assert ended
    assert ended.state == "cancelled"
    other.close()
    platform.wait_for_background()


def test_calls_are_listed_by_filters_in_pages(client: Any, echo_name: str) -> None:
    made = [client.run(echo_name, body).json()["request_id"] for body in (b"1", b"2", b"fail", b"4")]
    other = client.run("demo/Hello").json()["request_id"]

    def listed(query: str = "") -> list[str]:
        return [entry["request_id"] for entry in client("GET", f"requests?{query}").json()["results"]]

    assert listed() == [other, *reversed(made)]
    assert listed("algorithm=jane/echo") == made[::-1]
    assert listed("state=failed") == [made[2]]
    assert listed("state=failed,done&algorithm=jane/Echo") == made[::-1]
    assert listed("since=2199-01-01T00:00:00Z") == []
    assert listed("since=2001-01-01T00:00:00Z&account=jane") == [other, *reversed(made)]
    pages, link = [], "requests?limit=2"
    while link:
        page = client("GET", link).json()
        pages.append([entry["request_id"] for entry in page["results"]])
        link = page["next_link"] and page["next_link"].partition("/v1/")[2]
    assert pages == [[other, made[3]], [made[2], made[1]], [made[0]]]
    for query, status in [("state=x", 400), ("since=x", 400), ("limit=0", 400), ("marker=x", 400),
                          ("algorithm=jane/Nope", 404), ("account=alice", 403)]:  # fmt: skip
        assert client("GET", f"requests?{query}").status_code == status, query


def test_others_see_no_call_and_the_algorithms_owner_not_what_went_in(
    account: Callable[[str], Any], echo_name: str, platform: Platform
) -> None:
    bob, jane, eve = account("bob"), account("jane"), account("eve")
    identifier = bob.run(echo_name, b"mine").json()["request_id"]
    for part in ("", "/result", "/input", "/logs"):
        assert eve("GET", f"requests/{identifier}{part}").status_code == 404
    assert eve("POST", f"requests/{identifier}/cancel").status_code == 404
    assert eve("GET", "requests").json()["results"] == []
    assert jane("GET", "requests").json()["results"] == []
    (seen,) = jane("GET", f"requests?algorithm={echo_name}").json()["results"]
    assert seen["account"] == "bob"
    assert eve("GET", f"requests?algorithm={echo_name}").json()["results"] == []
    assert jane("GET", f"requests/{identifier}/logs").json()["logs"] == "got mine\n"
    assert bob("GET", f"requests/{identifier}/logs").status_code == 403
    for part in ("/result", "/input"):
        assert jane("GET", f"requests/{identifier}{part}").status_code == 403
        assert bob("GET", f"requests/{identifier}{part}").status_code == 200


def test_who_gets_an_owners_name_later_sees_no_calls(
    account: Callable[[str], Any], echo_name: str, platform: Platform
) -> None:
    from algo_local.retirement import delete_account

    identifier = account("bob").run(echo_name, b"mine").json()["request_id"]
    delete_account(platform, platform.accounts.get("jane"))
    other = account("jane")
    assert other("GET", f"requests/{identifier}").status_code == 404
    assert other("GET", f"requests/{identifier}/logs").status_code == 404
    assert other("GET", f"requests?algorithm={echo_name}").status_code == 404
    assert account("bob")("GET", f"requests/{identifier}/result").json()["result"] == "mine"


def test_who_watches_calls_cannot_break_them(embedded: Any, platform: Platform, echo_name: str) -> None:
    def broken(record: Record) -> None:
        raise OSError("the log's disk is full")

    platform.records.observers.append(broken)
    assert embedded.run(echo_name, b"x", headers={"Idempotency-Key": "k"}).json()["result"] == "x"


def test_an_algorithm_sees_the_calls_that_it_made_and_no_others(client: Any, echo_name: str, publish: Any) -> None:
    publish(
        "jane/Spy",
        """
        import json, os, urllib.error, urllib.request
        def ask(path, data=None):
            request = urllib.request.Request(os.environ["ALGORITHMIA_API"] + "/v1/" + path, data)
            request.add_header("Authorization", os.environ["ALGORITHMIA_API_KEY"])
            request.add_header("Content-Type", "application/json")
            try:
                return json.load(urllib.request.urlopen(request))
            except urllib.error.HTTPError as error:
                return error.code
        def apply(input):
            mine = ask("algo/jane/Echo", b'"inner"')["request_id"]
            seen = [entry["request_id"] for entry in ask("requests")["results"]]
            return [seen == [mine], ask("requests/" + mine)["state"], ask("requests/" + input)]
        """,
    )
    outer = client.run(echo_name, b"outer").json()["request_id"]
    assert client.run("jane/Spy", outer.encode()).json()["result"] == [True, "done", 404]


def test_what_is_kept_is_an_algorithms_own_setting(client: Any, echo_name: str, platform: Platform) -> None:
    def keep(level: str) -> None:
        algorithm = platform.registry.algorithm("jane", "Echo")
        assert algorithm
        lifecycle.update(platform.registry, algorithm, {"request_records": level})

    keep("metadata")
    called = client.run(echo_name, b"fail", headers={"Idempotency-Key": "k"})
    assert "Idempotency-Key" not in called.headers
    found = shown(client, called.json()["request_id"])
    assert (found["state"], found["failure"]["message"], found["input"]["size"]) == ("failed", "", 4)
    assert client("GET", f"requests/{found['request_id']}/input").status_code == 410
    done = client.run(echo_name, b"x").json()["request_id"]
    assert client("GET", f"requests/{done}/result").status_code == 410
    keep("none")
    called = client.run(f"{echo_name}?output=void", b"x")
    platform.wait_for_background()
    assert client("GET", f"requests/{called.json()['request_id']}").status_code == 404


# Idempotency keys


def test_a_repeated_call_gets_the_recorded_answer(client: Any, publish: Callable[..., None]) -> None:
    publish("jane/Count", COUNTED)
    key = {"Idempotency-Key": "a key/1"}
    first = client.run("jane/Count", b"0", "application/json", headers=key)
    assert first.headers["Idempotency-Key"] == "a key/1"
    assert "Idempotency-Replayed" not in first.headers
    again = client.run("jane/Count", b"0", "application/json", headers=key)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.content == first.content
    assert client.run("jane/Count?output=raw", b"0", "application/json", headers=key).content == b"1"
    assert client.run("jane/Count", b"0", "application/json").json()["result"] == 2


def test_the_key_of_another_call_is_refused(client: Any, echo_name: str) -> None:
    key = {"Idempotency-Key": "k"}
    client.run(echo_name, b"x", headers=key)
    others = [
        client.run(echo_name, b"y", headers=key),
        client.run("demo/Hello", b"x", headers=key),
        client.run(echo_name, b"x", "application/octet-stream", headers=key),
    ]
    for other in others:
        assert other.status_code == 422
        assert other.json()["error"]["code"] == 6001
        assert "use a new key" in other.json()["error"]["message"]


@pytest.mark.parametrize("key", ["", "x" * 256, "\u00fc"])
def test_what_is_no_key_is_refused(embedded: Any, echo_name: str, key: str) -> None:
    assert embedded.run(echo_name, headers={"Idempotency-Key": key.encode("latin-1")}).status_code == 400


def test_keys_are_an_accounts_own(account: Callable[[str], Any], echo_name: str) -> None:
    key = {"Idempotency-Key": "k"}
    assert account("jane").run(echo_name, b"x", headers=key).status_code == 200
    assert account("bob").run(echo_name, b"y", headers=key).json()["result"] == "y"


def test_simultaneous_duplicates_wait_for_the_first(client: Any, publish: Callable[..., None]) -> None:
    publish("jane/Count", COUNTED)
    key = {"Idempotency-Key": "k"}
    with ThreadPoolExecutor(6) as threads:
        calls = [threads.submit(client.run, "jane/Count", b"0.3", "application/json", headers=key) for _ in range(6)]
        answers = [call.result() for call in calls]
    assert len({answer.content for answer in answers}) == 1
    assert answers[0].json()["result"] == 1


def test_a_void_call_with_a_key_is_made_once(client: Any, platform: Platform, publish: Callable[..., None]) -> None:
    publish("jane/Count", COUNTED)
    sent = ("jane/Count?output=void", b"0", "application/json")
    first, again = (client.run(*sent, headers={"Idempotency-Key": "k"}).json()["request_id"] for _ in range(2))
    assert first == again
    assert client("GET", f"requests/{first}/result?wait=60").json()["result"] == 1


def test_large_answers_are_kept_where_they_must_be_fetched(embedded: Any, publish: Callable[..., None]) -> None:
    publish("jane/Large", "def apply(input):\n    return 'x' * int(input)\n")
    size = b"1000000"
    key = {"Idempotency-Key": "k"}
    assert len(embedded.run("jane/Large", size, headers=key).json()["result"]) == 1_000_000
    assert len(embedded.run("jane/Large", size, headers=key).json()["result"]) == 1_000_000
    plain = embedded.run("jane/Large", b"1000001").json()["request_id"]
    assert embedded("GET", f"requests/{plain}/result").status_code == 410
    assert shown(embedded, plain)["output"]["size"] == 1_000_003


# Crashes

CRASH = """
import os, sys
from algo_local.opening import open_platform
from algo_local.platform import Platform
from algo_local.records.record import Record
from algo_local.records.live_call import Input
from algo_local.state import State
platform = Platform(State.of())
record = Record("req-1", "jane", "a", "jane", "A", "1.0.0", 1.0, is_void=True, key="k", key_digest="d")
live = platform.records.accept(record, Input("text", b"x"), "full")
if sys.argv[1] == "finished":
    from algo_local.records.record import Answer
    live.finished(Answer("text", b'"y"', None, 0.1, ""))
if sys.argv[1] == "running":
    live.started("1")
print("on record", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def crashed(platform: Platform) -> Callable[[str], None]:
    """A platform in another process that was killed with a call under way, or after it."""

    def crash(when: str) -> None:
        assert platform.account
        process = subprocess.Popen([sys.executable, "-c", CRASH, when], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdout
        assert process.stdout.readline() == b"on record\n"
        found = platform.records.find("req-1")
        assert found
        assert found.state == {"accepted": "queued", "running": "running", "finished": "done"}[when]
        process.kill()
        process.communicate()

    return crash


def again(recorder: Recorder) -> Any:
    record = Record("req-2", "jane", "a", "jane", "A", "1.0.0", 2.0, key="k", key_digest="d")
    return recorder.accept(record, Input("text", b"x"), "full")


def test_what_a_platform_had_under_way_when_it_died_is_lost_and_can_be_called_again(
    platform: Platform, crashed: Callable[[str], None]
) -> None:
    crashed("running")
    live = again(platform.records)
    found = platform.records.find("req-1")
    assert found
    assert (found.state, found.key) == (LOST, None)
    assert found.failure
    live.finished(Answer("text", b'"z"', None, 0.1, ""))
    assert len(list((platform.root / "running").iterdir())) == 1, "only ours"


def test_a_call_that_ran_is_repeated_only_where_that_is_allowed_and_says_so(
    platform: Platform, crashed: Callable[[str], None]
) -> None:
    crashed("running")
    record = Record("req-2", "jane", "a", "jane", "A", "1.0.0", 2.0, key="k", key_digest="d")
    with pytest.raises(KeyTaken) as taken:
        platform.records.accept(record, Input("text", b"x"), "full", may_repeat=False)
    lost = taken.value.record
    assert (lost.id, lost.state, lost.failure) == ("req-1", LOST, CUT_SHORT_FAILURE)
    again(platform.records).finished(Answer("text", b'"z"', None, 0.1, ""))
    found = platform.records.find("req-2")
    assert found
    assert found.repeats == "req-1"


def test_that_a_call_ran_is_not_forgotten_when_its_repetition_is_lost_before_it_runs(
    platform: Platform, crashed: Callable[[str], None]
) -> None:
    crashed("running")
    for number in (2, 3, 4):
        record = Record(f"req-{number}", "jane", "a", "jane", "A", "1.0.0", 2.0, key="k", key_digest="d")
        with pytest.raises(KeyTaken):
            platform.records.accept(record, Input("text", b"x"), "full", may_repeat=False)
        live = platform.records.accept(record, Input("text", b"x"), "full")
        live.finished(Answer(None, b"", LOST_FAILURE, 0.0, ""))
        found = platform.records.find(record.id)
        assert found
        assert (found.state, found.started_at, found.repeats) == (LOST, None, "req-1")


def test_a_repetition_that_is_lost_is_not_executed_for_who_refuses_that(
    client: Any, platform: Platform, publish: Callable[..., None]
) -> None:
    publish("jane/Echo", "def apply(input):\n    return input\n")
    headers = {"Content-Type": "application/json", "Idempotency-Key": "k", "Idempotency-Lost": "refuse"}
    assert client("POST", "algo/jane/Echo", data=b"1", headers=headers).json()["result"] == 1
    with platform.database.write() as rows:
        rows.execute("UPDATE requests SET state = 'lost', started_at = NULL, repeats = 'req-1'")
    answer = client("POST", "algo/jane/Echo", data=b"1", headers=headers)
    assert answer.json()["error"]["message"] == CUT_SHORT_FAILURE.message
    assert answer.headers["Idempotency-Repeated"] == "req-1"


def test_a_call_that_was_refused_as_nobody_knew_whether_it_was_committed_is_taken_back(
    embedded: Any, platform: Platform, publish: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database went away after the commit; the client was told that nothing was done, and tries again."""
    publish("jane/Counted", COUNTED)
    with unknown_commit(platform.database, monkeypatch):
        refused = embedded.run("jane/Counted", b"0", "application/json", headers={"Idempotency-Key": "k"})
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1"), refused.text
    with unknown_commit(platform.database, monkeypatch):
        assert embedded.run("jane/Counted?output=void", b"0", "application/json").status_code == 503
    again = embedded.run("jane/Counted", b"0", "application/json", headers={"Idempotency-Key": "k"})
    assert again.json()["result"] == 1, again.text
    assert [found["state"] for found in embedded("GET", "requests").json()["results"]] == ["done"]


def test_calls_that_were_taken_over_by_an_unknown_commit_wait_for_a_server_again(
    recorder: Recorder, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = Record("req-1", "jane", "id", "jane", "Echo", "1.0.0", time.time(), is_void=True, resumption="x")
    with platform.database.write() as rows:
        table.store(rows, [table.row_of(waiting)], [])
    with unknown_commit(recorder._database, monkeypatch), pytest.raises(CommitUnknown):
        recorder.take_over([waiting])
    assert wait_until(lambda: [found.id for found in recorder.left_over(5)] == ["req-1"])
    assert [live.record.id for live in recorder.take_over([waiting])] == ["req-1"]
    assert recorder.left_over(5) == []


@contextmanager
def unknown_commit(database: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have the next transaction of calls be committed, and its writer be told that nobody knows."""
    original = type(database).write

    @contextmanager
    def write(self: Any, **options: Any) -> Iterator[Any]:
        if self is not database or "to_disk" not in options:  # a sign of life, or what other platforms do
            with original(self, **options) as rows:
                yield rows
            return
        patch.undo()
        with original(self, **options) as rows:
            yield rows
        raise CommitUnknown("the database went away")

    with monkeypatch.context() as patch:
        patch.setattr(type(database), "write", write)
        yield


def test_a_call_that_never_ran_is_simply_made(platform: Platform, crashed: Callable[[str], None]) -> None:
    crashed("accepted")
    record = Record("req-2", "jane", "a", "jane", "A", "1.0.0", 2.0, key="k", key_digest="d")
    live = platform.records.accept(record, Input("text", b"x"), "full", may_repeat=False)
    live.finished(Answer("text", b'"z"', None, 0.1, ""))
    found, lost = platform.records.find("req-2"), platform.records.find("req-1")
    assert found
    assert lost
    assert (found.repeats, lost.failure) == ("", LOST_FAILURE)


@pytest.mark.parametrize("wanted", ["refuse", "repeat"])
def test_a_platform_that_is_killed_while_a_call_runs(
    serve: Callable[..., Any], platform: Platform, client: Any, publish: Callable[..., None], wanted: str
) -> None:
    import requests

    publish("jane/Sleep", SLEEP)
    key = platform.keys.create("jane", "test")[1]
    headers = {"Content-Type": "application/json", "Idempotency-Key": "k"}
    served = serve()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(
            requests.post,
            f"{served.address}/v1/algo/jane/Sleep",
            data=b"0.5",
            headers={**headers, "Authorization": key},
            timeout=60,
        )
        assert wait_until(lambda: any(one["started_at"] for one in client("GET", "requests").json()["results"]))
        served.kill()
        assert isinstance(first.exception(), requests.RequestException)
    (lost,) = client("GET", "requests?state=lost").json()["results"]
    answer = client("POST", "algo/jane/Sleep", data=b"0.5", headers={**headers, "Idempotency-Lost": wanted})
    if wanted == "refuse":
        assert answer.json()["error"]["message"] == CUT_SHORT_FAILURE.message
        assert answer.headers["Idempotency-Replayed"] == "true"
        assert len(client("GET", "requests").json()["results"]) == 1
        return
    assert answer.json()["result"] == "slept"
    assert answer.headers["Idempotency-Repeated"] == lost["request_id"]
    assert shown(client, answer.json()["request_id"])["repeats"] == lost["request_id"]
    replayed = client("POST", "algo/jane/Sleep", data=b"0.5", headers={**headers, "Idempotency-Lost": "refuse"})
    assert replayed.headers["Idempotency-Repeated"] == lost["request_id"]


def test_what_becomes_of_lost_calls_is_one_of_two_words(client: Any, echo_name: str) -> None:
    answer = client.run(echo_name, headers={"Idempotency-Key": "k", "Idempotency-Lost": "maybe"})
    assert answer.status_code == 400
    assert "repeat or refuse" in answer.json()["error"]["message"]


def test_an_answer_outlives_the_platform(platform: Platform, crashed: Callable[[str], None]) -> None:
    crashed("finished")
    with pytest.raises(KeyTaken) as taken:
        again(platform.records)
    answer = platform.records.answer(taken.value.record)
    assert answer
    assert answer.encoded == b'"y"'


def test_a_served_platform_that_is_killed_leaves_no_call_running(
    serve: Callable[..., Any], platform: Platform, publish: Callable[..., None]
) -> None:
    import requests

    publish("jane/Sleep", SLEEP)
    key = platform.keys.create("jane", "test")[1]
    served = serve()
    answer = requests.post(
        f"{served.address}/v1/algo/jane/Sleep?output=void", json=3600, headers={"Authorization": key}, timeout=60
    )
    identifier = answer.json()["request_id"]
    assert wait_until(lambda: (found := platform.records.find(identifier)) and found.state == "running")
    served.kill()
    found = platform.records.find(identifier)
    assert found
    assert found.state == LOST


# The parts


@pytest.fixture
def recorder(platform: Platform) -> Iterator[Recorder]:
    made = Recorder(platform.database, platform.root, lambda identifier: True, Retention(86400.0, 1 << 20, 1 << 10))
    yield made
    made.close()


def record(number: int, **members: Any) -> Record:
    return Record(
        f"req-{number:04}", "jane", "a", "jane", "A", "1.0.0", members.pop("created_at", time.time()), **members
    )


def make(recorder: Recorder, number: int, output: bytes = b'"y"', **members: Any) -> None:
    live = recorder.begin(record(number, **members), Input("text", b"x%d" % number), "full")
    live.finished(Answer("text", output, None, 0.1, "printed"))


def test_what_is_too_old_or_too_much_is_forgotten(recorder: Recorder) -> None:
    make(recorder, 1, created_at=time.time() - 90_000)
    recorder.flush()
    recorder._journal.change(lambda rows: rows.execute("UPDATE request_contents SET used_at = 1"))
    make(recorder, 2)
    recorder.sweep(always=True)
    assert recorder.find("req-0001") is None
    kept = recorder.find("req-0002")
    assert kept
    assert recorder.content(kept.input) == b"x2"
    recorder.retention = Retention(86400.0, 2 * 512 * 10, 1 << 20)
    for number in range(3, 30):
        make(recorder, number, b'"%d%s"' % (number, b"x" * 1000))
    recorder.sweep(always=True)
    left = recorder.listed(table.Question(), 100)
    assert [found.id for found in left] == [f"req-{number:04}" for number in range(29, 19, -1)]
    answers = [recorder.answer(found) is not None for found in left]
    assert answers == sorted(answers, reverse=True), "the newest results are kept longest"
    assert any(answers)
    assert not all(answers)


def test_rows_wait_while_the_database_cannot_be_written_to(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    assert recorder.listed(table.Question(), 10) == []

    def full(*_: Any, **__: Any) -> Any:
        raise PlatformError("disk full")

    with monkeypatch.context() as broken:
        broken.setattr(type(recorder._database), "write", full)
        make(recorder, 1)
        recorder.flush()
        with pytest.raises(PlatformError):
            recorder.accept(record(2, is_void=True), Input("text", b"x"), "full")
    make(recorder, 3)
    assert {found.id for found in recorder.listed(table.Question(), 10)} == {"req-0001", "req-0003"}


def test_threads_share_transactions(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    make(recorder, 0)
    recorder.flush()
    count, write, held = [0], type(recorder._database).write, threading.Event()

    def counted(self: Any, **options: Any) -> Any:
        count[0] += 1
        held.wait(60)
        return write(self, **options)

    monkeypatch.setattr(type(recorder._database), "write", counted)
    with ThreadPoolExecutor(20) as threads:
        waiting = [
            threads.submit(recorder.accept, record(number, key=str(number)), Input("text", b"x"), "full")
            for number in range(1, 21)
        ]
        assert wait_until(lambda: len(recorder._journal._tasks) >= 19)
        held.set()
        lives = [call.result() for call in waiting]
    assert count[0] <= 4, "one, nineteen, and at most some rounds of the clock"
    assert len({live.record.id for live in lives}) == 20


def test_a_thread_that_is_interrupted_loses_nothing_of_others(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(recorder, 1)

    def interrupted(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken, pytest.raises(KeyboardInterrupt):
        broken.setattr(type(recorder._database), "write", interrupted)
        recorder.accept(record(2, key="k"), Input("text", b"x"), "full")
    assert [found.id for found in recorder.listed(table.Question(), 10)] == ["req-0002", "req-0001"]


def test_a_process_is_seen_as_long_as_it_lives(tmp_path: Path) -> None:
    mine, other = Presence(tmp_path), Presence(tmp_path)
    assert not other.is_alive(mine.name), "nothing runs in it yet"
    mine.hold()
    mine.hold()
    assert other.is_alive(mine.name)
    assert mine.is_alive(mine.name)
    mine.release()
    mine.release()
    assert not other.is_alive(mine.name)
    assert list((tmp_path / "running").iterdir()) == []


def test_nothing_of_an_account_is_left_when_it_goes(recorder: Recorder) -> None:
    make(recorder, 1)
    other = record(2)
    other.account = "bob"
    recorder.begin(other, Input("text", b"x1"), "full").finished(Answer("text", b'"z"', None, 0.1, ""))
    recorder.forget_account("JANE")
    (left,) = recorder.listed(table.Question(), 10)
    assert left.account == "bob"
    assert recorder.content(left.input) == b"x1"
    assert recorder._journal.read(lambda rows: rows.execute("SELECT count(*) FROM request_contents").fetchone()) == (2,)


def test_rows_are_what_they_were(recorder: Recorder) -> None:
    make(recorder, 1, is_void=True, key="k", key_digest="d", parent="req-0")
    found = recorder.find("req-0001")
    assert found
    assert (found.is_void, found.key, found.parent, found.printed, found.worker) == (True, "k", "req-0", "printed", "")
