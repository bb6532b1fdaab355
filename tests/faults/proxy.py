"""A proxy on loopback that the tests control: real answers of a real platform, and what a test lets go wrong with them.

It stands where the platform should be, with or without TLS, and is an HTTP proxy for those who ask it as one. Faults are
named for each object and met in turn: the n-th try of an object meets the n-th fault, and what is left goes well.
Every request is kept with what was received and sent, so that tests can count.
"""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import re
import socket
import ssl
import struct
import termios
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

Fault = Callable[["Exchange"], None]
"""Answers a request in the place of the platform, with its help, or does not; the connection stays unless it closes it."""

Moment = Callable[["Exchange", str], None]
"""Told when a request was `asked`, is `halfway` through its larger body, and was `answered`."""

HELD = 60.0
"""Seconds after which a stall gives up, should a test not end it."""

ESTABLISHED = 1
"""The state of a TCP connection that neither side has ended."""


@dataclass
class Answer:
    """An answer that is not sent yet."""

    status: int
    headers: dict[str, str]
    body: bytes = b""

    def changed(self, body: bytes, **headers: str) -> Answer:
        """The same with another body, whose length is announced, and further headers (`_` for `-`)."""
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return Answer(self.status, {**self.headers, "content-length": str(len(body)), **more}, body)


