"""The served platform over raw sockets and from real clients; `algo local serve` as a process."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from support.sandbox import running_with, wait_until
from support.serving import Served, algo

from algo_core.errors import ExitCode
from algo_local.platform import Platform


class Wire:
    """A connection on which a test says exactly what it wants."""

    def __init__(self, address: str, key: str) -> None:
        host, port = address.removeprefix("http://").split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=60)
        self.stream = self.socket.makefile("rb")
        self.key = key

    def send(self, head: str, body: bytes = b"") -> None:
        lines = [*head.split("\n"), f"Authorization: {self.key}", "Host: x"]
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode() + body)

    def answer(self, *, head: bool = False) -> tuple[int, dict[str, str], bytes]:
        status = int(self.stream.readline().split()[1])
        headers: dict[str, str] = {}
        while (line := self.stream.readline().strip()) != b"":
            name, _, value = line.decode().partition(": ")
            headers[name.lower()] = value
        body = b"" if head else self.stream.read(int(headers.get("content-length", 0)))
        return status, headers, body

    def ended(self) -> bool:
        return self.stream.read(1) == b""

    def close(self) -> None:
        self.stream.close()
        self.socket.close()


@pytest.fixture
def open_wire(address: str, account: Callable[[str], Any]) -> Iterator[Callable[[], Wire]]:
    jane = account("jane")
    jane.mkdir("c")
    wires: list[Wire] = []

    def wire() -> Wire:
        wires.append(Wire(address, jane.session.headers["Authorization"]))
        return wires[-1]

    yield wire
    for made in wires:
        made.close()


def test_one_connection_serves_many_requests(open_wire: Callable[[], Wire]) -> None:
    connection = open_wire()
    for number in range(5):
        body = b"x" * number * 1000
        connection.send(f"PUT /v1/data/.my/c/f{number} HTTP/1.1\nContent-Length: {len(body)}", body)
        assert connection.answer()[0] == 200
        connection.send(f"HEAD /v1/data/.my/c/f{number} HTTP/1.1")
        status, headers, _ = connection.answer(head=True)
        assert (status, headers["content-length"]) == (200, str(len(body)))
        connection.send("HEAD /v1/data/.my/c/none HTTP/1.1")
        assert connection.answer(head=True)[0] == 404
        connection.send("HEAD /v1/data/.my/c HTTP/1.1")
        assert connection.answer(head=True)[0] == 200
        connection.send(f"GET /v1/data/.my/c/f{number} HTTP/1.1")
        assert connection.answer()[2] == body


def test_pipelined_requests_are_answered_in_order(open_wire: Callable[[], Wire]) -> None:
    connection = open_wire()
    connection.send("PUT /v1/data/.my/c/a HTTP/1.1\nContent-Length: 1", b"a")
    connection.send("PUT /v1/data/.my/c/b HTTP/1.1\nTransfer-Encoding: chunked", b"1\r\nb\r\n0\r\n\r\n")
    connection.send("GET /v1/data/.my/c/a HTTP/1.1")
    connection.send("GET /v1/data/.my/c/b HTTP/1.1")
    assert [connection.answer()[2] for _ in range(4)][2:] == [b"a", b"b"]


def test_chunks_of_any_size_extensions_and_trailers(open_wire: Callable[[], Wire]) -> None:
    connection = open_wire()
    large = os.urandom(3 << 20)
    body = b"5;name=value\r\nhello\r\n" + b"%x\r\n" % len(large) + large + b"\r\n000\r\nTrailer: x\r\n\r\n"
    connection.send("PUT /v1/data/.my/c/f HTTP/1.1\nTransfer-Encoding: chunked", body)
    assert connection.answer()[0] == 200
    connection.send("GET /v1/data/.my/c/f HTTP/1.1")
    assert connection.answer()[2] == b"hello" + large


@pytest.mark.parametrize(
    "body",
    [b"nonsense\r\n", b"-5\r\nhello\r\n0\r\n\r\n", b"0x5\r\nhello\r\n0\r\n\r\n", b"3\r\nhello\r\n0\r\n\r\n", b"\r\n"],
)
def test_broken_chunks_store_nothing_and_end_the_connection(open_wire: Callable[[], Wire], body: bytes) -> None:
    connection = open_wire()
    connection.send("PUT /v1/data/.my/c/f HTTP/1.1\nTransfer-Encoding: chunked", body)
    status, headers, _ = connection.answer()
    assert (status, headers["connection"]) == (400, "close")
    assert connection.ended()
    connection = open_wire()
    connection.send("GET /v1/data/.my/c/f HTTP/1.1")
    assert connection.answer()[0] == 404


@pytest.mark.parametrize("head", ["Content-Length: 10", "Transfer-Encoding: chunked"])
def test_an_upload_that_breaks_off_stores_nothing(open_wire: Callable[[], Wire], platform: Any, head: str) -> None:
    connection = open_wire()
    connection.send(f"PUT /v1/data/.my/c/f HTTP/1.1\n{head}", b"5\r\nhell" if "chunked" in head else b"hello")
    connection.socket.shutdown(socket.SHUT_WR)
    assert connection.answer()[0] == 400
    connection = open_wire()
    connection.send("GET /v1/data/.my/c/f HTTP/1.1")
    assert connection.answer()[0] == 404
    assert list((platform.root / "incoming").iterdir()) == []


def test_expect_100_continue(open_wire: Callable[[], Wire]) -> None:
    connection = open_wire()
    connection.send("PUT /v1/data/.my/c/f HTTP/1.1\nContent-Length: 5\nExpect: 100-continue")
    assert connection.answer()[0] == 100
    connection.socket.sendall(b"hello")
    assert connection.answer()[0] == 200


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_nobody_wants_does_not_become_the_next_request(
    open_wire: Callable[[], Wire], chunked: bool
) -> None:
    connection = open_wire()
    smuggled = b"DELETE /v1/data/.my/c?force=true HTTP/1.1\r\n\r\n"
    if chunked:
        body, head = b"%x\r\n%s\r\n0\r\n\r\n" % (len(smuggled), smuggled), "Transfer-Encoding: chunked"
    else:
        body, head = smuggled, f"Content-Length: {len(smuggled)}"
    connection.send(f"PUT /v1/data/.my/none/f HTTP/1.1\n{head}", body)
    assert connection.answer()[0] == 404
    connection.send("GET /v1/data/.my/c HTTP/1.1")
    assert connection.answer()[0] == 200


def test_the_larger_part_of_a_huge_unwanted_body_is_not_read(open_wire: Callable[[], Wire]) -> None:
    connection = open_wire()
    connection.send(f"PUT /v1/data/.my/none/f HTTP/1.1\nContent-Length: {1 << 40}")
    with pytest.raises(OSError):
        for _ in range(400):
            connection.socket.sendall(b"x" * (1 << 20))


@pytest.mark.parametrize("length", ["-5", "5x", "1" * 30])
def test_lengths_that_are_none(open_wire: Callable[[], Wire], length: str) -> None:
    connection = open_wire()
    connection.send(f"PUT /v1/data/.my/c/f HTTP/1.1\nContent-Length: {length}")
    assert connection.answer()[0] == 400


def test_http_1_0_and_targets_as_clients_write_them(open_wire: Callable[[], Wire]) -> None:
    connection = open_wire()
    connection.send("GET /v1/data/ HTTP/1.0")
    assert connection.answer()[0] == 200
    assert connection.ended()
    for target in ["/v1/algo/algo://demo/Hello/1.0.0/?timeout=300", "//v1/algo/demo/Hello", "/v1/algo//demo//hello/"]:
        connection = open_wire()
        connection.send(f"POST {target} HTTP/1.1\nContent-Type: text/plain\nContent-Length: 1", b"x")
        assert b'"Hello x"' in connection.answer()[2], target


def test_idle_connections_keep_nobody_waiting(open_wire: Callable[[], Wire]) -> None:
    idle = [open_wire() for _ in range(50)]
    for connection in idle:
        connection.send("GET /v1/data/ HTTP/1.1")
        assert connection.answer()[0] == 200
    half = [open_wire() for _ in range(20)]
    for connection in half:
        connection.socket.sendall(b"GET /v1/data/ HT")
    connection = open_wire()
    connection.send("GET /v1/data/ HTTP/1.1")
    assert connection.answer()[0] == 200
    for connection in idle:
        connection.send("GET /v1/data/ HTTP/1.1")
        assert connection.answer()[0] == 200


def test_threads_at_once_over_one_server(account: Callable[[str], Any]) -> None:
    jane = account("jane")
    jane.mkdir("c")
    failures: list[Any] = []

    def work(number: int) -> None:
        client = account("jane")
        for round_ in range(15):
            content = os.urandom(5000)
            if client.put(f".my/c/f{number}-{round_}", content).status_code != 200:
                failures.append((number, round_))
            if client("GET", f"data/.my/c/f{number}-{round_}").content != content:
                failures.append((number, round_))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(jane("GET", "data/.my/c").json()["files"]) == 16 * 15


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_ends_clean_with_its_algorithms_even_in_the_middle_of_calls(
    serve: Callable[..., Served], publish: Callable[..., None], platform: Any, exchange: Path, number: int
) -> None:
    publish(
        "jane/Slow",
        "import os, time\ndef apply(path):\n"
        "    open(path, 'w').write(os.environ['ALGORITHMIA_API_KEY'])\n    time.sleep(600)",
    )
    key = algo("local", "key", "new", "jane").stdout.strip()
    served = serve()
    headers = {"Authorization": key, "Content-Type": "text/plain"}
    assert requests.get(f"{served.address}/v1/data/", headers=headers, timeout=60).status_code == 200
    told = [exchange / name for name in ("who1", "who2")]

    def call(path: Path) -> None:
        with contextlib.suppress(requests.RequestException):
            requests.post(f"{served.address}/v1/algo/jane/Slow", str(path), headers=headers, timeout=60)

    threads = [threading.Thread(target=call, args=(path,)) for path in told]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 60
    while not all(path.exists() and path.read_text() for path in told) and time.monotonic() < deadline:
        time.sleep(0.02)
    code, errors = served.stop(number)
    assert (code, errors) == (ExitCode.OK, "")
    for thread in threads:
        thread.join()
    for path in told:
        assert running_with(path.read_text()) == []


def test_serve_refuses_to_carry_keys_in_the_clear(root: Path) -> None:
    done = algo("local", "serve", "--host", "0.0.0.0", "--port", "0")
    assert done.returncode == ExitCode.USAGE
    assert "--tls-cert" in done.stderr


def test_serve_says_why_it_cannot_listen(serve: Callable[..., Served]) -> None:
    port = serve().address.rpartition(":")[2]
    done = algo("local", "serve", "--port", port)
    assert done.returncode == ExitCode.USAGE
    assert f"Cannot listen on 127.0.0.1:{port}: Address already in use" in done.stderr
    done = algo("local", "serve", "--host", "127.0.0.999")
    assert done.returncode == ExitCode.USAGE
    assert "Traceback" not in done.stderr


def test_serve_over_tls(serve: Callable[..., Served], tmp_path: Path) -> None:
    import trustme

    ca = trustme.CA()
    ca.issue_cert("localhost", "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "both.pem"))
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    served = serve("--tls-cert", str(tmp_path / "both.pem"), "--tls-key", str(tmp_path / "both.pem"))
    assert served.address.startswith("https://")
    key = algo("local", "key", "new", "jane").stdout.strip()
    with requests.Session() as session:
        session.headers["Authorization"] = key
        session.verify = str(tmp_path / "ca.pem")
        session.trust_env = False  # a bundle that the environment names would count more
        assert session.post(f"{served.address}/v1/data/.my", json={"name": "c"}, timeout=60).status_code == 200
        content = os.urandom(5 << 20)
        assert session.put(f"{served.address}/v1/data/.my/c/f", iter([content]), timeout=60).status_code == 200
        answer = session.get(f"{served.address}/v1/data/.my/c/f", timeout=60)
        assert answer.headers["ETag"] == hashlib.md5(answer.content).hexdigest() == hashlib.md5(content).hexdigest()
        host, port = served.address.removeprefix("https://").split(":")
        with socket.create_connection((host, int(port)), timeout=60) as plain:
            plain.sendall(b"GET /v1/data/ HTTP/1.1\r\n\r\n")
            with contextlib.suppress(ConnectionError):
                assert b"200 OK" not in plain.recv(1000)
        assert session.get(f"{served.address}/v1/data/", timeout=60).status_code == 200
    assert served.stop(signal.SIGTERM)[0] == 0


def test_serve_names_a_certificate_that_cannot_be_used(root: Path, tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("no certificate")
    done = algo("local", "serve", "--port", "0", "--tls-cert", str(tmp_path / "cert.pem"))
    assert done.returncode == ExitCode.CONFIGURATION
    assert "cert.pem cannot be used" in done.stderr


def test_inputs_that_are_still_arriving_count_among_an_accounts_calls(
    open_wire: Callable[[], Wire], platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("algo_local.execution.concurrency.CONCURRENT", 3)
    places = getattr(platform.concurrency, "_places", None)  # of a database server

    def under_way() -> int:
        return sum(map(len, places._held.values())) if places else platform.concurrency._running["jane"]

    head = "POST /v1/algo/demo/Hello HTTP/1.1\nContent-Type: text/plain\nContent-Length: 10485760"
    stalled = [open_wire() for _ in range(3)]
    for connection in stalled:
        connection.send(head, b"x")
    assert wait_until(lambda: under_way() == 3)

    def status() -> int:
        connection = open_wire()
        connection.send("POST /v1/algo/demo/Hello HTTP/1.1\nContent-Type: text/plain\nContent-Length: 1", b"x")
        return connection.answer()[0]

    assert status() == 429
    for connection in stalled:
        connection.socket.shutdown(socket.SHUT_RDWR)
    assert wait_until(lambda: not under_way())
    assert status() == 200
