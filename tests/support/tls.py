"""Servers behind TLS and proxies, on loopback, with certificates of an authority that the tests make."""

from __future__ import annotations

import base64
import http.server
import select
import socket
import threading
from pathlib import Path

import trustme

USER = "Basic " + base64.b64encode(b"jane:s3cret").decode()


class QuietServer(http.server.ThreadingHTTPServer):
    def handle_error(self, *args: object) -> None: ...


class Proxy(QuietServer):
    """Lets CONNECT through; `wants` is the Proxy-Authorization that it insists on."""

    def __init__(self, wants: str | None = None) -> None:
        self.wants = wants
        self.targets: list[str] = []
        super().__init__(("127.0.0.1", 0), Tunnel)


class Tunnel(http.server.BaseHTTPRequestHandler):
    server: Proxy

    def do_CONNECT(self) -> None:
        self.server.targets.append(self.path)
        if self.server.wants and self.headers.get("Proxy-Authorization") != self.server.wants:
            self.send_response(407)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        host, _, port = self.path.partition(":")
        with socket.create_connection((host, int(port))) as other:
            self.send_response(200)
            self.end_headers()
            ends = {self.connection: other, other: self.connection}
            while True:
                for end in select.select(list(ends), [], [])[0]:
                    data = end.recv(65536)
                    if not data:
                        return
                    ends[end].sendall(data)

    def do_GET(self) -> None:
        self.server.targets.append(self.path)
        self.send_response(407 if self.server.wants else 204)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None: ...


class Files:
    """A company's CA, a server's certificate, a person's, and one of somebody else, as PEM files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority, stranger = trustme.CA(), trustme.CA()
        self.ca = self._written("ca.pem", self.authority.cert_pem)
        self.jane = self.authority.issue_cert("jane@example.com")
        self.client = self._written("jane.pem", self.jane.cert_chain_pems[0])
        self.key = self._written("jane.key", self.jane.private_key_pem)
        self.both = self._written("both.pem", self.jane.private_key_and_cert_chain_pem)
        self.stranger = self._written("other.pem", stranger.issue_cert("x@x.x").private_key_and_cert_chain_pem)

    def _written(self, name: str, blob: trustme.Blob) -> str:
        blob.write_to_path(str(self.folder / name))
        return str(self.folder / name)


def started(server: http.server.HTTPServer) -> http.server.HTTPServer:
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return server