@dataclass
class Exchange:
    """One request on its way, and what a fault can do with it. Counts are of bytes of bodies."""

    proxy: FaultProxy
    connection: _Connection
    method: str
    target: str
    headers: dict[str, str]
    number: int = 1
    """Which try of this object by this method it is."""
    taken: bytes = b""
    """What was received of its body."""
    sent: int = 0
    status: int | None = None

    @property
    def path(self) -> str:
        """What is asked for: `data/.my/c/f`."""
        return unquote(urlsplit(self.target).path).removeprefix("/v1/").rstrip("/") or "data"

    @property
    def length(self) -> int | None:
        """The length of its body; None if it comes in chunks."""
        return None if "transfer-encoding" in self.headers else int(self.headers.get("content-length", 0))

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    # What a fault does with it

    def take(self, count: int | None = None) -> bytes:
        """Receive so much more of its body, without `count` all of it."""
        stream = self.connection.stream
        if self.length is None:
            while size := int(stream.readline().split(b";")[0] or b"-1", 16):
                if size < 0:
                    raise ConnectionError("the client stopped within a chunk")
                self.taken += stream.read(size)
                stream.readline()
            stream.readline()
            return self.taken
        left = self.length - len(self.taken)
        part = stream.read(left if count is None else min(count, left))
        self.taken += part
        if count is None and len(part) < left:
            raise ConnectionError("the client stopped within its body")
        return self.taken

    def answer(self, **headers: str) -> Answer:
        """What the platform says to it; given headers take the place of the client's, empty ones are left out."""
        self.take()
        changed = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return self.proxy.origin(self.method, self.target, {k: v for k, v in changed.items() if v}, self.taken)

    def send_head(self, answer: Answer) -> None:
        """Send status and headers."""
        self.status = answer.status
        lines = [f"HTTP/1.1 {answer.status} {http.client.responses.get(answer.status, 'Odd')}"]
        lines += [f"{name}: {value}" for name, value in answer.headers.items()]
        self.connection.sock.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))

    def send_body(self, content: bytes) -> None:
        """Send bytes of the body."""
        self.connection.sock.sendall(content)
        self.sent += len(content)

    def send(self, answer: Answer) -> None:
        """Send an answer."""
        self.send_head(answer)
        if self.method != "HEAD" and answer.body:
            half = len(answer.body) // 2
            self.send_body(answer.body[:half])
            if not self.taken:
                self.pass_by("halfway")
            self.send_body(answer.body[half:])

    def close(self) -> None:
        """Close the connection, as if nothing more was to come."""
        self.connection.close()

    def reset(self) -> None:
        """Break the connection off: the other side gets an error."""
        self.connection.reset()

    def hold(self) -> None:
        """Do nothing until the test is over or the client gives up."""
        self.connection.hold()

    def pass_by(self, moment: str) -> None:
        """Tell the test where it is."""
        self.proxy.moment(self, moment)

    def forward(self) -> None:
        """What happens when nothing goes wrong."""
        if self.length:
            self.take(self.length // 2)
            self.pass_by("halfway")
        self.send(self.answer())


@dataclass
class _Plan:
    method: str
    name: re.Pattern[str]
    faults: list[Fault] = field(default_factory=list)


class FaultProxy:
    """Listens on a free port of loopback, in front of the platform at `origin` (host, port)."""

    def __init__(self, origin: str, *, tls: ssl.SSLContext | None = None) -> None:
        self.exchanges: list[Exchange] = []
        self.connections = 0
        self.moment: Moment = lambda exchange, moment: None
        self._origin = urlsplit(origin).netloc
        self._tls = tls
        self._plans: list[_Plan] = []
        self._each: tuple[Fault, ...] = ()
        self._numbers: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._open: set[_Connection] = set()
        self._threads: list[threading.Thread] = []
        self._local = threading.local()
        self._origins: list[http.client.HTTPConnection] = []
        self._listener: socket.socket | None = None
        self.port = 0
        self.listen()

    @property
    def address(self) -> str:
        """Where it stands in for the platform."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def fail(self, method: str, name: str, *faults: Fault) -> None:
        """Let the next tries of `method` for objects of this name (`data/.my/c/f` or its end, `*` within) go wrong."""
        pattern = re.compile(".*" + ".*".join(map(re.escape, name.split("*"))) + "$")
        self._plans.append(_Plan(method, pattern, list(faults)))

    def fail_each(self, *faults: Fault) -> None:
        """Let the first tries of every request go wrong, whatever its object, but for POST, which is sent once."""
        self._each = faults

    def heal(self) -> None:
        """Let nothing go wrong any more, and count tries anew."""
        with self._lock:
            self._plans.clear()
            self._each = ()
            self._numbers.clear()
            self.exchanges.clear()

    def tries(self, method: str, name: str = "") -> list[Exchange]:
        """The requests of a method for objects whose path ends so."""
        return [one for one in self.exchanges if one.method == method and one.path.endswith(name)]

    def sent(self, name: str = "") -> int:
        """Bytes of bodies that were sent to GETs of objects whose path ends so."""
        return sum(one.sent for one in self.tries("GET", name))

    # Listening

    def listen(self) -> None:
        """Take connections, on the same port as before."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(256)
        self.port = listener.getsockname()[1]
        self._listener = listener
        self._start(self._accept, listener)

    def refuse(self) -> None:
        """Take no connections any more, and break off those that there are: a server that went down."""
        listener, self._listener = self._listener, None
        if listener:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            connection.break_off()

    def close(self) -> None:
        """End everything."""
        self._over.set()
        self.refuse()
        for thread in list(self._threads):
            if thread is not threading.current_thread():
                thread.join(60)
        for origin in self._origins:
            origin.close()

    def _start(self, function: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=function, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            self._start(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        connection = _Connection(sock, self._over)
        with self._lock:
            self.connections += 1
            self._open.add(connection)
        with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
            connection.open(self._tls)
            while not connection.is_closed and (exchange := self._next(connection)):
                fault = self._fault(exchange)
                exchange.pass_by("asked")
                fault(exchange)
                exchange.pass_by("answered")
        connection.close()
        with self._lock:
            self._open.discard(connection)

    def _next(self, connection: _Connection) -> Exchange | None:
        line = connection.stream.readline().decode("latin-1").split()
        if len(line) != 3:
            return None
        headers: dict[str, str] = {}
        for raw in iter(connection.stream.readline, b"\r\n"):
            if not raw:
                return None
            name, _, value = raw.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        target = line[1] if line[1].startswith("/") else "/" + line[1].split("/", 3)[-1]
        exchange = Exchange(self, connection, line[0], target, headers)
        with self._lock:
            self._numbers[str(exchange)] += 1
            exchange.number = self._numbers[str(exchange)]
            self.exchanges.append(exchange)
        return exchange

    def _fault(self, exchange: Exchange) -> Fault:
        with self._lock:
            for plan in self._plans:
                if plan.faults and plan.method in {exchange.method, "*"} and plan.name.match(exchange.path):
                    return plan.faults.pop(0)
        if exchange.number <= len(self._each) and exchange.method != "POST":
            return self._each[exchange.number - 1]
        return Exchange.forward

    def origin(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        """Ask the platform itself."""
        kept = {
            k: v for k, v in headers.items() if k not in {"host", "connection", "transfer-encoding", "proxy-connection"}
        }
        if body or method == "PUT":
            kept["content-length"] = str(len(body))
        for is_last in (False, True):
            connection = getattr(self._local, "origin", None)
            if connection is None:
                connection = self._local.origin = http.client.HTTPConnection(self._origin, timeout=HELD)
                self._origins.append(connection)
            try:
                connection.request(method, target, body or None, kept)
                response = connection.getresponse()
                content = response.read()
                break
            except (OSError, http.client.HTTPException):
                connection.close()
                if is_last:
                    raise
        dropped = {"connection", "keep-alive", "transfer-encoding"}
        found = {k.lower(): v for k, v in response.getheaders() if k.lower() not in dropped}
        if method != "HEAD":
            found["content-length"] = str(len(content))
        return Answer(response.status, found, content)


class _Connection:
    """A client's connection."""

    stream: BinaryIO

    def __init__(self, sock: socket.socket, over: threading.Event) -> None:
        self.sock = sock
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.is_closed = False
        self._over = over

    def open(self, context: ssl.SSLContext | None) -> None:
        """Shake hands."""
        if context:
            self.sock = context.wrap_socket(self.sock, server_side=True)
        self.stream = self.sock.makefile("rb")

    def reset(self) -> None:
        """Close it with a RST instead of the usual end, when all that was sent has arrived; a RST overtakes it."""
        for _ in range(1000):
            if self._over.is_set() or not self._unsent():
                break
            self._over.wait(0.005)
        self._end_with_reset()
        self.close()

    def _unsent(self) -> int:
        with contextlib.suppress(OSError):
            return int(struct.unpack("i", fcntl.ioctl(self.sock.fileno(), termios.TIOCOUTQ, bytes(4)))[0])
        return 0

    def break_off(self) -> None:
        """The same from another thread: the one that serves it wakes up and closes it."""
        self._end_with_reset()
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)

    def _end_with_reset(self) -> None:
        with contextlib.suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def close(self) -> None:
        """Close it; in TLS without saying so, as when a cable is cut."""
        self.is_closed = True
        with contextlib.suppress(OSError, ValueError, AttributeError):
            self.stream.close()
        with contextlib.suppress(OSError):
            self.sock.close()

    def hold(self) -> None:
        """Neither take nor send anything until the other side or the test ends it."""
        deadline = HELD
        while deadline > 0 and not self._over.wait(0.02) and self._has_peer():
            deadline -= 0.02
        self.close()

    def _has_peer(self) -> bool:
        return self.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == ESTABLISHED


@contextlib.contextmanager
def unanswering() -> Iterator[str]:
    """An address where connections are never taken: the queue of those who wait is full."""
    with contextlib.ExitStack() as kept:
        listener = kept.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = kept.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
