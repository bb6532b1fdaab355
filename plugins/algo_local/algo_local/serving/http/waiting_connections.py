"""Connections without a request under way, by state, ordered by the time at which they entered it."""

from __future__ import annotations

import enum
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping

from algo_local.serving.http.connection import Connection


class State(enum.Enum):
    """The state of a waiting connection."""

    READING = enum.auto()
    """The head of a request has not arrived completely."""
    IDLE = enum.auto()
    """The client may send another request."""
    LINGERING = enum.auto()
    """The last response was sent; the client has yet to close the connection."""
    REFUSED = enum.auto()
    """Like LINGERING, for a connection that was refused above the limit."""


class WaitingConnections:
    """The connections in each state, the oldest first, with a time limit for each state."""

    def __init__(self, seconds: Mapping[State, float]) -> None:
        self._seconds = dict(seconds)
        self._queues: dict[State, OrderedDict[Connection, float]] = {state: OrderedDict() for state in State}

    def add(self, connection: Connection, state: State) -> None:
        """Add a connection to a state."""
        self._queues[state][connection] = time.monotonic()

    def limit(self, state: State, seconds: float) -> None:
        """Change the time limit of a state, also of connections that are in it."""
        self._seconds[state] = seconds

    def remove(self, connection: Connection) -> State | None:
        """Remove a connection; return its state."""
        for state, queue in self._queues.items():
            if queue.pop(connection, None) is not None:
                return state
        return None

    def count(self, state: State) -> int:
        """The number of connections in a state."""
        return len(self._queues[state])

    def is_in(self, state: State, connection: Connection) -> bool:
        """Whether a connection is in a state."""
        return connection in self._queues[state]

    def oldest(self, state: State, seconds: float = 0.0) -> Connection | None:
        """The connection that has been in a state for the longest time, and for at least `seconds`."""
        for connection, since in self._queues[state].items():
            return connection if since + seconds <= time.monotonic() else None
        return None

    def overdue(self) -> Iterator[tuple[Connection, State]]:
        """Connections whose time limit is over; the caller removes each before it takes the next."""
        for state, seconds in self._seconds.items():
            while connection := self.oldest(state, seconds):
                yield connection, state

    def next_due(self) -> float | None:
        """The time on the monotonic clock at which the next time limit is over; None without connections."""
        due = [next(iter(queue.values())) + self._seconds[state] for state, queue in self._queues.items() if queue]
        return min(due, default=None)
