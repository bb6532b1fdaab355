"""Small requests by the thousand: each sent once, several on their way, and nothing taken for a response that is none."""

import threading
from collections.abc import Callable, Iterator

import pytest
from support.stub import StubPlatform

from algo_core.errors import NetworkError, TimedOut
from algo_core.http.api import ApiClient
from algo_core.http.client import Hooks, HttpClient
from algo_core.http.pipeline import Pipeline
from algo_core.settings.credentials import Credential, Secret
from algo_core.settings.profile import Profile

KEY = "sim" + "k" * 25
LIMIT = 1 << 18


@pytest.fixture
def api(stub: StubPlatform) -> Iterator[ApiClient]:
    profile = Profile("default", stub.address, credential=Credential("api_key", Secret(KEY)))
    with HttpClient(profile, timeout=(60, 60), retries=4) as client:
        yield ApiClient(client)


@pytest.fixture
def pipeline(api: ApiClient) -> Pipeline:
    pipeline = api.pipeline(LIMIT)
    assert pipeline
    return pipeline


def raw(wire: bytes, pause: float = 0) -> Callable:
    def answer(handler) -> None:
        handler.wfile.write(wire)
        handler.wfile.flush()
        threading.Event().wait(pause)
        handler.close_connection = True

    return answer


def test_a_request_says_what_every_request_says(api, pipeline, stub) -> None:
    stub.on("GET", "/v1/data/.my/c/a%20b", stub.answer(200, b"hello", {"ETag": '"v1"'}))
    answer = pipeline.get(api.target("data/.my/c/a b")).wait()
    assert answer == (200, answer.headers, b"hello")
    assert answer.headers["etag"] == '"v1"'
    seen = stub.seen[0].headers
    assert (seen["Authorization"], seen["Accept-Encoding"], seen["Accept"]) == (f"Simple {KEY}", "identity", "*/*")
    assert seen["User-Agent"].startswith("algo/")


def test_what_is_put_arrives(api, pipeline, stub) -> None:
    stub.on("PUT", "/v1/x", stub.json_answer({"result": "data://x"}), stub.answer(204), raw(
        b"HTTP/1.1 204 No Content\r\n\r\n"
    ))  # fmt: skip
    for content, status in ((b"abc", 200), (b"", 204), (b"x" * LIMIT, 204)):
        assert pipeline.put(api.target("x"), content).wait().status == status
        assert stub.seen[-1].body == content
        assert stub.seen[-1].headers["Content-Type"] == "application/octet-stream"


def test_several_are_on_their_way_and_use_their_connections_again(api, pipeline, stub) -> None:
    for number in range(4):
        stub.on("GET", f"/v1/{number}", stub.answer(200, str(number).encode() * 100_000))
    for _ in range(3):
        asked = [pipeline.get(api.target(str(number))) for number in range(4)]
        assert [each.wait().content for each in asked] == [str(number).encode() * 100_000 for number in range(4)]
    assert len({seen.peer for seen in stub.seen}) == 4


def test_one_that_is_not_wanted_any_more_is_not_taken_for_the_next(api, pipeline, stub) -> None:
    stub.on("GET", "/v1/x", stub.answer(200, b"x"))
    stub.on("GET", "/v1/y", stub.answer(200, b"y"))
    pipeline.get(api.target("x")).forget()
    assert pipeline.get(api.target("y")).wait().content == b"y"


@pytest.mark.parametrize(
    "wire",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (LIMIT + 1),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nSet-Cookie: lb=7\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\n\r\nhello",
        b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        b"SSH-2.0\r\n\r\n",
    ],
)
def test_what_is_not_plain_is_left_to_others(api, pipeline, stub, wire) -> None:
    stub.on("GET", "/v1/x", raw(wire), stub.answer(200, b"again"))
    assert pipeline.get(api.target("x")).wait() is None
    assert pipeline.get(api.target("x")).wait().content == b"again", "on another connection"


@pytest.mark.parametrize(
    "wire",
    [
        b"",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
    ],
)
def test_what_breaks_off_is_an_error_and_sent_once(api, pipeline, stub, wire) -> None:
    stub.on("GET", "/v1/x", raw(wire))
    with pytest.raises(NetworkError):
        pipeline.get(api.target("x")).wait()
    assert len(stub.seen) == 1


def test_headers_without_end_end(api, pipeline, stub) -> None:
    stub.on("GET", "/v1/x", raw(b"HTTP/1.1 200 OK\r\n" + b"X-More: and more\r\n" * 100_000))
    with pytest.raises(NetworkError, match="too many headers"):
        pipeline.get(api.target("x")).wait()


def test_more_than_was_announced_does_not_reach_the_next_answer(api, pipeline, stub) -> None:
    stub.on("GET", "/v1/x", raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok, and more"), stub.answer(200, b"n"))
    assert pipeline.get(api.target("x")).wait().content == b"ok"
    assert pipeline.get(api.target("x")).wait().content == b"n"


def test_silence_ends_at_the_time_limit(stub) -> None:
    profile = Profile("default", stub.address, credential=Credential("api_key", Secret(KEY)))
    stub.on("GET", "/v1/x", raw(b"HTTP/1.1 200 OK\r\n", pause=3))
    with HttpClient(profile, timeout=(60, 0.2), retries=4) as client:
        api = ApiClient(client)
        pipeline = api.pipeline(LIMIT)
        assert pipeline
        with pytest.raises(TimedOut):
            pipeline.get(api.target("x")).wait()


def test_there_is_none_where_requests_is_needed(stub) -> None:
    profile = Profile("default", stub.address, credential=Credential("api_key", Secret(KEY)))
    hooks = Hooks(configure=lambda session, profile: session.params.update({"company": "acme"}))
    with HttpClient(profile, timeout=(60, 60), retries=4, hooks=hooks) as client:
        assert ApiClient(client).pipeline(LIMIT) is None
