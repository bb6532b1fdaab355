"""Requests sent directly and with requests: both behave alike."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator

import pytest
import requests
import trustme

from algo_core.errors import NetworkError, TimedOut, TlsError
from algo_core.http.client import Hooks, HttpClient
from algo_core.settings.credentials import Credential, Secret
from algo_core.settings.profile import Profile

KEY = "sim" + "k" * 25


pytestmark = pytest.mark.usefixtures("plain_environment")


@pytest.fixture(params=["direct", "requests"])
def way(request) -> str:
    return str(request.param)


@pytest.fixture
def plain_calls(monkeypatch) -> list[str]:
    """The methods of what went through requests."""
    calls: list[str] = []
    send = requests.Session.request

    def watch(self, method, url, **options):
        calls.append(method)
        return send(self, method, url, **options)

    monkeypatch.setattr(requests.Session, "request", watch)
    return calls


@pytest.fixture
def http_client(stub, way, plain_calls) -> Iterator[HttpClient]:
    client = make(stub.address, way)
    yield client
    assert bool(plain_calls) == (way == "requests"), "it did not go the way that this test is about"


def adapted(session: requests.Session, profile: Profile) -> None:
    """What a plugin might do, so that requests is needed."""
    session.hooks["response"].append(lambda response, **options: response)


def make(
    address: str, way: str = "direct", *, timeout: float = 60, retries: int = 4, configure=None, **members: object
) -> HttpClient:
    profile = Profile("default", address, credential=Credential("api_key", Secret(KEY)), **members)  # type: ignore[arg-type]
    hooks = Hooks(configure=adapted if way == "requests" else configure)
    return HttpClient(profile, timeout=(60, timeout), retries=retries, hooks=hooks)


class Text:
    """Content in blocks of some bytes."""

    def __init__(self, data: bytes, block: int = 10, rewinds: bool = True) -> None:
        self.data, self.block, self.rewinds, self.times = data, block, rewinds, 0
        self.size = len(data)

    def __iter__(self) -> Iterator[bytes]:
        self.times += 1
        return (self.data[i : i + self.block] for i in range(0, len(self.data), self.block))

    def rewind(self) -> bool:
        return self.rewinds


def raw(*parts: bytes, close: bool = True, pause: float = 0) -> Callable:
    """An answer as bytes on the wire."""

    def answer(handler) -> None:
        for part in parts:
            handler.wfile.write(part)
            handler.wfile.flush()
            threading.Event().wait(pause)
        handler.close_connection = close

    return answer


def test_status_headers_and_body(http_client, stub) -> None:
    stub.on("GET", "/v1/x", stub.answer(200, b"hello", {"ETag": '"v1"', "X-Data-Type": "file"}))
    with http_client.send("GET", stub.address + "/v1/x?a=1", headers={"Range": "bytes=0-"}) as response:
        assert (response.status, response.reason, response.ok) == (200, "OK", True)
        assert response.headers["etag"] == response.headers["ETag"] == '"v1"'
        assert response.headers.get("x-data-type") == "file"
        assert response.content == b"hello"
    seen = stub.seen[0]
    assert seen.path == "/v1/x?a=1"
    assert seen.headers["Authorization"] == f"Simple {KEY}"
    assert seen.headers["Range"] == "bytes=0-"
    assert seen.headers["User-Agent"].startswith("algo/")
    assert seen.headers["Host"] == stub.address.partition("//")[2]
    assert seen.headers["Accept-Encoding"] == "identity"
    assert (seen.headers["Accept"], seen.headers["Connection"]) == ("*/*", "keep-alive")


def test_a_refused_head_has_a_length_and_no_body(http_client, stub) -> None:
    stub.on("HEAD", "/v1/x", stub.answer(404, b"", {"Content-Length": "153"}))
    response = http_client.send("HEAD", stub.address + "/v1/x")
    assert (response.status, response.content) == (404, b"")


def test_a_body_read_in_pieces_and_a_connection_used_again(http_client, stub) -> None:
    stub.on("GET", "/v1/x", stub.answer(200, bytes(range(256)) * 1000))
    for _ in range(3):
        buffer, got = bytearray(1000), bytearray()
        with http_client.send("GET", stub.address + "/v1/x") as response:
            while count := response.readinto(buffer):
                got += buffer[:count]
        assert got == bytes(range(256)) * 1000
    assert len({seen.peer for seen in stub.seen}) == 1


def test_a_response_that_is_closed_early_gives_no_broken_connection_back(http_client, stub) -> None:
    stub.on("GET", "/v1/x", stub.answer(200, b"x" * 1_000_000))
    stub.on("GET", "/v1/y", stub.answer(200, b"fine"))
    with http_client.send("GET", stub.address + "/v1/x") as response:
        response.readinto(bytearray(10))
    assert http_client.send("GET", stub.address + "/v1/y").content == b"fine"


@pytest.mark.parametrize("status", [200, 204, 404, 500])
def test_answers_without_a_body(http_client, stub, status) -> None:
    http_client.retries = 0
    stub.on("HEAD", "/v1/x", stub.answer(status, b"", {"Content-Length": "77" if status != 204 else "0"}))
    response = http_client.send("HEAD", stub.address + "/v1/x") if status != 500 else None
    if response:
        assert (response.status, response.content if status == 204 else response.readinto(bytearray(9))) in {
            (status, 0),
            (status, b""),
        }
    stub.on("DELETE", "/v1/x", stub.answer(204))
    assert http_client.send("DELETE", stub.address + "/v1/x").content == b""


@pytest.mark.parametrize(
    "wire",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello world",
        b"HTTP/1.0 200 OK\r\n\r\nhello world",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world",
        b"HTTP/1.1 200 OK\r\nX-Folded: a\r\n b\r\ncontent-length:11\r\n\r\nhello world",
        b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length:11\r\n\r\nhello world",
        b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\nContent-Length: 11\r\n\r\nhello world",
    ],
)
@pytest.mark.parametrize("cut", [1, 20, 10_000])
def test_unusual_but_legal_answers(http_client, stub, wire, cut) -> None:
    pieces = [wire[i : i + cut] for i in range(0, len(wire), cut)] if cut > 1 else [wire[:1], wire[1:]]
    stub.on("GET", "/v1/x", raw(*pieces, pause=0.002))
    assert http_client.send("GET", stub.address + "/v1/x").content == b"hello world"


@pytest.mark.parametrize("wire", [b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b""])
def test_what_is_no_answer(http_client, stub, wire) -> None:
    http_client.retries = 1
    stub.on("GET", "/v1/x", raw(wire))
    with pytest.raises(NetworkError):
        _ = http_client.send("GET", stub.address + "/v1/x").content


def test_headers_that_are_cut_off(stub) -> None:
    stub.on("GET", "/v1/x", raw(b"HTTP/1.1 200 OK\r\nContent"))
    with pytest.raises(NetworkError):
        make(stub.address, retries=1).send("GET", stub.address + "/v1/x")


def test_a_body_that_is_cut_off_is_noticed(http_client, stub) -> None:
    stub.on("GET", "/v1/x", raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"))
    with pytest.raises(NetworkError):
        _ = http_client.send("GET", stub.address + "/v1/x").content


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_may_be_repeated_is(http_client, stub, status) -> None:
    failing = stub.json_answer({"error": {"message": "busy"}}, status)
    for method in ("GET", "PUT", "DELETE"):
        stub.seen.clear()
        stub.on(method, "/v1/x", failing, failing, stub.answer(200, b"ok"))
        content = Text(b"x" * 25) if method == "PUT" else None
        assert http_client.send(method, stub.address + "/v1/x", body=content).content == b"ok"
        assert [seen.method for seen in stub.seen] == [method] * 3
        if content:
            assert [seen.body for seen in stub.seen] == [b"x" * 25] * 3


def test_after_the_last_try_the_answer_comes_through(http_client, stub) -> None:
    http_client.retries = 4
    stub.on("POST", "/v1/x", stub.json_answer({"error": {"message": "full"}}, 503))
    response = http_client.send("POST", stub.address + "/v1/x", body=Text(b"x"))
    assert (response.status, response.json()["error"]["message"]) == (503, "full")
    assert len(stub.seen) == 1


def test_retry_after_is_honoured(http_client, stub, monkeypatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    stub.on("GET", "/v1/x", stub.json_answer({}, 429, **{"Retry-After": "3"}), stub.answer(200, b"ok"))
    assert http_client.send("GET", stub.address + "/v1/x").content == b"ok"
    assert 3 in waits


def test_dropped_connections_are_made_again(http_client, stub) -> None:
    def drop(handler) -> None:
        handler.connection.shutdown(socket.SHUT_RDWR)
        handler.close_connection = True

    stub.on("PUT", "/v1/x", drop, drop, stub.answer(200, b"ok"))
    assert http_client.send("PUT", stub.address + "/v1/x", body=Text(b"abc")).content == b"ok"


def test_a_connection_that_the_server_has_closed_meanwhile(http_client, stub, way) -> None:
    def then_close(handler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        handler.close_connection = True

    stub.on("GET", "/v1/x", then_close)
    http_client.retries = 0 if way == "direct" else 4  # the close may come after requests has looked for it
    for _ in range(3):
        assert http_client.send("GET", stub.address + "/v1/x").content == b"ok"


def test_what_may_not_be_repeated_goes_on_no_connection_that_was_closed_meanwhile(http_client) -> None:
    """Nobody could tell whether it arrived, so the connection is looked at before, however recently it served."""
    closed, methods = threading.Event(), []

    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            for _ in range(2):
                connection, _ = server.accept()
                with connection:
                    methods.append(connection.recv(1 << 16).split()[0])
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                closed.set()

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        address = f"http://127.0.0.1:{server.getsockname()[1]}/v1/x"
        assert http_client.send("GET", address).content == b"ok"
        assert closed.wait(60)
        assert http_client.send("POST", address).content == b"ok"
        thread.join(60)
    assert methods == [b"GET", b"POST"]


def test_content_that_cannot_be_read_again_is_sent_once(http_client, stub) -> None:
    stub.on("PUT", "/v1/x", stub.answer(503), stub.answer(200))
    once = Text(b"abc", rewinds=False)
    try:
        assert http_client.send("PUT", stub.address + "/v1/x", body=once).status == 503
    except NetworkError:
        pass
    assert once.times == 1


def test_a_refusal_in_the_middle_of_an_upload_is_heard(http_client, stub, way) -> None:
    """The server answers and closes without reading what is still being sent."""

    with socket.create_server(("127.0.0.1", 0)) as server:

        def refuse() -> None:
            for _ in range(2):
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                connection.recv(1000)
                body = b'{"error":{"message":"too large"}}'
                connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
                connection.shutdown(socket.SHUT_WR)
                threading.Event().wait(0.2)
                connection.close()

        threading.Thread(target=refuse, daemon=True).start()
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        mine = make(address, way, retries=0)
        try:
            response = mine.send("PUT", address + "/v1/x", body=Text(b"x" * 30_000_000, block=1 << 20))
            assert (response.status, response.json()["error"]["message"]) == (413, "too large")
        except NetworkError:
            assert way == "requests", "who speaks HTTP directly hears the answer"
    stub.on("GET", "/v1/x", stub.answer(200))
    http_client.send("GET", stub.address + "/v1/x")


def test_redirects_are_followed_without_the_key_on_another_host(stub, plain_calls) -> None:
    stub.on(
        "GET",
        "/v1/x",
        stub.answer(302, b"", {"Location": stub.address.replace("localhost", "127.0.0.1") + "/v1/y"}),
    )
    stub.on("GET", "/v1/y", stub.answer(200, b"there"))
    response = make(stub.address).send("GET", stub.address + "/v1/x")
    assert response.content == b"there"
    assert "Authorization" not in stub.seen[-1].headers


def test_a_stall_ends_at_the_time_limit(stub, way) -> None:
    stub.on("GET", "/v1/x", raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", pause=3))
    response = make(stub.address, way, timeout=0.2).send("GET", stub.address + "/v1/x")
    with pytest.raises(TimedOut):
        _ = response.content
    stub.on("GET", "/v1/y", raw(b"", pause=3))
    with pytest.raises(TimedOut):
        make(stub.address, way, timeout=0.2, retries=0).send("GET", stub.address + "/v1/y")


def test_nobody_there(way) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
    with pytest.raises(NetworkError, match="refused"):
        make(address, way, retries=1).send("GET", address + "/v1/x")


def test_tls_is_verified_both_ways(stub, way, tmp_path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    stub.close()
    stub.start(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    stub.on("GET", "/v1/x", stub.answer(200, b"sealed"))
    good = make(stub.address, way, ca_cert=str(tmp_path / "ca.pem"))
    assert good.send("GET", stub.address + "/v1/x").content == b"sealed"
    with pytest.raises(TlsError):
        make(stub.address, way).send("GET", stub.address + "/v1/x")
    other = stub.address.replace("localhost", "127.0.0.1")
    with pytest.raises(TlsError):
        make(other, way, ca_cert=str(tmp_path / "ca.pem")).send("GET", other + "/v1/x")


@pytest.mark.parametrize("what", ["proxy", "auth", "adapter", "cookie", "hook"])
def test_what_is_not_plain_goes_through_requests(stub, plain_calls, monkeypatch, what) -> None:
    stub.on("GET", "/v1/x", stub.answer(200, b"ok", {"Set-Cookie": "lb=7"} if what == "cookie" else {}))
    if what == "proxy":
        stub.on("GET", stub.address + "/v1/x", stub.answer(200, b"ok"))
        monkeypatch.setenv("HTTP_PROXY", stub.address)
        monkeypatch.setenv("NO_PROXY", "")

    def configure(session: requests.Session, profile: Profile) -> None:
        if what == "auth":
            session.auth = ("user", "password")
        elif what == "adapter":
            session.mount("http://", type("Special", (requests.adapters.HTTPAdapter,), {})())
        elif what == "hook":
            adapted(session, profile)

    client = make(stub.address, configure=configure)
    assert client.send("GET", stub.address + "/v1/x").content == b"ok"
    assert client.send("GET", stub.address + "/v1/x").content == b"ok"
    assert len(plain_calls) == (1 if what == "cookie" else 2)


def test_each_exchange_is_reported(stub, way) -> None:
    reported = []
    client = make(stub.address, way)
    client.on_exchange = lambda *facts: reported.append(facts[:3])
    stub.on("GET", "/v1/x", stub.answer(200, b"ok"))
    client.send("GET", stub.address + "/v1/x").close()
    assert reported == [("GET", stub.address + "/v1/x", 200)]


def test_what_the_content_raises_comes_through(stub, way) -> None:
    class Bad(Text):
        def __iter__(self) -> Iterator[bytes]:
            yield b"x"
            raise KeyError("the source is gone")

    with pytest.raises(KeyError):
        make(stub.address, way, timeout=1).send("PUT", stub.address + "/v1/x", body=Bad(b"xyz"))
    stub.on("GET", "/v1/x", stub.answer(200, b"ok"))
