"""A served platform, a proxy before it in which things go wrong, and `algo` as a process on each way through it."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme
from faults.proxy import FaultProxy
from faults.scene import Collection, Running

from algo_core.testing import Home
from algo_core.testing.platform import Platform, Served


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory, algo_index_cache: Path) -> Iterator[Served]:
    """The platform, as a process of its own."""
    platform = Platform(Home(tmp_path_factory.mktemp("platform"), cache=algo_index_cache))
    yield platform.serve("jane")
    platform.close()


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Who signs the proxy's certificate."""
    return trustme.CA()


@pytest.fixture
def collection(served: Served) -> Iterator[Collection]:
    """An empty collection."""
    collection = Collection(served)
    yield collection
    collection.close()


@pytest.fixture(params=["direct", "requests", "tls"])
def way(request: pytest.FixtureRequest) -> str:
    """How `algo` reaches the proxy.

    `direct`: as the platform. `requests`: as an HTTP proxy, which only requests speaks to. `tls`: as the platform,
    encrypted.
    """
    return str(request.param)


@pytest.fixture
def proxy(served: Served, way: str, authority: trustme.CA) -> Iterator[FaultProxy]:
    """The proxy before the platform."""
    context = None
    if way == "tls":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
    proxy = FaultProxy(served.address, tls=context)
    yield proxy
    proxy.close()


@pytest.fixture
def algo(algo_home: Home, served: Served, proxy: FaultProxy, way: str, authority: trustme.CA) -> Home:
    """A home whose `algo` reaches the platform through the proxy."""
    algo_home.environ |= {
        "ALGORITHMIA_API": proxy.address,
        "ALGORITHMIA_API_KEY": served.key,
        "ALGO_TIMEOUT": "60",
        "LOGNAME": "jane",
        "PYTHONPATH": str(Path(__file__).with_name("quick")),
    }
    if way == "requests":
        algo_home.environ["http_proxy"] = proxy.address
    if way == "tls":
        file = algo_home.root / "ca.pem"
        authority.cert_pem.write_to_path(file)
        algo_home.environ["REQUESTS_CA_BUNDLE"] = str(file)
    return algo_home


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """An empty directory to work in."""
    path = tmp_path / "work"
    path.mkdir()
    return path


@pytest.fixture
def older(work: Path) -> Path:
    """A file that a download would replace."""
    path = work / "f"
    path.write_text("older")
    return path


@pytest.fixture
def start(algo: Home) -> Iterator[Callable[..., Running]]:
    """Starts `algo` and goes on: `start("cp", SOURCE, DEST)`."""
    started: list[Running] = []

    def start(*words: str | Path) -> Running:
        started.append(Running(algo, *words))
        return started[-1]

    yield start
    for running in started:
        if running.process.poll() is None:
            running.process.kill()
        running.process.communicate()
