"""Between machines everything is encrypted by Ray's certificates, and refused without them."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import ssl
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
import trustme

from algo_core.errors import ExitCode
from algo_core.testing import Home
from algo_core.testing.platform import Platform
from algo_ray import joining
from algo_ray.actor import NodeEndpoint
from algo_ray.lines import encryption
from algo_ray.relay import Relay

from .conftest import started_head

CALLING = """
import json, os, urllib.request
import requests

def apply(name):
    address = os.environ["ALGORITHMIA_API"] + "/v1/algo/demo/Hello"
    fields = {"Authorization": "Simple " + os.environ["ALGORITHMIA_API_KEY"], "Content-Type": "application/json"}
    by_requests = requests.post(address, json=name, headers=fields, timeout=30).json()["result"]
    request = urllib.request.Request(address, json.dumps(name).encode(), fields)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return [os.environ["ALGORITHMIA_API"], by_requests, json.load(answer)["result"]]
"""
CLIENT = ("requests", "urllib3", "idna", "certifi", "charset_normalizer")
"""What the official clients send requests with."""

LARGE = 3 << 20
"""More than all buffers between two ends hold."""


def certificates(directory: Path, authority: trustme.CA, name: str = "127.0.0.1") -> dict[str, str]:
    """Ray's variables with a certificate of an authority."""
    directory.mkdir()
    files = {part: directory / f"{part}.pem" for part in ("cert", "key", "ca")}
    issued = authority.issue_cert(name)
    issued.cert_chain_pems[0].write_to_path(files["cert"])
    issued.private_key_pem.write_to_path(files["key"])
    authority.cert_pem.write_to_path(files["ca"])
    return {
        "RAY_USE_TLS": "1",
        "RAY_TLS_SERVER_CERT": str(files["cert"]),
        "RAY_TLS_SERVER_KEY": str(files["key"]),
        "RAY_TLS_CA_CERT": str(files["ca"]),
    }


