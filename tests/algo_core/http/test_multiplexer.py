"""Many requests in one thread have the responses, and the errors, that each has by itself."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from algo_core.errors import AlgoError, NetworkError, TimedOut
from algo_core.http import multiplexer as module
from algo_core.http.client import Hooks, HttpClient
from algo_core.http.multiplexer import Multiplexer
from algo_core.http.response import Response
from algo_core.http.transport import BytesBody, Request
from algo_core.settings.credentials import Credential, Secret

from .test_hostile import MALFORMED, then_silent
from .test_surplus import SURPLUS, AMomentLater, at_once, reply, tls_files

pytestmark = pytest.mark.usefixtures("plain_environment")
__all__ = ["tls_files"]


class Caller:
    """A multiplexer, and what has come of its requests by their tokens."""

    def __init__(self, client: HttpClient, address: str) -> None:
        self.address = address
        self.client = client
        found = client.multiplexer(address)
        assert found
        self.multiplexer: Multiplexer = found
        self.in_threads: list[Any] = []

    def request(self, body: bytes = b"x", **headers: str) -> Request:
        return Request("POST", f"{self.address}/v1/algo/a/b", headers, BytesBody(body), self.client.timeout)

    def ended(self, count: int) -> dict[Any, Response | AlgoError]:
        """What comes of the next requests."""
        found: dict[Any, Response | AlgoError] = {}
        until = time.monotonic() + 60
        while len(found) < count and time.monotonic() < until:
            for token, response_of, may_wait in self.multiplexer.wait(1):
                if may_wait:
                    self.in_threads.append(token)
                try:
                    found[token] = response_of()
                except AlgoError as error:
                    found[token] = error
        return found

    def send(self, body: bytes = b"x") -> tuple[int, bytes] | AlgoError:
        """One request, whichever way it is for, and what comes of it."""
        try:
            if not self.multiplexer.begin(0, self.request(body)):
                return outcome(self.client._repeat(self.request(body)))
            return outcome(self.ended(1)[0])
        except AlgoError as error:
            return error


def outcome(found: Response | AlgoError) -> tuple[int, bytes] | AlgoError:
    if isinstance(found, AlgoError):
        return found
    try:
        return found.status, found.read(1 << 20)
    except AlgoError as error:
        return error


@pytest.fixture
def caller_for(client_for: Callable[..., HttpClient]) -> Any:
    made: list[Caller] = []

    def make(address: str, **members: Any) -> Caller:
        client = client_for(address, **members)
        client.send("GET", f"{address}/first").read(1 << 10)  # the address is known from then on
        made.append(Caller(client, address))
        return made[-1]

    yield make
    for caller in made:
        caller.multiplexer.close()


FIRST = reply(b"first")
PLAIN = {
    "small": reply(b'{"result":1}'),
    "empty": reply(b""),
    "large": reply(b"x" * 600_000),
    "of some size": reply(b"x" * 100_000),
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
    "until the end": lambda sock: (sock.sendall(b"HTTP/1.0 200 OK\r\n\r\nabcde"), sock.shutdown(socket.SHUT_WR)),
    "after an interim response": b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + reply(b"ok"),
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "an error": b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\nbusy",
    "busy": b"HTTP/1.1 429 Slow\r\nRetry-After: 3\r\nContent-Length: 0\r\n\r\n",
    "a redirect": b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n",
    "refused": b"HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno",
    "compressed": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s"
    % (len(gzip.compress(b"abc")), gzip.compress(b"abc")),
    "the last of its connection": b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
    "with a cookie": b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 2\r\n\r\nok",
    "nothing": lambda sock: sock.shutdown(socket.SHUT_RDWR),
    "cut off": lambda sock: (sock.sendall(reply(b"0123456789")[:-3]), sock.shutdown(socket.SHUT_RDWR)),
}


@pytest.mark.parametrize("closes", [False, True], ids=["on a kept connection", "on a new one"])
@pytest.mark.parametrize("kind", [*PLAIN, *MALFORMED])
def test_a_response_is_what_it_is_by_itself(wire_server, client_for, caller_for, kind: str, closes: bool) -> None:
    wire = (PLAIN | MALFORMED)[kind]
    first = FIRST.replace(b"\r\n", b"\r\nConnection: close\r\n", 1) if closes else FIRST
    mine = caller_for(wire_server(first, wire, closes=closes).address).send()
    server = wire_server(first, wire, closes=closes)
    client = client_for(server.address)
    client.send("GET", f"{server.address}/first").read(1 << 10)
    try:
        other = outcome(client._repeat(Request("POST", f"{server.address}/x", {}, BytesBody(b"x"), client.timeout)))
    except AlgoError as error:
        other = error
    if isinstance(mine, AlgoError) or isinstance(other, AlgoError):
        assert type(mine) is type(other), (mine, other)
        if kind not in {"nothing", "cut off"}:  # a reset may come first, or the end
            strip = lambda text: text.partition("127.0.0.1:")[2].partition(" ")[2].partition(":")[0]  # noqa: E731
            assert strip(str(mine)) == strip(str(other))
    else:
        assert mine == other


@pytest.mark.parametrize("kind", SURPLUS)
@pytest.mark.parametrize("is_late", [False, True])
@pytest.mark.parametrize("is_encrypted", [False, True])
def test_a_surplus_is_no_response(
    wire_server, caller_for, tls_files: Any, kind: str, is_late: bool, is_encrypted: bool
) -> None:
    first = len(SURPLUS[kind].partition(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong")[0])
    late = AMomentLater(SURPLUS[kind], min(first, len(SURPLUS[kind]) - 1))
    send = late if is_late else at_once(SURPLUS[kind])
    server = wire_server(
        FIRST, send, reply(b"second"), reply(b"third"), closes=False, tls=tls_files[0] if is_encrypted else None
    )
    caller = caller_for(server.address, ca_cert=tls_files[1] if is_encrypted else None)
    got = caller.send()
    assert isinstance(got, NetworkError) or got[1] in {b"first", b"", b"f" * 20_000, b"f" * 100_000}
    if is_late:
        late.arrives()
    assert [caller.send(), caller.send()] == [(200, b"second"), (200, b"third")]
    assert len(server.requests) == 4


def test_each_request_has_its_own_response_whichever_comes_first(wire_server, caller_for) -> None:
    """Some come byte by byte, and hold up nobody; none needs a thread."""
    served: list[bytes] = []

    def echo(sock: socket.socket) -> None:
        number = int(served_by[threading.current_thread()].rpartition(b"\r\n\r\n")[2])
        wire = reply(b"%d" % number)
        if number % 10 == 0:
            for at in range(len(wire)):
                sock.sendall(wire[at : at + 1])
                time.sleep(0.002)
        else:
            sock.sendall(wire)
        served.append(b"%d" % number)

    served_by: dict[threading.Thread, bytes] = {}
    server = wire_server(FIRST, echo, closes=False)
    append = server.requests.append
    server.requests = type("Noting", (list,), {"append": lambda self, request: (
        served_by.update({threading.current_thread(): request}), append(request))})()  # fmt: skip
    caller = caller_for(server.address)
    for start in (0, 40):  # the second time on the connections of the first
        for number in range(start, start + 40):
            assert caller.multiplexer.begin(number, caller.request(b"%d" % number))
        found = caller.ended(40)
        assert {token: outcome(each) for token, each in found.items()} == {
            number: (200, b"%d" % number) for number in range(start, start + 40)
        }
    assert server.connections <= 41
    assert not caller.in_threads


@pytest.mark.parametrize("kind", ["large", "chunked", "after an interim response"])
def test_what_has_to_be_waited_for_is_a_threads(wire_server, caller_for, kind: str) -> None:
    server = wire_server(FIRST, PLAIN[kind], FIRST, closes=False)
    caller = caller_for(server.address)
    assert caller.multiplexer.begin("a", caller.request())
    assert outcome(caller.ended(1)["a"])[0] == 200
    assert caller.in_threads == ["a"]
    assert caller.send() == (200, b"first")
    assert server.connections == 1, "the thread gave its connection back"


def test_what_it_does_not_send(wire_server, caller_for) -> None:
    server = wire_server(FIRST, closes=False)
    caller = caller_for(server.address)
    for request in (caller.request(b"x" * (module.AT_ONCE + 1)), caller.request(**{"User-Agent": "mine"})):
        assert not caller.multiplexer.begin(0, request)
    caller.client.on_exchange = lambda *facts: None
    assert not caller.multiplexer.begin(0, caller.request())
    assert len(server.requests) == 1


def test_a_cookie_ends_it(wire_server, caller_for) -> None:
    caller = caller_for(wire_server(FIRST, PLAIN["with a cookie"], closes=False).address)
    assert caller.multiplexer.begin(0, caller.request())
    assert outcome(caller.ended(1)[0]) == (200, b"ok")
    assert not caller.multiplexer.begin(1, caller.request()), "requests keeps cookies"


def test_a_server_that_does_not_answer_is_late(wire_server, caller_for, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHECK_SECONDS", 0.02)
    for wire in (then_silent(b""), then_silent(FIRST[:-2])):
        caller = caller_for(wire_server(FIRST, wire, closes=False).address, timeout=0.1)
        assert isinstance(caller.send(), TimedOut)


def test_a_server_that_has_gone_is_reported_as_by_itself(wire_server, caller_for, client_for) -> None:
    server = wire_server(FIRST)
    caller = caller_for(server.address)
    server.close()
    mine = caller.send()
    assert isinstance(mine, NetworkError)
    assert mine.nothing_sent
    assert "Cannot reach" in mine.message


def test_a_credential_that_is_refused_is_renewed(wire_server, caller_for) -> None:
    server = wire_server(FIRST, PLAIN["refused"], PLAIN["refused"], reply(b"new"), closes=False)
    caller = caller_for(server.address)
    renew = lambda profile, refused: Credential("api_key", Secret("sim" + "n" * 25))  # noqa: E731
    caller.client._hooks = Hooks(renew=renew)
    assert caller.send() == (200, b"new")
    assert caller.send() == (200, b"new")
    assert b"simnnn" in server.requests[-1]
    assert not caller.in_threads[1:], "only the refused one"


def test_observers_are_told(wire_server, caller_for) -> None:
    told: list[Any] = []
    caller = caller_for(wire_server(FIRST, PLAIN["large"], PLAIN["an error"], PLAIN["nothing"], closes=False).address)
    caller.client.observe = told.append
    for _ in range(3):
        caller.send()
    assert [event.status for event in told] == [200, 500, None]
    assert [event.sent for event in told] == [1, 1, 1]


def test_another_thread_wakes_it(wire_server, caller_for, tmp_path: Path) -> None:
    caller = caller_for(wire_server(FIRST, closes=False).address)
    threading.Timer(0.02, caller.multiplexer.wake).start()
    began = time.monotonic()
    assert caller.multiplexer.wait(600) == []
    assert time.monotonic() - began < 300
    for _ in range(100_000):
        caller.multiplexer.wake()  # never waits itself
    assert caller.multiplexer.wait(20) == []


def test_a_kept_connection_that_the_server_ends_is_given_up(wire_server, caller_for) -> None:
    server = wire_server(FIRST, lambda sock: (sock.sendall(FIRST), sock.shutdown(socket.SHUT_RDWR)), closes=False)
    caller = caller_for(server.address)
    for _ in range(3):
        assert caller.send() == (200, b"first")
        caller.multiplexer.wait(0.05)
    assert server.connections == 3
