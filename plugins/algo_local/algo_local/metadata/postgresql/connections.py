"""Connections to the server: a pool, and a connection of a block that is replaced when it is lost."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import psycopg
import sqlalchemy
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolExhausted
from sqlalchemy.pool import PoolProxiedConnection

from algo_core.errors import ConfigError
from algo_local.metadata.database import BUSY_SECONDS
from algo_local.metadata.postgresql import schema
from algo_local.metadata.postgresql.failures import (
    ServerUnavailable,
    connection_failure,
    conninfo,
    meaning,
    unavailable,
)
from algo_local.metadata.postgresql.poolers import check_sessions
from algo_local.metadata.postgresql.statements import adapt
from algo_local.metadata.postgresql.watched import WatchedConnection
from algo_local.state import place

POOL_SIZE = 8
"""Connections that stay open in a process."""

MOST = 32
"""Connections that a process has at most; a thread waits for `BUSY_SECONDS` for one."""

RETRY_SECONDS = 3.0
"""Time in which a connection that was lost is made again, before the failure is reported."""

OLDEST_SERVER = 130000
"""PostgreSQL 13, the first one with `pg_xact_status` of 64-bit transactions."""

_HUNG_SECONDS = 60
"""Seconds after which the server ends a transaction whose process asks nothing more: it holds the writers' lock."""

_SETTINGS = (
    f"SET lock_timeout = '{BUSY_SECONDS:g}s'; SET idle_in_transaction_session_timeout = '{_HUNG_SECONDS}s';"
    " SET client_min_messages = 'error'; SET bytea_output = 'hex'; SET extra_float_digits = 1;"
    " SET enable_bitmapscan = off; SET jit = off"
)
"""The last two: pages are read in an index's order, however few rows the server expects; and no query is long."""

_KEEPALIVES = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 20_000}

Connection = psycopg.Connection[Any]


class Connections:
    """The pool of one URL. Connections commit each statement by itself, except inside a transaction that was begun."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = threading.RLock()  # the server may fall silent while a thread that holds this lock checks it
        self._pid = os.getpid()
        self._engine: sqlalchemy.Engine | None = None
        self._is_known = False
        """Whether the server has been checked: its version and rights, and a schema that is up to date."""

    @contextmanager
    def taken(self) -> Iterator[Taken]:
        """A connection for a block. Raises ConfigError and StorageUnavailable, as `Database` says."""
        taken = Taken(self)
        try:
            yield taken
        except psycopg.errors.ReadOnlySqlTransaction as error:
            taken.discard()  # the next connection may be to another server of the URL, a primary
            raise meaning(error, self._url) from error
        except psycopg.Error as error:
            raise meaning(error, self._url) from error
        finally:
            taken.give()

    def close(self) -> None:
        """Close the idle connections."""
        with self._lock:
            engine, self._engine = self._engine, None
            if engine:
                engine.dispose(close=self._pid == os.getpid())

    def take(self, *, patience: float) -> PoolProxiedConnection:
        """A connection of the pool; a new one is tried for `patience` seconds if none is idle."""
        deadline, pause = time.monotonic() + patience, 0.05
        while True:
            try:
                engine = self._opened()
                return engine.raw_connection()
            except PoolExhausted as error:
                raise ServerUnavailable(
                    f"All {MOST} connections of this process to {place(self._url)} are in use",
                    "Try again in a moment",
                ) from error
            except (psycopg.Error, DBAPIError) as error:  # the pool asks a new server a few questions itself
                cause = error if isinstance(error, psycopg.Error) else error.orig
                if not isinstance(cause, psycopg.Error):
                    raise
                if not self._is_known:
                    raise connection_failure(cause, self._url) from None  # its context may show the URL
                if time.monotonic() + pause > deadline:  # whatever the server says now: it was right before
                    raise unavailable(cause, self._url) from None
            time.sleep(pause)
            pause = min(pause * 2, 0.5)

    def _opened(self) -> sqlalchemy.Engine:
        with self._lock:
            if self._engine and self._pid != os.getpid():  # a forked process must neither use nor close it
                self._engine.dispose(close=False)
                self._engine = None
            if self._engine is None:
                self._engine, self._pid = self._made(), os.getpid()
            if not self._is_known:
                self._check(self._engine)
                self._is_known = True
            return self._engine

    def _made(self) -> sqlalchemy.Engine:
        parameters = {**_KEEPALIVES, **conninfo(self._url)}

        def is_there(info: psycopg.ConnectionInfo) -> bool:
            address = {"host": info.host, "port": info.port, **({"hostaddr": info.hostaddr} if info.hostaddr else {})}
            try:
                psycopg.connect(**{**parameters, **address}).close()
            except psycopg.errors.ConnectionTimeout:
                self.close()  # else each of the others would wait as long, one after the other
                return False
            except psycopg.Error:
                pass  # an answer, even a refusal: the server is alive
            return True

        def opened() -> Connection:
            connection = WatchedConnection.connect(**parameters, autocommit=True)
            connection.is_there = is_there
            return connection

        def connect() -> Connection:
            connection = opened()
            try:
                if not self._is_known:
                    check_sessions(connection, opened, self._url)
                adapt(connection)
                connection.execute(_SETTINGS)
            except BaseException:
                connection.close()
                raise
            return connection

        return sqlalchemy.create_engine(
            "postgresql+psycopg://",
            creator=connect,
            isolation_level="AUTOCOMMIT",
            pool_size=POOL_SIZE,
            max_overflow=MOST - POOL_SIZE,
            pool_timeout=BUSY_SECONDS,
            pool_use_lifo=True,
            pool_reset_on_return=None,
        )

    def _check(self, engine: sqlalchemy.Engine) -> None:
        """Refuse a server that does not fit, and bring the schema up to date."""
        proxied = engine.raw_connection()
        try:
            connection = cast("Connection", proxied.driver_connection)
            if connection.info.server_version < OLDEST_SERVER:
                raise ConfigError(
                    f"The server of {place(self._url)} is PostgreSQL {connection.info.server_version // 10000};"
                    f" {OLDEST_SERVER // 10000} or newer is needed",
                    "Upgrade the server",
                )
            encoding = connection.info.parameter_status("server_encoding")
            if encoding != "UTF8":
                raise ConfigError(
                    f"The database at {place(self._url)} has the encoding {encoding}",
                    "Create it with: CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0",
                )
        finally:
            proxied.close()
        schema.upgrade(engine, self._url)


class Taken:
    """A connection of the pool that is exchanged for a new one if it turns out to be lost."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._proxied: PoolProxiedConnection | None = None

    def connection(self, patience: float | None = None) -> Connection:
        """The connection; a new one if that before was lost, for which `patience` seconds are waited."""
        if self._proxied is not None and self._current.closed:
            self.give()
        if self._proxied is None:
            self._proxied = self._connections.take(patience=RETRY_SECONDS if patience is None else patience)
        return self._current

    @property
    def is_lost(self) -> bool:
        """Whether the server, or the way to it, has gone away."""
        return self._proxied is not None and bool(self._current.closed)

    def give(self) -> None:
        """Return it to the pool; a lost one, and one inside a transaction, is closed."""
        proxied, self._proxied = self._proxied, None
        if proxied is None:
            return
        connection = cast("Connection", proxied.driver_connection)
        if connection.closed or connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            proxied.invalidate()
        proxied.close()

    def discard(self) -> None:
        """Close it."""
        if self._proxied is not None:
            self._proxied.invalidate()
            self._proxied = None

    @property
    def _current(self) -> Connection:
        assert self._proxied is not None
        return cast("Connection", self._proxied.driver_connection)
