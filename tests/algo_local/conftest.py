"""The embedded platform, called in process and over sockets."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from support.embedded import embedded_session
from support.receiver import Receiver
from support.serving import Served

from algo_local.opening import open_platform
from algo_local.platform import Platform
from algo_local.serving.http.listener import listen
from algo_local.serving.http.server import Server
from algo_local.state import State
from algo_local.web.app import Application

if TYPE_CHECKING:
    from support.postgresql import PostgresqlServer


DATABASE = os.environ.get("ALGO_TESTS_DATABASE", "sqlite")
"""The database of tests that do not choose one; other tests change the environment."""


class Client:
    """Sends requests to `/v1/PATH` of one platform, as one account."""

    def __init__(self, address: str, session: requests.Session, key: str | None = None) -> None:
        self.address = address
        self.session = session
        if key:
            session.headers["Authorization"] = f"Simple {key}"

    def __call__(self, method: str, path: str, **options: Any) -> requests.Response:
        return self.session.request(method, f"{self.address}/v1/{path}", **options)

    def mkdir(self, name: str, **members: Any) -> requests.Response:
        return self("POST", "data/.my", json={"name": name, **members})

    def put(self, path: str, data: Any = b"content", **options: Any) -> requests.Response:
        return self("PUT", f"data/{path}", data=data, **options)

    def run(self, path: str, data: Any = b"x", content_type: str = "text/plain", **options: Any) -> requests.Response:
        headers = {"Content-Type": content_type, **options.pop("headers", {})}
        return self("POST", f"algo/{path}", data=data, headers=headers, **options)


@pytest.fixture(autouse=True)
def _remembering(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have answers of the database be remembered from the first on, as on a platform that has served for a while."""
    monkeypatch.setattr("algo_local.metadata.memory.WORTH_REMEMBERING", 0)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests of modules that say `ON_BOTH_DATABASES = True` over PostgreSQL as well, where they have a state."""
    if getattr(metafunc.module, "ON_BOTH_DATABASES", False) and "metadata_url" in metafunc.fixturenames:
        metafunc.parametrize("metadata_url", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresqlServer]:
    """A server for all tests."""
    from support.postgresql import PostgresqlServer  # which imports the driver

    server = PostgresqlServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def tests_database() -> str:
    """`sqlite` or `postgresql`: the database of tests that do not choose one."""
    return DATABASE


@pytest.fixture
def metadata_url(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """The URL of the database of `root`; None for a file.

    `ALGO_TESTS_DATABASE=postgresql` has all tests use a server, but those of modules that say `ONLY_ON_SQLITE = True`,
    since they are about its file.
    """
    database = "sqlite" if getattr(request.module, "ONLY_ON_SQLITE", False) else DATABASE
    if getattr(request, "param", database) != "postgresql":
        yield None
        return
    server: PostgresqlServer = request.getfixturevalue("postgresql")
    url = server.lend()
    yield url
    server.take_back(url)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metadata_url: str | None) -> Path:
    """The directory of the platform's state, not made yet."""
    root = tmp_path / "platform"
    monkeypatch.setenv("ALGO_LOCAL_METADATA", metadata_url or "")
    monkeypatch.setenv("ALGO_LOCAL_ROOT", str(root))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LOGNAME", "jane")
    return root


@pytest.fixture
def platform(root: Path) -> Iterator[Platform]:
    platform = open_platform(State.of())
    yield platform
    platform.close()


@pytest.fixture
def failures() -> list[str]:
    """Tracebacks of what should never have happened; a test that uses a client fails if there are any."""
    return []


@pytest.fixture
def embedded(platform: Platform, failures: list[str]) -> Iterator[Client]:
    """The platform's own person, in process."""
    with embedded_session(Application(platform, trusted=True, on_failure=failures.append)) as session:
        yield Client("local:", session)
    assert failures == []


@pytest.fixture
def address(platform: Platform, failures: list[str]) -> Iterator[str]:
    """The served platform's address."""
    listener = listen("127.0.0.1", 0)
    server = Server(Application(platform, on_failure=failures.append), listener, on_failure=failures.append)
    server.run()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    platform.executor.close()
    server.stop()
    assert failures == []


@pytest.fixture
def account(platform: Platform, address: str) -> Iterator[Callable[[str], Client]]:
    """A client of the served platform for an account of any name: `account("alice")`."""
    sessions = []

    def account(name: str) -> Client:
        session = requests.Session()
        sessions.append(session)
        return Client(address, session, platform.keys.create(platform.metadata.ensure_account(name), "test")[1])

    yield account
    for session in sessions:
        session.close()


@pytest.fixture(params=["embedded", "served"])
def client(request: pytest.FixtureRequest) -> Client:
    """Some account's client, in process and over sockets."""
    if request.param == "embedded":
        found: Client = request.getfixturevalue("embedded")
        return found
    made: Client = request.getfixturevalue("account")("jane")
    return made


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write an algorithm directory; `write(code, name="Hello", **{"requirements.txt": "..."})`."""

    def write(code: str, name: str = "Hello", directory: str = "algorithm", **files: str) -> Path:
        root = tmp_path / directory
        for path, text in {f"src/{name}.py": code, "src/__init__.py": "", **files}.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(textwrap.dedent(text), "utf-8")
        return root

    return write


@pytest.fixture
def publish(platform: Platform, tmp_path: Path) -> Callable[..., None]:
    """Publish code: `publish("alice/Echo", "def apply(input): return input", version="1.0.0")`."""

    def publish(reference: str, code: str, version: str = "1.0.0", *, public: bool = True, **files: str) -> None:
        owner, _, name = reference.partition("/")
        directory = tmp_path / "algorithms" / owner / name / version
        for path, text in {f"src/{name}.py": code, "src/__init__.py": "", **files}.items():
            (directory / path).parent.mkdir(parents=True, exist_ok=True)
            (directory / path).write_text(textwrap.dedent(text), "utf-8")
        platform.publish(directory, owner, name, version, public=public)

    return publish


@pytest.fixture
def serve(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Served]]:
    """`algo local serve` in a process of its own: `serve("--tls-cert", ...)`."""
    monkeypatch.setenv("ALGO_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("ALGO_CACHE_DIR", str(tmp_path / "cache"))
    made: list[Served] = []

    def serve(*options: str, **settings: Any) -> Served:
        made.append(Served(*options, **settings))
        return made[-1]

    yield serve
    for served in made:
        served.kill()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()
