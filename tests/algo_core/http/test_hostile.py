"""Responses that nobody sends by mistake: each ends soon, as an error of the platform or the network."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zlib
from collections.abc import Callable

import pytest

from algo_core.errors import AlgoError, NetworkError, NotFoundError, PlatformError
from algo_core.http.api import ApiClient, decode_json
from algo_core.http.response import WHOLE_LIMIT
from algo_core.http.transport import BytesBody

pytestmark = pytest.mark.usefixtures("plain_environment")

OK = b"HTTP/1.1 200 OK\r\n"
DIGITS = b"9" * 5000


def without_end(beginning: bytes, *repeated: bytes) -> Callable:
    """A response that begins so, and then repeats something for as long as somebody listens."""
    block = b"".join(repeated) * (1 + (1 << 15) // len(b"".join(repeated)))

    def send(sock) -> None:
        sock.sendall(beginning)
        while True:
            sock.sendall(block)

    return send


def then_silent(wire: bytes) -> Callable:
    """A response after which the connection stays open, and nothing more comes."""

    def send(sock) -> None:
        sock.sendall(wire)
        sock.recv(1)

    return send


MALFORMED = {
    "lines that end in LF": then_silent(b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}"),
    "one line that ends in LF": then_silent(b"HTTP/1.1 200 OK\r\nX: y\nContent-Length: 2\r\n\r\n{}"),
    "a head that ends in LF": then_silent(OK + b"Content-Length: 2\r\n\n{}"),
    "CR within a line": then_silent(OK + b"X: a\rContent-Length: 2\r\n\r\n{}"),
    "NUL within a line": then_silent(OK + b"X: a\0\r\nContent-Length: 2\r\n\r\n{}"),
    "a line without a colon": then_silent(OK + b"X\r\nContent-Length: 2\r\n\r\n{}"),
    "a blank before the colon": then_silent(OK + b"Content-Length : 2\r\n\r\n{}"),
    "no name": then_silent(OK + b": 2\r\nContent-Length: 2\r\n\r\n{}"),
    "a status of four digits": then_silent(b"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\n{}"),
    "a status of letters": then_silent(b"HTTP/1.1 abc OK\r\nContent-Length: 2\r\n\r\n{}"),
    "another protocol": then_silent(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "HTTP/2": then_silent(b"HTTP/2 200 OK\r\nContent-Length: 2\r\n\r\n{}"),
    "two lengths": then_silent(OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} "),
    "two lengths in one line": then_silent(OK + b"Content-Length: 2, 3\r\n\r\n{} "),
    "a length below zero": then_silent(OK + b"Content-Length: -2\r\n\r\n{}"),
    "a length with a sign": then_silent(OK + b"Content-Length: +2\r\n\r\n{}"),
    "a length with an underscore": then_silent(OK + b"Content-Length: 0_2\r\n\r\n{}"),
    "a length in other digits": then_silent(OK + "Content-Length: ².\r\n\r\n{}".encode("latin-1")),
    "no length behind its name": then_silent(OK + b"Content-Length:\r\n\r\n{}"),
    "digits without end in the length": then_silent(OK + b"Content-Length: " + DIGITS + b"\r\n\r\n{}"),
    "an unknown coding": then_silent(OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"),
    "chunked twice": then_silent(OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "a chunk below zero": then_silent(OK + b"Transfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n"),
    "a chunk with a sign": then_silent(OK + b"Transfer-Encoding: chunked\r\n\r\n+2\r\n{}\r\n0\r\n\r\n"),
    "a chunk with a prefix": then_silent(OK + b"Transfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n"),
    "a chunk with an underscore": then_silent(OK + b"Transfer-Encoding: chunked\r\n\r\n0_2\r\n{}\r\n0\r\n\r\n"),
    "a chunk without a size": then_silent(OK + b"Transfer-Encoding: chunked\r\n\r\n;x\r\n{}\r\n0\r\n\r\n"),
    "chunks that end in LF": then_silent(OK + b"Transfer-Encoding: chunked\r\n\r\n2\n{}\n0\n\n"),
    "digits without end in a chunk": without_end(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"9"),
    "zeros without end in a chunk": without_end(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"0"),
    "an extension without end": without_end(OK + b"Transfer-Encoding: chunked\r\n\r\n2;", b"x"),
    "trailers without end": without_end(OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n", b"X: y\r\n"),
    "a head without end": without_end(OK, b"X-More: and more\r\n"),
    "a line without end": without_end(OK + b"X: ", b"x"),
    "a status line without end": without_end(b"HTTP/1.1 200 ", b"x"),
    "interim responses without end": without_end(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "other interim responses without end": without_end(b"", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"),
    "a head of more than 64 KiB": then_silent(OK + b"X: " + b"x" * 70_000 + b"\r\nContent-Length: 2\r\n\r\n{}"),
    "many lines": then_silent(OK + b"X: y\r\n" * 12_000 + b"Content-Length: 2\r\n\r\n{}"),
    "JSON nested 100,000 deep": OK + b"Content-Length: 200000\r\n\r\n" + b"[" * 100_000 + b"]" * 100_000,
    "objects nested 100,000 deep": OK + b"Content-Length: 600001\r\n\r\n" + b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "a number of 5,000 digits": OK + b"Content-Length: 5000\r\n\r\n" + DIGITS,
    "a page without end": without_end(OK + b"\r\n", b"[[],"),
    "chunks without end": without_end(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1000\r\n" + b" " * 4096 + b"\r\n"),
    "a length that never comes": OK + b"Content-Length: 999999999999999999\r\n\r\n{}",
    "a redirect in a circle": b"HTTP/1.1 302 Found\r\nLocation: /v1/data/\r\nContent-Length: 0\r\n\r\n",
    "a redirect to a file": b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n",
    "a redirect to no address": b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\nContent-Length: 0\r\n\r\n",
    "a redirect to no port": b"HTTP/1.1 302 Found\r\nLocation: http://a:99999/\r\nContent-Length: 0\r\n\r\n",
    "a redirect to nowhere": b"HTTP/1.1 302 Found\r\nLocation: http:///x\r\nContent-Length: 0\r\n\r\n",
    "another protocol from now on": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "an encoding that nobody asked for": OK + b"Content-Encoding: br\r\nContent-Length: 2\r\n\r\n{}",
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_it_ends_soon(wire_server, client_for, way, kind) -> None:
    server = wire_server(MALFORMED[kind])
    with pytest.raises((PlatformError, NetworkError)) as caught:
        ApiClient(client_for(server.address, way)).get_json("data/")
    assert "in time" not in caught.value.message, "it was found out, not waited for"


@pytest.mark.parametrize("kind", MALFORMED)
def test_it_does_so_for_what_is_sent_once(wire_server, client_for, kind) -> None:
    """What the standard library's parser is given, since the request cannot be sent again."""
    server = wire_server(MALFORMED[kind])
    api = ApiClient(client_for(server.address))
    with pytest.raises((PlatformError, NetworkError)) as caught:
        decode_json(api.request("POST", "algo/a/b", body=b"x"))
    assert "in time" not in caught.value.message


