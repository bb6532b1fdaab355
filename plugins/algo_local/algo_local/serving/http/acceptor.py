"""Accepts connections from the listening socket; while there is no room, has new ones wait or be refused."""

from __future__ import annotations

import errno
import selectors
import socket
import time
from collections.abc import Callable
from typing import Protocol

from algo_local.serving.http.connection import Connection, Service
from algo_local.serving.http.connection_balance import LEAVE_SECONDS, Share
from algo_local.serving.http.listener import BACKLOG
from algo_local.serving.http.waiting_connections import State, WaitingConnections

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

_SHORT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class ConnectionOwner(Protocol):
    """The server, which holds the connections that the acceptor accepts."""

    def served_count(self) -> int:
        """The number of open connections, without those that are being refused."""

    def open(self, connected: socket.socket, peer: str, *, is_refused: bool) -> None:
        """Take over an accepted connection, to serve or to refuse it."""

    def close(self, connection: Connection) -> None:
        """Close a connection."""


class Acceptor:
    """Accepts connections as long as there is room; otherwise pauses, closes idle ones, or has new ones refused.

    All methods run in the server's watching thread.
    """

    def __init__(
        self,
        owner: ConnectionOwner,
        listener: socket.socket,
        selector: selectors.BaseSelector,
        waiting: WaitingConnections,
        service: Service,
        *,
        share: Share | None,
        report: Callable[[str], None],
    ) -> None:
        """`share` is set where several front ends accept from one socket; `report` logs refusals and shortages."""
        self._owner = owner
        self._listener = listener
        self._selector = selector
        self._waiting = waiting
        self._service = service
        self._share = share
        self._report = report
        self._full_since: float | None = None
        self.paused_until: float | None = None
        """The time on the monotonic clock at which a pause ends; None while connections are accepted."""

    def start(self) -> None:
        """Accept connections from now on."""
        self._selector.register(self._listener, selectors.EVENT_READ, self.accept)

    def accept(self) -> None:
        """Accept the connections that wait in the listening socket's queue."""
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
                self._owner.close(dispensable)
                self._has_room()
            peer = str(address[0]) if isinstance(address, tuple) else ""
            self._owner.open(connected, peer, is_refused=is_refused)
            if self._is_full() and not is_refused:
                return  # the selector reports further connections before room is made for them

    def resume_if_due(self) -> None:
        """End a pause whose time is over."""
        if self.paused_until is not None and self.paused_until <= time.monotonic():
            self._resume()

    def resume_if_room(self) -> None:
        """End a pause for lack of room as soon as there is room again."""
        if self._service.crowded and (not self._is_full() or self._dispensable()):
            self._has_room()
            self._resume()

    def close(self) -> None:
        """Close the listening socket; further calls do nothing."""
        if self._listener.fileno() >= 0:
            if self.paused_until is None:
                self._selector.unregister(self._listener)
            self.paused_until = None
            self._listener.close()

    def _is_full(self) -> bool:
        return self._owner.served_count() >= self._service.limits.connections

    def _dispensable(self) -> Connection | None:
        """The most dispensable connection: the oldest one that has had its last response, is idle, or is slow."""
        return (
            self._waiting.oldest(State.LINGERING)
            or self._waiting.oldest(State.IDLE, QUIET_SECONDS)
            or self._waiting.oldest(State.READING, QUIET_SECONDS)
        )

    def _refuses(self) -> bool:
        """Whether to refuse new connections; if not, none is accepted for now."""
        now = time.monotonic()
        if self._full_since is None:
            self._full_since = now
            self._service.crowded = True
        if now - self._full_since >= FULL_SECONDS:
            self._report(f"All {self._service.limits.connections} connections are in use; new ones are refused")
            return True
        self._pause(now + RETRY_SECONDS)
        return False

    def _has_room(self) -> None:
        self._full_since = None
        self._service.crowded = False

    def _run_short(self, error: OSError) -> None:
        """The system is out of descriptors or memory: close dispensable connections, and pause."""
        self._report(f"No connection can be accepted: {error.strerror}")
        for _ in range(REFUSALS):
            if dispensable := self._dispensable():
                self._owner.close(dispensable)
        self._pause(time.monotonic() + SHORT_SECONDS)

    def _pause(self, until: float) -> None:
        if self.paused_until is None:
            self._selector.unregister(self._listener)
        self.paused_until = until

    def _resume(self) -> None:
        if self.paused_until is not None and not (self._service.draining or self._service.leaving):
            self.paused_until = None
            self.start()
