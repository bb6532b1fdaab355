"""The HTTP server: one thread watches waiting connections, busy ones have a thread each."""

from __future__ import annotations

import contextlib
import errno
import selectors
import socket
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from algo_core.errors import AlgoError
from algo_local.serving.balance import LEAVE_SECONDS, Share
from algo_local.serving.connection import Connection, Fate, RequestHandler, Service, refusal
from algo_local.serving.head import BadRequest, Head
from algo_local.serving.limits import ConnectionLimits, limits_for_process
from algo_local.serving.listener import BACKLOG
from algo_local.serving.pool import Pool
from algo_local.serving.request_log import LoggedRequest
from algo_local.serving.waiting import State, Waiting

if TYPE_CHECKING:
    import ssl

FULL_SECONDS = 1.0
"""Seconds that new connections wait for room before they are refused."""

QUIET_SECONDS = 0.5
"""Minimum seconds of idleness, or without a complete request, before a connection gives way to a new one."""

RETRY_SECONDS = 0.1
"""Seconds between checks for room while new connections wait."""

SHORT_SECONDS = 0.25
"""Seconds without accepting connections when the system is out of descriptors or memory."""

REFUSALS = 16
"""Connections above the limit that may wait for their client to read the refusal."""

LINGER_BYTES = 64 << 20
"""Bytes of an unwanted body that are read, so that a sending client can receive the response."""

_SHORT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_CUT_SECONDS = 1.0  # for threads to notice that their connection was ended


def _tls_waits(tls: ssl.SSLContext | None) -> tuple[type[Exception], ...]:
    if tls is None:
        return ()
    from ssl import SSLWantReadError, SSLWantWriteError

    return SSLWantReadError, SSLWantWriteError


