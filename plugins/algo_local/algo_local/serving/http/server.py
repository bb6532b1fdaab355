"""The HTTP server: one thread watches idle connections, and each connection with a request under way has a thread.

`serve.py`, `processes/front_end.py` and `callback.py` start it. `acceptor.py` accepts connections, `connection.py`
answers their requests.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from algo_core.errors import AlgoError
from algo_local.serving.http.acceptor import REFUSALS, Acceptor
from algo_local.serving.http.connection import Connection, Fate, RequestHandler, Service, refusal
from algo_local.serving.http.connection_balance import Share
from algo_local.serving.http.connection_limits import ConnectionLimits, limits_for_process
from algo_local.serving.http.head import BadRequest, Head
from algo_local.serving.http.thread_pool import ThreadPool
from algo_local.serving.http.waiting_connections import State, WaitingConnections
from algo_local.serving.request_log import LoggedRequest

if TYPE_CHECKING:
    import ssl

LINGER_BYTES = 64 << 20
"""Bytes of an unwanted body that are read, so that a sending client can receive the response."""

LEAVING_IDLE_SECONDS = 5.0
"""Seconds that a server which leaves waits for the next request of a connection, to answer it with the notice of its
end: a client whose connection just ends as it sends cannot know whether its request was received."""

_CUT_SECONDS = 1.0  # for threads to notice that their connection was ended


def _tls_waits(tls: ssl.SSLContext | None) -> tuple[type[Exception], ...]:
    if tls is None:
        return ()
    from ssl import SSLWantReadError, SSLWantWriteError

    return SSLWantReadError, SSLWantWriteError


class Server:
    """Serves an application on a listening socket, in threads of its own.

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
        """Set up the server; `run` starts it.

        Args:
            application: answers the requests.
            listener: a socket that listens.
            tls: the TLS context; None for plain HTTP.
            limits: time limits and the number of connections; by default those of this process.
            on_failure: called with a text for unexpected failures and refused connections.
            on_answer: called after each request.
            share: this front end's connection count, where several front ends accept from one socket.
        """
        self.limits = limits or limits_for_process()
        self._report = on_failure or (lambda text: None)
        self._service = Service(application, self.limits, on_answer)
        self._listener = listener
        self._listener.setblocking(False)
        self._tls = tls
        self._would_block: tuple[type[Exception], ...] = (BlockingIOError, *_tls_waits(tls))
        self._share = share
        self._pool = ThreadPool("algo-request")
        self._selector = selectors.DefaultSelector()
        self._waker, self._woken = socket.socketpair()
        for end in (self._waker, self._woken):
            end.setblocking(False)
        self._connections: set[Connection] = set()
        self._busy: set[Connection] = set()
        self._done: deque[tuple[Connection, Fate]] = deque()
        self._waiting = WaitingConnections(
            {
                State.READING: self.limits.head,
                State.IDLE: self.limits.idle,
                State.LINGERING: self.limits.linger,
                State.REFUSED: self.limits.linger,
            }
        )
        self._acceptor = Acceptor(
            self, listener, self._selector, self._waiting, self._service, share=share, report=self._report
        )
        self._checks: deque[threading.Event] = deque()
        self._ends: float | None = None
        self._is_cut = False
        self._on_left: Callable[[], None] | None = None
        self._has_left = False
        self._thread: threading.Thread | None = None

    def run(self) -> None:
        """Accept requests from now on; `stop` ends that."""
        self._acceptor.start()
        self._selector.register(self._woken, selectors.EVENT_READ, self._clear_wakeup)
        self._thread = threading.Thread(target=self._watch, name="algo-serve", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Return once the watching thread has completed a turn, which shows that it does not hang."""
        passed, thread = threading.Event(), self._thread
        self._checks.append(passed)
        self._wake()
        while thread and thread.is_alive() and not passed.wait(1.0):
            pass

    def leave(self, on_end: Callable[[], None]) -> None:
        """Accept no further connections; those that are open end with their next response, or when they are idle.

        May be called in a handler of signals. `on_end` is called in the watching thread once none is left.
        """
        self._on_left = self._on_left or on_end
        self._service.leaving = True
        self._wake()

    def drain(self) -> None:
        """Accept no further requests; requests under way continue."""
        self._service.draining = True
        self._wake()

    def stop(self) -> None:
        """Accept no further requests, and cut off those that have not ended after `limits.grace` seconds."""
        self._ends = time.monotonic() + self.limits.grace
        self.drain()
        if self._thread:
            self._thread.join(self.limits.grace + 2 * _CUT_SECONDS)
        else:
            self._listener.close()
        self._pool.close()

    # Everything below runs in the watching thread, except `_serve` and `_wake`.

    def _watch(self) -> None:
        while not (self._service.draining and self._is_over()):
            for key, _ in self._selector.select(self._next_timeout()):
                self._run_guarded(key.data)
            self._run_guarded(self._take_back)
            self._run_guarded(self._expire)
            if self._service.leaving and not self._has_left:
                self._run_guarded(self._continue_leaving)
        for connection in list(self._connections - self._busy):
            self.close(connection)
        self._selector.close()
        self._waker.close()
        self._woken.close()

    def _run_guarded(self, step: Callable[[], object]) -> None:
        try:
            step()
        except Exception:  # the watching thread must outlive any failure
            self._report(traceback.format_exc())
            time.sleep(0.05)

    def _next_timeout(self) -> float | None:
        """Seconds until the next timeout."""
        moments = (self._waiting.next_due(), self._acceptor.paused_until, self._ends)
        due = min((moment for moment in moments if moment is not None), default=None)
        return None if due is None else max(0.0, due - time.monotonic())

    # What the acceptor asks for

    def served_count(self) -> int:
        """See `ConnectionOwner.served_count`."""
        return len(self._connections) - self._waiting.count(State.REFUSED)

    def open(self, connected: socket.socket, peer: str, *, is_refused: bool) -> None:
        """See `ConnectionOwner.open`."""
        connected.setblocking(False)
        if connected.family != socket.AF_UNIX:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if self._tls:
            connected = self._tls.wrap_socket(connected, server_side=True, do_handshake_on_connect=False)
        connection = Connection(connected, peer, secure=self._tls is not None)
        self._connections.add(connection)
        self._update_share()
        if not is_refused:
            self._await(connection, State.READING)
        elif self._tls:
            self.close(connection)
        else:
            if self._waiting.count(State.REFUSED) >= REFUSALS and (oldest := self._waiting.oldest(State.REFUSED)):
                self.close(oldest)
            error = BadRequest(503, "All connections of this platform are busy; try again")
            self._refuse(connection, error, State.REFUSED)

    def _update_share(self) -> None:
        if self._share:
            self._share.note(len(self._connections))

    # WaitingConnections for requests

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
            self.close(connection)
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
        except self._would_block:
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
            pass  # the client is gone or hangs, or the object store failed in the middle of a response
        except Exception:
            self._report(traceback.format_exc())
        finally:
            self._done.append((connection, fate))
            self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(OSError):
            self._waker.send(b".")

    def _clear_wakeup(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._woken.recv(4096)

    def _take_back(self) -> None:
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
                    self._advance(connection)  # the selector does not report bytes that TLS has decrypted already
            elif fate is Fate.LINGER:
                self._send_last(connection, b"", State.LINGERING)
            else:
                self.close(connection)
        self._acceptor.resume_if_room()

    # Ending connections

    def _continue_leaving(self) -> None:
        self._acceptor.close()
        if self._share:
            self._share.leave()
        self._waiting.limit(State.IDLE, min(LEAVING_IDLE_SECONDS, self.limits.idle))
        if not self._connections and self._on_left:
            self._has_left = True
            self._on_left()

    def _refuse(self, connection: Connection, error: BadRequest, state: State = State.LINGERING) -> None:
        self._send_last(connection, refusal(error, connection, self._service), state)

    def _send_last(self, connection: Connection, response: bytes, state: State) -> None:
        """Send a response without waiting, and close the connection once the client has read it."""
        try:
            if response:
                connection.socket.send(response)
            connection.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.close(connection)
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
            self.close(connection)

    def _expire(self) -> None:
        """Close connections whose time limit is over."""
        for connection, state in self._waiting.overdue():
            if state is State.READING and not connection.incoming.is_empty:
                error = BadRequest(408, "The request took too long to arrive")
                with contextlib.suppress(OSError):
                    connection.socket.send(refusal(error, connection, self._service))
            self.close(connection)
        self._acceptor.resume_if_due()

    def close(self, connection: Connection) -> None:
        """See `ConnectionOwner.close`."""
        self._release(connection)
        self._connections.discard(connection)
        self._update_share()
        with contextlib.suppress(OSError):
            connection.socket.close()

    def _is_over(self) -> bool:
        """Whether all requests have ended, or were cut off, after the server was stopped."""
        self._acceptor.close()
        for connection in self._connections - self._busy:
            self.close(connection)
        if self._ends is None or not self._busy:
            return self._ends is not None
        if time.monotonic() < self._ends:
            return False
        if self._is_cut:
            return True
        self._is_cut = True
        self._ends += _CUT_SECONDS
        for connection in self._busy:
            with contextlib.suppress(OSError):  # bypasses TLS, whose state belongs to the busy thread
                socket.socket.shutdown(connection.socket, socket.SHUT_RDWR)
        return False
