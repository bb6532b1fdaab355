"""More bytes than a response has are never taken for the response to the next request."""

from __future__ import annotations

import ssl
import threading
from pathlib import Path

import pytest
import trustme

from algo_core.errors import NetworkError
from algo_core.http.api import ApiClient
from algo_core.http.transport import BytesBody

pytestmark = pytest.mark.usefixtures("plain_environment")


def reply(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n0\r\n\r\n"

SURPLUS = {
    "a response": reply(b"first") + reply(b"wrong"),
    "half a response": reply(b"first") + reply(b"wrong")[:-3],
    "one byte": reply(b"first") + b"\n",
    "more of the body": reply(b"first") + b" and more",
    "behind chunks": CHUNKED + reply(b"wrong"),
    "behind no content": b"HTTP/1.1 204 No Content\r\n\r\n" + reply(b"wrong"),
    "the rest of a TLS record": reply(b"f" * 20_000) + reply(b"wrong"),
    "a large one": reply(b"f" * 100_000) + reply(b"w" * 300_000),
}


@pytest.fixture
def tls_files(tmp_path: Path) -> tuple[ssl.SSLContext, str]:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return context, str(tmp_path / "ca.pem")


def at_once(wire: bytes):
    return lambda sock: sock.sendall(wire)


class AMomentLater:
    """What comes behind the first response comes when the client has read that, or waits for more of it."""

    def __init__(self, wire: bytes, first: int) -> None:
        self._wire, self._first = wire, first
        self._is_read, self._is_sent = threading.Event(), threading.Event()

    def __call__(self, sock) -> None:
        sock.sendall(self._wire[: self._first])
        self._is_read.wait(0.05)
        try:
            sock.sendall(self._wire[self._first :])
        finally:
            self._is_sent.set()

    def arrives(self) -> None:
        """Once the client has read what it wanted to: have the rest arrive, or as much as the system keeps for it."""
        self._is_read.set()
        self._is_sent.wait(2)


@pytest.mark.parametrize("kind", SURPLUS)
@pytest.mark.parametrize("is_late", [False, True])
@pytest.mark.parametrize("is_encrypted", [False, True])
def test_a_surplus_is_no_response(wire_server, client_for, way, tls_files, kind, is_late, is_encrypted) -> None:
    first = len(SURPLUS[kind].partition(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong")[0])
    late = AMomentLater(SURPLUS[kind], min(first, len(SURPLUS[kind]) - 1))
    send = late if is_late else at_once(SURPLUS[kind])
    server = wire_server(
        send, reply(b"second"), reply(b"third"), closes=False, tls=tls_files[0] if is_encrypted else None
    )
    client = client_for(server.address, way, ca_cert=tls_files[1] if is_encrypted else None)
    with client.send("GET", server.address + "/1") as response:
        assert response.content in {b"first", b"", b"f" * 20_000, b"f" * 100_000}
    if is_late:
        late.arrives()
    assert client.send("POST", server.address + "/2", body=BytesBody(b"x")).content == b"second"
    assert client.send("GET", server.address + "/3").content == b"third"
    assert len(server.requests) == 3


@pytest.mark.parametrize("kind", SURPLUS)
@pytest.mark.parametrize("is_encrypted", [False, True])
def test_nor_is_it_in_a_pipeline(wire_server, client_for, tls_files, kind, is_encrypted) -> None:
    server = wire_server(
        at_once(SURPLUS[kind]),
        reply(b"second"),
        reply(b"third"),
        closes=False,
        tls=tls_files[0] if is_encrypted else None,
    )
    client = client_for(server.address, ca_cert=tls_files[1] if is_encrypted else None)
    pipeline = ApiClient(client).pipeline(1 << 18)
    assert pipeline
    first = pipeline.get("/1").wait()
    assert first is None or first.content in {b"first", b"", b"f" * 20_000, b"f" * 100_000}
    assert [pipeline.get("/2").wait(), pipeline.get("/3").wait()] == [
        (200, {"content-length": str(len(content))}, content) for content in (b"second", b"third")
    ]


def test_two_responses_at_once_to_the_second_request_are_neither(wire_server, client_for) -> None:
    """The first of them may be a late one to the request before: nobody can tell, so both are dropped."""
    wires = reply(b"first"), reply(b"late") + reply(b"second"), reply(b"second")
    server = wire_server(*wires, closes=False)
    client = client_for(server.address)
    assert client.send("GET", server.address + "/1").content == b"first"
    assert client.send("GET", server.address + "/2").content == b"second"
    assert server.connections == 2

    server = wire_server(*wires, closes=False)
    pipeline = ApiClient(client_for(server.address)).pipeline(1 << 18)
    assert pipeline
    pipeline.get("/1").wait()
    with pytest.raises(NetworkError, match="more than one response"):
        pipeline.get("/2").wait()

    server = wire_server(*wires, closes=False)
    client = client_for(server.address)
    assert client.send("GET", server.address + "/1").content == b"first"
    with pytest.raises(NetworkError, match="more than one response"):  # what may not be sent twice is refused
        client.send("POST", server.address + "/2", body=BytesBody(b"x"))


def test_a_connection_that_was_closed_meanwhile_is_not_used(wire_server, client_for, way) -> None:
    server = wire_server(reply(b"fine"), closes=True)
    client = client_for(server.address, way)
    for _ in range(3):
        assert client.send("GET", server.address + "/").content == b"fine"
        threading.Event().wait(0.05)
    assert server.connections == len(server.requests) == 3


def test_a_healthy_connection_is_used_again(wire_server, client_for, way, tls_files) -> None:
    for context, ca_cert in ((None, None), tls_files):
        server = wire_server(reply(b"fine"), closes=False, tls=context)
        client = client_for(server.address, way, ca_cert=ca_cert)
        for _ in range(5):
            assert client.send("GET", server.address + "/").content == b"fine"
        assert (server.connections, len(server.requests)) == (1, 5)
