"""An index that does not answer, or refuses, is never "nothing to upgrade"; which one it is, is said."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from algo_core.errors import ExitCode
from algo_plugins.installer.sources import trouble_in


class Index(ThreadingHTTPServer):
    """A package index that answers everything with one status."""

    daemon_threads = True
    status = 200

    @property
    def environ(self) -> dict[str, str]:
        address = f"http://me:s3cret@127.0.0.1:{self.server_address[1]}/simple"
        return {"PIP_NO_INDEX": "0", "PIP_INDEX_URL": address, "PIP_RETRIES": "0", "PIP_FIND_LINKS": "",
                "UV_OFFLINE": "0", "UV_DEFAULT_INDEX": address, "UV_HTTP_RETRIES": "0", "UV_FIND_LINKS": ""}  # fmt: skip


@pytest.fixture
def index() -> Iterator[Index]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(server.status)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = Index(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("kind", ["venv", "bare", "pipx"])
def test_upgrade_tells_an_index_that_does_not_answer_from_nothing_to_do(
    make_place: Any, house: Any, index: Index, kind: str
) -> None:
    house.plugin("acme-greet")
    place = make_place(kind)
    assert place.install("acme-greet").code == ExitCode.OK
    assert place.run("plugins", "upgrade").text == "Nothing to upgrade\n"
    for status in (401, 403, 500, 503) if kind == "bare" else (503,):  # each shape of a refusal has a row below
        index.status = status
        result = place.run("plugins", "upgrade", environ=index.environ)
        assert (result.code, result.text) == (ExitCode.NETWORK, ""), (status, result)
        assert f"127.0.0.1:{index.server_address[1]}/simple" in result.stderr
        assert f"refused: {status}" in result.stderr
        assert "s3cret" not in result.stderr
    index.status = 404
    result = place.run("plugins", "upgrade", environ=index.environ)
    assert (result.code, result.text) == (ExitCode.NOT_FOUND, ""), result
    assert "No package index has" in result.stderr
    away = {
        **index.environ,
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple",
    }
    for words in (["upgrade"], ["upgrade", "acme-greet"]) if kind == "bare" else (["upgrade"],):
        result = place.run("plugins", *words, environ=away)
        assert (result.code, result.text) == (ExitCode.NETWORK, ""), result
        assert "127.0.0.1:9/simple" in result.stderr
        assert "could not be reached" in result.stderr
    assert place.versions()["acme-greet"] == "1.0"


def test_one_index_of_several_that_refuses_is_told_as_well(venv: Any, house: Any, index: Index) -> None:
    """A newer version may be there and nowhere else."""
    house.plugin("acme-greet")
    assert venv.install("acme-greet").code == ExitCode.OK
    index.status = 403
    result = venv.run("plugins", "upgrade", environ={**index.environ, "PIP_FIND_LINKS": str(house.path)})
    assert result.code == ExitCode.NETWORK
    assert "refused: 403" in result.stderr
    index.status = 404
    result = venv.run("plugins", "upgrade", environ={**index.environ, "PIP_FIND_LINKS": str(house.path)})
    assert (result.code, result.text) == (ExitCode.OK, "Nothing to upgrade\n")


@pytest.mark.parametrize("kind", ["venv", "bare"])
def test_install_and_isolated_tell_a_refusal_as_one(make_place: Any, index: Index, kind: str) -> None:
    place = make_place(kind)
    index.status = 403
    for words in (["acme-greet"], ["--isolated", "acme-greet"]):
        result = place.install(*words, environ=index.environ)
        assert result.code == ExitCode.NETWORK, result
        assert "refused: 403" in result.stderr
        assert "s3cret" not in result.stderr


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Could not fetch URL http://h/simple/x/: 401 Client Error: Unauthorized for url: http://h/simple/x/ - skipping",
         "the package index http://h/simple/x/ refused: 401 Unauthorized"),
        ("Could not fetch URL http://h/simple/x/: 404 Client Error: Not Found for url: http://h/simple/x/ - skipping", None),
        ("Could not fetch URL http://a/x/: 404 Client Error: Not Found for url: http://a/x/ - skipping\n"
         "Could not fetch URL http://b/x/: connection error: [Errno 111] Connection refused - skipping",
         "the package index http://b/x/ could not be reached: Connection refused"),
        ("Could not fetch URL http://h/x/: HTTPConnectionPool(host='h', port=1): Max retries exceeded with url: /x/ "
         "(Caused by ResponseError('too many 503 error responses')) - skipping", "the package index http://h/x/ refused: 503 Service Unavailable"),
        ("hint: An index URL (http://h/simple) could not be queried due to a lack of valid authentication credentials "
         "(401 Unauthorized).", "the package index http://h/simple refused: 401 Unauthorized"),
        ("hint: An index (http://h/simple) returned a 403 Forbidden error. Check that", "the package index http://h/simple refused: 403 Forbidden"),
        ("  cause: Failed to fetch: http://h/simple/x/\n  cause: HTTP status server error (500 Internal Server Error) for url (http://h)",
         "the package index http://h/simple/x/ refused: 500 Internal Server Error"),
        ("  Caused by: Failed to fetch: `http://h/simple/x/`\n  Caused by: error sending request for url (http://h)\n"
         "  Caused by: Connection refused (os error 111)", "the package index http://h/simple/x/ could not be reached: Connection refused"),
        ("DEBUG Sending fresh GET request for: http://a/simple/x/\nDEBUG Searching\nDEBUG Sending fresh GET request for: http://b/simple/x/\n"
         "DEBUG Indexes search failed because of status code failure: 401 Unauthorized\n", "the package index http://b/simple/x/ refused: 401 Unauthorized"),
        ("hint: Packages were unavailable because the network was disabled.", "the package index could not be reached: network was disabled"),
        ("Requirement already satisfied: x", None),
    ],
)  # fmt: skip
def test_what_tools_say_of_an_index(said: str, told: str | None) -> None:
    trouble = trouble_in(said)
    assert (str(trouble) if trouble else None) == told


AT = "Could not fetch URL https://127.0.0.1:1/simple/acme/: "


@pytest.mark.parametrize(
    ("said", "word"),
    [
        (f"{AT}There was a problem confirming the ssl certificate: [SSL: CERTIFICATE_VERIFY_FAILED] - skipping", "ca_cert"),
        (f"{AT}a problem: [SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert certificate required - skipping", "client_cert"),
        (f"{AT}a problem: EOF occurred in violation of protocol (_ssl.c:2427) - skipping", "client_cert"),
        (f"{AT}connection error: ProxyError(OSError('Tunnel connection failed: 407 Proxy Authentication Required'))", "proxy"),
        ("error: Failed to fetch: https://127.0.0.1:1/simple/acme/\n  cause: invalid peer certificate: UnknownIssuer", "ca_cert"),
        ("error: Failed to fetch: https://127.0.0.1:1/simple/acme/\n  cause: received fatal alert: CertificateRequired", "client_cert"),
        (f"{AT}connection error: [Errno 111] Connection refused - skipping", None),
    ],
)  # fmt: skip
def test_a_refusal_on_the_way_names_the_setting_that_mends_it(said: str, word: str | None) -> None:
    trouble = trouble_in(said)
    assert trouble is not None
    assert (word in (trouble.answer or "")) if word else trouble.answer is None
