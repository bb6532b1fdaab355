"""Each request is signed as it is sent: retries again, bodies in memory included, for no other host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from algo_core.errors import ConfigError
from algo_core.http.client import Hooks, HttpClient
from algo_core.http.transport import BytesBody, Request
from algo_core.settings.profile import Profile

pytestmark = pytest.mark.usefixtures("plain_environment")

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nRetry-After: 0\r\n\r\n"


class Notary:
    """Signs with a number, and keeps what it has seen."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, Any]] = []

    def __call__(self, request: Request, profile: Profile) -> list[Mapping[str, str]]:
        self.seen.append((request.method, request.url, getattr(request.body, "data", None)))
        return [{"X-Signature": str(len(self.seen)), "accept": "signed/thing"}]


def client(address: str, notary: Any, way: str, retries: int = 0) -> HttpClient:
    def adapted(session: Any, profile: Profile) -> None:
        session.hooks["response"].append(lambda response, **options: response)

    hooks = Hooks(sign=notary, configure=adapted if way == "requests" else None)
    return HttpClient(Profile("default", address), timeout=(60, 60), retries=retries, hooks=hooks)


def test_each_attempt_has_a_signature_of_its_own(wire_server: Any, way: str) -> None:
    server, notary = wire_server(BUSY, OK, closes=False), Notary()
    with client(server.address, notary, way, retries=2) as made:
        url = f"{server.address}/v1/x"
        assert made.send("PUT", url, headers={"Accept": "other"}, body=BytesBody(b"content")).status == 200
        assert not made.is_direct(url), "what is signed goes neither through pipelines nor through helper processes"
    assert notary.seen == [("PUT", url, b"content")] * 2
    sent = [bytes(request) for request in server.requests]
    assert [b"X-Signature: 1" in sent[0], b"X-Signature: 2" in sent[1]] == [True, True]
    assert all(b"signed/thing" in request and b"other" not in request for request in sent)


def test_no_other_host_sees_a_signature(wire_server: Any, way: str) -> None:
    home, other, notary = wire_server(OK), wire_server(OK), Notary()
    with client(home.address, notary, way) as made:
        assert made.send("GET", f"{other.address}/v1/x").status == 200
    assert notary.seen == []
    assert b"X-Signature" not in bytes(other.requests[0])


@pytest.mark.parametrize("headers", [{"X-A": "b\r\nX-C: d"}, {"Content-Length": "1"}, {"X A": "b"}])
def test_what_cannot_be_a_header_is_not_sent(wire_server: Any, way: str, headers: dict[str, str]) -> None:
    server = wire_server(OK)
    with client(server.address, lambda request, profile: [headers], way) as made, pytest.raises(ConfigError):
        made.send("GET", f"{server.address}/v1/x")
