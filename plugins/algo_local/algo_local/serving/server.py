"""The application on real sockets: cheroot, with what it leaves out for bodies of any size and long calls."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cheroot.server  # noqa: TID253 - this module is the server, and is only imported when one is started
import cheroot.wsgi  # noqa: TID253 - as above
from cheroot.workers.threadpool import ThreadPool, WorkerThread  # noqa: TID253 - as above

from algo_core.errors import ConfigError, UsageError

SOCKET_SECONDS = 60
"""How long a client may neither send nor take anything, and how long an idle connection is kept."""

STOP_SECONDS = 3
"""How long requests under way may take to end when the server is stopped."""

DRAIN_BYTES = 64 << 20
"""How much of a body that nobody wants is read, so that the client gets to see the answer."""

LINE_BYTES = 1 << 12
BLOCK = 1 << 16


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes any free one.

    Raises:
        UsageError: if the address cannot be listened on.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            listener.bind(address)
            listener.listen(Server.backlog)
        except BaseException:
            listener.close()
            raise
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"Cannot listen on {host}:{port}: {reason}", "Choose another --host or --port (0 for any free one)"
        ) from error
    return listener


class Server(cheroot.wsgi.Server):
    """Serves an application on a socket that listens already, in threads of its own.

    There are as many threads as requests under way, up to `max_threads`: calls of algorithms that call others must
    never wait for a thread that waits for them.
    """

    backlog = 128
    max_threads = 1024

    def __init__(
        self,
        application: Callable[..., Any],
        listener: socket.socket,
        *,
        tls: tuple[Path, Path | None] | None = None,
        on_failure: Callable[[str], None] | None = None,
    ) -> None:
        """`tls` is certificate and key as PEM files. ConfigError if they cannot be used."""
        super().__init__(
            listener.getsockname()[:2],
            application,
            server_name="algo",
            request_queue_size=self.backlog,
            timeout=SOCKET_SECONDS,
            shutdown_timeout=STOP_SECONDS,
        )
        self.requests = _GrowingPool(self, min=4, max=self.max_threads)
        self.keep_alive_conn_limit = 4096
        self.expiration_interval = 0.1  # seconds that stopping may have to wait for
        self.ConnectionClass = _Connection
        self._listener = listener
        self._on_failure = on_failure
        self._thread: threading.Thread | None = None
        if tls:
            self.ssl_adapter = _tls_adapter(*tls)

    def run(self) -> None:
        """Accept requests from now on; `stop` ends that."""
        self.prepare()
        self._thread = threading.Thread(target=self.serve, name="algo-serve")
        self._thread.start()

    def stop(self) -> None:
        """Take no more requests, give those under way a moment to end, and end all threads."""
        super().stop()
        if self._thread:
            self._thread.join()

    def bind(self, family: int, type: int, proto: int = 0) -> socket.socket:
        """Use the socket that is there. Called by cheroot's own preparation."""
        self.socket = self._listener
        return self._listener

    def error_log(self, msg: str = "", level: int = 20, traceback: bool = False) -> None:
        """Report what went wrong in the server itself, not what clients do."""
        if self._on_failure and level >= 40:
            self._on_failure(msg)


def _tls_adapter(certificate: Path, key: Path | None) -> Any:
    import ssl

    from cheroot.ssl.builtin import BuiltinSSLAdapter

    try:
        adapter = BuiltinSSLAdapter(str(certificate), str(key or certificate))
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"The TLS certificate {certificate} cannot be used: {error}",
            "Give PEM files that belong together with --tls-cert and --tls-key",
        ) from error
    adapter.context.minimum_version = ssl.TLSVersion.TLSv1_2
    return adapter


class _GrowingPool(ThreadPool):
    """A pool that starts a thread whenever there is a request and none is free."""

    _threads: list[WorkerThread]  # the stubs leave out what is not public
    _spawn_worker: Callable[[], WorkerThread]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._changing = threading.Lock()
        self._free = 0  # threads that wait, less the requests that wait for them
        self._known: set[int] = set()
        self._take = self.get
        self.get = self._next

    def grow(self, amount: int) -> None:
        """Start threads without waiting for them."""
        with self._changing:
            for _ in range(min(amount, int(self.max) - len(self._threads))):
                self._add()

    def put(self, obj: Any) -> None:
        """Hand a connection with a request on it to a thread."""
        with self._changing:
            if self._free <= 0 and len(self._threads) < self.max:
                self._add()
            self._free -= 1
        super().put(obj)

    def _add(self) -> None:
        worker = self._spawn_worker()
        self._threads.append(worker)
        self._free += 1

    def _next(self) -> Any:
        identity = threading.get_ident()
        with self._changing:
            if identity in self._known:
                self._free += 1
            self._known.add(identity)
        return self._take()


