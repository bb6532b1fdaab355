"""A server that leaves: its listener is others', and its connections end with a notice, not in the middle."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator

import pytest

from algo_local.serving.http import server as serving
from algo_local.serving.http.connection_balance import ConnectionBalance
from algo_local.serving.http.server import Server
from algo_local.web.http import Request, Response


class Held:
    """An application that answers when it may."""

    def __init__(self) -> None:
        self.may, self.asked = threading.Event(), threading.Event()

    def answer(self, request: Request) -> Response:
        self.asked.set()
        assert self.may.wait(30)
        return Response(200, b"held")


@pytest.fixture
def held() -> Iterator[Held]:
    made = Held()
    yield made
    made.may.set()


def test_each_connection_gets_one_more_response(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "LEAVING_IDLE_SECONDS", 60.0)
    left, balance = threading.Event(), ConnectionBalance(2)
    listener = socket.create_server(("127.0.0.1", 0))
    shared = listener.dup()  # as another front end has it
    place = listener.getsockname()[:2]
    other = balance.share(1)
    server = Server(held, listener, share=balance.share(0))
    server.run()
    busy, idle, fresh = (http.client.HTTPConnection(*place, timeout=30) for _ in range(3))
    held.may.set()
    idle.request("GET", "/")
    assert idle.getresponse().read() == b"held"
    held.may.clear()
    held.asked.clear()
    busy.request("GET", "/")
    assert held.asked.wait(30)
    fresh.connect()
    while server.served_count() < 3:
        server.check()
    for _ in range(2):
        server.leave(left.set)
        server.check()
    other.note(100)
    assert other.accepts(), "a front end that leaves is none with fewer connections"
    with socket.create_connection(place, 30), shared:
        shared.settimeout(30)
        shared.accept()[0].close()
    assert not left.is_set()
    held.may.set()
    for client in (idle, fresh):
        client.request("GET", "/")
    for client in (busy, idle, fresh):
        response = client.getresponse()
        assert (response.status, response.headers["Connection"]) == (200, "close")
        assert response.read() == b"held"
    assert left.wait(30)
    server.stop()


def test_connections_that_stay_idle_end(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "LEAVING_IDLE_SECONDS", 0.05)
    left = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    idle = http.client.HTTPConnection(*listener.getsockname()[:2], timeout=30)
    server = Server(held, listener)
    server.run()
    held.may.set()
    idle.request("GET", "/")
    assert idle.getresponse().read() == b"held"
    server.leave(left.set)
    assert left.wait(30)
    assert idle.sock.recv(1) == b""
    idle.close()
    server.stop()
