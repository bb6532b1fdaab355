"""A data API in memory that counts what it is asked and fails where a test says so; and the embedded platform."""

from __future__ import annotations

import functools
import hashlib
import json
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from support.listing import HEADERS, file_entry, page

from algo_core.testing import Home

KEY = "sim" + "d" * 25
PAGE = 1000


@functools.lru_cache(2)
def digest(content: bytes) -> str:
    """The MD5 of a file; kept, because every part of a large one is answered with it."""
    return hashlib.md5(content).hexdigest()


@dataclass
class Fault:
    """What happens to requests of this method whose path ends so; `times` is how often."""

    method: str
    suffix: str
    action: Callable[[_Handler], bool] | str | int
    times: int = 1
    headers: dict[str, str] = field(default_factory=dict)


class DataPlatform:
    """`/v1/data` and `/v1/connector/...` as in API section 4, kept in two dictionaries.

    `log` has a line for each request, such as `GET data/.my/c/f`; `sent` counts the bytes of files that were sent. With
    `tells_stored` the answer to an upload has the MD5 of what was stored as its ETag; with `leaves_out_empty` listings have no member
    for the kind of which there is nothing, as those of older platforms.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.directories = {"data/", "data/.my", "data/jane"}
        self.log: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.faults: list[Fault] = []
        self.sent = 0
        self.etags = True
        self.tells_stored = False
        self.leaves_out_empty = False
        self.ranges = True
        self.normalise: Callable[[str], str] = lambda path: path
        self.flag = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"platform": self}))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.flag.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def fail(self, method: str, suffix: str, action: Any, times: int = 1, **headers: str) -> None:
        """Let something go wrong: a status, the name of one of `_Handler`'s faults, or a function of the handler."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.faults.append(Fault(method, suffix, action, times, named))

    def requests(self, method: str) -> list[str]:
        return [line for line in self.log if line.startswith(f"{method} ")]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    platform: DataPlatform

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def handle_any(self) -> None:
        url = urlsplit(self.path)
        self.where = self.platform.normalise(unquote(url.path)[len("/v1/") :])
        if self.where != "data/":
            self.where = self.where.rstrip("/")
        self.query = {name: values[0] for name, values in parse_qs(url.query).items()}
        self.platform.log.append(f"{self.command} {self.where}" + (f"?{url.query}" if url.query else ""))
        self.platform.headers.append(dict(self.headers))
        for fault in self.platform.faults:
            if fault.method == self.command and self.where.endswith(fault.suffix) and fault.times:
                fault.times -= 1
                self.begun = b""
                if isinstance(fault.action, int):
                    self._body()
                    self.answer(fault.action, b"", fault.headers)
                    return
                if fault.action(self) if callable(fault.action) else getattr(self, f"fault_{fault.action}")():
                    return
                break
        getattr(self, f"on_{self.command.lower()}")()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any

    # Faults; those that return True have answered

    begun = b""
    """What a fault has read of the body before the API goes on with it."""

    def fault_reset(self) -> bool:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()
        return True

    def fault_reset_in_upload(self) -> bool:
        self.rfile.read(100_000)
        return self.fault_reset()

    def fault_cut(self) -> bool:
        """Half of what should be sent."""
        content = self.platform.files[self.where]
        start = self._range(content)
        rest = content[start:]
        self._send_head(206 if start else 200, len(rest), self._facts(content, start))
        self._send(rest[: len(rest) // 2])
        self.close_connection = True
        return True

    def fault_cut_and_replace(self) -> bool:
        self.fault_cut()
        self.platform.files[self.where] = self.platform.files[self.where][::-1]
        return True

    def fault_cut_chunked(self) -> bool:
        content = self.platform.files[self.where]
        self.send_response(200)
        self.send_header("X-Data-Type", "file")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"%x\r\n" % len(content) + content[: len(content) // 2])
        self.close_connection = True
        return True

    def fault_corrupt(self) -> bool:
        content = self.platform.files[self.where]
        self._send_head(200, len(content), self._facts(content, 0))
        self._send(content[:-1] + bytes([content[-1] ^ 1]))
        return True

    def fault_page(self) -> bool:
        """A log-in page, with status 200."""
        self._body()
        self.answer(200, b"<html>Please log in</html>", {"Content-Type": "text/html"})
        return True

    def fault_stop_halfway(self) -> bool:
        """Half of it, then nothing until the test is over."""
        content = self.platform.files[self.where]
        self._send_head(200, len(content), self._facts(content, 0))
        self._send(content[: len(content) // 2])
        self.wfile.flush()
        self.platform.flag.wait(60)
        self.close_connection = True
        return True

    def fault_redirect(self) -> bool:
        self._body()
        self.answer(302, b"", {"Location": self.path.replace(".my", "jane")})
        return True

    def fault_damage_upload(self) -> bool:
        """One bit of what was sent is another."""
        body = self._body() or b""
        self.store(body[:-1] + bytes([body[-1] ^ 1]))
        return True

    # The API

    def on_head(self) -> None:
        if self.where in self.platform.files:
            content = self.platform.files[self.where]
            self._send_head(200, len(content), self._facts(content, 0))
        elif self.where in self.platform.directories:
            self._send_head(200, 0, {"X-Data-Type": "directory"})
        else:
            self._send_head(404, 0, {"X-Error-Message": "data not found"})

    def on_get(self) -> None:
        if self.where in self.platform.files:
            content = self.platform.files[self.where]
            start, end = self._range(content), self._end(content)
            self._send_head(206 if start else 200, end - start, self._facts(content, start, end))
            self._send(content[start:end])
        elif self.where in self.platform.directories:
            self._list()
        else:
            self._missing()

    def _list(self) -> None:
        prefix = self.where if self.where.endswith("/") else self.where + "/"
        below = [d[len(prefix) :] for d in sorted(self.platform.directories) if d.startswith(prefix) and d != prefix]
        folders = [(name, None) for name in below if "/" not in name]
        inside = [path[len(prefix) :] for path in sorted(self.platform.files) if path.startswith(prefix)]
        files = [
            (name, file_entry(name, len(self.platform.files[prefix + name]))) for name in inside if "/" not in name
        ]
        every = [*folders, *files]
        start = int(self.query.get("marker", 0))
        asked, end = every[start : start + PAGE], start + PAGE
        content = page(
            [name for name, entry in asked if entry is None],
            [entry for name, entry in asked if entry is not None],
            str(end) if len(every) > end else None,
        )
        if self.platform.leaves_out_empty:
            content = json.dumps({name: found for name, found in json.loads(content).items() if found}).encode()
        self.answer(200, content, HEADERS)

    def on_put(self) -> None:
        body = self._body()
        if body is None:
            self.close_connection = True
            return
        if self.where.rpartition("/")[0] not in self.platform.directories or self.where.count("/") < 3:
            self._missing()
            return
        self.store(body)

    def store(self, content: bytes, **headers: str) -> None:
        """Keep a file and say so."""
        self.platform.files[self.where] = content
        if self.platform.tells_stored:
            headers["ETag"] = digest(content)
        self.answer(200, json.dumps({"result": self.where.replace("data/", "data://", 1)}).encode(), headers)

    def on_post(self) -> None:
        name = json.loads(self._body() or b"{}")["name"]
        path = f"{self.where.rstrip('/')}/{name}"
        if self.where not in self.platform.directories:
            self._missing()
        elif path in self.platform.directories:
            self.answer(400, json.dumps({"error": {"message": "name is taken"}}).encode())
        else:
            self.platform.directories.add(path)
            self.answer(200, b"")

    def on_delete(self) -> None:
        inside = [path for path in list(self.platform.files) if path.startswith(self.where + "/")]
        if self.where in self.platform.files:
            del self.platform.files[self.where]
        elif self.where not in self.platform.directories:
            self._missing()
            return
        elif inside and self.query.get("force") != "true":
            self.answer(400, json.dumps({"error": {"deleted": 0, "message": "it is not empty"}}).encode())
            return
        else:
            self.platform.directories.remove(self.where)
            for path in inside:
                del self.platform.files[path]
        self.answer(200, b"")

    # Sending and receiving

    def _missing(self) -> None:
        self.answer(404, json.dumps({"error": {"message": "data not found"}}).encode())

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self._send_head(status, len(body), {"Content-Type": "application/json", **(headers or {})})
        if self.command != "HEAD":
            self.wfile.write(body)

    def _send_head(self, status: int, length: int, headers: dict[str, str]) -> None:
        self.send_response_only(status)
        for name, value in {"Content-Length": str(length), **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def _send(self, content: bytes) -> None:
        self.platform.sent += len(content)
        self.wfile.write(content)

    def _facts(self, content: bytes, start: int, end: int | None = None) -> dict[str, str]:
        headers = {"X-Data-Type": "file", "Last-Modified": "Wed, 06 Jan 2016 10:22:34 GMT"}
        if self.platform.etags:
            headers["ETag"] = digest(content)
        if start:
            headers["Content-Range"] = f"bytes {start}-{(end or len(content)) - 1}/{len(content)}"
        return headers

    def _range(self, content: bytes) -> int:
        match = re.fullmatch(r"bytes=(\d+)-\d*", self.headers.get("Range", ""))
        condition = self.headers.get("If-Range")
        is_other = condition is not None and condition.strip('"') != digest(content)
        return int(match[1]) if match and self.platform.ranges and not is_other else 0

    def _end(self, content: bytes) -> int:
        match = re.fullmatch(r"bytes=\d+-(\d+)", self.headers.get("Range", ""))
        return min(len(content), int(match[1]) + 1) if match and self._range(content) else len(content)

    def _body(self) -> bytes | None:
        """The body of the request, or None if it was cut short."""
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            parts = []
            while size := int(self.rfile.readline().strip() or b"-1", 16):
                if size < 0:
                    return None
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        length = int(self.headers.get("Content-Length") or 0)
        body = self.begun + self.rfile.read(length - len(self.begun))
        return body if len(body) == length else None


@pytest.fixture
def data_platform() -> Iterator[DataPlatform]:
    """A platform with the collection `.my/c`."""
    platform = DataPlatform()
    platform.directories.add("data/.my/c")
    platform.start()
    yield platform
    platform.stop()


@pytest.fixture
def home(algo_home: Home, data_platform: DataPlatform) -> Home:
    """A home whose `algo` talks to `data_platform`."""
    algo_home.environ |= {"ALGORITHMIA_API": data_platform.address, "ALGORITHMIA_API_KEY": KEY, "ALGO_TIMEOUT": "60"}
    return algo_home


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """An empty directory to work in."""
    path = tmp_path / "work"
    path.mkdir()
    return path
