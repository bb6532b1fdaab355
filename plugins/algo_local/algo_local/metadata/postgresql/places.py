"""Places that the processes of all machines share: of each name a number of them can be held at once."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import threading
import time
from collections import defaultdict
from typing import Any

import psycopg

from algo_core.errors import AlgoError
from algo_local.metadata.postgresql.connections import Connection, Connections, Taken
from algo_local.metadata.postgresql.failures import meaning
from algo_local.refusals import CommonFailure

_BITS = 7
"""A name has 128 keys of advisory locks, one for each place."""

_TAKE = "SELECT key FROM unnest(%s::bigint[]) AS key WHERE pg_try_advisory_lock(key) LIMIT 1"


class Places:
    """Advisory locks of one connection, which the server releases when this process ends, however it ends.

    A place is taken and given back by one round trip each; nothing is written. If the connection is lost, the places
    are taken again at the next use, as far as nobody else has them by then.
    """

    def __init__(self, url: str) -> None:
        self._connections = Connections(url)
        self._url = url
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._taken: Taken | None = None
        self._failure = CommonFailure()
        self._held: defaultdict[int, set[int]] = defaultdict(set)

    def take(self, name: str, most: int) -> int | None:
        """One of at most 128 places of a name; None if all of them are held.

        Raises:
            StorageUnavailable: if the server cannot be asked.
        """
        first, began = _first_key(name), time.monotonic()
        with self._lock, self._failure.shared(began):
            held = self._held[first]
            free = [key for key in range(first, first + most) if key not in held]
            random.shuffle(free)  # those of other processes are rarely met so
            row = self._ask(_TAKE, free) if free else None
            if row is None:
                return None
            held.add(row[0])
            return int(row[0])

    def give(self, name: str, place: int) -> None:
        """Give a place back."""
        first = _first_key(name)
        with self._lock:
            self._held[first].discard(place)
            if not self._held[first]:
                del self._held[first]
            if self._taken is not None and not self._taken.is_lost and self._pid == os.getpid():
                with contextlib.suppress(AlgoError):  # a connection that is lost holds nothing any more
                    self._ask("SELECT pg_advisory_unlock(%s)", place)

    def close(self) -> None:
        """Give all places back."""
        with self._lock:
            taken, self._taken = self._taken, None
            self._held.clear()
            if taken is not None and self._pid == os.getpid():
                with contextlib.suppress(psycopg.Error):
                    taken.connection(0.0).execute("SELECT pg_advisory_unlock_all()")
                taken.give()
            self._connections.close()

    def _ask(self, query: str, value: object) -> tuple[Any, ...] | None:
        """The row of a query; asked again if the connection turns out to be lost, and with it all places."""
        for is_last in (False, True):
            connection = self._connected()
            try:
                found: tuple[Any, ...] | None = connection.execute(query, (value,)).fetchone()
                return found
            except psycopg.Error as error:
                if is_last or not connection.closed:
                    raise meaning(error, self._url) from error
        raise AssertionError("the second failure is raised")

    def _connected(self) -> Connection:
        if self._taken is None or self._taken.is_lost or self._pid != os.getpid():
            if self._taken is not None and self._pid == os.getpid():
                self._taken.give()
            elif self._pid != os.getpid():
                self._held.clear()
            taken = Taken(self._connections)
            connection = taken.connection(0.0)
            for key in (key for keys in self._held.values() for key in keys):
                connection.execute("SELECT pg_try_advisory_lock(%s)", (key,))
            self._taken, self._pid = taken, os.getpid()
        return self._taken.connection(0.0)


def _first_key(name: str) -> int:
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 8 << _BITS
