"""What a client may take of the served platform before, while and after it is answered."""

from __future__ import annotations

import contextlib
import errno
import io
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.sandbox import wait_until
from support.wire import PATIENCE, Answer, answers, connect

from algo_core.errors import UsageError
from algo_local.serving.http import acceptor
from algo_local.serving.http.connection_limits import ConnectionLimits, limits_for_process
from algo_local.serving.http.listener import listen
from algo_local.serving.http.server import Server
from algo_local.serving.http.socket_timeouts import STAY_SECONDS
from algo_local.serving.http.waiting_connections import State
from algo_local.serving.log import BURST, LINE_CHARACTERS, Log
from algo_local.web.app import error_response
from algo_local.web.http import ApiError, FileBody, Request, Response

LARGE = 64 << 20
"""More bytes than the system's buffers hold."""

GET = b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n"


class Stage:
    """An application whose requests do as their target says."""

    def __init__(self, directory: Path) -> None:
        self.go_on = threading.Event()
        self.under_way = threading.Semaphore(0)
        self.bodies: list[FileBody] = []
        self._large = directory / "large"
        with self._large.open("wb") as file:
            file.truncate(LARGE)

    def answer(self, request: Request) -> Response:
        try:
            return self._answered(request)
        except ApiError as error:
            return error_response(error)

    def _answered(self, request: Request) -> Response:
        if request.path == "/wait":
            self.under_way.release()
            assert self.go_on.wait(PATIENCE)
        if request.path == "/read":
            size = 0
            while block := request.read(1 << 16):
                size += len(block)
            return Response(200, b"%d" % size)
        if request.path == "/large":
            self.bodies.append(FileBody(self._large.open("rb", buffering=0), LARGE))
            return Response(200, self.bodies[-1], length=LARGE)
        if request.path == "/short":
            self.bodies.append(FileBody(io.FileIO(self._large), (LARGE) + 1))
            return Response(200, self.bodies[-1], length=(LARGE) + 1)
        return Response(200, request.path.encode())


class Client:
    """A connection, with the responses that come on it."""

    def __init__(self, address: str) -> None:
        self.socket = connect(address)
        self._stream = self.socket.makefile("rb")

    def send(self, data: bytes) -> Client:
        self.socket.sendall(data)
        return self

    def answer(self) -> Answer:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = self._stream.readline()
            if not line:
                raise EOFError(head)
            head += line
        (found,) = answers(head, ["HEAD"])
        found.body = self._stream.read(int(found.headers["content-length"]))
        return found

    def get(self, name: bytes = b"") -> Answer:
        return self.send(GET % name).answer()

    def ended(self) -> bool:
        """Whether the platform closes the connection, which it is waited for."""
        try:
            return self._stream.read(1) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self._stream.close()
        self.socket.close()


class Place:
    """A server with small limits."""

    def __init__(self, stage: Stage, listener: Any, limits: ConnectionLimits) -> None:
        self.stage = stage
        self.said: list[str] = []
        self.server = Server(stage, listener, limits=limits, on_failure=self.said.append)
        self.address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self.clients: list[Client] = []
        self.server.run()

    def client(self) -> Client:
        self.clients.append(Client(self.address))
        return self.clients[-1]

    def stop(self) -> None:
        self.stage.go_on.set()
        for client in self.clients:
            client.close()
        self.server.stop()


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Callable[..., Place]]:
    made: list[Place] = []

    def place(*, listener: Any = None, **limits: float) -> Place:
        made.append(Place(Stage(tmp_path), listener or listen("127.0.0.1", 0), ConnectionLimits(**limits)))  # type: ignore[arg-type]
        return made[-1]

    yield place
    for found in made:
        found.stop()
        assert found.server._thread
        assert not found.server._thread.is_alive()
        assert not [text for text in found.said if "Traceback" in text]


def eventually(condition: Callable[[], bool]) -> bool:
    ends = time.monotonic() + PATIENCE
    while not condition() and time.monotonic() < ends:
        time.sleep(0.01)
    return condition()


def test_a_head_that_keeps_coming_slowly_is_given_up_and_nobody_waits_for_it(make_server: Callable[..., Place]) -> None:
    here = make_server(head=1.0)
    slow = [here.client() for _ in range(20)]
    for client in slow:
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\nX: ")
    other = here.client()
    open_, rounds = set(slow), 0
    while open_:
        assert other.get(b"other").body == b"/other"
        for client in list(open_):
            try:
                client.send(b"y")
            except OSError:
                open_.discard(client)
        rounds += 1
        time.sleep(0.05)
    assert rounds > 1
    assert slow[0].answer().status == 408


def test_connections_without_a_request_are_closed(make_server: Callable[..., Place]) -> None:
    here = make_server(head=0.2, idle=0.4)
    fresh, used = here.client(), here.client()
    assert used.get().status == 200
    assert fresh.ended()
    assert used.ended()


