"""The application on real sockets: connections that wait are watched by one thread, busy ones have a thread each."""

from __future__ import annotations

import contextlib
import errno
import selectors
import socket
import threading
import time
import traceback
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from algo_core.errors import UsageError
from algo_local.serving.connection import Connection, Fate, Service, refusal
from algo_local.serving.head import BadRequest, Head
from algo_local.serving.limits import Limits, limits_for_process
from algo_local.serving.pool import Pool

if TYPE_CHECKING:
    import ssl

BACKLOG = 128
"""Connections that the system holds until they are accepted."""

FULL_SECONDS = 1.0
"""How long new connections wait for room before they are refused."""

SLOW_SECONDS = 1.0
"""How old a connection without a whole request must be to give way to a new one."""

SHORT_SECONDS = 0.25
"""How long nothing is accepted when the system is out of descriptors or memory."""

REFUSALS = 16
"""Connections above the limit that may wait for their client to read the refusal."""

LINGER_BYTES = 64 << 20
"""How much of an unwanted body is read, so that a client which is busy sending it gets to see the response."""

_SHORT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_CUT_SECONDS = 1.0  # for threads to notice that their connection was ended

_Queue = OrderedDict[Connection, None]


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
            listener.bind(address)
            listener.listen(BACKLOG)
        except BaseException:
            listener.close()
            raise
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"Cannot listen on {host}:{port}: {reason}", "Choose another --host or --port (0 for any free one)"
        ) from error
    return listener


def _tls_waits(tls: ssl.SSLContext | None) -> tuple[type[Exception], ...]:
    if tls is None:
        return ()
    from ssl import SSLWantReadError, SSLWantWriteError

    return SSLWantReadError, SSLWantWriteError


