"""`algo_core.testing`: the fake platform does what it is told, and records what it was asked; the clock moves."""

from __future__ import annotations

import http.client
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from algo_core.errors import ExitCode
from algo_core.testing import (
    Clock,
    FakePlatform,
    FakeResponse,
    Home,
    dropped_connection,
    refused_credential,
    slow_body,
    too_many_requests,
    truncated_body,
)
from algo_core.testing.fake import KEY

FILE = "/v1/data/.my/reports/march.csv"
CONTENT = FakeResponse(200, b"0123456789" * 10, {"Content-Type": "text/csv"})


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    return Clock(tmp_path / "clock")


@pytest.fixture
def fake(clock: Clock) -> Iterator[FakePlatform]:
    with FakePlatform(clock=clock) as platform:
        platform.on("GET", FILE, CONTENT)
        yield platform


def ask(
    platform: FakePlatform, path: str = FILE, method: str = "GET", body: bytes | None = None, key: str = KEY
) -> tuple[int, bytes, dict[str, str]]:
    """The response to one request: its status, body and headers."""
    connection = http.client.HTTPConnection(urlsplit(platform.address).netloc, timeout=60)
    try:
        connection.request(method, path, body, {"Authorization": key if " " in key else f"Simple {key}"})
        response = connection.getresponse()
        return response.status, response.read(), dict(response.headers)
    finally:
        connection.close()


def test_requests_are_recorded_as_they_came(fake: FakePlatform) -> None:
    ask(fake, f"{FILE}?part=2&empty=", "PUT", b'{"a": 1}')
    (request,) = fake.requests
    assert (request.method, request.path) == ("PUT", f"{FILE}?part=2&empty=")
    assert (request.query, request.json) == ({"part": "2", "empty": ""}, {"a": 1})
    assert (request.credential, request.headers["Content-Length"]) == (f"Simple {KEY}", "8")


def test_answers_are_given_in_turn_and_the_last_one_stays(fake: FakePlatform) -> None:
    fake.on("GET", FILE, FakeResponse.error("not yet", 404), lambda handler: CONTENT.send(handler), FakeResponse(204))
    assert [ask(fake)[0] for _ in range(4)] == [404, 200, 204, 204]


@pytest.mark.parametrize(
    ("path", "key", "status"),
    [("/v1/data/", KEY, 200), ("/v1/data/", "nobody", 401), ("/v1/other", KEY, 404), (FILE, "nobody", 200)],
)
def test_what_nothing_was_said_about(fake: FakePlatform, path: str, key: str, status: int) -> None:
    assert ask(fake, path, key=key)[0] == status


def test_a_fault_is_for_the_next_requests_that_it_concerns(fake: FakePlatform) -> None:
    fake.fail(FakeResponse(503), method="GET", path=FILE, times=2)
    fake.fail(FakeResponse(500), method="DELETE")
    answers = [ask(fake, method=method)[0] for method in ("GET", "DELETE", "GET", "GET", "DELETE")]
    assert answers == [503, 500, 503, 200, 404]


def test_a_dropped_connection_has_no_response(fake: FakePlatform) -> None:
    fake.fail(dropped_connection())
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        ask(fake)
    assert ask(fake)[1] == CONTENT.body


@pytest.mark.parametrize("size", [0, 1, 99])
def test_a_truncated_body_ends_early(fake: FakePlatform, size: int) -> None:
    fake.fail(truncated_body(size))
    with pytest.raises(http.client.IncompleteRead) as caught:
        ask(fake)
    assert caught.value.partial == CONTENT.body[:size]


@pytest.mark.parametrize("pieces", [1, 3, 200])
def test_a_slow_body_comes_whole(fake: FakePlatform, pieces: int) -> None:
    fake.fail(slow_body(0.0001, pieces=pieces))
    assert ask(fake)[1] == CONTENT.body


def test_a_fault_of_the_body_concerns_whatever_would_have_been_the_answer(fake: FakePlatform) -> None:
    fake.fail(truncated_body(3), path="/v1/data/")
    with pytest.raises(http.client.IncompleteRead) as caught:
        ask(fake, "/v1/data/")
    assert caught.value.partial == b'{"f'


@pytest.mark.parametrize(("asked", "header"), [(30, "30"), (0.5, "0.5"), ("Wed, 21 Oct 2026", "Wed, 21 Oct 2026")])
def test_too_many_requests_say_when_to_come_back(fake: FakePlatform, asked: float | str, header: str) -> None:
    fake.fail(too_many_requests(retry_after=asked))
    status, _, headers = ask(fake)
    assert (status, headers["Retry-After"]) == (429, header)
    fake.fail(too_many_requests())
    assert "Retry-After" not in ask(fake)[2]