def test_a_new_connection_takes_the_place_of_the_one_that_was_idle_longest(make_server: Callable[..., Place]) -> None:
    here = make_server(connections=4)
    clients = [here.client() for _ in range(4)]
    for number in (0, 1, 2, 3, 0):
        assert clients[number].get().status == 200
        assert eventually(lambda: not here.server._busy)  # it counts as idle
    assert [here.client().get().status for _ in range(2)] == [200, 200]
    assert clients[1].ended()
    assert clients[2].ended()
    assert clients[0].get().status == clients[3].get().status == 200


def test_slow_clients_give_way_to_new_ones(make_server: Callable[..., Place]) -> None:
    here = make_server(connections=4, head=PATIENCE)
    slow = [here.client().send(b"GET / HT") for _ in range(4)]
    assert here.client().get().status == 200
    assert slow[0].ended()


def test_a_new_connection_waits_for_room_and_is_refused_if_none_comes(make_server: Callable[..., Place]) -> None:
    here = make_server(connections=4)
    busy = [here.client().send(GET % b"wait") for _ in range(4)]
    for _ in busy:
        here.stage.under_way.acquire()
    refused = here.client().send(GET % b"more")
    answer = refused.answer()
    assert (answer.status, answer.headers["retry-after"], answer.ends) == (503, "1", True)
    assert refused.ended()
    many = [here.client().send(GET % b"wait") for _ in range(3 * acceptor.REFUSALS)]
    assert {client.answer().status for client in many[-acceptor.REFUSALS :]} == {503}
    assert len(here.server._connections) <= 4 + acceptor.REFUSALS
    assert len(here.server._busy) == 4
    for client in many:
        client.close()
    assert set(here.said) == {"All 4 connections are in use; new ones are refused"}
    here.stage.go_on.set()
    assert [client.answer().status for client in busy] == [200] * 4
    # the thread that answered gives its connection back a moment later
    assert wait_until(lambda: here.client().get().status == 200)


