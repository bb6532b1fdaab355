"""A credential that is refused, or runs out, is renewed once for all requests, which are sent again with the new one."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from algo_core.errors import ConfigError
from algo_core.http.client import MAX_REFUSALS, Hooks, HttpClient
from algo_core.http.transport import BytesBody
from algo_core.settings.config import Config, Layer
from algo_core.settings.credentials import Credential, Secret
from algo_core.settings.profile import Profile
from algo_core.settings.profiles import ProfileResolver
from algo_core.testing import FakePlatform, FakeResponse, RecordedRequest

pytestmark = pytest.mark.usefixtures("plain_environment")


def ticket(number: int, expires_at: float | None = None) -> Credential:
    return Credential("bearer_token", Secret(f"ticket-{number}"), "the ticket office", expires_at)


class Gate(FakePlatform):
    """Takes each ticket for `lifetime` requests, and keeps what was sent with a valid one."""

    def __init__(self, lifetime: int) -> None:
        super().__init__()
        self.lifetime = lifetime
        self.used: dict[str, int] = {}
        self.valid = "ticket-1"
        self.bodies: list[bytes] = []
        self.statuses: list[int] = []
        self.lock = threading.Lock()

    def otherwise(self, request: RecordedRequest) -> FakeResponse:
        shown = (request.credential or "").removeprefix("Bearer ")
        with self.lock:
            self.used[shown] = self.used.get(shown, 0) + 1
            status = 200 if shown == self.valid and self.used[shown] <= self.lifetime else 401
            self.statuses.append(status)
            if status == 200 and request.body:
                self.bodies.append(request.body)
        return FakeResponse(status, b"{}")


class Office:
    """Gives out tickets, which the gate takes from then on."""

    def __init__(self, gate: Gate, *, is_honest: bool = True) -> None:
        self.gate, self.is_honest = gate, is_honest
        self.refused: list[str] = []

    def __call__(self, profile: Profile, refused: Credential) -> Credential | None:
        self.refused.append(refused.secret.reveal())
        number = len(self.refused) + 1
        if self.is_honest:
            self.gate.valid = f"ticket-{number}"
        return ticket(number)


@pytest.fixture
def gate() -> Iterator[Callable[[int], Gate]]:
    gates: list[Gate] = []

    def start(lifetime: int) -> Gate:
        gates.append(Gate(lifetime))
        gates[-1].start()
        return gates[-1]

    yield start
    for server in gates:
        server.close()


@pytest.fixture
def visitor(way: str) -> Iterator[Callable[..., HttpClient]]:
    clients: list[HttpClient] = []

    def adapted(session: Any, profile: Profile) -> None:
        session.hooks["response"].append(lambda response, **options: response)

    def make(gate: Gate, renew: Any, credential: Credential | None = None) -> HttpClient:
        profile = Profile("default", gate.address, credential=credential or ticket(1))
        hooks = Hooks(configure=adapted if way == "requests" else None, renew=renew)
        clients.append(HttpClient(profile, timeout=(60, 60), retries=0, hooks=hooks))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


def status(client: HttpClient, gate: Gate, method: str = "GET", **options: Any) -> int:
    with client.send(method, f"{gate.address}/v1/x", **options) as response:
        return response.status


def test_requests_go_on_with_the_next_ticket(visitor: Callable[..., HttpClient], gate: Callable[[int], Gate]) -> None:
    server = gate(5)
    office = Office(server)
    client = visitor(server, office)
    assert [status(client, server) for _ in range(23)] == [200] * 23
    assert office.refused == ["ticket-1", "ticket-2", "ticket-3", "ticket-4"]
    assert client.profile.credential == ticket(5)


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_what_was_sent_is_sent_again(
    visitor: Callable[..., HttpClient], gate: Callable[[int], Gate], method: str
) -> None:
    server = gate(1)
    client = visitor(server, Office(server))
    contents = [b"a" * 300_000, b"b" * 300_000, b"c"]
    assert [status(client, server, method, body=BytesBody(content)) for content in contents] == [200] * 3
    assert server.bodies == contents


def test_what_cannot_be_read_again_is_refused(visitor: Callable[..., HttpClient], gate: Callable[[int], Gate]) -> None:
    class Once:
        size = 5

        def __iter__(self) -> Iterator[bytes]:
            yield io.BytesIO(b"bytes").read()

        def rewind(self) -> bool:
            return False

    server = gate(0)
    client = visitor(server, Office(server))
    assert status(client, server, "PUT", body=Once()) == 401
    assert server.bodies == []


def test_threads_share_one_renewal(visitor: Callable[..., HttpClient], gate: Callable[[int], Gate]) -> None:
    server = gate(10_000)
    server.valid = "ticket-2"
    meeting = threading.Barrier(16)
    office = Office(server)

    def ask(_: int) -> int:
        meeting.wait(60)
        return status(client, server)

    client = visitor(server, office)
    with ThreadPoolExecutor(16) as threads:
        assert list(threads.map(ask, range(16))) == [200] * 16
    assert office.refused == ["ticket-1"]


def test_it_ends_where_every_ticket_is_refused(visitor: Callable[..., HttpClient], gate: Callable[[int], Gate]) -> None:
    server = gate(0)
    office = Office(server, is_honest=False)
    client = visitor(server, office)
    assert status(client, server) == 401
    assert len(office.refused) <= MAX_REFUSALS
    assert [status(client, server) for _ in range(5)] == [401] * 5
    assert len(office.refused) <= MAX_REFUSALS, "others do not ask again"


@pytest.mark.parametrize("given", [None, ticket(1)])
def test_without_another_ticket_the_refusal_stands(
    visitor: Callable[..., HttpClient], gate: Callable[[int], Gate], given: Credential | None
) -> None:
    server = gate(0)
    client = visitor(server, lambda profile, refused: given)
    assert status(client, server) == 401
    assert server.statuses == [401]


def test_a_ticket_is_renewed_before_it_runs_out(
    visitor: Callable[..., HttpClient], gate: Callable[[int], Gate]
) -> None:
    server = gate(10)
    office = Office(server)
    client = visitor(server, office, ticket(1, time.time() + 30))
    assert [status(client, server) for _ in range(3)] == [200] * 3
    assert (office.refused, server.statuses) == (["ticket-1"], [200] * 3)
    later = Office(server)
    server.valid = "ticket-1"
    client = visitor(server, later, ticket(1, time.time() + 3600))
    assert status(client, server) == 200
    assert later.refused == []


@pytest.mark.parametrize("lifetime", [40.0, 3.0, 0.0, -3600.0])
def test_tickets_that_live_shorter_than_a_minute_are_not_renewed_for_each_request(
    visitor: Callable[..., HttpClient], gate: Callable[[int], Gate], monkeypatch: pytest.MonkeyPatch, lifetime: float
) -> None:
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)  # or a machine that is slow renews them, rightly
    server = gate(1000)
    office = Office(server)
    client = visitor(
        server,
        lambda profile, refused: (office(profile, refused) or ticket(0))._replace(expires_at=time.time() + lifetime),
        ticket(1, time.time() + lifetime),
    )
    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(lambda _: status(client, server), range(40))) == {200}
    assert len(office.refused) <= 2


@pytest.mark.parametrize("answer", [None, "the same", ConfigError("the office is closed")])
def test_a_ticket_that_cannot_be_renewed_early_is_used_until_it_is_refused(
    visitor: Callable[..., HttpClient], gate: Callable[[int], Gate], answer: Any
) -> None:
    server = gate(20)
    office = Office(server)
    asked: list[Credential] = []

    def renew(profile: Profile, refused: Credential) -> Credential | None:
        asked.append(refused)
        if len(asked) > 1:
            return office(profile, refused)
        if isinstance(answer, Exception):
            raise answer
        return refused if answer else None

    client = visitor(server, renew, ticket(1, time.time() + 30))
    assert [status(client, server) for _ in range(20)] == [200] * 20
    assert len(asked) == 1
    assert status(client, server) == 200
    assert len(asked) == 2


def test_a_ticket_goes_to_no_other_host(visitor: Callable[..., HttpClient], gate: Callable[[int], Gate]) -> None:
    home, other = gate(10), gate(0)
    office = Office(home)
    client = visitor(home, office)
    with client.send("GET", f"{other.address}/v1/x") as response:
        assert response.status == 401
    assert (office.refused, other.used) == ([], {"": 1})


def test_only_what_can_change_is_asked_for_again() -> None:
    asked: list[Credential | None] = []

    def office(profile: Profile, refused: Credential | None) -> Credential:
        asked.append(refused)
        return ticket(len(asked))

    def resolver(table: dict[str, Any], environ: dict[str, str]) -> ProfileResolver:
        user = {"profiles": {"default": {"address": "https://a.example", **table}}}
        return ProfileResolver(Config(Layer(user, "c"), [Layer({}, "s")], environ), other_credential=office)

    found = resolver({}, {})
    profile = found.resolve()
    assert profile.credential == ticket(1)
    assert profile.credential
    assert found.renewed(profile, profile.credential) == ticket(2)
    assert asked == [None, ticket(1)]
    for table, environ in (({"api_key": "simA"}, {}), ({}, {"ALGORITHMIA_API_KEY": "simB"})):
        static = resolver(table, environ)
        profile = static.resolve()
        assert profile.credential
        assert static.renewed(profile, profile.credential) is None
    assert len(asked) == 2
