"""pip and uv ask an index as `algo` would: the company's CA, client certificate and proxy, never as arguments."""

from __future__ import annotations

import http.server
import os
import ssl
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.tls import USER, Files, Proxy, QuietServer, started

from algo_core.context import App
from algo_core.errors import ConfigError, NetworkError
from algo_plugins.installer import process
from algo_plugins.installer.network import tools_environ
from algo_plugins.installer.tools import Pip, Tool, Uv


class Index(http.server.BaseHTTPRequestHandler):
    """A simple index of a folder of wheels."""

    folder: Path

    def do_GET(self) -> None:
        name = self.path.rstrip("/").rpartition("/")[2]
        file = self.folder / name
        if self.path.startswith("/simple/"):
            wheels = sorted(self.folder.glob(f"{name.replace('-', '_')}-*.whl"))
            content = "".join(f'<a href="/files/{wheel.name}">{wheel.name}</a>\n' for wheel in wheels).encode()
        else:
            content = file.read_bytes()
        self.send_response(200 if content else 404)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content if self.command == "GET" else b"")

    do_HEAD = do_GET

    def log_message(self, *args: object) -> None: ...


@pytest.fixture(scope="module")
def pem_files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("pem"))


@pytest.fixture(scope="module")
def address(pem_files: Files, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An index with a certificate of a private CA, which lets nobody in without one of their own."""
    Index.folder = tmp_path_factory.mktemp("index")
    stem = "acme_greet-1.0"
    with zipfile.ZipFile(Index.folder / f"{stem}-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{stem}.dist-info/METADATA", "Metadata-Version: 2.1\nName: acme-greet\nVersion: 1.0\n")
        archive.writestr(f"{stem}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{stem}.dist-info/RECORD", "")
    server = QuietServer(("127.0.0.1", 0), Index)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pem_files.authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    context.load_verify_locations(pem_files.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # later a client may be reset before it reads the refusal
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    started(server)
    yield f"https://127.0.0.1:{server.server_address[1]}/simple"
    server.shutdown()
    server.server_close()


@pytest.fixture
def tls_proxy() -> Iterator[Proxy]:
    server = Proxy(USER)
    started(server)
    yield server
    server.shutdown()
    server.server_close()


def app_with(tmp_path: Path, text: str, **environ: str) -> App:
    (tmp_path / "site.toml").write_text(text)
    return App({
        "PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "ALGO_CONFIG": str(tmp_path / "config.toml"),
        "ALGO_SITE_CONFIG": str(tmp_path / "site.toml"), "ALGO_CACHE_DIR": str(tmp_path / "cache"),
        "ALGO_DISABLE_PLUGINS": "*", "PIP_CONFIG_FILE": os.devnull, "PIP_RETRIES": "0", "UV_HTTP_RETRIES": "0",
        "UV_CACHE_DIR": str(tmp_path / "uv"), "UV_NO_CONFIG": "1", "NO_PROXY": "", **environ,
    })  # fmt: skip


@pytest.fixture(params=["pip", "uv"])
def ask(request: pytest.FixtureRequest, address: str, tools: Path) -> Callable[[App], list[str]]:
    """Looks for acme-greet in the index, with pip or uv."""

    def found(app: App) -> list[str]:
        with tools_environ(app) as environ:
            environ |= {"PIP_INDEX_URL": address, "UV_DEFAULT_INDEX": address}
            pip = Pip(sys.executable, environ)
            tool: Tool = pip if request.param == "pip" else Uv(str(tools / "uv"), environ, target=sys.executable)
            return [change.version for change in tool.search(["acme-greet"], alone=True)]

    return found


def test_the_companys_network_is_that_of_the_tools(
    ask: Callable[[App], list[str]],
    tmp_path: Path,
    pem_files: Files,
    tls_proxy: Proxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    commands: list[str] = []
    popen = subprocess.Popen

    def watched(command: list[str], **options: Any) -> Any:
        commands.extend(command)
        return popen(command, **options)

    monkeypatch.setattr(process.subprocess, "Popen", watched)
    through = f"http://jane:s3cret@127.0.0.1:{tls_proxy.server_address[1]}"
    text = f'[enforce]\nca_cert = "{pem_files.ca}"\nproxy = "{through}"\n'
    pair = {"ALGO_CLIENT_CERT": pem_files.client, "ALGO_CLIENT_KEY": pem_files.key}
    assert ask(app_with(tmp_path, text, **pair)) == ["1.0"]
    assert tls_proxy.targets
    assert not [word for word in commands if "s3cret" in word or "PRIVATE KEY" in word]


@pytest.mark.parametrize(
    ("ask", "text", "environ", "words"),
    [
        ("pip", "", {}, "ca_cert"),
        ("uv", "", {}, "ca_cert"),
        ("uv", '[enforce]\nca_cert = "{ca}"\n', {}, "client_cert"),
        ("pip", "", {"SSL_CERT_FILE": "{ca}"}, "client_cert"),
        ("uv", "", {"REQUESTS_CA_BUNDLE": "{ca}", "ALGO_PROXY": "http://127.0.0.1:{port}"}, "proxy"),
    ],
    indirect=["ask"],
)
def test_a_failure_leads_to_the_setting_that_is_missing(
    ask: Callable[[App], list[str]],
    tmp_path: Path,
    pem_files: Files,
    tls_proxy: Proxy,
    text: str,
    environ: dict[str, str],
    words: str,
) -> None:
    port = str(tls_proxy.server_address[1])
    given = {name: value.format(ca=pem_files.ca, port=port) for name, value in environ.items()}
    with pytest.raises(NetworkError) as failed:
        ask(app_with(tmp_path, text.format(ca=pem_files.ca), **given))
    assert words in (failed.value.hint or ""), failed.value.message


def test_what_is_trusted_and_shown(tmp_path: Path, pem_files: Files) -> None:
    def overlay(text: str = "", **environ: str) -> dict[str, str]:
        app = app_with(tmp_path, text, **environ)
        with tools_environ(app) as found:
            read = {name: value for name, value in found.items() if app.environ.get(name) != value}
            return {
                name: Path(value).read_text() if value.endswith(".pem") and os.path.exists(value) else value
                for name, value in read.items()
            }

    own = Path(pem_files.ca).read_text().strip()
    assert overlay() == {}
    assert overlay(SSL_CERT_FILE=pem_files.ca) == {"REQUESTS_CA_BUNDLE": own + "\n"}
    assert overlay(SSL_CERT_DIR=str(pem_files.folder)) == {"REQUESTS_CA_BUNDLE": str(pem_files.folder)}
    profile = f'[profiles.default]\naddress = "https://a.example"\nca_cert = "{pem_files.ca}"\n'
    trusted = overlay(profile)
    assert trusted["REQUESTS_CA_BUNDLE"] == trusted["SSL_CERT_FILE"]
    assert own in trusted["SSL_CERT_FILE"]
    assert trusted["SSL_CERT_FILE"].count("BEGIN CERTIFICATE") > 50  # besides the public ones
    other = overlay(profile, REQUESTS_CA_BUNDLE=pem_files.stranger)["SSL_CERT_FILE"]
    assert Path(pem_files.stranger).read_text().strip() in other
    assert other.count("BEGIN CERTIFICATE") < 5
    assert "BEGIN CERTIFICATE" in overlay(ALGO_SYSTEM_TRUST="1")["SSL_CERT_FILE"]
    shown = overlay(ALGO_CLIENT_CERT=pem_files.client, ALGO_CLIENT_KEY=pem_files.key)
    assert shown["PIP_CLIENT_CERT"] == shown["SSL_CLIENT_CERT"]
    assert "PRIVATE KEY" in shown["SSL_CLIENT_CERT"]
    assert "PIP_CLIENT_CERT" not in overlay(ALGO_CLIENT_CERT=pem_files.both, PIP_CLIENT_CERT="mine")
    for text, name in ((f'[enforce]\nca_cert = "{tmp_path}/gone"\n', "site.toml"), ("", "ALGO_CLIENT_CERT")):
        with pytest.raises(ConfigError, match=name):
            overlay(text, **({} if text else {"ALGO_CLIENT_CERT": "/gone"}))
    with pytest.raises(ConfigError, match="ALGO_PROXY"):
        overlay(ALGO_PROXY="proxy.example")