def test_a_new_connection_is_served_when_room_comes_in_time(
    make_server: Callable[..., Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acceptor, "FULL_SECONDS", PATIENCE)
    here = make_server(connections=2)
    busy = [here.client().send(GET % b"wait") for _ in range(2)]
    for _ in busy:
        here.stage.under_way.acquire()
    waiting = here.client().send(GET % b"more")
    assert eventually(lambda: here.server._service.crowded)
    here.stage.go_on.set()
    assert waiting.answer().body == b"/more"
    assert here.said == []


class Short:
    """A listener that the system has no descriptors for, until told otherwise."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self.is_short = True
        self.tries = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._listener, name)

    def accept(self) -> Any:
        self.tries += 1
        if self.is_short:
            raise OSError(errno.EMFILE, "Too many open files")
        return self._listener.accept()


def test_without_descriptors_nothing_is_accepted_for_a_while_and_idle_connections_go(
    make_server: Callable[..., Place],
) -> None:
    listener = Short(listen("127.0.0.1", 0))
    listener.is_short = False
    here = make_server(listener=listener)
    idle = here.client()
    assert idle.get().status == 200
    assert eventually(lambda: here.server._waiting.count(State.IDLE) == 1)
    listener.is_short = True
    tries = listener.tries
    waiting = here.client().send(GET % b"")
    assert idle.ended()
    time.sleep(1)
    assert listener.tries - tries < 10
    listener.is_short = False
    assert waiting.answer().status == 200
    assert set(here.said) == {"No connection can be accepted: Too many open files"}


def test_a_body_that_stalls_is_given_up_but_not_one_that_is_slow(make_server: Callable[..., Place]) -> None:
    here = make_server(transfer=2.0)
    head = b"PUT /read HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\n\r\n"
    stalled, slow = here.client().send(head + b"x"), here.client().send(head)
    for _ in range(30):
        time.sleep(0.1)
        slow.send(b"y")
    assert slow.answer().body == b"30"
    assert stalled.answer().status == 408
    assert stalled.ended()


def test_a_client_that_takes_nothing_is_given_up_and_the_file_is_closed(make_server: Callable[..., Place]) -> None:
    here = make_server(transfer=0.3)
    here.client().send(GET % b"large")
    assert eventually(lambda: bool(here.stage.bodies) and here.stage.bodies[0].closed)


def test_a_file_that_turns_out_shorter_ends_the_connection(make_server: Callable[..., Place]) -> None:
    here = make_server()
    client = here.client().send(GET % b"short")
    size = 0
    while data := client.socket.recv(1 << 20):
        size += len(data)
    assert size < (LARGE) + 1000
    assert eventually(lambda: here.stage.bodies[0].closed)


def test_who_is_busy_sending_an_unwanted_body_hears_the_answer(make_server: Callable[..., Place]) -> None:
    here = make_server()
    client = here.client()
    client.send(b"PUT /unread HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (8 << 20))
    time.sleep(0.5)
    client.send(b"x" * (8 << 20))
    answer = client.answer()
    assert (answer.status, answer.ends) == (200, True)
    assert client.ended()


def test_a_body_is_not_asked_for_before_the_application_wants_it(make_server: Callable[..., Place]) -> None:
    here = make_server()
    head = b"PUT /%s HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    unread = here.client().send(head % b"unread").answer()
    assert (unread.status, unread.ends) == (200, True)
    client = here.client().send(head % b"read")
    assert client.socket.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert client.send(b"hello").answer().body == b"5"
    assert here.client().send(head % b"read" + b"hello").answer().body == b"5"


def test_requests_under_way_end_when_the_server_is_stopped_and_no_others_begin(
    make_server: Callable[..., Place],
) -> None:
    here = make_server(grace=PATIENCE)
    idle, half, busy = here.client(), here.client().send(b"GET / HT"), here.client().send(GET % b"wait" + GET % b"more")
    assert idle.get().status == 200
    here.stage.under_way.acquire()
    stopping = threading.Thread(target=here.server.stop)
    stopping.start()
    assert idle.ended()
    assert half.ended()
    with pytest.raises(OSError):
        here.client().get()
    here.stage.go_on.set()
    answer = busy.answer()
    assert (answer.body, answer.ends) == (b"/wait", True)
    assert busy.ended()
    stopping.join(PATIENCE)
    assert not stopping.is_alive()


@pytest.mark.parametrize("target", [b"GET /large HTTP/1.1\r\n", b"PUT /read HTTP/1.1\r\nContent-Length: 5\r\n"])
def test_who_hangs_is_cut_off_when_the_server_is_stopped(make_server: Callable[..., Place], target: bytes) -> None:
    here = make_server(grace=0.2, transfer=PATIENCE)
    hanging = here.client().send(target + b"Host: x\r\n\r\n")
    assert eventually(lambda: bool(here.server._busy))
    here.server.stop()
    assert here.server._thread
    assert not here.server._thread.is_alive()
    while hanging.socket.recv(1 << 20):
        pass


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[Callable[[], ssl.SSLSocket]]:
    """Connections over TLS to a server of its own."""
    import trustme

    ca, server_side = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(server_side)
    client_side = ssl.create_default_context()
    ca.configure_trust(client_side)
    listener = listen("127.0.0.1", 0)
    said: list[str] = []
    server = Server(
        Stage(tmp_path), listener, tls=server_side, limits=ConnectionLimits(head=1.0), on_failure=said.append
    )
    server.run()
    made: list[ssl.SSLSocket] = []

    def secure() -> ssl.SSLSocket:
        plain = socket.create_connection(listener.getsockname(), timeout=PATIENCE)
        made.append(client_side.wrap_socket(plain, server_hostname="127.0.0.1"))
        return made[-1]

    yield secure
    for connection in made:
        connection.close()
    server.stop()
    assert said == []


def received(connection: ssl.SSLSocket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        block = connection.recv(1 << 20)
        assert block
        data += block
    return bytes(data)


def test_requests_over_tls_in_one_record_and_in_many(secure: Callable[[], ssl.SSLSocket]) -> None:
    """What TLS has decrypted already, no selector tells of."""
    connection, padding = secure(), b"X: " + b"y" * 1000 + b"\r\n"
    one = b"GET /tls HTTP/1.1\r\nHost: x\r\n" + padding + b"\r\n"
    size = len(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nDate: Sun, 29 Nov 2026 16:43:57 GMT\r\n\r\n/tls")
    for count in (1, 10, 100):
        connection.sendall(one * count)
        assert received(connection, count * size).count(b"HTTP/1.1 200 OK") == count
        time.sleep(0.1)  # long enough to count as idle
    connection.sendall(one + one[:50])
    received(connection, size)
    time.sleep(0.1)
    connection.sendall(one[50:])
    received(connection, size)
    head = b"GET /tls HTTP/1.1\r\nHost: x\r\n" + padding * 25 + b"\r\n"
    for at in range(0, len(head), 997):  # a record for each piece
        connection.sendall(head[at : at + 997])
    assert b"200 OK" in received(connection, size)


def test_bodies_of_any_size_over_tls(secure: Callable[[], ssl.SSLSocket]) -> None:
    connection = secure()
    connection.sendall(b"PUT /read HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(50):
        connection.sendall(b"%x\r\n%s\r\n" % (100_000, b"z" * 100_000))
    connection.sendall(b"0\r\n\r\n" + GET % b"large")
    answer = b""
    while b"\r\n\r\n" not in answer.partition(b"5000000")[2]:
        answer += connection.recv(1 << 16)
    rest = len(answer.partition(b"5000000")[2].partition(b"\r\n\r\n")[2])
    assert set(received(connection, LARGE - rest)) == {0}


@pytest.mark.parametrize("is_secure", [False, True])
def test_pauses_that_are_longer_than_a_socket_waits_by_itself(
    make_server: Callable[..., Place], secure: Callable[[], ssl.SSLSocket], is_secure: bool
) -> None:
    connection = secure() if is_secure else make_server().client().socket
    pause = 2.5 * STAY_SECONDS
    sized = b"PUT /read HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"
    chunked = b"PUT /read HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    pieces = [sized, b"123", b"456789" + chunked + b"1", b"0\r\n1234567890", b"123456\r", b"\n0\r\n\r", b"\n"]
    for piece in pieces:
        connection.sendall(piece)
        time.sleep(pause)
    heard = b""
    while not heard.endswith(b"\r\n\r\n16"):
        heard += connection.recv(1 << 16)
    assert b"\r\n\r\n9HTTP/1.1 200 OK" in heard
    connection.sendall(GET % b"large")
    time.sleep(pause)  # the system's buffers are full by then
    head = connection.recv(1 << 16)
    left = LARGE - len(head.partition(b"\r\n\r\n")[2])
    while left:
        left -= len(connection.recv(1 << 20))
    connection.sendall(GET % b"next")
    assert connection.recv(1 << 16).endswith(b"\r\n\r\n/next")


def test_clients_that_speak_no_tls_or_break_off_are_ended(secure: Callable[[], ssl.SSLSocket]) -> None:
    address = secure().getpeername()
    for data in (
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
        b"\x16\x03\x01\x02\x00\x01" + bytes(600),
        b"",
    ):
        with socket.create_connection(address, timeout=PATIENCE) as plain:
            plain.sendall(data)
            with contextlib.suppress(ConnectionResetError):
                while answer := plain.recv(1000):
                    assert b"HTTP" not in answer
    connection = secure()
    connection.sendall(GET % b"x")
    assert b"200 OK" in connection.recv(1000)


def test_it_listens_on_ipv6_as_well(tmp_path: Path) -> None:
    try:
        listener = listen("::1", 0)
    except UsageError:  # a machine without IPv6
        return
    seen: list[Any] = []
    server = Server(Stage(tmp_path), listener, on_answer=seen.append)
    server.run()
    with socket.create_connection(listener.getsockname()[:2], timeout=PATIENCE) as connection:
        connection.sendall(GET % b"x")
        assert b"200 OK" in connection.recv(1000)
    server.stop()
    assert [(found.client, found.status) for found in seen] == [("::1", 200)]


def test_a_server_that_never_ran_can_be_stopped() -> None:
    listener = listen("127.0.0.1", 0)
    Server(Stage, listener).stop()  # type: ignore[arg-type]  # nobody asks it anything
    assert listener.fileno() < 0


def test_without_threads_requests_are_refused_for_the_time_being(
    make_server: Callable[..., Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = make_server()

    def refuse(job: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(here.server._pool, "run", refuse)
        assert here.client().get().status == 503
    assert here.client().get().status == 200


def test_an_application_that_fails_costs_its_connection_only(
    make_server: Callable[..., Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = make_server()
    with monkeypatch.context() as patch:
        patch.setattr(here.stage, "answer", lambda request: Response(200, b"", {"X": "a\r\nInjected: b"}))
        assert here.client().send(GET % b"").ended()
        assert "line break" in here.said.pop()
    assert here.client().get().status == 200


@pytest.mark.parametrize("descriptors", [16, 64, 128, 256, 1024, 20000])
def test_connections_stay_below_the_descriptors(monkeypatch: pytest.MonkeyPatch, descriptors: int) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda which: (descriptors, descriptors))
    both = limits_for_process().connections + limits_for_process(share=3).connections
    assert both >= 8
    assert descriptors < 128 or 2 * both + 40 < descriptors or both == 2 * 1024


def test_the_log_is_bounded_and_tells_what_it_left_out() -> None:
    said: list[str] = []
    now = [0.0]
    log = Log(said.append, clock=lambda: now[0])
    for number in range(100_000):
        log(f"{number} " + "x" * 5000)
    assert len(said) == BURST
    assert max(map(len, said)) < LINE_CHARACTERS + 10
    now[0] = 3600.0
    for _ in range(1000):
        log("again")
    now[0] = 7200.0
    log("again")
    assert said[BURST:] == [
        f"({100_000 - BURST} messages were left out)", "again", "(999 messages were left out)", "again"
    ]  # fmt: skip
