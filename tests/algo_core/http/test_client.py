"""The client: who it trusts, what it repeats, where its secrets go."""

import functools
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
import trustme
from support.ports import closed_port

from algo_core.context import App
from algo_core.errors import ConfigError, NetworkError, NotFoundError, PlatformError, TimedOut, TlsError
from algo_core.http.api import ApiClient
from algo_core.http.client import Hooks, HttpClient
from algo_core.http.requests_transport import AlgoSession, retry_policy
from algo_core.settings.credentials import Credential, Secret
from algo_core.settings.profile import Profile

KEY = "sim" + "k" * 25


pytestmark = pytest.mark.usefixtures("plain_environment")


@pytest.fixture(params=["direct", "requests"])
def connect(request: pytest.FixtureRequest) -> Callable[..., ApiClient]:
    """Makes the client for an address, which sends directly or with requests."""

    def adapted(session: requests.Session, profile: Profile) -> None:
        session.hooks["response"].append(lambda response, **options: response)

    hooks = Hooks(configure=adapted if request.param == "requests" else None)
    return functools.partial(made, hooks)


def made(hooks: Hooks | None, address: str, *, retries: int = 4, timeout: float = 60.0, **members: object) -> ApiClient:
    profile = Profile("default", address, credential=Credential("api_key", Secret(KEY)), **members)  # type: ignore[arg-type]
    return ApiClient(HttpClient(profile, timeout=(5, timeout), retries=retries, hooks=hooks))


def session_for(address: str, **members: object) -> AlgoSession:
    profile = Profile("default", address, credential=Credential("api_key", Secret(KEY)), **members)  # type: ignore[arg-type]
    return AlgoSession(profile, timeout=(5, 7), retries=4)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls_platform(stub, authority):
    stub.close()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    stub.start(context)
    return stub


@pytest.fixture
def ca_file(authority, tmp_path: Path) -> Path:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return tmp_path / "ca.pem"


def test_the_profiles_ca_is_trusted(connect, tls_platform, ca_file) -> None:
    assert connect(tls_platform.address, ca_cert=str(ca_file)).username() == "alice"


def test_without_it_the_platform_is_not(connect, tls_platform) -> None:
    with pytest.raises(TlsError) as caught:
        connect(tls_platform.address).username()
    assert "--ca-cert" in (caught.value.hint or "")


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_the_profiles_ca_counts_whatever_the_environment_says(
    connect, variable, tls_platform, ca_file, monkeypatch
) -> None:
    import certifi

    for bundle in (certifi.where(), "/no/such/bundle.pem"):
        monkeypatch.setenv(variable, bundle)
        assert connect(tls_platform.address, ca_cert=str(ca_file)).username() == "alice"


def test_the_profiles_ca_is_added_to_the_public_roots(ca_file, tls_platform) -> None:
    session = session_for(tls_platform.address, ca_cert=str(ca_file))
    session.get(tls_platform.address + "/v1/data/")
    adapter = session.get_adapter(tls_platform.address)
    assert adapter._context.cert_store_stats()["x509_ca"] > 50


def test_the_environments_bundle_counts_for_profiles_without_a_ca(connect, tls_platform, ca_file, monkeypatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(ca_file))
    assert connect(tls_platform.address).username() == "alice"