class _SizedBody:
    """A request's body of known length."""

    def __init__(self, source: Any, length: int) -> None:
        self._source = source
        self._left = length

    def read(self, size: int) -> bytes:
        """At most `size` bytes, as many as there are; none at the end, or if the client is gone."""
        data: bytes = self._source.read(min(size, self._left))
        self._left -= len(data)
        return data

    @property
    def expected(self) -> int:
        """Bytes that are still to come."""
        return self._left

    @property
    def finished(self) -> bool:
        """Whether all of it has been read."""
        return self._left <= 0


class _ChunkedBody:
    """A request's body in chunks, each of any size: no more than a block of one is held in memory."""

    expected = 0
    """Bytes that are still known to come: none are."""

    def __init__(self, source: Any) -> None:
        self._source = source
        self._left = 0
        self._begun = False
        self._broken = False
        self.finished = False

    def read(self, size: int) -> bytes:
        """At most `size` bytes; none at the end. ValueError if the client breaks off or breaks the coding."""
        if self._broken:
            raise ValueError("it was broken before")
        self._broken = True
        if not self._left and not self.finished:
            self._next_chunk()
        data: bytes = b"" if self.finished else self._source.read(min(size, self._left))
        if not data and not self.finished:
            raise ValueError("it ended in the middle of a chunk")
        self._left -= len(data)
        self._broken = False
        return data

    def _next_chunk(self) -> None:
        if self._begun and self._line() != b"":
            raise ValueError("a chunk does not end where it should")
        self._begun = True
        length = self._line().partition(b";")[0].strip()
        if not length or len(length) > 15 or length.strip(b"0123456789abcdefABCDEF"):
            raise ValueError("a chunk has no length")
        self._left = int(length, 16)
        if not self._left:
            while self._line():
                pass  # trailers mean nothing to this API
            self.finished = True

    def _line(self) -> bytes:
        line: bytes = self._source.readline(LINE_BYTES)
        if not line.endswith(b"\r\n"):
            raise ValueError("it ended before its last chunk")
        return line[:-2]


class _Request(cheroot.server.HTTPRequest):
    """A request whose body is never held in memory by the server, whatever the application leaves of it."""

    def __init__(self, server: Any, conn: Any) -> None:
        # Otherwise targets that begin with two slashes, from clients' sloppy joins, are refused.
        super().__init__(server, conn, proxy_mode=True)

    def respond(self) -> None:
        """Call the application with the body as it comes, and send what it answers."""
        if self.chunked_read:
            self.rfile: Any = _ChunkedBody(self.conn.rfile)
        else:
            self.rfile = _SizedBody(self.conn.rfile, max(0, int(self.inheaders.get(b"Content-Length", 0))))
        self.server.gateway(self).respond()
        if self.ready:
            self.ensure_headers_sent()
        if self.chunked_write:
            self.conn.wfile.write(b"0\r\n\r\n")
        if not self.rfile.finished:
            _drain(self.rfile)

    def send_headers(self) -> None:
        """Before the answer, get what is left of the body out of the way, or else end the connection after it."""
        if self.rfile.expected <= DRAIN_BYTES:
            _drain(self.rfile)
        if not self.rfile.finished:
            self.close_connection = True
        super().send_headers()


def _drain(body: _SizedBody | _ChunkedBody) -> None:
    """Read and forget what is left of a body, if it is not too much: a client that is busy sending hears no answer."""
    drained = 0
    with contextlib.suppress(ValueError, OSError):
        while not body.finished and drained < DRAIN_BYTES:
            block = body.read(BLOCK)
            if not block:
                break
            drained += len(block)


class _Connection(cheroot.server.HTTPConnection):
    RequestHandlerClass = _Request
