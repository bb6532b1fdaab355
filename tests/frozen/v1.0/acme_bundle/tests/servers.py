"""A WebDAV server on the loopback interface, behind TLS: what the archive is to the tests."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import trustme
from cheroot.ssl.builtin import BuiltinSSLAdapter
from cheroot.wsgi import Server
from wsgidav.wsgidav_app import WsgiDAVApp

USER = "algo"


class ArchiveServer:
    """Serves a directory to whoever has the token; its certificate is signed by a CA of its own, or the one given."""

    def __init__(self, directory: Path, token: str, ca: trustme.CA | None = None) -> None:
        directory.mkdir(exist_ok=True)
        self.directory = directory
        self.token = token
        self.ca = ca or trustme.CA()
        logging.getLogger("wsgidav").setLevel(logging.CRITICAL)
        application = WsgiDAVApp(
            {
                "provider_mapping": {"/files": str(directory)},
                "http_authenticator": {"accept_basic": True, "accept_digest": False, "default_to_digest": False},
                "simple_dc": {"user_mapping": {"*": {USER: {"password": token}}}},
                "verbose": 0,
                "logging": {"enable": False},
            }
        )
        self._server = Server(("127.0.0.1", 0), application, numthreads=4)
        certificate = self.ca.issue_cert("127.0.0.1", "localhost")
        with (
            certificate.cert_chain_pems[0].tempfile() as chain,
            certificate.private_key_pem.tempfile() as key,
        ):
            self._server.ssl_adapter = BuiltinSSLAdapter(chain, key)
        self._server.prepare()
        self._thread = threading.Thread(target=self._server.serve, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        return f"https://127.0.0.1:{self._server.bind_addr[1]}/files"

    def write_ca(self, path: Path) -> Path:
        self.ca.cert_pem.write_to_path(path)
        return path

    def close(self) -> None:
        self._server.stop()
        self._thread.join()
