"""Which transport carries a request, and with which headers; the connections of those that go directly."""

import io
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import requests
import trustme

from algo_core.errors import ConfigError, ExitCode, NetworkError, TimedOut, TlsError
from algo_core.http.api import ApiClient
from algo_core.http.client import Hooks, HttpClient
from algo_core.http.requests_transport import AlgoSession
from algo_core.http.response import StreamResponse
from algo_core.http.transport import Request
from algo_core.settings.credentials import Credential, Secret
from algo_core.settings.profile import Profile

KEY = "sim" + "k" * 25


pytestmark = pytest.mark.usefixtures("plain_environment")


def made(address: str, key: str = KEY, hooks: Hooks | None = None, **members: object) -> HttpClient:
    profile = Profile("default", address, credential=Credential("api_key", Secret(key)), **members)  # type: ignore[arg-type]
    return HttpClient(profile, timeout=(5, 9), retries=2, hooks=hooks)


@pytest.fixture
def through_requests(monkeypatch) -> list[str]:
    """The addresses that requests was asked for."""
    urls: list[str] = []
    send = requests.Session.send

    def watch(self, request, **options):
        urls.append(request.url)
        return send(self, request, **options)

    monkeypatch.setattr(requests.Session, "send", watch)
    return urls


def test_what_only_asks_the_api_goes_directly(stub, through_requests) -> None:
    assert ApiClient(made(stub.address)).username() == "alice"
    assert through_requests == []


def test_limits_can_be_set(stub) -> None:
    client = made(stub.address)
    client.timeout, client.retries = (1, 0.1), 0
    stub.on("GET", "/v1/data/", lambda handler: threading.Event().wait(1))
    with pytest.raises(TimedOut):
        ApiClient(client).username()
    assert len(stub.seen) == 1


def test_a_plugins_transport_carries_the_profiles_requests_and_no_others(stub, through_requests) -> None:
    sent: list[Request] = []

    class Carrier:
        is_closed = False

        def send(self, request: Request) -> StreamResponse:
            sent.append(request)
            headers = {"Location": stub.address + "/v1/data/"} if request.url.endswith("/x") else {}
            return StreamResponse(request.url, 302 if headers else 200, headers, io.BytesIO(b"{}"))

        def close(self) -> None:
            self.is_closed = True

    carrier = Carrier()
    client = made("acme:", hooks=Hooks(transport=lambda profile: carrier))
    assert client.send("GET", "acme:/v1/y").json() == {}
    assert sent[0].headers["Authorization"] == f"Simple {KEY}"
    assert client.send("GET", "acme:/v1/x").status == 401
    assert "Authorization" not in stub.seen[0].headers
    assert ApiClient(client).pipeline(10) is None
    client.close()
    assert carrier.is_closed
    assert through_requests == []


def test_without_one_an_address_that_is_no_http_leads_nowhere() -> None:
    with pytest.raises(ConfigError, match="No installed plugin can reach acme:"):
        ApiClient(made("acme:")).username()


def test_headers_of_plugins_go_to_the_profiles_own_host_only(stub, through_requests) -> None:
    given = [{"X-Company": "acme"}, {"user-agent": "acme/1", "X-Cost": "\xe9"}]
    client = made(stub.address, hooks=Hooks(headers=lambda profile: given))
    elsewhere = stub.address.replace("localhost", "127.0.0.1")
    stub.on("GET", "/v1/x", stub.answer(307, b"", {"Location": elsewhere + "/v1/y"}))
    client.send("GET", stub.address + "/v1/x", headers={"Cookie": "a=b", "Range": "bytes=1-"}).close()
    first, second = (seen.headers for seen in stub.seen)
    assert (first["X-Company"], first["user-agent"], first["X-Cost"]) == ("acme", "acme/1", "\xe9")
    assert not {"X-Company", "X-Cost", "Authorization", "Cookie"} & set(second)
    assert second["User-Agent"].startswith("algo/")
    assert second["Range"] == "bytes=1-"
    pipeline = ApiClient(client).pipeline(100)
    assert pipeline
    pipeline.get("/v1/z").wait()
    assert stub.seen[-1].headers["X-Company"] == "acme"
    assert through_requests == []