class Server:
    """Serves an application on a socket that listens already, in threads of its own.

    The application is called as WSGI says, with the undecoded target as `REQUEST_URI`, and the variables that it is
    documented to need. There are as many threads as requests under way: calls of algorithms that call others never
    wait for a thread that waits for them.
    """

    def __init__(
        self,
        application: Callable[..., Iterable[bytes]],
        listener: socket.socket,
        *,
        tls: ssl.SSLContext | None = None,
        limits: Limits | None = None,
        on_failure: Callable[[str], None] | None = None,
    ) -> None:
        """`on_failure` is told what should not happen, and when connections have to be refused."""
        self.limits = limits or limits_for_process()
        self._report = on_failure or (lambda text: None)
        self._service = Service(application, self.limits, self._report)
        self._listener = listener
        self._listener.setblocking(False)
        self._tls = tls
        self._again: tuple[type[Exception], ...] = (BlockingIOError, *_tls_waits(tls))
        self._pool = Pool("algo-request")
        self._selector = selectors.DefaultSelector()
        self._waker, self._woken = socket.socketpair()
        for end in (self._waker, self._woken):
            end.setblocking(False)
        self._connections: set[Connection] = set()
        self._busy: set[Connection] = set()
        self._done: deque[tuple[Connection, Fate]] = deque()
        # What the watching thread waits for, each in the order in which it came into that state.
        self._idle: _Queue = OrderedDict()
        self._reading: _Queue = OrderedDict()
        self._lingering: _Queue = OrderedDict()
        self._paused_until: float | None = None
        self._full_since: float | None = None
        self._ends: float | None = None
        self._is_cut = False
        self._thread: threading.Thread | None = None

    def run(self) -> None:
        """Accept requests from now on; `stop` ends that."""
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._selector.register(self._woken, selectors.EVENT_READ, self._awake)
        self._thread = threading.Thread(target=self._watch, name="algo-serve", daemon=True)
        self._thread.start()

    def drain(self) -> None:
        """Take no more requests; those under way go on."""
        self._service.draining = True
        self._wake()

    def stop(self) -> None:
        """Take no more requests, give those under way `limits.grace` seconds to end, and cut off the others."""
        self._ends = time.monotonic() + self.limits.grace
        self.drain()
        if self._thread:
            self._thread.join(self.limits.grace + 2 * _CUT_SECONDS)
        else:
            self._listener.close()
        self._pool.close()

    # All that follows runs in the watching thread, except `_serve` and `_wake`.

    def _watch(self) -> None:
        while not (self._service.draining and self._is_over()):
            for key, _ in self._selector.select(self._patience()):
                self._guarded(key.data)
            self._guarded(self._settle)
            self._guarded(self._expire)
        for connection in list(self._connections - self._busy):
            self._close(connection)
        self._selector.close()
        self._waker.close()
        self._woken.close()

    def _guarded(self, step: Callable[[], object]) -> None:
        try:
            step()
        except Exception:  # the thread that everything depends on outlives whatever it meets
            self._report(traceback.format_exc())
            time.sleep(0.05)

    def _patience(self) -> float | None:
        """Seconds until something is due that no socket tells of."""
        due = [since + seconds for queue, seconds in self._queues() for since in self._oldest(queue)]
        due += [moment for moment in (self._paused_until, self._ends) if moment is not None]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _queues(self) -> tuple[tuple[_Queue, float], ...]:
        limits = self.limits
        return (self._reading, limits.head), (self._idle, limits.idle), (self._lingering, limits.linger)

    @staticmethod
    def _oldest(queue: _Queue) -> list[float]:
        return [next(iter(queue)).since] if queue else []

    # Accepting

    def _accept(self) -> None:
        for _ in range(BACKLOG):
            is_full = len(self._connections) >= self.limits.connections and not self._make_room()
            if is_full and not self._refuses():
                return
            try:
                connected, address = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionError):
                return
            except OSError as error:
                if error.errno not in _SHORT:
                    raise
                self._run_short(error)
                return
            self._open(connected, address, is_refused=is_full)

    def _make_room(self) -> bool:
        """Close a connection that nobody would miss: the oldest that has had its last response, is idle, or is slow."""
        for queue in (self._lingering, self._idle):
            if queue:
                self._close(next(iter(queue)))
                return True
        for since in self._oldest(self._reading):
            if since + SLOW_SECONDS < time.monotonic():
                self._close(next(iter(self._reading)))
                return True
        return False

    def _refuses(self) -> bool:
        """Whether it is time to refuse what waits for room; if not, nothing is accepted for the time being."""
        now = time.monotonic()
        if self._full_since is None:
            self._full_since = now
            self._report(f"All {self.limits.connections} connections are busy; new ones have to wait, or are refused")
        if now - self._full_since >= FULL_SECONDS:
            return True
        self._pause(self._full_since + FULL_SECONDS)
        return False

    def _run_short(self, error: OSError) -> None:
        self._report(f"No connection can be accepted: {error.strerror}")
        for _ in range(REFUSALS):
            if not self._make_room():
                break
        self._pause(time.monotonic() + SHORT_SECONDS)

    def _pause(self, until: float) -> None:
        if self._paused_until is None:
            self._selector.unregister(self._listener)
        self._paused_until = until

    def _resume(self) -> None:
        if self._paused_until is not None and not self._service.draining:
            self._paused_until = None
            self._selector.register(self._listener, selectors.EVENT_READ, self._accept)

    def _open(self, connected: socket.socket, address: Any, *, is_refused: bool) -> None:
        connected.setblocking(False)
        if connected.family != socket.AF_UNIX:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if self._tls:
            connected = self._tls.wrap_socket(connected, server_side=True, do_handshake_on_connect=False)
        connection = Connection(
            connected, str(address[0]) if isinstance(address, tuple) else "", secure=self._tls is not None
        )
        self._connections.add(connection)
        if not is_refused:
            self._await(connection, self._reading)
        elif self._tls or len(self._connections) > self.limits.connections + REFUSALS:
            self._close(connection)
        else:
            self._refuse(connection, BadRequest(503, "All connections of this platform are busy; try again"))

    # Waiting for requests

    def _await(self, connection: Connection, queue: _Queue) -> None:
        """Watch a connection from now on, as one of that state."""
        connection.since = time.monotonic()
        queue[connection] = None
        step = self._linger if queue is self._lingering else self._advance
        self._selector.register(connection.socket, selectors.EVENT_READ, partial(step, connection))

    def _release(self, connection: Connection) -> None:
        """Watch a connection no longer."""
        for queue, _ in self._queues():
            if connection in queue:
                del queue[connection]
                self._selector.unregister(connection.socket)
                return

    def _advance(self, connection: Connection) -> None:
        """Take in what has arrived; a whole request goes to a thread."""
        try:
            head = self._receive(connection)
        except BadRequest as error:
            self._release(connection)
            self._refuse(connection, error)
        except (OSError, EOFError):
            self._close(connection)
        else:
            if head:
                self._release(connection)
                self._start(connection, head)
            elif connection in self._idle and not connection.incoming.is_empty:
                self._release(connection)
                self._await(connection, self._reading)

    def _receive(self, connection: Connection) -> Head | None:
        """The next request's head, if it is whole without waiting."""
        try:
            connection.shake()
            while connection.incoming.receive():
                if head := connection.incoming.head():
                    return head
        except self._again:
            return None
        raise EOFError

    def _start(self, connection: Connection, head: Head) -> None:
        self._busy.add(connection)
        try:
            self._pool.run(partial(self._serve, connection, head))
        except RuntimeError as error:
            self._busy.discard(connection)
            self._report(f"A request cannot be served: {error}")
            self._refuse(connection, BadRequest(503, "This platform has no thread left for the request; try again"))

    def _serve(self, connection: Connection, head: Head) -> None:
        """In a thread of its own: answer requests until the connection is no longer busy."""
        fate = Fate.CLOSE
        try:
            fate = connection.serve(head, self._service)
        except (OSError, EOFError):
            pass  # the client is gone, or hangs
        except Exception:
            self._report(traceback.format_exc())
        finally:
            self._done.append((connection, fate))
            self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(OSError):
            self._waker.send(b".")

    def _awake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._woken.recv(4096)

    def _settle(self) -> None:
        """Take back the connections that threads are done with."""
        while self._done:
            connection, fate = self._done.popleft()
            self._busy.discard(connection)
            connection.socket.setblocking(False)
            if fate is Fate.IDLE and not self._service.draining:
                self._await(connection, self._idle if connection.incoming.is_empty else self._reading)
                if connection.secure:
                    self._advance(connection)  # what is decrypted already, no selector tells of
            elif fate is Fate.LINGER:
                self._say_last(connection, b"")
            else:
                self._close(connection)
        if self._full_since is not None and (len(self._connections) < self.limits.connections or self._idle):
            self._full_since = None
            self._resume()

    # Ending connections

    def _refuse(self, connection: Connection, error: BadRequest) -> None:
        self._say_last(connection, refusal(error))

    def _say_last(self, connection: Connection, response: bytes) -> None:
        """Send what fits into an empty buffer, and let the client hear it before the connection is closed."""
        try:
            if response:
                connection.socket.send(response)
            connection.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self._close(connection)
        else:
            self._await(connection, self._lingering)

    def _linger(self, connection: Connection) -> None:
        try:
            data = connection.socket.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        connection.lingered += len(data)
        if not data or connection.lingered > LINGER_BYTES:
            self._close(connection)

    def _expire(self) -> None:
        """End what has taken too long."""
        now = time.monotonic()
        for queue, seconds in self._queues():
            while queue and next(iter(queue)).since + seconds <= now:
                connection = next(iter(queue))
                if queue is self._reading and not connection.incoming.is_empty:
                    with contextlib.suppress(OSError):
                        connection.socket.send(refusal(BadRequest(408, "The request took too long to arrive")))
                self._close(connection)
        if self._paused_until is not None and self._paused_until <= now:
            self._resume()

    def _close(self, connection: Connection) -> None:
        self._release(connection)
        self._connections.discard(connection)
        with contextlib.suppress(OSError):
            connection.socket.close()

    def _is_over(self) -> bool:
        """Whether all requests have ended, or have been cut off, after the server was told to stop."""
        if self._listener.fileno() >= 0:
            if self._paused_until is None:
                self._selector.unregister(self._listener)
            self._paused_until = None
            self._listener.close()
        for connection in self._connections - self._busy:
            self._close(connection)
        if self._ends is None or not self._busy:
            return self._ends is not None
        if time.monotonic() < self._ends:
            return False
        if self._is_cut:
            return True
        self._is_cut = True
        self._ends += _CUT_SECONDS
        for connection in self._busy:
            with contextlib.suppress(OSError):  # past what TLS would do, which belongs to the busy thread
                socket.socket.shutdown(connection.socket, socket.SHUT_RDWR)
        return False