def test_credentials_are_refused_once_or_when_they_expire(fake: FakePlatform, clock: Clock) -> None:
    fake.checks_credentials = True
    fake.fail(refused_credential())
    assert [ask(fake)[0], ask(fake)[0], ask(fake, key="nobody")[0]] == [401, 200, 401]
    fake.accept("Bearer ticket", "jane", seconds=60)
    assert b"jane" in ask(fake, "/v1/data/", key="Bearer ticket")[1]
    clock.advance(59)
    assert ask(fake, key="Bearer ticket")[0] == 200
    clock.advance(2)
    assert ask(fake, key="Bearer ticket")[0] == 401
    fake.accept("Bearer ticket", "jane")
    assert ask(fake, key="Bearer ticket")[0] == 200


def test_a_limit_counts_by_the_clock(fake: FakePlatform, clock: Clock) -> None:
    fake.limit(2, seconds=60)
    assert [ask(fake)[0] for _ in range(3)] == [200, 200, 429]
    clock.advance(50)
    assert int(ask(fake)[2]["Retry-After"]) in range(1, 11)
    clock.advance(11)
    assert ask(fake)[0] == 200


def test_sleeping_moves_the_clock_of_this_process_in_the_block_only(clock: Clock) -> None:
    real, before = time.sleep, time.monotonic()
    with clock:
        time.sleep(3600)
        clock.advance(60)
        assert time.monotonic() - before > 3660
        assert abs(time.time() - clock.now()) < 60
        with pytest.raises(ValueError, match="negative"):
            time.sleep(-1)
    assert time.sleep is real
    assert time.monotonic() - before < 3600
    assert clock.waits == [3600.0]
    with pytest.raises(ValueError, match="cannot be moved"):
        clock.advance(-1)


def test_processes_follow_the_clock_beside_what_the_machine_does_at_the_start(clock: Clock, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.machine = 'here'\n")
    environ = {"PYTHONPATH": str(tmp_path)}
    clock.set_in(environ)
    clock.set_in(environ)
    clock.advance(5000)
    code = "import sys, time; time.sleep(1000); print(time.time(), sys.machine)"
    said = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True).stdout
    moment, machine = said.split()
    assert (float(moment) - time.time() > 5990, machine) == (True, "here")
    assert clock.waits == [1000.0]


def test_commands_wait_by_the_clock(algo_home: Home, algo_clock: Clock, algo_fake_platform: FakePlatform) -> None:
    algo_fake_platform.fail(too_many_requests(retry_after=30))
    algo_fake_platform.fail(dropped_connection())
    listed = algo_home.run("ls")
    assert (listed.code, listed.text) == (ExitCode.OK, "tester/\n.algo/\n"), listed.stderr
    assert [request.path for request in algo_fake_platform.requests] == ["/v1/data/"] * 3
    assert algo_clock.waits[0] == 30.0
    algo_fake_platform.limit(1, seconds=90)
    assert [algo_home.run("ls").code for _ in range(2)] == [ExitCode.OK, ExitCode.OK]
    assert 80 < algo_clock.waits[-1] <= 90


def test_a_refused_credential_has_its_exit_code(algo_home: Home, algo_fake_platform: FakePlatform) -> None:
    algo_fake_platform.fail(refused_credential())
    assert algo_home.run("ls").code == ExitCode.AUTHENTICATION


@pytest.mark.parametrize(
    "wrong",
    [
        lambda fake: fake.on("get", "/x", FakeResponse()),
        lambda fake: fake.on("GET", "x", FakeResponse()),
        lambda fake: fake.on("GET", "/x?acl=true", FakeResponse()),
        lambda fake: fake.on("GET", "/x"),
        lambda fake: fake.on("GET", "/x", "text"),
        lambda fake: fake.on("GET", "/x", FakeResponse(200, "text")),
        lambda fake: fake.serve("post", "/x", FakeResponse),
        lambda fake: fake.fail(500),
        lambda fake: fake.fail(FakeResponse(500), times=0),
        lambda fake: fake.fail(FakeResponse(500), method="Get"),
        lambda fake: fake.fail(FakeResponse(500), path="x"),
        lambda fake: fake.limit(0, 1),
        lambda fake: fake.limit(1, 0),
    ],
)
def test_what_would_never_be_used_is_refused_where_it_is_written(wrong: Callable[[FakePlatform], None]) -> None:
    with pytest.raises((TypeError, ValueError)):
        wrong(FakePlatform())
