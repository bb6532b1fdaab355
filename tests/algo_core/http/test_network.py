"""Client certificates, the system's authorities and proxies: both transports use them, and errors name them."""

from __future__ import annotations

import http.server
import json
import ssl
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.tls import USER, Files, Proxy, QuietServer, started

from algo_core.errors import AlgoError, AuthError, ConfigError, ExitCode, NetworkError, TlsError
from algo_core.http.client import HttpClient
from algo_core.http.direct import DirectTransport
from algo_core.http.errors import socket_errors
from algo_core.http.transport import BytesBody, Request
from algo_core.settings.config import Config, Layer
from algo_core.settings.profile import Network, Profile
from algo_core.settings.profiles import ProfileResolver
from algo_core.testing import Home

pytestmark = pytest.mark.usefixtures("plain_environment")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        subject = self.connection.getpeercert() if isinstance(self.connection, ssl.SSLSocket) else None
        content = json.dumps({"shown": bool(subject), "folders": [], "files": []}).encode()
        self.send_response(200)
        self.send_header("X-Data-Type", "directory")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None: ...


@pytest.fixture(scope="module")
def tls_folder(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("pem"))


def tls_server(files: Files, *, verify: ssl.VerifyMode, newest: ssl.TLSVersion | None = None) -> str:
    server = QuietServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    files.authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    context.load_verify_locations(files.ca)
    context.verify_mode = verify
    if newest:
        context.maximum_version = newest
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    started(server)
    return f"https://127.0.0.1:{server.server_address[1]}"


@pytest.fixture(scope="module")
def strict(tls_folder: Files) -> str:
    """A server that lets nobody in without a certificate."""
    return tls_server(tls_folder, verify=ssl.CERT_REQUIRED)


@pytest.fixture(scope="module")
def old_tls(tls_folder: Files) -> str:
    """The same in TLS 1.2, which says it in another way."""
    return tls_server(tls_folder, verify=ssl.CERT_REQUIRED, newest=ssl.TLSVersion.TLSv1_2)


@pytest.fixture(scope="module")
def lenient(tls_folder: Files) -> str:
    return tls_server(tls_folder, verify=ssl.CERT_NONE)


@pytest.fixture
def start_proxy() -> Iterator[Callable[..., Proxy]]:
    proxies: list[Proxy] = []

    def start(wants: str | None = None) -> Proxy:
        proxies.append(Proxy(wants))
        started(proxies[-1])
        return proxies[-1]

    yield start
    for server in proxies:
        server.shutdown()
        server.server_close()


def fetched(client: HttpClient, address: str) -> bool:
    with client.send("GET", f"{address}/v1/data/") as response:
        assert response.status == 200
        return bool(json.loads(response.content)["shown"])


Clients = Callable[..., HttpClient]


def test_a_certificate_is_shown_whether_its_key_is_in_the_same_file_or_not(
    client_for: Clients, way: str, tls_folder: Files, strict: str, old_tls: str
) -> None:
    for network in (
        Network(client_cert=tls_folder.client, client_key=tls_folder.key),
        Network(client_cert=tls_folder.both),
    ):
        for address in (strict, old_tls):
            assert fetched(client_for(address, way, ca_cert=tls_folder.ca, network=network), address)


@pytest.mark.parametrize("shown", ["none", "a stranger's"])
@pytest.mark.parametrize("version", ["1.3", "1.2"])
def test_a_missing_or_wrong_certificate_is_not_taken_for_a_missing_ca(
    client_for: Clients, way: str, tls_folder: Files, strict: str, old_tls: str, shown: str, version: str
) -> None:
    address = strict if version == "1.3" else old_tls
    network = Network(client_cert=tls_folder.stranger) if shown != "none" else Network()
    with pytest.raises(NetworkError) as caught:
        fetched(client_for(address, way, ca_cert=tls_folder.ca, network=network), address)
    if isinstance(caught.value, TlsError):
        assert caught.value.concerns_certificate
        assert "client certificate" in caught.value.message
        assert "client_cert" in (caught.value.hint or "")
    assert "--ca-cert" not in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("network", "why"),
    [
        (lambda f: Network(client_cert=f"{f.folder}/missing.pem"), "Cannot read the client certificate"),
        (lambda f: Network(client_cert=f.client), "Cannot use the client certificate"),
        (lambda f: Network(client_cert=f.client, client_key=f.stranger), "the key does not belong"),
        (lambda f: Network(client_key=f.key), "no client_cert"),
    ],
)
def test_a_certificate_that_cannot_be_used_is_an_error_of_configuration(
    client_for: Clients, way: str, tls_folder: Files, strict: str, network: Callable[[Files], Network], why: str
) -> None:
    with pytest.raises(ConfigError, match=why):
        fetched(client_for(strict, way, ca_cert=tls_folder.ca, network=network(tls_folder)), strict)


