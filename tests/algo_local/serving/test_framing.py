"""What is no well-formed HTTP/1.1 reaches nobody: the served platform against h11, over raw connections.

h11 says which requests there are in some bytes, and what a server must refuse. The platform may refuse more, but never
see another request than h11 does, nor answer one that h11 refuses.
"""

from __future__ import annotations

import contextlib
import io
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.chance import generated
from support.wire import Answer, answers, connect, exchange

from algo_local.callers import Caller
from algo_local.platform import Platform
from algo_local.serving.http.head import BadRequest, Head, parse_head
from algo_local.serving.http.listener import listen
from algo_local.serving.http.server import Server
from algo_local.web.app import Application, error_response
from algo_local.web.http import ApiError, Request, Response

Seen = tuple[str, str, bytes]
"""A request: method, target, body."""

PLENTY = generated(200)


@dataclass
class Expected:
    """What h11 finds in some bytes."""

    requests: list[Seen]
    refused: bool
    """Whether it refuses what follows them."""


def oracle(raw: bytes) -> Expected:
    """Read bytes as a server does that answers each request, and skips an empty line before it (RFC 9112 section 2.2)."""
    found: list[Seen] = []
    while rest := raw.removeprefix(b"\r\n"):
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
        connection.receive_data(rest)
        connection.receive_data(b"")
        body = b""
        try:
            request = connection.next_event()
            while isinstance(event := connection.next_event(), h11.Data):
                body += event.data
        except h11.RemoteProtocolError:
            return Expected(found, refused=True)
        if not isinstance(request, h11.Request) or not isinstance(event, h11.EndOfMessage):
            return Expected(found, refused=False)
        found.append((request.method.decode(), request.target.decode(), body))
        connection.send(h11.Response(status_code=404, headers=[("Content-Length", "0")]))
        connection.send(h11.EndOfMessage())
        if connection.our_state is not h11.DONE:  # the last one, by its own will
            break
        raw = connection.trailing_data[0]
    return Expected(found, refused=False)