@pytest.mark.parametrize(
    "header",
    [
        ("X-Evil", "a\r\nX-Other: b"),
        ("X-Evil", "a\nb"),
        ("X-Evil", "a\0"),
        ("X-Evil", "\u20ac"),
        ("X-Evil\r\nX-Other", "a"),
        ("X Evil", "a"),
        ("", "a"),
        ("Content-Length", "5"),
        ("Transfer-Encoding", "chunked"),
        ("host", "evil.example"),
    ],
)
@pytest.mark.parametrize("whose", ["plugin", "request", "through requests"])
def test_a_header_that_cannot_be_sent_is_named_and_nothing_is_sent(stub, header, whose) -> None:
    headers = dict([header])
    configure = (lambda session, profile: setattr(session, "params", {"a": "b"})) if "through" in whose else None
    hooks = Hooks(headers=lambda profile: [headers] if whose == "plugin" else [], configure=configure)
    client = made(stub.address, hooks=hooks)
    with pytest.raises(ConfigError) as caught:
        client.send("GET", stub.address + "/v1/x", headers={} if whose == "plugin" else headers)
    assert header[0][:6].strip() in caught.value.message
    assert stub.seen == []


@pytest.mark.parametrize("url", ["/v1/a b", "/v1/a\r\nX: y", "/v1/\0", "/v1/\xfc"])
def test_an_address_that_cannot_be_sent_is_refused(stub, url) -> None:
    client = made(stub.address)
    with pytest.raises(ConfigError, match="Not a "):
        client.send("GET", stub.address + url)
    pipeline = ApiClient(client).pipeline(100)
    assert pipeline
    with pytest.raises(ConfigError, match="Not a "):
        pipeline.get(url)
    assert stub.seen == []


def test_a_session_that_a_plugin_leaves_alone_is_not_needed(stub, through_requests) -> None:
    def configure(session, profile) -> None:
        if profile.name == "other":
            session.auth = None
        session.headers["X-Company"] = "acme"

    assert ApiClient(made(stub.address, hooks=Hooks(configure=configure))).username() == "alice"
    assert stub.seen[0].headers["X-Company"] == "acme"
    assert through_requests == []


@pytest.mark.parametrize("what", ["header", "adapter", "auth", "attribute"])
def test_what_a_plugin_sets_holds_for_every_exchange(stub, what) -> None:
    class Adapter(requests.adapters.HTTPAdapter):
        def send(self, request, **options):
            request.headers["X-Company"] = "acme"
            return super().send(request, **options)

    class Login(requests.auth.AuthBase):
        def __call__(self, request):
            request.headers["Authorization"] = f"Simple {KEY}"
            request.headers["X-Company"] = "acme"
            return request

    def configure(session, profile) -> None:
        if what == "header":
            session.headers["X-Company"] = "acme"
        elif what == "adapter":
            session.mount("http://", Adapter())
        elif what == "auth":
            session.auth = Login()
        else:
            session.params = {"company": "acme"}

    api = ApiClient(made(stub.address, hooks=Hooks(configure=configure)))
    assert api.username() == "alice"
    seen = stub.seen[-1]
    assert seen.headers.get("X-Company") == "acme" or (what == "attribute" and "company=acme" in seen.path)


@pytest.mark.parametrize(
    ("environ", "is_used", "arrives"),
    [
        ({}, False, "/v1/data/"),
        ({"http_proxy": "{address}"}, True, "{address}/v1/data/"),
        ({"ALL_PROXY": "{address}"}, True, "{address}/v1/data/"),
        ({"http_proxy": "http://127.0.0.1:9", "no_proxy": "localhost"}, True, "/v1/data/"),
        ({"https_proxy": "", "HTTP_PROXY": ""}, False, "/v1/data/"),
    ],
)
def test_proxies_are_for_requests_to_judge(stub, monkeypatch, through_requests, environ, is_used, arrives) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value.format(address=stub.address))
    arrives = arrives.format(address=stub.address)
    stub.on("GET", arrives, stub.json_answer({"folders": [{"name": "there"}]}))
    assert ApiClient(made(stub.address)).username() == "there"
    assert bool(through_requests) == is_used
    assert stub.seen[-1].path == arrives


