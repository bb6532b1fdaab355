"""The same bytes through several readers: the same status and content, or a refusal, and never other content.

The direct transport is held against h11, the strictest reader there is, and where that refuses against the standard
library's `http.client` and requests. The corpus is grown by hypothesis, from the same seed in every run.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
from collections.abc import Callable

import h11
import pytest
import requests
from hypothesis import HealthCheck, example, given
from hypothesis import strategies as st
from support.chance import generated
from support.wire_server import WireServer

from algo_core.errors import AlgoError, ConfigError
from algo_core.http.api import ApiClient
from algo_core.http.client import Hooks, HttpClient
from algo_core.http.transport import BytesBody
from algo_core.settings.profile import Profile

pytestmark = pytest.mark.usefixtures("plain_environment")

Result = tuple[int, bytes] | None
"""Status and content, or None for a refusal."""

SECONDS = 60
GROWN = generated(250, HealthCheck.function_scoped_fixture)


# Readers


def ours(address: str, method: str, hooks: Hooks | None = None) -> Result:
    client = HttpClient(Profile("default", address), timeout=(SECONDS, SECONDS), retries=0, hooks=hooks)
    with client, contextlib.suppress(AlgoError):
        body = BytesBody(b"x") if method == "POST" else None
        with client.send(method, address + "/x", body=body) as response:
            return response.status, response.content
    return None


def direct(address: str, method: str) -> Result:
    return ours(address, method)


def through_requests(address: str, method: str) -> Result:
    def adapted(session: requests.Session, profile: Profile) -> None:
        session.hooks["response"].append(lambda response, **options: response)

    return ours(address, method, Hooks(configure=adapted))


def pipelined(address: str, method: str) -> Result:
    with HttpClient(Profile("default", address), timeout=(SECONDS, SECONDS), retries=0) as client:
        pipeline = ApiClient(client).pipeline(1 << 20)
        assert pipeline
        with contextlib.suppress(AlgoError):
            found = pipeline.get("/x").wait()
            return (found.status, found.content) if found else None
    return None


def plain_requests(address: str, method: str) -> Result:
    with contextlib.suppress(requests.RequestException, ValueError), requests.Session() as session:
        session.trust_env = False
        found = session.request(method, address + "/x", allow_redirects=False, timeout=SECONDS)
        return found.status_code, found.content
    return None


def standard(address: str, method: str) -> Result:
    connection = http.client.HTTPConnection(address.partition("//")[2], timeout=SECONDS)
    with (
        contextlib.closing(connection),
        contextlib.suppress(http.client.HTTPException, OSError, ValueError, OverflowError),
    ):
        connection.request(method, "/x", body=b"x" if method == "POST" else None)
        response = connection.getresponse()
        return response.status, response.read()
    return None


def strict(address: str, method: str) -> Result:
    host, port = address.partition("//")[2].split(":")
    machine = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 16)
    with socket.create_connection((host, int(port)), SECONDS) as sock:
        headers = [("Host", "x"), *([("Content-Length", "1")] if method == "POST" else [])]
        sock.sendall(machine.send(h11.Request(method=method, target="/x", headers=headers)))
        if method == "POST":
            sock.sendall(machine.send(h11.Data(b"x")))
        sock.sendall(machine.send(h11.EndOfMessage()))
        status, content = 0, b""
        with contextlib.suppress(h11.RemoteProtocolError, OSError):
            while True:
                event = machine.next_event()
                if event is h11.NEED_DATA:
                    machine.receive_data(sock.recv(1 << 16))
                elif isinstance(event, h11.Response):
                    status = event.status_code
                elif isinstance(event, h11.Data):
                    content += bytes(event.data)
                elif isinstance(event, h11.EndOfMessage):
                    return status, content
                elif not isinstance(event, h11.InformationalResponse):
                    return None
    return None


# The corpus

OK = b"HTTP/1.1 200 OK\r\n"
LENGTH = b"Content-Length: 5\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"

CORPUS = [
    OK + LENGTH + b"\r\nhello",
    OK + LENGTH + b"\r\nhel",
    OK + LENGTH + b"\r\nhello, and more",
    OK + LENGTH + LENGTH + b"\r\nhello",
    OK + LENGTH + b"Content-Length: 3\r\n\r\nhello",
    OK + b"Content-Length: 5, 5\r\n\r\nhello",
    OK + b"Content-Length: 3, 5\r\n\r\nhello",
    OK + b"Content-Length: 05\r\n\r\nhello",
    OK + b"Content-Length: +5\r\n\r\nhello",
    OK + b"Content-Length: 1_0\r\n\r\nhellohello",
    OK + b"Content-Length: 5 \r\n\r\nhello",
    OK + b"Content-Length:5\r\n\r\nhello",
    OK + b"Content-Length:\t5\r\n\r\nhello",
    OK + b"Content-Length : 5\r\n\r\nhello",
    OK + b"X: y\r\n Content-Length: 3\r\nContent-Length: 5\r\n\r\nhello",
    OK + b"Content-Length: 1\r\n 0\r\n\r\nhellohello",
    OK + b"X: a\rContent-Length: 3\r\nContent-Length: 5\r\n\r\nhello",
    OK + b"X: a\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nhello",
    OK + b"X\r\n" + LENGTH + b"\r\nhello",
    OK + b"Content-Length\r\n" + LENGTH + b"\r\nhello",
    OK + b": x\r\n" + LENGTH + b"\r\nhello",
    OK + b"X\xff: y\r\n" + LENGTH + b"\r\nhello",
    OK + b"X: \xc3\xa4\xe2\x80\x93\r\n" + LENGTH + b"\r\nhello",
    OK + b"X: \x7f\x01\r\n" + LENGTH + b"\r\nhello",
    OK + b"X: a\0b\r\n" + LENGTH + b"\r\nhello",
    OK + b"X:\r\n" + LENGTH + b"\r\nhello",
    OK + b"From x\r\n" + LENGTH + b"\r\nhello",
    OK + b"\r\nhello",
    OK + b"Connection: close\r\n\r\nhello",
    OK + CHUNKED + b"\r\n" + CHUNKS,
    OK + CHUNKED + b"\r\n" + CHUNKS + b"more",
    OK + CHUNKED + b"\r\n" + CHUNKS[:-2],
    OK + CHUNKED + b"\r\n" + CHUNKS[:-5],
    OK + CHUNKED + b"\r\n5;x=y\r\nhello\r\n0;z\r\nTrailer: t\r\n\r\n",
    OK + CHUNKED + b"\r\n5 \r\nhello\r\n0\r\n\r\n",
    OK + CHUNKED + b"\r\n 5\r\nhello\r\n0\r\n\r\n",
    OK + CHUNKED + b"\r\n0005\r\nhello\r\n000\r\n\r\n",
    OK + CHUNKED + b"\r\n5\r\nhelloXX0\r\n\r\n",
    OK + CHUNKED + b"\r\n5\nhello\n0\n\n",
    OK + CHUNKED + b"\r\n-5\r\nhello\r\n0\r\n\r\n",
    OK + CHUNKED + b"\r\n0x5\r\nhello\r\n0\r\n\r\n",
    OK + CHUNKED + b"\r\n5_\r\nhello\r\n0\r\n\r\n",
    OK + CHUNKED + b"\r\nffffffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    OK + CHUNKED + LENGTH + b"\r\n" + CHUNKS,
    OK + LENGTH + CHUNKED + b"\r\n" + CHUNKS,
    OK + CHUNKED + CHUNKED + b"\r\n" + CHUNKS,
    OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + CHUNKS,
    OK + b"Transfer-Encoding: identity\r\n" + LENGTH + b"\r\nhello",
    OK + b"Transfer-Encoding: Chunked\r\n\r\n" + CHUNKS,
    OK + b"Transfer-Encoding: chunked, chunked\r\n\r\n" + CHUNKS,
    OK + b"Transfer-Encoding:\x0bchunked\r\n\r\n" + CHUNKS,
    OK + b"Transfer-Encoding: x\r\n\r\n" + CHUNKS,
    OK + b"Transfer-Encoding : chunked\r\n" + LENGTH + b"\r\n" + CHUNKS,
    b"HTTP/1.0 200 OK\r\n\r\nhello",
    b"HTTP/1.0 200 OK\r\n" + LENGTH + b"\r\nhello",
    b"HTTP/1.0 200 OK\r\n" + CHUNKED + b"\r\n" + CHUNKS,
    b"HTTP/1.1 200\r\n" + LENGTH + b"\r\nhello",
    b"HTTP/1.1 200 \r\n" + LENGTH + b"\r\nhello",
    b"HTTP/1.1  200 OK\r\n" + LENGTH + b"\r\nhello",
    b"HTTP/1.1 200OK\r\n" + LENGTH + b"\r\nhello",
    b"HTTP/1.2 200 OK\r\n" + LENGTH + b"\r\nhello",
    b"HTTP/2.0 200 OK\r\n" + LENGTH + b"\r\nhello",
    b"http/1.1 200 OK\r\n" + LENGTH + b"\r\nhello",
    b"HTTP/1.1 20 OK\r\n" + LENGTH + b"\r\nhello",
    b"HTTP/1.1 099 OK\r\n" + LENGTH + b"\r\nhello",
    b"HTTP/1.1 999 OK\r\n" + LENGTH + b"\r\nhello",
    b"\r\n" + OK + LENGTH + b"\r\nhello",
    b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\n" + LENGTH + b"\r\nhello",
    b"HTTP/1.1 304 Not Modified\r\n" + LENGTH + b"\r\n",
    b"HTTP/1.1 205 Reset\r\n" + LENGTH + b"\r\nhello",
    b"HTTP/1.1 404 Not Found\r\n" + LENGTH + b"\r\nhello",
    b"HTTP/1.1 302 Found\r\nLocation: ftp://x\r\n" + LENGTH + b"\r\nhello",
    b"HTTP/1.1 100 Continue\r\n\r\n" + OK + LENGTH + b"\r\nhello",
    b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK + LENGTH + b"\r\nhello",
    b"HTTP/1.1 100 Continue\r\n" + LENGTH + b"\r\nhello" + OK + LENGTH + b"\r\nhello",
    b"HTTP/1.1 101 Switching\r\n\r\n" + OK + LENGTH + b"\r\nhello",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"",
    b"HTTP/1.1",
    b"HTTP/1.1 200 OK\r\nContent-",
    b"\x00\x01\x02\r\n\r\n",
    b"\r\n\r\n",
]

STATUS_LINES = st.sampled_from(
    [OK] * 6
    + [
        b"HTTP/1.0 200 OK\r\n",
        b"HTTP/1.1 404 \r\n",
        b"HTTP/1.1 204 No\r\n",
        b"HTTP/1.1 500\r\n",
        b"HTTP/1.1 103 x\r\n\r\n" + OK,
    ]
)
NAMES = st.sampled_from(
    [b"Content-Length", b"content-length", b"Transfer-Encoding", b"Connection", b"X", b"X y", b"", b" X"]
)
VALUES = st.sampled_from([b"5", b"3", b"0", b"chunked", b"Chunked", b"gzip", b"close", b"", b"5, 5", b"-1", b"x"])
COLONS = st.sampled_from([b": "] * 8 + [b":", b" :", b":\t", b""])
ENDS = st.sampled_from([b"\r\n"] * 20 + [b"\n", b"\r", b"\r\r\n", b"\r\n "])
HEADERS = st.lists(st.tuples(NAMES, COLONS, VALUES, ENDS).map(b"".join), max_size=4).map(b"".join)
PIECES = st.sampled_from(
    [b"hello", b"5\r\n", b"0\r\n", b"\r\n", b"3;x\r\n", b"hel", b"lo", b"\n", b"0\r\n\r\n", OK, LENGTH, b"\xff"]
)
BODIES = st.one_of(st.sampled_from([b"hello", CHUNKS, b""]), st.lists(PIECES, max_size=8).map(b"".join))
BUILT = st.tuples(STATUS_LINES, HEADERS, st.just(b"\r\n"), BODIES).map(b"".join)


def changed(change: tuple[bytes, int, int, bytes]) -> bytes:
    wire, start, count, put = change
    at = start % (len(wire) + 1)
    return wire[:at] + put + wire[at + count :]


CHANGED = st.tuples(
    st.sampled_from([wire for wire in CORPUS if wire]),
    st.integers(0, 200),
    st.integers(0, 3),
    st.one_of(
        st.binary(max_size=3), st.sampled_from([b"\r", b"\n", b"\r\n", b":", b" ", b"\0", b"9", LENGTH, CHUNKED])
    ),
).map(changed)


def agreed(wire: bytes, method: str) -> None:
    """Hold what our readers make of it against what the others make of it."""
    server = WireServer(wire)
    try:
        found = {reader.__name__: reader(server.address, method) for reader in (direct, through_requests)}
        if method == "GET":
            found["pipelined"] = pipelined(server.address, method)
        judge = strict(server.address, method)
        judges = [judge] if judge else [standard(server.address, method), plain_requests(server.address, method)]
    finally:
        server.close()
    for reader, result in found.items():
        assert result is None or result in judges, (reader, result, judges, wire)
        assert result is None or all(other in {None, result} for other in judges), (reader, result, judges, wire)
    assert len({result for result in found.values() if result}) <= 1, (found, wire)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("wire", CORPUS, ids=range(len(CORPUS)))
def test_what_is_known_to_be_odd(wire: bytes, method: str) -> None:
    agreed(wire, method)


@GROWN
@given(wire=BUILT, method=st.sampled_from(["GET", "HEAD", "POST"]))
def test_what_is_built_of_pieces(wire: bytes, method: str) -> None:
    agreed(wire, method)


@GROWN
@given(wire=CHANGED, method=st.sampled_from(["GET", "HEAD", "POST"]))
def test_what_is_changed_a_little(wire: bytes, method: str) -> None:
    agreed(wire, method)


def test_what_is_well_formed_is_refused_by_nobody() -> None:
    """Or all of the above would hold for readers that refuse everything."""
    for wire in (OK + LENGTH + b"\r\nhello", OK + CHUNKED + b"\r\n" + CHUNKS, b"HTTP/1.0 200 OK\r\n\r\nhello"):
        server = WireServer(wire)
        readers: tuple[Callable[[str, str], Result], ...] = direct, through_requests, strict, standard, plain_requests
        for reader in readers:
            assert reader(server.address, "GET") == (200, b"hello"), reader
        server.close()


# Requests

TEXTS = st.text(st.characters(codec="latin-1"), max_size=12)
TARGETS = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#?"), max_size=20)
TOKENS = st.text(st.sampled_from("abcXYZ019-_.!~"), min_size=1, max_size=10).map("X-".__add__)


@GROWN
@given(
    method=st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD"]),
    target=TARGETS,
    headers=st.dictionaries(TOKENS, TEXTS, max_size=4),
    body=st.one_of(st.none(), st.binary(max_size=100)),
)
@example(method="GET", target="", headers={"X-A": "b\r\nX-C: d"}, body=None)
@example(method="PUT", target="?a=b", headers={"X-A": "\n"}, body=b"x")
def test_what_is_sent_is_what_a_strict_server_reads(
    method: str, target: str, headers: dict[str, str], body: bytes | None
) -> None:
    server = WireServer(OK + b"Content-Length: 0\r\n\r\n")
    client = HttpClient(Profile("default", server.address), timeout=(SECONDS, SECONDS), retries=0)
    try:
        client.send(
            method, f"{server.address}/{target}", headers=headers, body=None if body is None else BytesBody(body)
        )
    except ConfigError:
        assert server.requests == []
        assert any((c < " " and c != "\t") or c == "\x7f" for value in headers.values() for c in value)
        return
    finally:
        client.close()
        server.close()
    machine = h11.Connection(h11.SERVER)
    machine.receive_data(server.requests[0])
    request = machine.next_event()
    assert isinstance(request, h11.Request)
    assert (request.method.decode(), request.target.decode()) == (method, f"/{target}")
    received = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.headers.raw_items()}
    assert {name: received[name] for name in headers} == {name: value.strip(" \t") for name, value in headers.items()}
    expected = {"Host", "Connection", "User-Agent", "Accept-Encoding", "Accept"} | set(headers)
    assert set(received) == expected | ({"Content-Length"} if body is not None else set())
    content = b""
    while isinstance(event := machine.next_event(), h11.Data):
        content += bytes(event.data)
    assert isinstance(event, h11.EndOfMessage)
    assert content == (body or b"")
    assert machine.trailing_data[0] == b""