class Recorder:
    """The platform's application, with a note of each request whose body came through as a whole."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self.seen: list[Seen] = []

    def answer(self, request: Request) -> Response:
        body = b""
        try:
            while block := request.read(7):
                body += block
        except ApiError as error:
            return error_response(error)
        if request.length is not None and len(body) < request.length:
            return error_response(ApiError(400, "It broke off"))
        self.seen.append((request.method, request.target, body))
        again = Request(request.method, request.target, request.headers, io.BytesIO(body), len(body))
        return self._application.answer(again)


class Wire:
    """Sends bytes to the served platform and says what came of them."""

    def __init__(self, address: str, recorder: Recorder, key: str) -> None:
        self.address = address
        self._recorder = recorder
        self.key = key

    def __call__(self, raw: bytes) -> tuple[list[Seen], list[Answer]]:
        self._recorder.seen = []
        received = exchange(self.address, raw)
        seen = self._recorder.seen
        return seen, answers(received, [method for method, _, _ in seen])


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    """One platform for all tests of this module: none of them changes what another relies on."""
    platform = Platform(tmp_path_factory.mktemp("framing") / "platform")
    failures: list[str] = []
    platform.hosted.create(Caller(platform.account), [".my"], "c", ())
    key = platform.keys.create(platform.account, "test")[1]
    recorder = Recorder(Application(platform, on_failure=failures.append))
    listener = listen("127.0.0.1", 0)
    server = Server(recorder, listener, on_failure=failures.append)
    server.run()
    yield Wire(f"http://127.0.0.1:{listener.getsockname()[1]}", recorder, key)
    platform.executor.close()
    server.stop()
    platform.close()
    assert failures == []


def check(wire: Wire, raw: bytes) -> tuple[list[Seen], list[Answer]]:
    """The two properties that hold for any bytes whatever."""
    expected = oracle(raw)
    seen, answered = wire(raw)
    assert seen == expected.requests[: len(seen)], (raw, seen, expected)
    assert all(answer.status < 500 or answer.status == 505 for answer in answered), (raw, answered)
    if expected.refused and answered and len(answered) > len(expected.requests):
        assert answered[-1].status >= 400, (raw, answered)
        assert answered[-1].ends, (raw, answered)
    return seen, answered


HOST = b"Host: x\r\n"

REFUSED = [
    b"GET / HTTP/1.1\r\n\r\n",  # no Host
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: user@a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
    b"PUT / HTTP/1.1\r\n%sContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" % HOST,
    b"PUT / HTTP/1.1\r\n%sTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" % HOST,
    b"PUT / HTTP/1.1\r\n%sContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!" % HOST,
    b"PUT / HTTP/1.1\r\n%sContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello" % HOST,
    b"PUT / HTTP/1.1\r\n%sContent-Length: 5, 5\r\n\r\nhello" % HOST,
    b"PUT / HTTP/1.1\r\n%sContent-Length : 5\r\n\r\nhello" % HOST,
    b"PUT / HTTP/1.1\r\n%sContent-Length\t: 5\r\n\r\nhello" % HOST,
    b"PUT / HTTP/1.1\r\n%sContent-Length: +5\r\n\r\nhello" % HOST,
    b"PUT / HTTP/1.1\r\n%sContent-Length: -5\r\n\r\nhello" % HOST,
    b"PUT / HTTP/1.1\r\n%sContent-Length: 0x5\r\n\r\nhello" % HOST,
    b"PUT / HTTP/1.1\r\n%sContent-Length: 5.0\r\n\r\nhello" % HOST,
    b"PUT / HTTP/1.1\r\n%sContent-Length: 1_0\r\n\r\nhellohello" % HOST,
    b"PUT / HTTP/1.1\r\n%sContent-Length: \xb2\r\n\r\nhe" % HOST,
    b"PUT / HTTP/1.1\r\n%sContent-Length:\r\n\r\n" % HOST,
    b"PUT / HTTP/1.1\r\n%sContent-Length: %s\r\n\r\n" % (HOST, b"9" * 40),
    b"PUT / HTTP/1.1\r\n%sTransfer-Encoding: identity\r\n\r\n" % HOST,
    b"PUT / HTTP/1.1\r\n%sTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" % HOST,
    b"PUT / HTTP/1.1\r\n%sTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n" % HOST,
    b"PUT / HTTP/1.1\r\n%sTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n" % HOST,
    b"PUT / HTTP/1.1\r\n%sTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" % HOST,
    b"PUT / HTTP/1.1\r\n%sTransfer-Encoding: chunked\r\nTransfer-Encoding:\r\n\r\n0\r\n\r\n" % HOST,
    b"PUT / HTTP/1.1\r\n%sTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n" % HOST,
    b"PUT / HTTP/1.1\r\n%sTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" % HOST,
    b"PUT / HTTP/1.1\r\n%sTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n" % HOST,
    b"PUT / HTTP/1.1\r\n%sTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" % HOST,
    b"PUT / HTTP/1.0\r\n%sTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" % HOST,
    b"GET / HTTP/1.1\r\n%sX: a\r\n b\r\n\r\n" % HOST,
    b"GET / HTTP/1.1\r\n%sX: a\r\n\tb\r\n\r\n" % HOST,
    b"GET / HTTP/1.1\r\n X: a\r\n%s\r\n" % HOST,
    b"GET / HTTP/1.1\n%s\n" % HOST.replace(b"\r", b""),
    b"GET / HTTP/1.1\r\nHost: x\nX: y\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n\n",
    b"GET / HTTP/1.1\rHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\n%sX: a\rb\r\n\r\n" % HOST,
    b"GET / HTTP/1.1\r\n%sX: a\0b\r\n\r\n" % HOST,
    b"GET / HTTP/1.1\r\n%sX: a\x7fb\r\n\r\n" % HOST,
    b"GET / HTTP/1.1\r\n%sX\0: a\r\n\r\n" % HOST,
    b"GET / HTTP/1.1\r\n%sX\r\n\r\n" % HOST,
    b"GET / HTTP/1.1\r\n%s: a\r\n\r\n" % HOST,
    b"GET / HTTP/1.1\r\n%sX(y): a\r\n\r\n" % HOST,
    b"GET / HTTP/1.1\r\n%s\xfc: a\r\n\r\n" % HOST,
    b"GET /\0 HTTP/1.1\r\n%s\r\n" % HOST,
    b"GET /\x01 HTTP/1.1\r\n%s\r\n" % HOST,
    b"GET /\x7f HTTP/1.1\r\n%s\r\n" % HOST,
    b"GET /\xc3\xbc HTTP/1.1\r\n%s\r\n" % HOST,
    b"GET /a b HTTP/1.1\r\n%s\r\n" % HOST,
    b"GET /a\tb HTTP/1.1\r\n%s\r\n" % HOST,
    b"GET /a#b HTTP/1.1\r\n%s\r\n" % HOST,
    b"GET  / HTTP/1.1\r\n%s\r\n" % HOST,
    b"GET\t/ HTTP/1.1\r\n%s\r\n" % HOST,
    b" GET / HTTP/1.1\r\n%s\r\n" % HOST,
    b"GET / HTTP/1.1 \r\n%s\r\n" % HOST,
    b"GET / http/1.1\r\n%s\r\n" % HOST,
    b"GET / HTTP/1.10\r\n%s\r\n" % HOST,
    b"GET / HTTP/1\r\n%s\r\n" % HOST,
    b"GET / HTTP/2.0\r\n%s\r\n" % HOST,
    b"GET / HTTP/0.9\r\n%s\r\n" % HOST,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET /\r\n\r\n",
    b"GET\r\n\r\n",
    b"GET x HTTP/1.1\r\n%s\r\n" % HOST,
    b"GET * HTTP/1.1\r\n%s\r\n" % HOST,
    b"GET ftp://x/ HTTP/1.1\r\n%s\r\n" % HOST,
    b"GET http:///x HTTP/1.1\r\n%s\r\n" % HOST,
    b"GET http://u:p@x/ HTTP/1.1\r\n%s\r\n" % HOST,
    b"CONNECT x:443 HTTP/1.1\r\n%s\r\n" % HOST,
    b"G(T / HTTP/1.1\r\n%s\r\n" % HOST,
    b"G\xcbT / HTTP/1.1\r\n%s\r\n" % HOST,
    b"\r\n\r\nGET / HTTP/1.1\r\n%s\r\n" % HOST,
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
    b"\0" * 50,
    b"PUT / HTTP/1.1\r\n%sExpect: 200-ok\r\n\r\n" % HOST,
    b"GET / HTTP/1.1\r\n" + HOST + b"X: y\r\n" * 100 + b"\r\n",
    b"GET /%s HTTP/1.1\r\n%s\r\n" % (b"a" * 20000, HOST),
    b"GET / HTTP/1.1\r\n%sX: %s\r\n\r\n" % (HOST, b"a" * 20000),
    b"GET / HTTP/1.1\r\n%s%s\r\n" % (HOST, b"X: %s\r\n" % (b"a" * 10000) * 4),
]

BROKEN_CHUNKS = [
    b"5 \r\nhello\r\n0\r\n\r\n",
    b"5 ;a\r\nhello\r\n0\r\n\r\n",
    b"5 x\r\nhello\r\n0\r\n\r\n",
    b"+5\r\nhello\r\n0\r\n\r\n",
    b"-5\r\nhello\r\n0\r\n\r\n",
    b"0x5\r\nhello\r\n0\r\n\r\n",
    b" 5\r\nhello\r\n0\r\n\r\n",
    b"5_0\r\nhello\r\n0\r\n\r\n",
    b"\xb2\r\nhe\r\n0\r\n\r\n",
    b"g\r\nhello\r\n0\r\n\r\n",
    b"\r\nhello\r\n0\r\n\r\n",
    b";x\r\nhello\r\n0\r\n\r\n",
    b"5\nhello\r\n0\r\n\r\n",
    b"50\nhello\r\n0\r\n\r\n",
    b"5\r\nhello\n0\r\n\r\n",
    b"5\r\nhelloX\r\n0\r\n\r\n",
    b"5\r\nhello0\r\n\r\n",
    b"5\r\r\nhello\r\n0\r\n\r\n",
    b"5\r\nhello\r\n0\r\n\n",
    b"5;\x00\r\nhello\r\n0\r\n\r\n",
    b"5;a\nb\r\nhello\r\n0\r\n\r\n",
    b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    b"%s\r\nhello\r\n0\r\n\r\n" % (b"0" * 30 + b"5"),
    b"ffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    b"5;%s\r\nhello\r\n0\r\n\r\n" % (b"a" * 5000),
    b"5\r\nhello\r\n0\r\nX y\r\n\r\n",
    b"5\r\nhello\r\n0\r\nX: a\r\n b\r\n\r\n",
    b"5\r\nhello\r\n0\r\n%s\r\n" % (b"X: y\r\n" * 200),
    b"5\r\nhello\r\n0\r\nX: %s\r\n\r\n" % (b"y" * 20000),
    b"5\r\nhello\r\n0\r\n%s\r\n" % (b"X: %s\r\n" % (b"y" * 10000) * 5),
    b"5\r\nhello\r\n",
    b"5\r\nhel",
    b"5",
    b"",
]


@pytest.mark.parametrize("before", [b"", b"GET /v1/data/ HTTP/1.1\r\nHost: x\r\n\r\n"], ids=["first", "pipelined"])
def test_nothing_that_comes_after_a_refusal_is_read(wire: Wire, before: bytes) -> None:
    """Neither what came with the refused request, nor what is sent when the answer is there."""
    after = with_key(wire, b"DELETE /v1/data/.my/c HTTP/1.1\r\nHost: x\r\n\r\n")
    with connect(wire.address) as connection:
        connection.sendall(before + b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n" + after)
        received = b""
        while b"Host is invalid" not in received:
            received += connection.recv(1 << 16)
        with contextlib.suppress(OSError):
            connection.sendall(after)
            connection.shutdown(socket.SHUT_WR)
            while data := connection.recv(1 << 16):
                received += data
    assert [answer.status for answer in answers(received)] == [*([401] if before else []), 400]


ODD = [
    (b"\r\nGET /v1/data/ HTTP/1.1\r\n%s\r\n" % HOST, [200]),
    (b"GET http://x/v1/data/ HTTP/1.1\r\nHost: elsewhere\r\n\r\n", [200]),
    (b"GET HTTPS://x:1/v1/data/ HTTP/1.1\r\nHost: elsewhere\r\n\r\n", [200]),
    (b"GET //v1//data// HTTP/1.1\r\n%s\r\n" % HOST, [200]),
    (b"OPTIONS * HTTP/1.1\r\n%s\r\n" % HOST, [404]),
    (b"GET /v1/data/ HTTP/1.1\r\nHost:\r\n\r\n", [200]),
    (b"GET /v1/data/ HTTP/1.1\r\nhOST:[::1]:80\r\n\r\n", [200]),
    (b"GET /v1/data/ HTTP/1.1\r\nHost: \t x \t \r\n\r\n", [200]),
    (b"GET /v1/data/ HTTP/1.0\r\n\r\n", [200]),
    (b"GET /v1/data/ HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n" * 2, [200]),
    (b"GET /v1/data/ HTTP/1.1\r\n%sConnection: a, CLOSE\r\n\r\nrubbish" % HOST, [200]),
    (b"GET /v1/data/ HTTP/1.1\r\n%sX-Umlaut: \xc3\xbc\xff\r\n\r\n" % HOST, [200]),
    (b"get /v1/data/ HTTP/1.1\r\n%s\r\n" % HOST, [405]),
    (b"GET /v1/data/ HTTP/1.1\r\n%sContent-Length: 5\r\n\r\nhelloGET /v1/data/ HTTP/1.1\r\n%s\r\n" % (HOST, HOST), [200, 200]),
    (b"PUT /v1/data/.my/c/f HTTP/1.1\r\n%sContent-Length: 0005\r\n\r\nhello" % HOST, [200]),
    (b"PUT /v1/data/.my/c/f HTTP/1.1\r\n%sContent-Length: 5\r\n\r\nhello\r\n" % HOST, [200]),
    (b"PUT /v1/data/.my/c/f HTTP/1.1\r\n%sTransfer-encoding: \tCHUNKED \r\n\r\n05; a=\"b\";c\r\nhello\r\nA\r\n0123456789\r\n000\r\nX: y\r\n\r\n" % HOST, [200]),
    (b"HEAD /v1/data/.my/c HTTP/1.1\r\n%s\r\nHEAD /v1/data/.my/none HTTP/1.1\r\n%s\r\n" % (HOST, HOST), [200, 404]),
    (b"GET /v1/data/ HTTP/1.1\r\n%sContent_Length: 5\r\nTransfer_Encoding: chunked\r\n\r\n" % HOST, [200]),
]  # fmt: skip


def with_key(wire: Wire, raw: bytes) -> bytes:
    """The same with a credential in each head."""
    return raw.replace(b"HTTP/1.1\r\n", b"HTTP/1.1\r\nAuthorization: %s\r\n" % wire.key.encode()).replace(
        b"HTTP/1.0\r\n", b"HTTP/1.0\r\nAuthorization: %s\r\n" % wire.key.encode()
    )


@pytest.mark.parametrize("number", range(len(REFUSED)))
@pytest.mark.parametrize("before", [b"", b"GET /v1/data/ HTTP/1.1\r\nHost: x\r\n\r\n"], ids=["first", "pipelined"])
def test_malformed_heads_are_refused_and_nothing_after_them_is_read(wire: Wire, number: int, before: bytes) -> None:
    smuggled = with_key(wire, b"DELETE /v1/data/.my/c HTTP/1.1\r\nHost: x\r\n\r\n")
    seen, answered = check(wire, before + REFUSED[number] + smuggled)
    assert len(seen) == len(answered) - 1 == (1 if before else 0)
    assert answered[-1].status in {400, 414, 417, 431, 505}
    assert answered[-1].ends
    assert answered[-1].headers["content-type"] == "application/json"


@pytest.mark.parametrize("number", range(len(BROKEN_CHUNKS)))
def test_broken_chunks_are_refused_and_nothing_after_them_is_read(wire: Wire, number: int) -> None:
    head = with_key(wire, b"PUT /v1/data/.my/c/f HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    smuggled = with_key(wire, b"DELETE /v1/data/.my/c HTTP/1.1\r\nHost: x\r\n\r\n")
    seen, answered = check(wire, head + BROKEN_CHUNKS[number] + smuggled)
    assert seen == []
    assert [answer.status for answer in answered] == [400]
    assert answered[0].ends
    assert (
        "none" in check(wire, with_key(wire, b"GET /v1/data/.my/none HTTP/1.1\r\nHost: x\r\n\r\n"))[1][0].body.decode()
    )


@pytest.mark.parametrize(("raw", "statuses"), ODD)
def test_odd_but_well_formed_requests_are_served(wire: Wire, raw: bytes, statuses: list[int]) -> None:
    raw = with_key(wire, raw)
    seen, answered = wire(raw)
    assert [answer.status for answer in answered] == statuses
    assert seen == oracle(raw).requests


token = st.text("!#$%&'*+.^_`|~09azAZ-", min_size=1, max_size=12)
targets = st.sampled_from(["/v1/data/", "/v1/data/.my/c/f", "/v1/data/.my/c", "/v1/algo/demo/Hello", "/", "//v1/data/?x=1&y", "/%00", "/v1/x:y@z!{}|\\^\"<>"])  # fmt: skip
values = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=20)
known = {"host", "content-length", "transfer-encoding", "connection", "expect", "authorization", "upgrade"}
others = st.lists(st.tuples(token.filter(lambda name: name.lower() not in known), values), max_size=5)


@st.composite
def well_formed(draw: Callable[..., Any]) -> bytes:
    """A request that nobody may refuse, with its body in either coding."""
    method = draw(st.sampled_from(["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "X-Y"]))
    body = draw(st.binary(max_size=60))
    fields = [*draw(others), ("Host", draw(st.sampled_from(["x", "", "127.0.0.1:80", "[::1]:9", "a.b_c-d"])))]
    chunked = draw(st.booleans())
    if chunked:
        fields.append((draw(st.sampled_from(["Transfer-Encoding", "transfer-encoding"])), "chunked"))
        cuts = sorted(draw(st.lists(st.integers(0, len(body)), max_size=4)))
        pieces = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
        extension = draw(st.sampled_from([b"", b";a", b";a=b", b';a="b c"']))
        sent = b"".join(b"%x%s\r\n%s\r\n" % (len(piece), extension, piece) for piece in pieces if piece) + b"0\r\n\r\n"
    else:
        fields.append(("Content-Length", str(len(body))))
        sent = body
    fields = draw(st.permutations(fields))
    spaces = st.sampled_from(["", " ", "\t "])
    lines = [f"{name}:{draw(spaces)}{value}{draw(spaces)}\r\n" for name, value in fields]
    return f"{method} {draw(targets)} HTTP/1.1\r\n{''.join(lines)}\r\n".encode("latin-1") + sent


@PLENTY
@given(st.lists(well_formed(), min_size=1, max_size=3))
def test_well_formed_requests_come_through_as_they_are(wire: Wire, requests: list[bytes]) -> None:
    raw = b"".join(requests)
    expected = oracle(raw)
    assert (len(expected.requests), expected.refused) == (len(requests), False)
    seen, answered = check(wire, raw)
    assert seen == expected.requests
    assert len(answered) == len(requests)


PIECES = [
    b"GET ", b"PUT ", b"HEAD ", b"/", b"/v1/data/ ", b" ", b"  ", b"\t", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"\r\n", b"\r\n\r\n",
    b"\n", b"\r", b"\0", b":", b",", b";", b"Host: x\r\n", b"Host:", b"Content-Length: 3\r\n", b"Content-Length: 0\r\n",
    b"Content-Length", b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding", b"chunked", b"identity", b"Connection: close\r\n",
    b"Connection: keep-alive\r\n", b"Expect: 100-continue\r\n", b"Upgrade: h2c\r\n", b"3\r\nabc\r\n", b"0\r\n\r\n", b"0\r\n", b"3", b"abc",
    b"+3", b"0x3", b"ff", b"\x7f", b"\x80", b"\xff", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"PUT /v1/data/.my/c/f HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"PUT /v1/data/.my/c/f HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
]  # fmt: skip


@PLENTY
@given(st.lists(st.sampled_from(PIECES), max_size=14).map(b"".join))
def test_pieces_of_requests_in_any_order_are_read_as_h11_reads_them_or_refused(wire: Wire, raw: bytes) -> None:
    check(wire, raw)


@st.composite
def damaged(draw: Callable[..., Any]) -> bytes:
    """Well-formed requests with a few bytes changed, left out, or put in."""
    raw = b"".join(draw(st.lists(well_formed(), min_size=1, max_size=2)))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(raw)))
        inserted = draw(st.sampled_from([b"", *PIECES]) | st.binary(max_size=2))
        raw = raw[:at] + inserted + raw[at + draw(st.integers(0, 3)) :]
    return raw


@PLENTY
@given(damaged())
def test_damaged_requests_are_read_as_h11_reads_them_or_refused(wire: Wire, raw: bytes) -> None:
    check(wire, raw)


HEADS = [
    *(b"%s /x HTTP/1.1\r\nHost: a%s" % (method, more) for method in (b"GET", b"PUT") for more in (b"", b"b")),
    b"GET /x HTTP/1.0\r\nHost: a",
    b"GET /x HTTP/1.0",
    b"GET /x HTTP/1.1",
    b"PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3",
    b"PUT /x HTTP/1.0\r\nHost: a\r\nContent-Length: 3",
    b"PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked",
    b"PUT /x HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked",
    b"PUT /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue",
    b"PUT /x HTTP/1.0\r\nHost: a\r\nExpect: 100-continue",
    b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: close",
    b"GET /x HTTP/1.1\r\nHost: a\r\nAuthorization: Simple x",
    b"GET /y HTTP/1.1\r\nHost: a\r\nAuthorization: Simple y",
]


def test_a_request_is_read_the_same_whatever_came_before_it() -> None:
    def read(head: bytes, known: Head | None = None) -> Head | tuple[int, str]:
        try:
            return parse_head(head, known)
        except BadRequest as error:
            return error.status, error.reason

    for before in HEADS:
        known = read(before)
        if isinstance(known, Head):
            assert [read(head, known) for head in HEADS] == [read(head) for head in HEADS]