def test_the_authorities_of_the_environment_count(
    client_for: Clients, way: str, tls_folder: Files, lenient: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TlsError):
        fetched(client_for(lenient, way), lenient)
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        with monkeypatch.context() as environment:
            environment.setenv(variable, tls_folder.ca)
            assert not fetched(client_for(lenient, way), lenient)
            environment.setenv(variable, f"{tls_folder.folder}/missing.pem")
            with pytest.raises(ConfigError, match=variable):
                fetched(client_for(lenient, way), lenient)


@pytest.mark.parametrize("has_truststore", [True, False])
def test_the_operating_systems_authorities_are_trusted_where_that_is_wanted(
    client_for: Clients,
    way: str,
    tls_folder: Files,
    lenient: str,
    has_truststore: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not has_truststore:
        monkeypatch.setitem(sys.modules, "truststore", None)
    paths = ssl.get_default_verify_paths()
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: paths._replace(cafile=tls_folder.ca))
    monkeypatch.setattr(
        ssl.SSLContext, "set_default_verify_paths", lambda self: self.load_verify_locations(tls_folder.ca)
    )
    assert not fetched(client_for(lenient, way, network=Network(system_trust=True)), lenient)
    with pytest.raises(TlsError):
        fetched(client_for(lenient, way), lenient)


def test_a_profiles_proxy_is_used_unless_the_environment_excepts_the_host(
    client_for: Clients,
    tls_folder: Files,
    lenient: str,
    start_proxy: Callable[..., Proxy],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server, other = start_proxy(), start_proxy()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{other.server_address[1]}")
    assert not fetched(client_for(lenient, ca_cert=tls_folder.ca, network=Network(proxy=address)), lenient)
    assert (server.targets, other.targets) == ([lenient.removeprefix("https://")], [])
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert not fetched(client_for(lenient, ca_cert=tls_folder.ca, network=Network(proxy=address)), lenient)
    assert len(server.targets) == 1


def test_a_proxys_refusal_is_told_as_the_proxys(
    client_for: Clients, tls_folder: Files, lenient: str, start_proxy: Callable[..., Proxy]
) -> None:
    server = start_proxy(USER)
    host = f"127.0.0.1:{server.server_address[1]}"
    for address in (lenient, "http://127.0.0.1:9"):
        client = client_for(address, ca_cert=tls_folder.ca, network=Network(proxy=f"http://{host}"))
        with pytest.raises(AuthError, match="proxy asks for a user name") as caught:
            from algo_core.http.api import ApiClient

            ApiClient(client).request("GET", "data/")
        assert "proxy" in (caught.value.hint or "")
    with_password = Network(proxy=f"http://jane:s3cret@{host}")
    assert not fetched(client_for(lenient, ca_cert=tls_folder.ca, network=with_password), lenient)


@pytest.mark.parametrize("words", [("ls",), ("plugins", "outdated")])
@pytest.mark.parametrize("kind", ["missing", "empty", "directory"])
def test_a_proxys_ca_file_that_cannot_be_used_names_its_origin(
    algo_home: Home, tmp_path: Path, words: tuple[str, ...], kind: str
) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "directory").mkdir()
    environ = {"ALGORITHMIA_API": "https://api.acme.example", "ALGO_PROXY": "https://127.0.0.1:9"}
    result = algo_home.run(*words, environ={**environ, "ALGO_PROXY_CA_CERT": str(tmp_path / kind)})
    assert result.code == ExitCode.CONFIGURATION, result.stderr
    assert f"{tmp_path / kind} (from environment variable ALGO_PROXY_CA_CERT)" in result.stderr


