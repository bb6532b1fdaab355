"""The gateway before Acme's platform: it asks for a certificate, an access token and a signature.

It passes the rest on to the platform, which knows one API key: the gateway's. Who may use that the gateway decides.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

import trustme
from cheroot.ssl.builtin import BuiltinSSLAdapter
from cheroot.wsgi import Server

SECONDS = 60.0
NOT_PASSED_ON = frozenset({"connection", "keep-alive", "transfer-encoding", "host", "authorization", "content-length"})
PASSED_ON = ("CONTENT_TYPE", "HTTP_")


class Gateway:
    """Serves behind TLS what the platform at `platform` gives for `key`.

    With `signing_key` it wants a signature over each request, with `wants_certificate` a certificate of the CA. A token
    is refused after `lives_for` requests, if that is set.
    """

    def __init__(
        self,
        platform: str,
        key: str,
        is_active: Callable[[str], bool],
        ca: trustme.CA,
        *,
        signing_key: bytes = b"",
        wants_certificate: bool = False,
    ) -> None:
        self._backend = urlsplit(platform).netloc
        self._key = key
        self._is_active = is_active
        self._signing_key = signing_key
        self.lives_for: int | None = None
        self.used: Counter[str] = Counter()
        self.refused: list[str] = []
        self._server = Server(("127.0.0.1", 0), self._answer, numthreads=16)
        certificate = ca.issue_cert("127.0.0.1")
        with certificate.cert_chain_pems[0].tempfile() as chain, certificate.private_key_pem.tempfile() as private:
            adapter = BuiltinSSLAdapter(chain, private)
        if wants_certificate:
            adapter.context.verify_mode = ssl.CERT_REQUIRED
            with ca.cert_pem.tempfile() as authority:
                adapter.context.load_verify_locations(authority)
        self._server.ssl_adapter = adapter
        self._server.prepare()
        self._thread = threading.Thread(target=self._server.serve, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"https://127.0.0.1:{self._server.bind_addr[1]}"

    def close(self) -> None:
        """End it."""
        self._server.stop()
        self._thread.join()

    def _answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = environ["wsgi.input"].read()
        target = environ["REQUEST_URI"]
        problem = self._problem(environ, target, body)
        if problem:
            self.refused.append(problem)
            content = b'{"error": {"message": "authorization required: %s"}}' % problem.encode()
            headers = [("Content-Type", "application/json"), ("Content-Length", str(len(content)))]
            start_response("401 Unauthorized", headers)
            return [content]
        status, headers, content = self._passed_on(environ, target, body)
        start_response(status, headers)
        return [content]

    def _problem(self, environ: dict[str, Any], target: str, body: bytes) -> str:
        """What is wrong with a request, if anything."""
        scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme != "Bearer":
            return "no access token"
        self.used[token] += 1
        if self.lives_for is not None and self.used[token] > self.lives_for:
            return "the access token is used up"
        if (self.used[token] == 1 or self.lives_for is None) and not self._is_active(token):
            return "the access token does not count"
        return self._wrong_signature(environ, target, body) if self._signing_key else ""

    def _wrong_signature(self, environ: dict[str, Any], target: str, body: bytes) -> str:
        at, content = environ.get("HTTP_X_ACME_TIME", "0"), environ.get("HTTP_X_ACME_CONTENT", "")
        text = "\n".join([environ["REQUEST_METHOD"], target, content, at])
        expected = hmac.new(self._signing_key, text.encode(), "sha256").hexdigest()
        if not hmac.compare_digest(expected, environ.get("HTTP_X_ACME_SIGNATURE", "")):
            return "the signature is wrong"
        if content not in {hashlib.sha256(body).hexdigest(), f"streamed:{len(body)}"}:
            return "the signature is for another body"
        return "" if abs(time.time() - int(at)) < 300 else "the signature is old"

    def _passed_on(self, environ: dict[str, Any], target: str, body: bytes) -> tuple[str, list[tuple[str, str]], bytes]:
        names = {name: name.removeprefix("HTTP_").replace("_", "-") for name in environ if name.startswith(PASSED_ON)}
        headers = {names[name]: environ[name] for name in names if names[name].lower() not in NOT_PASSED_ON}
        backend = http.client.HTTPConnection(self._backend, timeout=SECONDS)
        try:
            backend.request(
                environ["REQUEST_METHOD"], target, body or None, {**headers, "Authorization": f"Simple {self._key}"}
            )
            answer = backend.getresponse()
            content = answer.read()
        finally:
            backend.close()
        kept = [(name, value) for name, value in answer.getheaders() if name.lower() not in NOT_PASSED_ON]
        length = answer.getheader("Content-Length") if environ["REQUEST_METHOD"] == "HEAD" else str(len(content))
        return f"{answer.status} {answer.reason}", [*kept, ("Content-Length", length or "0")], content