def test_a_bundle_that_does_not_exist_names_its_variable(connect, tls_platform, monkeypatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/bundle.pem")
    with pytest.raises(ConfigError, match="REQUESTS_CA_BUNDLE"):
        connect(tls_platform.address).username()


@pytest.mark.parametrize("opened", [App.open_client, App.open_session])
def test_a_missing_ca_file_is_never_passed_over(opened, stub, tmp_path) -> None:
    app = App({"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)})
    profile = Profile("default", stub.address, ca_cert="/none.pem", ca_cert_origin="profile default in config.toml")
    with pytest.raises(ConfigError, match=r"/none\.pem \(from profile default in config\.toml\)"):
        opened(app, profile)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_repeatable_calls_are_repeated(connect, status, stub) -> None:
    failing = stub.json_answer({"error": {"message": "busy"}}, status)
    stub.on("GET", "/v1/data/", failing, failing, stub.json_answer({"folders": [{"name": "alice"}]}))
    assert connect(stub.address).username() == "alice"
    assert len(stub.seen) == 3


@pytest.mark.parametrize(("status", "may_have"), [(429, False), (500, True), (502, True), (503, False), (504, True)])
def test_a_refusal_says_whether_an_earlier_try_may_have_taken_effect(connect, status, may_have, stub) -> None:
    failing, missing = (stub.json_answer({"error": {"message": "no"}}, code) for code in (status, 404))
    stub.on("DELETE", "/v1/data/x", failing, missing)
    with pytest.raises(NotFoundError) as caught:
        connect(stub.address).request("DELETE", "data/x")
    assert caught.value.after_lost_answer is may_have


def test_after_the_last_try_the_servers_message_comes_through(connect, stub) -> None:
    stub.on("GET", "/v1/data/", stub.json_answer({"error": {"message": "disk is full"}}, 500))
    with pytest.raises(PlatformError, match="disk is full"):
        connect(stub.address, retries=2).username()
    assert len(stub.seen) == 3


def test_calls_that_are_not_repeatable_are_sent_once(connect, stub) -> None:
    stub.on("POST", "/v1/algo/a/b", stub.json_answer({"error": {"message": "busy"}}, 503))
    with pytest.raises(PlatformError, match="busy"):
        connect(stub.address).request("POST", "algo/a/b", body=b"x")
    assert len(stub.seen) == 1


def test_a_connection_that_is_dropped_is_made_again(connect, stub) -> None:
    def drop(handler) -> None:
        handler.connection.shutdown(socket.SHUT_RDWR)
        handler.close_connection = True

    stub.on("GET", "/v1/data/", drop, drop, stub.json_answer({"folders": [{"name": "alice"}]}))
    assert connect(stub.address).username() == "alice"


def test_an_answer_that_breaks_off_is_asked_for_again(connect, stub) -> None:
    def half(handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b'{"folders": [')
        handler.close_connection = True

    stub.on("GET", "/v1/data/", half, half, stub.json_answer({"folders": [{"name": "alice"}]}))
    assert connect(stub.address).username() == "alice"
    stub.on("GET", "/v1/data/", half)
    with pytest.raises(NetworkError, match="broke"):
        connect(stub.address).username()


def test_the_wait_that_the_server_asks_for_is_kept_but_bounded(connect, stub, monkeypatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    busy = [stub.json_answer({}, 429, **{"Retry-After": seconds}) for seconds in ("3", "99999", "rubbish")]
    stub.on("GET", "/v1/data/", *busy, stub.json_answer({"folders": [{"name": "alice"}]}))
    assert connect(stub.address).username() == "alice"
    assert waits[:2] == [3, 120]


def test_backoff_grows_with_full_jitter() -> None:
    policy = retry_policy(9)
    ceilings = []
    for _ in range(9):
        policy = policy.increment("GET", "/", error=OSError())
        ceilings.append(max(policy.get_backoff_time() for _ in range(200)))
    assert ceilings[0] < ceilings[4] < ceilings[8] <= 20
    assert min(policy.get_backoff_time() for _ in range(200)) < ceilings[8] / 4


def test_a_server_that_never_answers_is_given_up(connect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(TimedOut):
        connect(f"http://127.0.0.1:{silent.getsockname()[1]}", retries=0, timeout=0.2).username()


def test_nobody_there(connect) -> None:
    with closed_port() as port, pytest.raises(NetworkError, match="Connection refused"):
        connect(f"http://127.0.0.1:{port}", retries=1).username()


def test_every_request_has_a_time_limit(stub, monkeypatch) -> None:
    limits = []
    send = AlgoSession.send

    def watch(self, request, **options):
        response = send(self, request, **options)
        limits.append(options.get("timeout") or self.timeout)
        return response

    monkeypatch.setattr(AlgoSession, "send", watch)
    hooks = Hooks(configure=lambda session, profile: setattr(session, "params", {"company": "acme"}))
    api = made(hooks, stub.address, timeout=7)
    api.username()
    api.request("GET", "data/", read_timeout=99)
    session_for(stub.address).get(stub.address + "/v1/data/")
    assert limits == [(5, 7), (5, 99), (5, 7)]


def test_the_key_does_not_follow_a_redirect_to_another_host(connect, stub) -> None:
    seen: list[str | None] = []

    class Elsewhere(threading.Thread):
        def __init__(self) -> None:
            super().__init__(daemon=True)
            self.server = socket.create_server(("127.0.0.1", 0))
            self.start()

        def run(self) -> None:
            connection, _ = self.server.accept()
            text = connection.recv(65536).decode()
            seen.append(next((line for line in text.split("\r\n") if line.lower().startswith("authorization")), None))
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n{}")
            connection.close()

    elsewhere = Elsewhere()
    target = f"http://127.0.0.1:{elsewhere.server.getsockname()[1]}/x"
    stub.on("GET", "/v1/x", stub.answer(302, b"", {"Location": target}))
    connect(stub.address).request("GET", "x")
    assert seen == [None]


def test_netrc_is_not_looked_at(stub, tmp_path, monkeypatch) -> None:
    (tmp_path / ".netrc").write_text("machine localhost login a password b\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    profile = Profile("default", stub.address)
    session = AlgoSession(profile, timeout=(60, 60), retries=0)
    session.get(stub.address + "/v1/data/")
    assert "Authorization" not in stub.seen[0].headers


def test_proxies_of_the_environment_are_used(connect, stub, monkeypatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", stub.address)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    stub.on("GET", "http://api.corp.example/v1/data/", stub.json_answer({"folders": [{"name": "via-proxy"}]}))
    assert connect("http://api.corp.example", insecure_http=True).username() == "via-proxy"


def test_a_proxy_that_is_not_there_is_named_as_the_cause(connect, monkeypatch) -> None:
    with closed_port() as port:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
        with pytest.raises(NetworkError, match="proxy"):
            connect("http://api.corp.example", retries=0, insecure_http=True).username()


def test_an_address_that_no_adapter_serves_is_a_configuration_error(connect) -> None:
    with pytest.raises(ConfigError, match="local:"):
        connect("local:").username()


def test_who_is_asking(connect, stub) -> None:
    connect(stub.address).username()
    assert stub.seen[0].headers["User-Agent"].startswith("algo/")


def test_paths_are_encoded_once_and_whole(connect, stub) -> None:
    api = connect(stub.address)
    assert api.url("data/.my/a b+c#d?e%f/ü") == f"{stub.address}/v1/data/.my/a%20b%2Bc%23d%3Fe%25f/%C3%BC"
    assert api.url("x", {"a": None, "b": "1 2", "c": True}) == f"{stub.address}/v1/x?b=1+2&c=True"


def test_what_does_not_speak_http_is_called_that(connect, stub) -> None:
    def gibberish(handler) -> None:
        handler.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
        handler.close_connection = True

    stub.on("GET", "/v1/data/", gibberish)
    with pytest.raises(NetworkError, match="does not speak HTTP"):
        connect(stub.address, retries=0).username()


def test_bodies_are_sent_under_the_limit_for_answers_not_for_connecting(stub, monkeypatch) -> None:
    limits = []
    send = requests.adapters.HTTPAdapter.send

    def watch(self, request, **options):
        limits.append(options["timeout"])
        return send(self, request, **options)

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", watch)
    stub.on("PUT", "/v1/x", stub.answer(200))
    session = session_for(stub.address)
    session.put(stub.address + "/v1/x", data=b"small")
    session.put(stub.address + "/v1/x", data=iter([b"x"]))
    assert limits == [(5, 7), (7, 7)]


def test_headers_that_contradict_each_other_are_the_platforms_fault(connect, stub) -> None:
    def twice(handler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}")
        handler.close_connection = True

    stub.on("GET", "/v1/data/", twice)
    with pytest.raises(PlatformError, match="contradict"):
        connect(stub.address, retries=0).username()


def test_behind_a_proxy_nothing_is_done_twice(connect, stub, monkeypatch) -> None:
    def drop(handler) -> None:
        handler.connection.shutdown(socket.SHUT_RDWR)
        handler.close_connection = True

    monkeypatch.setenv("HTTP_PROXY", stub.address)
    monkeypatch.setenv("NO_PROXY", "")
    stub.on("POST", "http://api.corp.example/v1/algo/a/b", drop)
    stub.on("GET", "http://api.corp.example/v1/x", drop, drop, stub.answer(200))
    api = connect("http://api.corp.example", insecure_http=True)
    with pytest.raises(NetworkError):
        api.request("POST", "algo/a/b", body=b"x")
    assert len(stub.seen) == 1
    assert api.request("GET", "x").status == 200
