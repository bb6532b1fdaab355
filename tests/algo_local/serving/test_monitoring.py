"""`/healthz`, `/metrics` and a line for each call, of the served platform."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import requests
from prometheus_client.parser import text_string_to_metric_families
from support.serving import Served

from algo_local.metadata.keys import ADMINISTRATOR_KEY
from algo_local.platform import Platform
from algo_local.serving.monitoring import BUCKETS, Histogram, Monitoring
from algo_local.web.http import Request

FAIL = "def apply(input):\n    if input == 'fail':\n        raise ValueError('no')\n    return input\n"


def values(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_monitors_see_what_calls_came_to(
    serve: Callable[..., Served], platform: Platform, publish: Callable[..., None]
) -> None:
    publish("jane/Fail", FAIL)
    key = platform.keys.create("jane", "test")[1]
    admin = platform.keys.create(platform.account, "monitor", kind=ADMINISTRATOR_KEY)[1]
    served = serve("--log-calls", "json")

    def ask(method: str, path: str, key: str = "", **options: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return requests.request(method, served.address + path, headers=headers, timeout=60, **options)

    assert (ask("GET", "/healthz").status_code, ask("GET", "/healthz").json()) == (200, {"status": "ok"})
    assert ask("HEAD", "/healthz").content == b""
    assert ask("POST", "/healthz").status_code == 405
    assert [ask("GET", "/metrics", credential).status_code for credential in ("", key, admin)] == [401, 403, 200]
    called = [ask("POST", "/v1/algo/jane/Fail", key, json=value).json()["request_id"] for value in ("x", "y", "fail")]
    answer = ask("GET", "/metrics", admin)
    assert answer.headers["Content-Type"].startswith("text/plain")
    found = values(answer.text)
    labels = ("algorithm", "jane/Fail")
    assert found["algo_calls_total", (labels, ("state", "done"))] == 2
    assert found["algo_calls_total", (labels, ("state", "failed"))] == 1
    assert found["algo_call_seconds_count", (labels,)] == 3
    assert found["algo_call_wait_seconds_bucket", (labels, ("le", "+Inf"))] == 3
    assert found["algo_workers", ()] == 1
    assert found["algo_workers_busy", ()] == found["algo_queue_length", ()] == 0
    assert found["algo_workers_memory_bytes", ()] > 1 << 20
    lines = [json.loads(line) for line in served.stop()[1].splitlines() if line.startswith("{")]
    assert [(line["request_id"], line["state"]) for line in lines] == [
        (called[0], "done"), (called[1], "done"), (called[2], "failed")
    ]  # fmt: skip
    assert (lines[0]["account"], lines[0]["algorithm"], lines[0]["version"]) == ("jane", "jane/Fail", "1.0.0")


def test_a_line_as_text() -> None:
    from algo_local.records.record import Record
    from algo_local.serving.call_log import CallLog

    said: list[str] = []
    record = Record("req-1", "jane", "id", "demo", "Hello", "1.0.0", 0.0, "done", finished_at=1.5, duration=0.25)
    CallLog(said.append, "text")(record)
    assert said == ["1970-01-01T00:00:01.500+00:00 req-1 jane demo/Hello/1.0.0 done 0.250000"]


def test_buckets_count_what_lies_at_or_below_their_bound() -> None:
    histogram = Histogram()
    for seconds in (0.0, BUCKETS[0], BUCKETS[-1], BUCKETS[-1] + 1):
        histogram.observe(seconds)
    assert histogram.buckets()[0] == ("0.001", 2.0)
    assert histogram.buckets()[-2:] == [("300.0", 3.0), ("+Inf", 4.0)]
    assert histogram.sum == 601.001


def test_what_is_for_the_api_is_left_to_it(platform: Platform) -> None:
    assert Monitoring(platform).answer(Request("GET", "/v1/requests", {})) is None
