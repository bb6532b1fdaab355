"""The session that is opened when something needs it, and the connections of those that never do."""

import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
import requests
import trustme

from algo_core.errors import ConfigError, NetworkError, TlsError
from algo_core.http.api import ApiClient
from algo_core.http.requests_transport import AlgoSession
from algo_core.http.session import DeferredSession, open_session
from algo_core.settings.credentials import Credential, Secret
from algo_core.settings.profile import Profile

KEY = "sim" + "k" * 25


pytestmark = pytest.mark.usefixtures("plain_environment")


def opened(address: str, configure=lambda session, profile: None, key: str = KEY, **members: object) -> DeferredSession:
    profile = Profile("default", address, credential=Credential("api_key", Secret(key)), **members)  # type: ignore[arg-type]
    return open_session(profile, timeout=(5, 9), retries=2, configure=configure)


def test_what_only_asks_the_api_never_opens_it(platform) -> None:
    session = opened(platform.address)
    assert ApiClient(session).username() == "alice"
    assert not session.is_open


def test_it_passes_for_the_session_that_it_stands_for(platform) -> None:
    session = opened(platform.address)
    assert isinstance(session, requests.Session)
    assert isinstance(session, AlgoSession)
    assert not session.is_open
    assert session.get(platform.address + "/v1/data/").json()["folders"][0]["name"] == "alice"
    assert session.is_open
    with session as same:
        assert same is session


def test_limits_can_be_set_without_opening_it_and_reach_it_when_it_is(platform) -> None:
    session = opened(platform.address)
    session.timeout, session.retries = (1, 2), 7
    assert not session.is_open
    assert (session.opened().timeout, session.opened().retries) == ((1, 2), 7)
    session.timeout = (3, 4)
    assert session.opened().timeout == session.timeout == (3, 4)


@pytest.mark.parametrize("what", ["header", "adapter", "auth", "attribute"])
def test_what_a_plugin_sets_holds_for_every_exchange(platform, what) -> None:
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

    api = ApiClient(opened(platform.address, configure))
    assert api.username() == "alice"
    seen = platform.seen[-1]
    assert seen.headers.get("X-Company") == "acme" or (what == "attribute" and "company=acme" in seen.path)


@pytest.mark.parametrize(
    ("environ", "is_open", "arrives"),
    [
        ({}, False, "/v1/data/"),
        ({"http_proxy": "{address}"}, True, "{address}/v1/data/"),
        ({"ALL_PROXY": "{address}"}, True, "{address}/v1/data/"),
        ({"http_proxy": "http://127.0.0.1:9", "no_proxy": "localhost"}, True, "/v1/data/"),
        ({"https_proxy": "", "HTTP_PROXY": ""}, False, "/v1/data/"),
    ],
)
def test_proxies_are_for_requests_to_judge(platform, monkeypatch, environ, is_open, arrives) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value.format(address=platform.address))
    arrives = arrives.format(address=platform.address)
    platform.on("GET", arrives, platform.json_answer({"folders": [{"name": "there"}]}))
    session = opened(platform.address)
    assert ApiClient(session).username() == "there"
    assert session.is_open == is_open
    assert platform.seen[-1].path == arrives


@pytest.mark.parametrize("key", ["sim\nX-Other: 1", "sim\u20ac", "a\rb", "\0"])
@pytest.mark.parametrize("is_open", [True, False])
def test_a_credential_that_no_header_can_carry(platform, key, is_open) -> None:
    session = opened(platform.address, key=key)
    if is_open:
        session.opened()
    with pytest.raises(ConfigError, match="no header can carry"):
        ApiClient(session).username()
    assert not platform.seen


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
        session = opened(f"http://{host}:{port}")
        session.retries = 0
        session.timeout = (5, 0.2)
        with pytest.raises(NetworkError):
            ApiClient(session).request("GET", "x")
        assert asked == [(host.strip("[]").encode(), port)]
        connection, _ = server.accept()
        with connection:
            assert f"\r\nHost: {host}:{port}\r\n".encode() in connection.recv(4000)


@pytest.fixture
def tls(platform, tmp_path: Path):
    """A platform behind TLS, and the file of who signed its certificate."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    platform.stop()
    platform.start(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return platform, tmp_path / "ca.pem"


def test_a_directory_of_certificates_is_a_bundle_as_well(tls, tmp_path, monkeypatch) -> None:
    platform, ca = tls
    folder = tmp_path / "hashed"
    folder.mkdir()
    name = subprocess.run(["openssl", "x509", "-hash", "-noout", "-in", ca], capture_output=True, text=True, check=True)
    (folder / f"{name.stdout.strip()}.0").write_bytes(ca.read_bytes())
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(folder))
    session = opened(platform.address)
    assert ApiClient(session).username() == "alice"
    assert not session.is_open


def test_a_bundle_without_certificates_is_named(tls, tmp_path, monkeypatch) -> None:
    platform, _ = tls
    (tmp_path / "empty.pem").write_text("nothing")
    monkeypatch.setenv("CURL_CA_BUNDLE", str(tmp_path / "empty.pem"))
    with pytest.raises(ConfigError, match=r"empty\.pem") as caught:
        ApiClient(opened(platform.address)).username()
    assert "CURL_CA_BUNDLE" in (caught.value.hint or "")


def test_the_name_in_the_certificate_has_to_be_that_of_the_address(tls) -> None:
    platform, ca = tls
    with pytest.raises(TlsError, match=r"127\.0\.0\.1"):
        ApiClient(opened(platform.address.replace("localhost", "127.0.0.1"), ca_cert=str(ca))).username()


def test_old_protocols_are_refused(platform, tmp_path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with pytest.warns(DeprecationWarning, match="deprecated"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    authority.issue_cert("localhost").configure_cert(context)
    platform.stop()
    platform.start(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    session = opened(platform.address, ca_cert=str(tmp_path / "ca.pem"))
    session.retries = 0
    with pytest.raises(NetworkError):
        ApiClient(session).username()


def test_importing_it_imports_no_requests() -> None:
    code = (
        "import sys, algo_core.http.session, algo_core.http.direct, algo_core.http.pipeline, algo_core.http.api\n"
        "heavy = {'requests', 'urllib3', 'ssl', 'http.client', 'email', 'certifi', 'tempfile', 'hashlib', 'random'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
