"""Every error about a value names where the value came from, and what changes it there."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import trustme
from support.stub import KEY, StubPlatform

from algo_core.errors import ExitCode
from algo_core.testing import Home

WRONG = "sim" + "w" * 25


def config(home: Home, address: str, key: str = WRONG, name: str = "default") -> None:
    home.write_config(f'[profiles.{name}]\naddress = "{address}"\napi_key = "{key}"\n')


KEY_FROM = {
    "the environment": ("environment variable ALGORITHMIA_API_KEY", "`unset ALGORITHMIA_API_KEY`"),
    "a token in the environment": ("environment variable ALGORITHMIA_BEARER_TOKEN", "`unset ALGORITHMIA_BEARER_TOKEN`"),
    "the profile": ("profile default in {config} (api_key)", "`algo auth`"),
    "a named profile": ("profile work in {config} (api_key)", "`algo auth --profile work`"),
    "the administrator": ("profile default in {site} (api_key)", "`algo auth`"),
    "a command": ("credential_command of profile default", "algo profile show default"),
    "nowhere": ("has no key", "`algo auth`"),
}


@pytest.mark.parametrize("how", KEY_FROM)
def test_a_wrong_key_says_where_it_came_from(algo_home: Home, stub: StubPlatform, how: str) -> None:
    environ, flags = {}, []
    config(algo_home, stub.address, KEY)
    if how == "the environment":
        environ = {"ALGORITHMIA_API_KEY": WRONG}
    elif how == "a token in the environment":
        environ = {"ALGORITHMIA_BEARER_TOKEN": WRONG}
    elif how == "the profile":
        config(algo_home, stub.address)
    elif how == "a named profile":
        config(algo_home, stub.address, name="work")
        flags = ["--profile", "work"]
    elif how == "the administrator":
        algo_home.config_file.unlink()
        algo_home.write_site_config(f'[profiles.default]\naddress = "{stub.address}"\napi_key = "{WRONG}"\n')
    elif how == "a command":
        algo_home.write_config(
            f'[profiles.default]\naddress = "{stub.address}"\ncredential_command = ["echo", "{WRONG}"]\n'
        )
    else:
        algo_home.write_config(f'[profiles.default]\naddress = "{stub.address}"\n')
    origin, remedy = (text.format(config=algo_home.config_file, site=algo_home.site_file) for text in KEY_FROM[how])
    result = algo_home.run(*flags, "ls", environ=environ)
    assert result.code == ExitCode.AUTHENTICATION
    assert origin in result.stderr
    assert remedy in result.stderr
    assert WRONG not in result.stderr


def test_a_transfer_says_it_as_well(algo_home: Home, stub: StubPlatform) -> None:
    stub.on("GET", "/v1/data/.my/c/f", stub.json_answer({"error": {"message": "authorization required"}}, 401))
    stub.on("HEAD", "/v1/data/.my/c/f", stub.answer(401))
    config(algo_home, stub.address, KEY)
    result = algo_home.run("cat", ".my/c/f", environ={"ALGORITHMIA_API_KEY": WRONG})
    assert result.code == ExitCode.AUTHENTICATION
    assert "environment variable ALGORITHMIA_API_KEY" in result.stderr


def test_a_key_that_may_not_do_something_is_named(algo_home: Home, stub: StubPlatform) -> None:
    stub.on("GET", "/v1/data/", stub.json_answer({"error": {"message": "not yours"}}, 403))
    config(algo_home, stub.address)
    result = algo_home.run("ls")
    assert result.code == ExitCode.AUTHENTICATION
    assert f"The key from profile default in {algo_home.config_file} (api_key) does not permit that" in result.stderr


def test_nobody_without_a_key_is_told_of_one(algo_home: Home) -> None:
    refused = algo_home.run("builds", "logs", "demo/Hello")
    assert refused.code == ExitCode.AUTHENTICATION
    assert "hint: Without a key, commands act as your own account; with --sudo" in refused.stderr


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address at which nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


ADDRESS_FROM = {
    "the environment": ("environment variable ALGORITHMIA_API", "`unset ALGORITHMIA_API`"),
    "the profile": ("profile default in {config}", "`algo auth`"),
    "a named profile": ("profile work in {config}", "`algo auth --profile work`"),
    "the administrator": ("profile default in {site}", "`algo auth`"),
    "the administrator's law": ("enforced by {site}", "ask your administrator"),
}


@pytest.mark.parametrize("how", ADDRESS_FROM)
def test_an_address_that_leads_nowhere_says_where_it_came_from(algo_home: Home, nobody: str, how: str) -> None:
    environ, flags = {"ALGO_RETRIES": "0"}, []
    if how == "the environment":
        config(algo_home, "https://right.example")
        environ["ALGORITHMIA_API"] = nobody
    elif how == "the profile":
        config(algo_home, nobody)
    elif how == "a named profile":
        config(algo_home, nobody, name="work")
        flags = ["--profile", "work"]
    elif how == "the administrator":
        algo_home.write_site_config(f'[profiles.default]\naddress = "{nobody}"\napi_key = "{KEY}"\n')
    else:
        config(algo_home, "https://right.example")
        algo_home.write_site_config(f'[enforce]\naddress = "{nobody}"\n')
    origin, remedy = (text.format(config=algo_home.config_file, site=algo_home.site_file) for text in ADDRESS_FROM[how])
    for words in (["ls"], ["cat", ".my/c/f"], ["run", "demo/Hello", "-d", "x"]):
        result = algo_home.run(*flags, *words, environ=environ)
        assert result.code == ExitCode.NETWORK
        assert f"which comes from {origin}" in result.stderr
        assert remedy in result.stderr
        assert "algo doctor" not in result.stderr


@pytest.mark.parametrize("how", ["the environment", "the profile", "the file", "the default", "the law"])
def test_a_time_limit_says_where_it_came_from(algo_home: Home, how: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        environ = {"ALGO_RETRIES": "0"}
        config(algo_home, address)
        text = algo_home.config_file.read_text()
        if how == "the environment":
            environ["ALGO_TIMEOUT"] = "0.2"
            said = "(timeout from environment variable ALGO_TIMEOUT): `export ALGO_TIMEOUT=0.4`"
        elif how == "the profile":
            algo_home.write_config(text + "timeout = 0.2\n")
            said = f"(timeout from profile default in {algo_home.config_file}): `algo config set profiles.default.timeout 0.4`"
        elif how == "the file":
            algo_home.write_config("timeout = 0.2\n" + text)
            said = f"(timeout from {algo_home.config_file}): `algo config set timeout 0.4`"
        elif how == "the law":
            algo_home.write_site_config("[enforce]\ntimeout = 0.2\n")
            said = f"ask your administrator to allow more than 0.2 s (timeout from enforced by {algo_home.site_file})"
        else:
            algo_home.write_site_config("timeout = 0.2\n")
            said = f"(timeout from {algo_home.site_file}): `algo config set timeout 0.4`"
        result = algo_home.run("ls", environ=environ)
    assert result.code == ExitCode.NETWORK
    assert said in result.stderr


# Schemes

Serve = Callable[[bytes], str]


@pytest.fixture
def answering() -> Iterator[Serve]:
    """Serves one answer to whatever is sent, in clear; the address without a scheme."""
    servers = []

    def serve(answer: bytes) -> str:
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)

        def run() -> None:
            while True:
                try:
                    peer, _ = server.accept()
                except OSError:
                    return
                with peer:
                    peer.recv(1 << 16)
                    peer.sendall(answer)

        threading.Thread(target=run, daemon=True).start()
        return f"127.0.0.1:{server.getsockname()[1]}"

    yield serve
    for server in servers:
        server.shutdown(socket.SHUT_RDWR)
        server.close()


NGINX = (
    b"<html><head><title>400 The plain HTTP request was sent to HTTPS port</title></head><body>"
    b"<center><h1>400 Bad Request</h1></center></body></html>"
)
WANT_TLS = {
    "an alert": b"\x15\x03\x01\x00\x02\x02\x46",
    "nginx": b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s" % (len(NGINX), NGINX),
    "Go": b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n",
    "Go, as text": b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 48\r\n\r\nClient sent an HTTP request to an HTTPS server.\n",
    "nothing": b"",
}  # fmt: skip


WAYS = [
    (how, way)
    for how in WANT_TLS
    for way in ("directly", "through requests")
    if (how, way) != ("nothing", "through requests")
]
"""requests does not tell a connection that ended without an answer from one that broke."""


@pytest.mark.parametrize(("how", "way"), WAYS)
def test_http_to_a_port_for_tls_is_named_as_such(algo_home: Home, answering: Serve, how: str, way: str) -> None:
    place = answering(WANT_TLS[how])
    environ = {"ALGO_RETRIES": "0", "ALGORITHMIA_API": f"http://{place}", "ALGORITHMIA_API_KEY": KEY}
    if way == "through requests":
        environ |= {"http_proxy": "http://127.0.0.1:9", "no_proxy": "127.0.0.1"}
    result = algo_home.run("ls", environ=environ)
    assert result.code in (ExitCode.FAILURE, ExitCode.NETWORK)
    assert "https://" in result.stderr.partition("hint")[2]
    assert f"`export ALGORITHMIA_API=https://{place}`" in result.stderr


@pytest.mark.parametrize("way", ["directly", "through requests"])
def test_https_to_a_port_in_clear_is_named_as_such(
    algo_home: Home, stub: StubPlatform, answering: Serve, way: str
) -> None:
    proxy = (
        {"https_proxy": "http://127.0.0.1:9", "no_proxy": "127.0.0.1,localhost"} if way == "through requests" else {}
    )
    for place in (stub.address.removeprefix("http://"), answering(b"HTTP/1.0 400 Bad\r\n\r\n"), answering(b"")):
        algo_home.write_config(f'retries = 0\n[profiles.default]\naddress = "https://{place}"\napi_key = "{KEY}"\n')
        result = algo_home.run("ls", environ=proxy)
        assert result.code == ExitCode.NETWORK, result
        assert "TLS" in result.stderr
        assert f"`algo config set profiles.default.address http://{place}`" in result.stderr
        assert "ca-cert" not in result.stderr


def test_a_certificate_that_nobody_trusts_is_still_said_to_be_one(algo_home: Home, tmp_path: Any) -> None:
    authority, other = trustme.CA(), trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    other.cert_pem.write_to_path(str(tmp_path / "other.pem"))
    stub = StubPlatform()
    stub.start(context)
    try:
        config(algo_home, stub.address)
        text = algo_home.config_file.read_text()
        algo_home.write_config(text + f'ca_cert = "{tmp_path / "other.pem"}"\n')
        result = algo_home.run("ls")
    finally:
        stub.close()
    assert result.code == ExitCode.NETWORK
    assert "Cannot verify" in result.stderr
    assert f"{tmp_path / 'other.pem'} is trusted: profile default in {algo_home.config_file}" in result.stderr


# What auth has written, and what goes before it


def auth(home: Home, address: str, *flags: str, **environ: str) -> Any:
    words = ["auth", *flags, "--api-address", address, "--api-key-stdin"]
    return home.run(*words, input=KEY, environ=environ)


@pytest.mark.parametrize("variable", ["ALGORITHMIA_API_KEY", "ALGORITHMIA_BEARER_TOKEN"])
def test_auth_says_that_a_key_in_the_environment_goes_before(
    algo_home: Home, stub: StubPlatform, variable: str
) -> None:
    result = auth(algo_home, stub.address, **{variable: WRONG})
    assert (result.code, result.text) == (ExitCode.OK, "Account: alice\n")
    assert f"{variable} in the environment overrides the key that was saved: `unset {variable}`" in result.stderr
    assert "Test with 'algo ls --profile default'" in result.stderr
    assert algo_home.run("ls", environ={variable: WRONG}).code == ExitCode.AUTHENTICATION
    assert algo_home.run("ls", "--profile", "default", environ={variable: WRONG}).code == ExitCode.OK
    assert algo_home.run("ls").code == ExitCode.OK
    again = auth(algo_home, stub.address, "--profile", "default", **{variable: WRONG})
    assert "overrides" not in again.stderr


def test_auth_says_that_an_address_in_the_environment_goes_before(algo_home: Home, stub: StubPlatform) -> None:
    result = auth(algo_home, stub.address, ALGORITHMIA_API="https://other.example")
    assert result.code == ExitCode.OK
    assert (
        "ALGORITHMIA_API in the environment overrides the address that was saved (https://other.example)"
        in result.stderr
    )


def test_auth_tells_programs_as_well(algo_home: Home, stub: StubPlatform) -> None:
    result = algo_home.run(
        "auth",
        "--json",
        "--api-address",
        stub.address,
        "--api-key-stdin",
        input=KEY,
        environ={"ALGORITHMIA_API_KEY": WRONG},
    )
    assert '"warning"' in result.stderr
    assert "ALGORITHMIA_API_KEY" in result.stderr


def test_auth_with_a_wrong_key_does_not_advise_auth(algo_home: Home, stub: StubPlatform) -> None:
    result = algo_home.run("auth", "--api-address", stub.address, "--api-key-stdin", input=WRONG)
    assert result.code == ExitCode.AUTHENTICATION
    assert "algo auth" not in result.stderr
    assert not algo_home.config_file.exists()


def test_plain_http_is_allowed_by_what_the_command_has(algo_home: Home) -> None:
    in_auth = algo_home.run("auth", "--api-address", "http://corp.example", "--api-key-stdin", input=KEY)
    assert "allow it with: --insecure-http" in in_auth.stderr
    algo_home.write_config(f'[profiles.default]\naddress = "http://corp.example"\napi_key = "{KEY}"\n')
    result = algo_home.run("ls")
    assert result.code == ExitCode.CONFIGURATION
    assert "--insecure-http" not in result.stderr
    assert "`algo config set insecure_http true`" in result.stderr
