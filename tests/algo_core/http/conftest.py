"""Servers that answer with bytes of the tests' choice, and clients of both transports."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.wire_server import Wire, WireServer

from algo_core.http.client import Hooks, HttpClient
from algo_core.settings.credentials import Credential, Secret
from algo_core.settings.profile import Profile

KEY = "sim" + "k" * 25


@pytest.fixture
def wire_server() -> Iterator[Callable[..., WireServer]]:
    """Starts a server: `wire_server(b"HTTP/1.1 200 OK...", closes=False)`."""
    started: list[WireServer] = []

    def start(*wires: Wire, **options: Any) -> WireServer:
        started.append(WireServer(*wires, **options))
        return started[-1]

    yield start
    for server in started:
        server.close()


@pytest.fixture
def client_for() -> Iterator[Callable[..., HttpClient]]:
    """Makes a client: `client_for(address, "requests", retries=0)`."""
    made: list[HttpClient] = []

    def adapted(session: Any, profile: Profile) -> None:
        session.hooks["response"].append(lambda response, **options: response)

    def make(address: str, way: str = "direct", *, retries: int = 0, timeout: float = 60, **members: Any) -> HttpClient:
        profile = Profile("default", address, credential=Credential("api_key", Secret(KEY)), **members)
        hooks = Hooks(configure=adapted if way == "requests" else None)
        made.append(HttpClient(profile, timeout=(60, timeout), retries=retries, hooks=hooks))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture(params=["direct", "requests"])
def way(request: pytest.FixtureRequest) -> str:
    """How requests are sent."""
    return str(request.param)
