"""A database server stops and comes back under a platform that several processes serve, and clients at work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from itertools import count
from typing import Any

import pytest
from support.postgresql import PostgresqlServer
from support.several import Several, eventually

from algo_local.platform import Platform

pytestmark = pytest.mark.parametrize("metadata_url", ["postgresql"], indirect=True)

numbers = count()
ASKED: dict[str, Callable[[int], tuple[Any, ...]]] = {
    "call": lambda number: ("POST", "algo/jane/Echo", number),
    "call with a key": lambda number: ("POST", "algo/jane/Echo", number),
    "void call": lambda number: ("POST", "algo/jane/Echo?output=void", number),
    "write": lambda number: ("PUT", f"data/.my/d/{number}", b"x"),
    "read": lambda number: ("GET", "data/.my/d/first"),
    "listing": lambda number: ("GET", "data/.my/d"),
    "calls": lambda number: ("GET", "requests"),
    "algorithms": lambda number: ("GET", "users/jane/algorithms"),
}


@contextmanager
def killed(server: PostgresqlServer) -> Iterator[None]:
    server.kill()
    yield
    server.start()


@contextmanager
def stopped(server: PostgresqlServer) -> Iterator[None]:
    server.stop("fast")
    yield
    server.start()


@contextmanager
def read_only(server: PostgresqlServer) -> Iterator[None]:
    with server.administration() as connection:
        connection.execute("SET default_transaction_read_only = off")
        connection.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        connection.execute("SELECT pg_reload_conf()")
        yield
        connection.execute("ALTER SYSTEM RESET default_transaction_read_only")
        connection.execute("SELECT pg_reload_conf()")


def test_each_request_is_answered_or_refused_and_all_goes_on(
    platform: Platform, publish: Callable[..., None], postgresql: PostgresqlServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALGO_LOCAL_SANDBOX", "off")
    platform.ensure_key()
    publish("jane/Echo", "def apply(input):\n    return input")
    key = platform.keys.create("jane", "test")[1]
    with closing(Several("--processes", "2")) as several:
        several.key = key
        acknowledged: list[tuple[str, int]] = []

        def ask(name: str) -> int:
            number = next(numbers)
            headers = {"Idempotency_Key": str(number)} if name == "call with a key" else {}
            with closing(several.connect()) as client:
                status, body = client(*ASKED[name](number), **headers)
                assert status in (200, 503), (name, body)
                assert status == 200 or client.headers["Retry-After"] == "1", name
            if status == 200:
                acknowledged.append((name, number))
            return status

        with several.clients(1) as (client,), ThreadPoolExecutor(2 * len(ASKED)) as threads:
            assert client("POST", "data/.my", {"name": "d"})[0] == client("PUT", "data/.my/d/first", b"x")[0] == 200
            for stop in (PostgresqlServer.frozen, killed, stopped, read_only):
                with stop(postgresql):
                    asked = [threads.submit(ask, name) for name in ASKED for _ in range(2)]
                    if stop is read_only:
                        eventually(lambda: ask("call with a key") == 503)
                        assert client("GET", "/healthz")[0] == 200, "it serves what it can"
                assert {each.result() for each in asked} <= {200, 503}
                eventually(lambda: all(ask(name) == 200 for name in ASKED))
            found = {entry["filename"] for entry in client("GET", "data/.my/d")[1]["files"]}
            for name, number in acknowledged:
                if name == "call with a key":
                    status, body = client("POST", "algo/jane/Echo", number, Idempotency_Key=str(number))
                    assert (status, body["result"], client.headers["Idempotency-Replayed"]) == (200, number, "true")
                if name == "write":
                    assert str(number) in found