def test_settings_go_before_a_preset_and_the_profile_before_the_file(tmp_path: Path) -> None:

    preset = Profile("default", "https://a.example", network=Network(client_cert="/preset.pem", proxy="http://p:1"))
    user = {"proxy": "http://user:2", "profiles": {"work": {"address": "https://w.example", "proxy": "http://work:3"}}}
    config = Config(Layer(user, "config.toml"), [Layer({}, "site.toml")], {"ALGO_CLIENT_CERT": "~/mine.pem"})
    network = ProfileResolver(config, lambda name: preset).resolve().network
    assert (network.client_cert.endswith("/mine.pem"), network.proxy) == (True, "http://user:2")
    assert network.origin("proxy") == "config.toml"
    network = ProfileResolver(config).resolve("work").network
    assert (network.proxy, network.origin("proxy")) == ("http://work:3", "profile work in config.toml")
    enforced = Config(Layer(user, "config.toml"), [Layer({"enforce": {"proxy": "http://site:4"}}, "site.toml")], {})
    assert ProfileResolver(enforced).resolve("work").network.proxy == "http://site:4"
    wrong = Config(Layer({"proxy": "proxy.example"}, "config.toml"), [Layer({}, "site.toml")], {})
    with pytest.raises(ConfigError, match=r"Not the address of a proxy \(from config.toml\)"):
        ProfileResolver(wrong, lambda name: preset).resolve()


def test_a_presets_way_to_its_host_also_counts_for_a_key_from_the_environment() -> None:
    preset = Profile("default", "https://a.example", network=Network(client_cert="/machine.pem", proxy="http://p:1"))
    environ = {"ALGORITHMIA_API_KEY": "simKey", "ALGO_PROXY": "http://mine:2"}
    config = Config(Layer({}, "config.toml"), [Layer({}, "site.toml")], environ)
    profile = ProfileResolver(config, lambda name: preset).resolve()
    assert profile.credential
    assert (profile.network.client_cert, profile.network.proxy) == ("/machine.pem", "http://mine:2")


class Late:
    """A TLS connection whose server has looked at the certificate, sent its alert, and left, before a request came."""

    address = "https://127.0.0.1"
    is_encrypted = is_fresh = True

    def __init__(self) -> None:
        self.sock = self
        self.errors = lambda: socket_errors(self.address)

    def sendall(self, data: bytes) -> None:
        raise ssl.SSLEOFError(8, "EOF occurred in violation of protocol")

    def recv(self, size: int) -> bytes:
        error = ssl.SSLError(1, "[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert certificate required")
        error.reason = "TLSV13_ALERT_CERTIFICATE_REQUIRED"
        raise error

    def close(self) -> None:
        pass


@pytest.mark.parametrize("body", [None, BytesBody(b"x"), BytesBody(b"x" * (1 << 20))])
def test_a_refused_certificate_is_told_however_early_the_server_leaves(
    monkeypatch: pytest.MonkeyPatch, body: BytesBody | None
) -> None:
    transport = DirectTransport(ssl.create_default_context)
    pool = SimpleNamespace(take=lambda *limits: Late())
    monkeypatch.setattr(transport, "pool", lambda url: pool)
    with pytest.raises(TlsError, match="asks for a client certificate"):
        transport.send(Request("GET", "https://127.0.0.1/v1/data", {}, body))


def test_a_person_is_led_from_the_refusal_to_the_answer(algo_home: Home, tls_folder: Files, strict: str) -> None:
    algo_home.write_config(
        f'[profiles.default]\naddress = "{strict}"\napi_key = "simKey"\nca_cert = "{tls_folder.ca}"\n'
    )
    refused = algo_home.run("ls")
    assert refused.code == ExitCode.NETWORK
    assert "asks for a client certificate" in refused.stderr
    assert "algo config set profiles.default.client_cert PATH" in refused.stderr
    assert algo_home.run("config", "set", "profiles.default.client_cert", tls_folder.both).code == ExitCode.OK
    assert algo_home.run("ls").code == ExitCode.OK
    secret = "http://jane:s3cret@127.0.0.1:9"
    assert algo_home.run("config", "set", "proxy", secret).code == ExitCode.OK
    assert "s3cret" not in algo_home.run("config", "list", "--origin").text
    failed = algo_home.run("ls")
    assert failed.code == ExitCode.NETWORK
    assert "The proxy failed" in failed.stderr
    assert f"http://jane:****@127.0.0.1:9, which comes from {algo_home.config_file}" in failed.stderr
    assert "s3cret" not in failed.stderr


def test_no_error_is_of_another_kind(client_for: Clients, way: str, tls_folder: Files, strict: str) -> None:
    """Whatever goes wrong with certificates is an error of this project."""
    for network in (Network(), Network(client_cert=tls_folder.stranger), Network(client_cert=tls_folder.ca)):
        with pytest.raises(AlgoError):
            fetched(client_for(strict, way, network=network), strict)
