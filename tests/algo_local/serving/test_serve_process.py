"""`algo local serve` as a process under hostile load: what it uses, what it says, and that it always ends."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from support.serving import ALGO, Served, algo
from support.wire import PATIENCE, answers, connect, exchange

from algo_core.errors import ExitCode
from algo_local.callers import Caller

Serve = Callable[..., Served]

PLENTY = 160 << 20
"""Bytes that a served platform does not need, whatever it is sent."""


def few(descriptors: int) -> tuple[str, ...]:
    return ("prlimit", f"--nofile={descriptors}:{descriptors}")


def get(served: Served, key: str = "") -> int:
    """The status of a request on a connection of its own; 0 if it is not answered."""
    received = exchange(served.address, f"GET /v1/data/ HTTP/1.1\r\nHost: x\r\nAuthorization: {key}\r\n\r\n".encode())
    return answers(received)[0].status if received else 0


def eventually(condition: Callable[[], Any]) -> bool:
    ends = time.monotonic() + PATIENCE
    while not condition() and time.monotonic() < ends:
        time.sleep(0.05)
    return bool(condition())


@contextlib.contextmanager
def held(served: Served, count: int, data: bytes) -> Iterator[list[socket.socket]]:
    """Connections that send something and then nothing more."""
    with contextlib.ExitStack() as stack:
        connections = []
        for _ in range(count):
            connections.append(stack.enter_context(connect(served.address)))
            with contextlib.suppress(OSError):
                connections[-1].sendall(data)
        yield connections


IDLE = b"GET /v1/data/ HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    "data", [IDLE, b"GET /v1/da", b"", b"PUT /v1/data/x/y HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"]
)
def test_more_connections_than_descriptors_cost_neither_time_nor_words_nor_others(serve: Serve, data: bytes) -> None:
    served = serve(before=few(256))
    key = algo("local", "key", "new", "jane").stdout.strip()
    with held(served, 300, data):
        assert eventually(lambda: get(served, key) == 200)
        used = served.processor_seconds()
        time.sleep(2)
        assert served.processor_seconds() - used < 1
        assert get(served, key) == 200
    assert len(served.said()) < 5000
    assert get(served, key) == 200
    assert served.stop()[0] == 0


def test_calls_and_transfers_work_with_few_descriptors_and_many_clients(
    serve: Serve, platform: Any, tmp_path: Path
) -> None:
    served = serve(before=few(256))
    key = platform.keys.create(platform.metadata.ensure_account("jane"), "test")[1]
    headers = {"Authorization": key, "Content-Type": "text/plain"}
    statuses: list[int] = []

    def work(number: int) -> None:
        with requests.Session() as session:
            session.headers.update(headers)
            for round_ in range(5):
                name = f"{served.address}/v1/data/.my/c/f{number}-{round_}"
                statuses.append(session.put(name, os.urandom(2000), timeout=PATIENCE).status_code)
                statuses.append(session.get(name, timeout=PATIENCE).status_code)
                statuses.append(session.post(f"{served.address}/v1/algo/demo/Hello", "x", timeout=PATIENCE).status_code)

    requests.post(f"{served.address}/v1/data/.my", json={"name": "c"}, headers={"Authorization": key}, timeout=PATIENCE)
    with held(served, 300, IDLE):
        threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert statuses == [200] * len(threads) * 15
    assert served.stop() == (0, served.said().partition("\n")[2])


@pytest.mark.parametrize(
    "head",
    [b"GET / HTTP/1.1\r\nHost: x\r\nX: ", b"GET /", b"X: y\r\n" * 10, b"PUT /v1/data/x/y HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5;"],
)  # fmt: skip
def test_a_huge_head_is_refused_in_little_memory(serve: Serve, head: bytes) -> None:
    served = serve()
    with connect(served.address) as connection:
        with contextlib.suppress(OSError):
            connection.sendall(head)
            for _ in range(300):
                connection.sendall(b"x" * (1 << 20))
        with contextlib.suppress(OSError):
            while connection.recv(1 << 16):
                pass
    assert get(served) == 401
    assert served.memory() < PLENTY


def test_many_large_heads_at_once_need_little_memory(serve: Serve) -> None:
    served = serve()
    with held(served, 500, b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: %s\r\n" % (b"y" * 1000) * 30):
        assert eventually(lambda: get(served) == 401)
        assert served.memory() < PLENTY


@pytest.mark.parametrize("chunked", [True, False])
def test_uploads_and_downloads_of_any_size_need_little_memory(
    serve: Serve, platform: Any, tmp_path: Path, chunked: bool
) -> None:
    served = serve()
    key = platform.keys.create(platform.metadata.ensure_account("jane"), "test")[1]
    headers = {"Authorization": key}
    requests.post(f"{served.address}/v1/data/.my", json={"name": "c"}, headers=headers, timeout=PATIENCE)
    size = 192 << 20
    name = f"{served.address}/v1/data/.my/c/f"
    with (tmp_path / "large").open("w+b") as file:
        file.truncate(size)
        sent = iter(lambda: file.read(1 << 20), b"") if chunked else file
        assert requests.put(name, sent, headers=headers, timeout=PATIENCE).status_code == 200
    with requests.get(name, headers={"Authorization": key}, stream=True, timeout=PATIENCE) as response:
        assert sum(map(len, response.iter_content(1 << 20))) == size
    assert served.memory() < PLENTY


# SIGTERM in every state


def no_clients(served: Served, key: str) -> Iterator[None]:
    yield


def idle(served: Served, key: str) -> Iterator[None]:
    with held(served, 20, IDLE) as connections:
        for connection in connections:
            connection.recv(1000)
        yield


def half_heads(served: Served, key: str) -> Iterator[None]:
    with held(served, 20, b"GET / HTTP"):
        yield


def stalled_uploads(served: Served, key: str) -> Iterator[None]:
    head = f"PUT /v1/data/.my/c/f HTTP/1.1\r\nHost: x\r\nAuthorization: {key}\r\nContent-Length: 99\r\n\r\nx".encode()
    with held(served, 20, head):
        assert eventually(lambda: served.threads() > 20)
        yield


def stalled_downloads(served: Served, key: str) -> Iterator[None]:
    head = f"GET /v1/data/.my/c/large HTTP/1.1\r\nHost: x\r\nAuthorization: {key}\r\n\r\n".encode()
    with held(served, 20, head) as connections:
        for connection in connections:
            connection.recv(1)
        yield


def calls(served: Served, key: str, query: str = "") -> Iterator[None]:
    head = (
        f"POST /v1/algo/jane/Sleep{query} HTTP/1.1\r\nHost: x\r\nAuthorization: {key}\r\nContent-Type: text/plain\r\n"
    )
    with held(served, 10, head.encode() + b"Content-Length: 1\r\n\r\nx"):
        assert eventually(lambda: served.threads() > 10)
        yield


def void_calls(served: Served, key: str) -> Iterator[None]:
    yield from calls(served, key, "?output=void")


def unwanted_uploads(served: Served, key: str) -> Iterator[None]:
    with held(served, 20, b"PUT /v1/data/.my/c/f HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n"):
        yield


def too_many(served: Served, key: str) -> Iterator[None]:
    with held(served, 300, IDLE):
        yield


def too_many_busy(served: Served, key: str) -> Iterator[None]:
    head = f"PUT /v1/data/.my/c/f HTTP/1.1\r\nHost: x\r\nAuthorization: {key}\r\nContent-Length: 99\r\n\r\nx".encode()
    with held(served, 200, head):
        yield


STATES = [no_clients, idle, half_heads, stalled_uploads, stalled_downloads, calls, void_calls, unwanted_uploads, too_many, too_many_busy]  # fmt: skip


@pytest.mark.parametrize(
    ("state", "number"),
    [*((state, signal.SIGTERM) for state in STATES), *((state, signal.SIGINT) for state in (no_clients, idle, calls))],
)
def test_a_signal_ends_it_in_every_state(
    serve: Serve, platform: Any, publish: Callable[..., None], state: Callable[..., Iterator[None]], number: int
) -> None:
    publish("jane/Sleep", "import time\ndef apply(input):\n    time.sleep(600)")
    platform.hosted.create(Caller(platform.account), [".my"], "c", ())
    with (Path(platform.objects.collection("jane", "c")) / "large").open("wb") as file:
        file.truncate(16 << 20)
    key = platform.keys.create(platform.metadata.ensure_account("jane"), "test")[1]
    served = serve(before=few(256))
    with contextlib.contextmanager(state)(served, key):
        code, said = served.stop(number)
    assert code == ExitCode.OK
    assert "Traceback" not in said


def test_a_signal_ends_it_although_nobody_reads_what_it_says(root: Path, tmp_path: Path) -> None:
    """Its standard error is a pipe that is full."""
    reader, writer = os.pipe()
    served = subprocess.Popen(
        [*ALGO, "local", "serve", "--port", "0"],
        stderr=writer,
        env={**os.environ, "ALGO_CACHE_DIR": str(tmp_path / "cache")},
    )
    try:
        line = b""
        while b"Serving on" not in line or not line.endswith(b"\n"):
            line += os.read(reader, 1000)
        os.set_blocking(writer, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writer, b"x" * 1000)
        os.set_blocking(writer, True)
        address = line.split(b"Serving on ")[1].split()[0].decode()
        (root / "platform.sqlite3").write_bytes(b"no database" * 1000)  # every request fails from now on
        for _ in range(100):
            exchange(address, b"GET /v1/data/ HTTP/1.1\r\nHost: x\r\nAuthorization: k\r\n\r\n")
        served.send_signal(signal.SIGTERM)
        assert served.wait(timeout=PATIENCE) == 0
    finally:
        served.kill()
        served.wait()
        os.close(reader)
        os.close(writer)


def test_a_stalled_handshake_holds_up_nobody(serve: Serve, tmp_path: Path) -> None:
    import trustme

    ca = trustme.CA()
    ca.issue_cert("localhost", "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "both.pem"))
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    served = serve("--tls-cert", str(tmp_path / "both.pem"), before=few(256))
    with held(served, 30, b"\x16\x03\x01\x02\x00"), held(served, 300, b""), requests.Session() as session:
        session.verify = str(tmp_path / "ca.pem")
        session.trust_env = False
        for _ in range(3):
            assert session.get(f"{served.address}/v1/data/", timeout=PATIENCE).status_code == 401
        assert served.stop()[0] == 0