def test_what_is_no_http_is_told_by_its_first_bytes(wire_server, client_for) -> None:
    server = wire_server(then_silent(b"\x16\x03\x01"))
    with pytest.raises(NetworkError, match="does not speak HTTP"):
        client_for(server.address).send("GET", server.address + "/")


@pytest.mark.parametrize("status", [b"404 Not Found", b"500 Oops"])
@pytest.mark.parametrize("encoding", [b"", b"Content-Encoding: gzip\r\n"])
def test_an_error_says_at_most_64_kib(wire_server, client_for, way, status, encoding) -> None:
    body = json.dumps({"error": {"message": "x" * 70_000}}).encode()
    body = gzip.compress(body) if encoding else body
    server = wire_server(b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s" % (status, encoding, len(body), body))
    with pytest.raises((NotFoundError, PlatformError), match=r"answered (404|500)"):
        ApiClient(client_for(server.address, way)).get_json("x")


@pytest.mark.parametrize(
    ("head", "pack"),
    [
        (OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n", gzip.compress),
        (b"HTTP/1.1 400 Bad\r\nContent-Encoding: gzip\r\n\r\n", gzip.compress),
        (OK + b"Content-Encoding: deflate\r\n\r\n", zlib.compress),
        (OK + b"\r\n", None),
    ],
    ids=["a page", "an error", "deflated", "not compressed"],
)
def test_what_is_read_whole_is_limited_after_decompression(wire_server, client_for, way, head, pack) -> None:
    body = pack(bytes(4 * WHOLE_LIMIT)) if pack else bytes(WHOLE_LIMIT + 1)
    server = wire_server((head % len(body) if b"%d" in head else head) + body)
    api = ApiClient(client_for(server.address, way))
    tracemalloc.start()
    try:
        with pytest.raises(AlgoError):
            api.get_json("x")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3 * WHOLE_LIMIT


def test_what_is_compressed_is_read(wire_server, client_for, way) -> None:
    content = bytes(range(256)) * 1000
    for packed, coding in (
        (gzip.compress(content), b"gzip"),
        (gzip.compress(content[:1000]) + gzip.compress(content[1000:]), b"X-Gzip"),
        (zlib.compress(content), b"deflate"),
        (content, b"identity"),
    ):
        server = wire_server(
            OK + b"Content-Encoding: %s\r\nContent-Length: %d\r\n\r\n" % (coding, len(packed)) + packed
        )
        client = client_for(server.address, way, retries=2)
        assert client.send("GET", server.address + "/x").content == content
        assert client.send("GET", server.address + "/x", as_stored=True).content == packed
        got, buffer = bytearray(), bytearray(777)
        with client.send("GET", server.address + "/x") as response:
            while count := response.readinto(buffer):
                got += buffer[:count]
        assert got == content


@pytest.mark.parametrize("cut", [1, 10, 500])
def test_what_is_compressed_and_cut_off_is_noticed(wire_server, client_for, way, cut) -> None:
    packed = gzip.compress(bytes(range(256)) * 1000)
    for headers in (b"Content-Length: %d\r\n" % len(packed), b""):
        server = wire_server(OK + b"Content-Encoding: gzip\r\n" + headers + b"\r\n" + packed[:-cut])
        with pytest.raises(NetworkError):
            _ = client_for(server.address, way).send("GET", server.address + "/x").content


@pytest.mark.parametrize(
    "retry_after",
    [
        b"9" * 5000,
        b"-1",
        b"1e999",
        b"nan",
        b"Fri, 31 Dec 9999 23:59:59 -2359",
        b"Mon, 01 Jan 0001 00:00:00 +2359",
        b"\xb2",
    ],
)
def test_pauses_that_cannot_be_are_none(wire_server, client_for, way, monkeypatch, retry_after) -> None:
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    busy = b"HTTP/1.1 503 Busy\r\nRetry-After: " + retry_after + b"\r\nContent-Length: 0\r\n\r\n"
    server = wire_server(busy, OK + b"Content-Length: 2\r\n\r\nok")
    assert client_for(server.address, way, retries=1).send("GET", server.address + "/x").content == b"ok"
    assert 0 <= waits[0] <= 120


def test_a_body_that_is_refused_early_is_not_sent_on_for_ever(wire_server, client_for) -> None:
    body = b"x" * 20_000_000
    server = wire_server(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
    response = client_for(server.address).send("PUT", server.address + "/x", body=BytesBody(body))
    assert response.status == 413