@pytest.mark.parametrize("key", ["sim\nX-Other: 1", "sim\u20ac", "a\rb", "\0"])
def test_a_credential_that_no_header_can_carry(stub, key) -> None:
    with pytest.raises(ConfigError, match="not allowed in a header"):
        ApiClient(made(stub.address, key=key)).username()
    with pytest.raises(ConfigError, match="not allowed in a header"):
        AlgoSession(made(stub.address, key=key).profile, timeout=(60, 60), retries=0).get(stub.address)
    assert not stub.seen


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_addresses_are_reached_by_number(host, monkeypatch) -> None:
    """What is asked of the system, which then leads elsewhere: not every machine has IPv6."""
    asked, connect = [], socket.create_connection

    def led_elsewhere(address, timeout):
        asked.append(address)
        return connect(("127.0.0.1", address[1]), timeout)

    monkeypatch.setattr(socket, "create_connection", led_elsewhere)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        client = made(f"http://{host}:{port}")
        client.retries = 0
        client.timeout = (5, 0.2)
        with pytest.raises(NetworkError):
            ApiClient(client).request("GET", "x")
        assert asked == [(host.strip("[]").encode(), port)]
        connection, _ = server.accept()
        with connection:
            assert f"\r\nHost: {host}:{port}\r\n".encode() in connection.recv(4000)


@pytest.fixture
def tls_stub(stub, tmp_path: Path):
    """A platform behind TLS, and the file of who signed its certificate."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    stub.close()
    stub.start(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return stub, tmp_path / "ca.pem"


def test_a_directory_of_certificates_is_a_bundle_as_well(tls_stub, tmp_path, monkeypatch, through_requests) -> None:
    platform, ca = tls_stub
    folder = tmp_path / "hashed"
    folder.mkdir()
    name = subprocess.run(["openssl", "x509", "-hash", "-noout", "-in", ca], capture_output=True, text=True, check=True)
    (folder / f"{name.stdout.strip()}.0").write_bytes(ca.read_bytes())
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(folder))
    assert ApiClient(made(platform.address)).username() == "alice"
    assert through_requests == []


def test_a_bundle_without_certificates_is_named(tls_stub, tmp_path, monkeypatch) -> None:
    platform, _ = tls_stub
    (tmp_path / "empty.pem").write_text("nothing")
    monkeypatch.setenv("CURL_CA_BUNDLE", str(tmp_path / "empty.pem"))
    with pytest.raises(ConfigError, match=r"empty\.pem") as caught:
        ApiClient(made(platform.address)).username()
    assert "CURL_CA_BUNDLE" in (caught.value.hint or "")


def test_the_name_in_the_certificate_has_to_be_that_of_the_address(tls_stub) -> None:
    platform, ca = tls_stub
    with pytest.raises(TlsError, match=r"127\.0\.0\.1"):
        ApiClient(made(platform.address.replace("localhost", "127.0.0.1"), ca_cert=str(ca))).username()


def test_old_protocols_are_refused(stub, tmp_path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with pytest.warns(DeprecationWarning, match="deprecated"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    authority.issue_cert("localhost").configure_cert(context)
    stub.close()
    stub.start(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    client = made(stub.address, ca_cert=str(tmp_path / "ca.pem"))
    client.retries = 0
    with pytest.raises(NetworkError):
        ApiClient(client).username()


@pytest.mark.parametrize("way", ["direct", "requests"])
def test_a_certificate_that_names_its_host_in_the_wrong_place_is_refused(stub, tmp_path, way) -> None:
    """The common name says who a certificate is for, and nothing about hosts: clients have stopped to look at it."""
    name, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "basicConstraints=critical,CA:TRUE", "-keyout", key, "-out", name]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(name, key)
    stub.close()
    stub.start(context)
    adapted = Hooks(configure=lambda session, profile: setattr(session, "params", {"a": "b"}))
    with pytest.raises(TlsError):
        ApiClient(made(stub.address, hooks=adapted if way == "requests" else None, ca_cert=str(name))).username()


def test_importing_it_imports_no_requests() -> None:
    code = (
        "import sys, algo_core.http.client, algo_core.http.direct, algo_core.http.pipeline, algo_core.http.api\n"
        "heavy = {'requests', 'urllib3', 'ssl', 'http.client', 'email', 'certifi', 'tempfile', 'hashlib', 'random'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == ExitCode.OK, done.stderr
