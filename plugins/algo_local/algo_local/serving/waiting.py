"""Waiting connections, ordered by the time at which they entered their state."""

from __future__ import annotations

import enum
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping

from algo_local.serving.connection import Connection


class State(enum.Enum):
    """The state of a waiting connection."""

    READING = enum.auto()
    """The rest of a request's head, or its first one."""
    IDLE = enum.auto()
    """The client's next request."""
    LINGERING = enum.auto()
    """The client's end, after its last response."""
    REFUSED = enum.auto()
    """The same, beyond the number of connections that are served."""


class Waiting:
    """The connections in each state, the oldest first, and when their time in it is over."""

    def __init__(self, seconds: Mapping[State, float]) -> None:
        self._seconds = seconds
        self._queues: dict[State, OrderedDict[Connection, float]] = {state: OrderedDict() for state in State}

    def add(self, connection: Connection, state: State) -> None:
        """Add a connection to a state."""
        self._queues[state][connection] = time.monotonic()

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
        """The connection that has been in a state for the longest time, and at least for so long."""
        for connection, since in self._queues[state].items():
            return connection if since + seconds <= time.monotonic() else None
        return None

    def overdue(self) -> Iterator[tuple[Connection, State]]:
        """Connections whose time is over; each has to be removed before the next one is asked for."""
        for state, seconds in self._seconds.items():
            while connection := self.oldest(state, seconds):
                yield connection, state

    def next_due(self) -> float | None:
        """When the next time will be over, on the monotonic clock."""
        due = [next(iter(queue.values())) + self._seconds[state] for state, queue in self._queues.items() if queue]
        return min(due, default=None)
