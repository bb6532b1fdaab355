"""What the archive does when its server, or the way to it, fails: against a server that misbehaves as it is told."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from acme_bundle.archive import Archive, open_archive

from algo_core import App
from algo_core.errors import AlgoError, NetworkError, PlatformError, RequestRefused
from algo_core.testing import Home
from algo_core.uri import DataUri

CONTENT = b"0123456789"
LARGE = bytes(range(256)) * 4096
DESCRIBED = """<multistatus xmlns="DAV:"><response><href>{path}</href><propstat><prop><resourcetype/>
<getcontentlength>10</getcontentlength><getetag>"one"</getetag></prop></propstat></response></multistatus>"""
FILE = DataUri("acme", "file")


class Misbehaving(ThreadingHTTPServer):
    """Knows one file; `faults` are what goes wrong with the next requests of a method."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.faults: dict[str, list[str]] = {}
        self.seen: list[str] = []
        self.received: bytes = b""
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Misbehaving

    def answer_any(self) -> None:
        self.server.seen.append(self.command)
        queue = self.server.faults.get(self.command, [])
        fault = queue.pop(0) if queue else ""
        if fault.isdigit():
            self._body()
            self.answer(int(fault))
        elif fault == "cut":
            self.rfile.read(1000 if self.command == "PUT" else 0)
            self.close_connection = True
        else:
            getattr(self, f"on_{self.command}")(fault)

    do_PROPFIND = do_GET = do_PUT = do_MOVE = do_DELETE = answer_any

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content_Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def on_PROPFIND(self, fault: str) -> None:
        self._body()
        body = "<html>Please log in</html>" if fault == "a page" else DESCRIBED.format(path=self.path)
        self.answer(207, body.encode())

    def on_GET(self, fault: str) -> None:
        if fault == "half":
            self.answer(200, CONTENT[:5], Content_Length="10", ETag='"one"')
            self.close_connection = True
        elif fault == "another version" and "Range" in self.headers:
            self.answer(206, b"xyz", Content_Range="bytes 4-6/7", ETag='"two"')
        elif fault == "no range":
            self.answer(206, b"xyz", ETag='"one"')
        else:
            self.answer(200, CONTENT, ETag='"one"')

    def on_PUT(self, fault: str) -> None:
        self.server.received = self._body()
        self.answer(201)

    def on_MOVE(self, fault: str) -> None:
        self.answer(204)

    def on_DELETE(self, fault: str) -> None:
        self.answer(204)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Misbehaving]:
    server = Misbehaving()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def archive(algo_home: Home, server: Misbehaving) -> Archive:
    algo_home.write_site_config(f'[acme]\narchive = "http://127.0.0.1:{server.server_address[1]}"\n')
    return open_archive(App(algo_home.environ), FILE)


def read(archive: Archive, offset: int = 0) -> tuple[int, bytes]:
    reader = archive.open(FILE, offset, version="one")
    buffer, content = bytearray(4), b""
    while count := reader.readinto(buffer):
        content += buffer[:count]
    return reader.offset, content


def test_a_download_that_ends_early_is_no_file(archive: Archive, server: Misbehaving) -> None:
    server.faults["GET"] = ["half"]
    with pytest.raises(NetworkError):
        read(archive)


def test_two_versions_are_never_mixed(archive: Archive, server: Misbehaving) -> None:
    server.faults["GET"] = ["another version"]
    assert read(archive, 4) == (0, CONTENT)


def test_a_part_that_does_not_say_which_is_refused(archive: Archive, server: Misbehaving) -> None:
    server.faults["GET"] = ["no range"]
    with pytest.raises(PlatformError):
        read(archive, 4)


def test_a_page_for_people_is_no_answer(archive: Archive, server: Misbehaving) -> None:
    server.faults["PROPFIND"] = ["a page"]
    with pytest.raises(PlatformError, match="does not answer as WebDAV"):
        archive.stat(FILE)


@pytest.mark.parametrize("fault", ["503", "429", "cut"])
def test_what_may_be_asked_again_is(archive: Archive, server: Misbehaving, fault: str) -> None:
    server.faults = {"PROPFIND": [fault, fault], "GET": [fault]}
    assert read(archive) == (0, CONTENT)
    assert (server.seen.count("PROPFIND"), server.seen.count("GET")) == (3, 2)


class OneWay(io.BytesIO):
    def seekable(self) -> bool:
        return False

    def seek(self, offset: int, whence: int = 0, /) -> int:
        raise OSError("a pipe")


@pytest.mark.parametrize("is_size_known", [True, False])
def test_an_upload_that_breaks_is_sent_again_from_its_beginning(
    archive: Archive, server: Misbehaving, is_size_known: bool
) -> None:
    server.faults["PUT"] = ["cut", "503"]
    source = io.BytesIO(b"before" + LARGE)
    source.seek(6)
    archive.write(FILE, source, len(LARGE) if is_size_known else None)
    assert server.received == LARGE
    assert server.seen.count("PUT") == 3


def test_an_upload_that_cannot_be_sent_again_leaves_nothing(archive: Archive, server: Misbehaving) -> None:
    server.faults["PUT"] = ["cut"]
    with pytest.raises(AlgoError):
        archive.write(FILE, OneWay(LARGE), None)
    assert "MOVE" not in server.seen
    assert server.seen[-1] == "DELETE"


@pytest.mark.parametrize(
    ("method", "status", "error"),
    [("PUT", "507", RequestRefused), ("PUT", "423", RequestRefused), ("MOVE", "500", PlatformError)],
)
def test_an_upload_that_is_refused_leaves_nothing(
    archive: Archive, server: Misbehaving, method: str, status: str, error: Any
) -> None:
    server.faults[method] = [status] * 9
    with pytest.raises(error) as caught:
        archive.write(FILE, io.BytesIO(b"x"), 1)
    assert ".part" not in str(caught.value)
    assert server.seen[-1] == "DELETE"
