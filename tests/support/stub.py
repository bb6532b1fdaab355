"""A platform of a few lines, whose answers the tests choose."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from support.listing import HEADERS, page

KEY = "sim" + "k" * 25
OTHER_KEY = "sim" + "o" * 25


@dataclass
class Answer:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def json_answer(value: Any, status: int = 200, **headers: str) -> Answer:
    return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json", **headers})


def root_listing(account: str) -> Answer:
    return Answer(200, page([account, ".algo"]), dict(HEADERS))


@dataclass
class Seen:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    peer: tuple[str, int]


class StubPlatform:
    """Answers `GET /v1/data/` with the account whose key came, everything else as told by `on`."""

    answer = Answer
    json_answer = staticmethod(json_answer)

    def __init__(self) -> None:
        self.accounts = {f"Simple {KEY}": "alice", f"Simple {OTHER_KEY}": "bob"}
        self.seen: list[Seen] = []
        self.scripted: dict[tuple[str, str], list[Answer | Callable[[BaseHTTPRequestHandler], None]]] = {}
        self._server: ThreadingHTTPServer | None = None
        self.scheme = "http"

    def on(self, method: str, path: str, *answers: Answer | Callable[[BaseHTTPRequestHandler], None]) -> None:
        """Give these answers in turn; the last one stays."""
        self.scripted[method, path] = list(answers)

    def otherwise(self, method: str, path: str, credential: str) -> Answer:
        """What is answered to a request that nothing was said about."""
        if path == "/v1/data/" and (who := self.accounts.get(credential)):
            return root_listing(who)
        if path == "/v1/data/":
            return json_answer({"error": {"message": "authorization required"}}, 401)
        return json_answer({"error": {"message": f"nothing at {path}"}}, 404)

    @property
    def address(self) -> str:
        assert self._server
        return f"{self.scheme}://localhost:{self._server.server_address[1]}"

    def start(self, context: ssl.SSLContext | None = None) -> None:
        platform = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                path = self.path.partition("?")[0]
                platform.seen.append(
                    Seen(self.command, self.path, dict(self.headers), self.rfile.read(length), self.client_address)
                )
                queue = platform.scripted.get((self.command, path))
                if queue:
                    chosen = queue.pop(0) if len(queue) > 1 else queue[0]
                else:
                    chosen = platform.otherwise(self.command, path, self.headers.get("Authorization") or "")
                if not isinstance(chosen, Answer):
                    chosen(self)
                    return
                self.send_response(chosen.status)
                for name, value in chosen.headers.items():
                    self.send_header(name, value)
                if "Content-Length" not in chosen.headers:
                    self.send_header("Content-Length", str(len(chosen.body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(chosen.body)

            do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = answer

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if context:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            self.scheme = "https"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        if self._server:
            self._server.shutdown()
            self._server.server_close()
