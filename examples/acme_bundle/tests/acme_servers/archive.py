"""A WebDAV server on the loopback interface, behind TLS: what the archive is to the tests."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import trustme
from cheroot.ssl.builtin import BuiltinSSLAdapter
from cheroot.wsgi import Server
from wsgidav.dc.base_dc import BaseDomainController
from wsgidav.wsgidav_app import WsgiDAVApp

USER = "algo"


class ArchiveServer:
    """Serves a directory to those whose token is right; its certificate is signed by `ca`, or by a CA of its own."""

    def __init__(self, directory: Path, is_right: Callable[[str], bool], ca: trustme.CA | None = None) -> None:
        directory.mkdir(exist_ok=True)
        self.directory = directory
        self.ca = ca or trustme.CA()

        class Tokens(BaseDomainController):  # type: ignore[misc]
            """The token is the password of one user."""

            def get_domain_realm(self, path_info: str, environ: Any) -> str:
                return "archive"

            def require_authentication(self, realm: str, environ: Any) -> bool:
                return True

            def basic_auth_user(self, realm: str, user_name: str, password: str, environ: Any) -> bool:
                return user_name == USER and is_right(password)

            def supports_http_digest_auth(self) -> bool:
                return False

        logging.getLogger("wsgidav").setLevel(logging.CRITICAL)
        application = WsgiDAVApp(
            {
                "provider_mapping": {"/files": str(directory)},
                "http_authenticator": {
                    "domain_controller": Tokens,
                    "accept_basic": True,
                    "accept_digest": False,
                    "default_to_digest": False,
                },
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