class Echo(BaseHTTPRequestHandler):
    """A platform that answers with what it gets."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def platform_relay(tmp_path: Path) -> Iterator[tuple[Relay, dict[str, str], trustme.CA]]:
    """The relay of a platform's machine, and Ray's variables of that."""
    authority = trustme.CA()
    environ = certificates(tmp_path / "ours", authority)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    target = "127.0.0.1", server.server_port
    listener = socket.create_server(("127.0.0.1", 0))
    relay = Relay(listener, target, accepts_tls=encryption(environ, is_platform=True))
    yield relay, environ, authority
    relay.close()
    server.shutdown()
    server.server_close()


@pytest.fixture
def endpoint(
    platform_relay: tuple[Relay, dict[str, str], trustme.CA], monkeypatch: pytest.MonkeyPatch
) -> Iterator[NodeEndpoint]:
    relay, environ, _ = platform_relay
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with closing(NodeEndpoint(relay.address)) as made:
        yield made


def sent(address: str, content: bytes) -> bytes:
    with urllib.request.urlopen(urllib.request.Request(address, content), timeout=30) as answer:
        return bytes(answer.read())


@pytest.mark.parametrize("content", [b"x", b"x" * LARGE], ids=["small", "large"])
def test_algorithms_call_an_address_of_their_own_node(endpoint: NodeEndpoint, content: bytes) -> None:
    """No client of theirs has to know a certificate."""
    assert endpoint.address.startswith("http://127.0.0.1:")
    assert sent(endpoint.address, content) == content


def test_an_isolated_process_calls_by_a_socket_of_its_own(endpoint: NodeEndpoint) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    end = endpoint.serve_also(listener)
    assert sent(f"http://127.0.0.1:{port}", b"hello") == b"hello"
    end()
    end()


def test_what_travels_between_machines_is_encrypted(
    platform_relay: tuple[Relay, dict[str, str], trustme.CA], tmp_path: Path
) -> None:
    relay, _, authority = platform_relay
    place = urlsplit(relay.address)
    assert place.scheme == "https"
    with socket.create_connection((str(place.hostname), place.port or 0), 30) as plain:
        plain.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx")
        assert answered(plain) == b""
    nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    nobody.check_hostname = False
    authority.configure_trust(nobody)
    stranger = encryption(certificates(tmp_path / "stranger", trustme.CA()), is_platform=False)
    assert stranger
    stranger.verify_mode = ssl.CERT_NONE
    for context in (nobody, stranger):
        with socket.create_connection((str(place.hostname), place.port or 0), 30) as plain:
            assert encrypted_answer(context, plain) == b"", "it has no certificate of the authority"


def answered(connected: socket.socket) -> bytes:
    """What comes until the other end closes, be it with a reset."""
    found = b""
    try:
        while data := connected.recv(1 << 16):
            found += data
    except OSError:
        pass
    return found


def encrypted_answer(context: ssl.SSLContext, connected: socket.socket) -> bytes:
    try:
        with context.wrap_socket(connected) as encrypted:
            encrypted.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx")
            return answered(encrypted)
    except OSError:
        return b""


def test_a_node_trusts_no_other_platform(
    platform_relay: tuple[Relay, dict[str, str], trustme.CA], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay, _, _ = platform_relay
    for name, value in certificates(tmp_path / "theirs", trustme.CA()).items():
        monkeypatch.setenv(name, value)
    with closing(NodeEndpoint(relay.address)) as endpoint, pytest.raises(OSError):
        sent(endpoint.address, b"secret")


def test_nothing_is_passed_on_where_nodes_are_on_this_machine() -> None:
    with closing(NodeEndpoint("http://127.0.0.1:9")) as endpoint:
        assert endpoint.address == "http://127.0.0.1:9"


def test_a_node_without_certificates_is_told(platform_relay: tuple[Relay, dict[str, str], trustme.CA]) -> None:
    with pytest.raises(OSError, match="RAY_USE_TLS is not set on this node"):
        NodeEndpoint(platform_relay[0].address)


@pytest.mark.parametrize(
    ("own", "is_insecure", "refused"),
    [("10.1.2.3", False, True), ("fd00::7", False, True), ("10.1.2.3", True, False), ("127.0.0.1", False, False)],
)
def test_a_cluster_of_other_machines_without_encryption_is_refused(
    monkeypatch: pytest.MonkeyPatch, own: str, is_insecure: bool, refused: bool
) -> None:
    util = SimpleNamespace(get_node_ip_address=lambda: own)
    ray = SimpleNamespace(__version__="2.60.0", init=lambda **options: None, util=util)
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setattr(joining, "_shut_out", lambda address: None)
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        told = joining.join(address, {}, [], is_insecure=is_insecure)
    assert bool(told) == refused
    if told:
        assert told[0] == "configuration"
        assert f"unprotected between {own} and the nodes" in told[1]
        assert "--insecure-http" in str(told[2])


@pytest.fixture
def encrypted_cluster(tmp_path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """A cluster of one node with Ray's certificates: its address, and the variables for those who join."""
    directory = tempfile.mkdtemp(prefix="r-", dir="/tmp")  # a short name: sockets below have little room
    os.mkdir(f"{directory}/ray")
    environ = {
        **certificates(tmp_path / "ray", trustme.CA()),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": "a" * 64,
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_DISABLE_IMPORT_WARNING": "1",
        "RAY_TMPDIR": directory,
        "ALGO_RAY_CACHE": str(tmp_path / "cache"),
    }
    with started_head(environ, directory, tmp_path / "head.log") as address:
        yield address, environ
    shutil.rmtree(directory, ignore_errors=True)


def test_algorithms_call_each_other_where_all_is_encrypted(
    encrypted_cluster: tuple[str, dict[str, str]], tmp_path: Path
) -> None:
    """The platform is served with a certificate of its own authority, and Ray's traffic is encrypted by that of another.

    Clients of algorithms know neither, and need none: they call an address of their node.
    """
    address, environ = encrypted_cluster
    home = Home(tmp_path / "home")
    home.environ |= {**environ, "ALGO_RAY_ADDRESS": address}
    with closing(Platform(home)) as platform:
        for name, options in {"Calling": [], "Isolated": ["--network-access", "isolated"]}.items():
            source = home.root / name
            (source / "src").mkdir(parents=True)
            (source / "src" / "__init__.py").touch()
            (source / "src" / f"{name}.py").write_text(CALLING)
            for package in CLIENT:
                shutil.copytree(Path(str(import_module(package).__file__)).parent, source / package)
            published = home.run("local", "publish", source, f"tester/{name}", *options)
            assert published.code == ExitCode.OK, published.stderr
        files = certificates(tmp_path / "served", trustme.CA())
        tls = Path(files["RAY_TLS_SERVER_CERT"]), Path(files["RAY_TLS_SERVER_KEY"])
        served = platform.serve("tester", engine="ray", tls=tls)
        home.environ |= {**served.environ, "REQUESTS_CA_BUNDLE": files["RAY_TLS_CA_CERT"]}
        for name in ("Calling", "Isolated"):
            done = home.run("run", f"tester/{name}", "-d", "Jane")
            assert done.code == ExitCode.OK, done.stderr
            called, *answers = json.loads(done.text)
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+", called)
            assert answers == ["Hello Jane"] * 2