class Server:
    """Serves an application on a socket that listens already, in threads of its own.

    There are as many threads as requests under way: calls of algorithms that call others never wait for a thread that
    waits for them.
    """

    def __init__(
        self,
        application: RequestHandler,
        listener: socket.socket,
        *,
        tls: ssl.SSLContext | None = None,
        limits: ConnectionLimits | None = None,
        on_failure: Callable[[str], None] | None = None,
        on_answer: Callable[[LoggedRequest], None] | None = None,
        share: Share | None = None,
    ) -> None:
        """`share` is that of a server that accepts on the same socket as others.

        `on_failure` is called for unexpected failures and refused connections, `on_answer` for each request."""
        self.limits = limits or limits_for_process()
        self._report = on_failure or (lambda text: None)
        self._service = Service(application, self.limits, on_answer)
        self._listener = listener
        self._listener.setblocking(False)
        self._tls = tls
        self._again: tuple[type[Exception], ...] = (BlockingIOError, *_tls_waits(tls))
        self._share = share
        self._pool = Pool("algo-request")
        self._selector = selectors.DefaultSelector()
        self._waker, self._woken = socket.socketpair()
        for end in (self._waker, self._woken):
            end.setblocking(False)
        self._connections: set[Connection] = set()
        self._busy: set[Connection] = set()
        self._done: deque[tuple[Connection, Fate]] = deque()
        self._waiting = Waiting(
            {
                State.READING: self.limits.head,
                State.IDLE: self.limits.idle,
                State.LINGERING: self.limits.linger,
                State.REFUSED: self.limits.linger,
            }
        )
        self._checks: deque[threading.Event] = deque()
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

    def check(self) -> None:
        """Wait until the thread that everything depends on has had a turn."""
        passed, thread = threading.Event(), self._thread
        self._checks.append(passed)
        self._wake()
        while thread and thread.is_alive() and not passed.wait(1.0):
            pass

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
            for key, _ in self._selector.select(self._next_timeout()):
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

    def _next_timeout(self) -> float | None:
        """Seconds until the next timeout."""
        moments = (self._waiting.next_due(), self._paused_until, self._ends)
        due = min((moment for moment in moments if moment is not None), default=None)
        return None if due is None else max(0.0, due - time.monotonic())

    # Accepting

    def _accept(self) -> None:
        for _ in range(BACKLOG):
            if self._share and not self._share.accepts():
                self._pause(time.monotonic() + LEAVE_SECONDS)
                return
            dispensable = self._dispensable() if self._is_full() else None
            is_refused = self._is_full() and not dispensable
            if is_refused and not self._refuses():
                return
            try:
                connected, address = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionError):
                if is_refused:
                    self._full_since = None  # the next ones may wait again
                return
            except OSError as error:
                if error.errno not in _SHORT:
                    raise
                self._run_short(error)
                return
            if dispensable:
                self._close(dispensable)
                self._has_room()
            self._open(connected, address, is_refused=is_refused)
            if self._is_full() and not is_refused:
                return  # the selector tells whether there is another one, before room is made for it

    def _is_full(self) -> bool:
        return len(self._connections) - self._waiting.count(State.REFUSED) >= self.limits.connections

    def _dispensable(self) -> Connection | None:
        """The most dispensable connection: the oldest one that has had its last response, is idle, or is slow."""
        return (
            self._waiting.oldest(State.LINGERING)
            or self._waiting.oldest(State.IDLE, QUIET_SECONDS)
            or self._waiting.oldest(State.READING, QUIET_SECONDS)
        )

    def _refuses(self) -> bool:
        """Whether to refuse waiting connections; if not, none is accepted for now."""
        now = time.monotonic()
        if self._full_since is None:
            self._full_since = now
            self._service.crowded = True
        if now - self._full_since >= FULL_SECONDS:
            self._report(f"All {self.limits.connections} connections are in use; new ones are refused")
            return True
        self._pause(now + RETRY_SECONDS)
        return False

    def _has_room(self) -> None:
        self._full_since = None
        self._service.crowded = False

    def _run_short(self, error: OSError) -> None:
        self._report(f"No connection can be accepted: {error.strerror}")
        for _ in range(REFUSALS):
            if dispensable := self._dispensable():
                self._close(dispensable)
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
        self._note()
        if not is_refused:
            self._await(connection, State.READING)
        elif self._tls:
            self._close(connection)
        else:
            if self._waiting.count(State.REFUSED) >= REFUSALS and (oldest := self._waiting.oldest(State.REFUSED)):
                self._close(oldest)
            error = BadRequest(503, "All connections of this platform are busy; try again")
            self._refuse(connection, error, State.REFUSED)

    def _note(self) -> None:
        if self._share:
            self._share.note(len(self._connections))

    # Waiting for requests

    def _await(self, connection: Connection, state: State) -> None:
        """Watch a connection in this state."""
        self._waiting.add(connection, state)
        step = self._advance if state in (State.READING, State.IDLE) else self._linger
        self._selector.register(connection.socket, selectors.EVENT_READ, partial(step, connection))

    def _release(self, connection: Connection) -> None:
        """Stop watching a connection."""
        if self._waiting.remove(connection):
            self._selector.unregister(connection.socket)

    def _advance(self, connection: Connection) -> None:
        """Receive available bytes; a complete request is passed to a thread."""
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
            elif self._waiting.is_in(State.IDLE, connection) and not connection.incoming.is_empty:
                self._release(connection)
                self._await(connection, State.READING)

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
        except (OSError, EOFError, AlgoError):
            pass  # the client is gone, or hangs; or the store from which a response came
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
        """Take back connections that threads have finished with."""
        while self._checks:
            self._checks.popleft().set()
        while self._done:
            connection, fate = self._done.popleft()
            self._busy.discard(connection)
            connection.socket.setblocking(False)
            if fate is Fate.IDLE and not self._service.draining:
                self._await(connection, State.IDLE if connection.incoming.is_empty else State.READING)
                if connection.secure:
                    self._advance(connection)  # what is decrypted already, no selector tells of
            elif fate is Fate.LINGER:
                self._say_last(connection, b"", State.LINGERING)
            else:
                self._close(connection)
        if self._service.crowded and (not self._is_full() or self._dispensable()):
            self._has_room()
            self._resume()

    # Ending connections

    def _refuse(self, connection: Connection, error: BadRequest, state: State = State.LINGERING) -> None:
        self._say_last(connection, refusal(error, connection, self._service), state)

    def _say_last(self, connection: Connection, response: bytes, state: State) -> None:
        """Send what fits into an empty buffer, and let the client hear it before the connection is closed."""
        try:
            if response:
                connection.socket.send(response)
            connection.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self._close(connection)
        else:
            self._await(connection, state)

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
        for connection, state in self._waiting.overdue():
            if state is State.READING and not connection.incoming.is_empty:
                error = BadRequest(408, "The request took too long to arrive")
                with contextlib.suppress(OSError):
                    connection.socket.send(refusal(error, connection, self._service))
            self._close(connection)
        if self._paused_until is not None and self._paused_until <= time.monotonic():
            self._resume()

    def _close(self, connection: Connection) -> None:
        self._release(connection)
        self._connections.discard(connection)
        self._note()
        with contextlib.suppress(OSError):
            connection.socket.close()

    def _is_over(self) -> bool:
        """Whether all requests have ended, or were cut off, after the server was stopped."""
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
