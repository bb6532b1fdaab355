"""Relays: they pass connections on to the platform, encrypted between machines if Ray's own traffic is.

The driver has one on the platform's machine, the actor one on the loopback interface of its node. Algorithms call the
latter, so that no client of theirs has to know a certificate, and none sends its key over a network by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl

_BLOCK = 1 << 16
_CONNECT_SECONDS = 10.0
"""How long a connection to the target may take, and the agreement on encryption at either end."""


class Relay:
    """Accepts connections on `listener` and joins each with one to `target`, until it is closed.

    `accepts_tls` decrypts those that it accepts, `connects_tls` encrypts those that it makes.
    """

    def __init__(
        self,
        listener: socket.socket,
        target: tuple[str, int],
        *,
        accepts_tls: ssl.SSLContext | None = None,
        connects_tls: ssl.SSLContext | None = None,
    ) -> None:
        self._listener = listener
        self._target = target
        self._accepts_tls = accepts_tls
        self._connects_tls = connects_tls
        self._loop = asyncio.new_event_loop()
        self._end = asyncio.Event()
        self.address = _address_of(listener, is_encrypted=accepts_tls is not None)
        """The address at which it listens, without `/v1`."""
        threading.Thread(target=self._run, name="algo-relay", daemon=True).start()

    def close(self) -> None:
        """Accept no more connections; those that are open go on. May be repeated."""
        with contextlib.suppress(RuntimeError):  # its thread has ended
            self._loop.call_soon_threadsafe(self._end.set)

    def _run(self) -> None:
        with contextlib.closing(self._loop):
            self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        limit = _CONNECT_SECONDS if self._accepts_tls else None
        server = await asyncio.start_server(
            self._join, sock=self._listener, ssl=self._accepts_tls, ssl_handshake_timeout=limit
        )
        await self._end.wait()
        server.close()
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(others)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Copy in both directions until both have ended, or one fails."""
        with contextlib.suppress(OSError, asyncio.TimeoutError), contextlib.closing(writer):
            host, port = self._target
            connecting = asyncio.open_connection(host, port, ssl=self._connects_tls)
            far_reader, far_writer = await asyncio.wait_for(connecting, _CONNECT_SECONDS)
            with contextlib.closing(far_writer):
                await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Copy until the end of one direction, which is then told."""
    while data := await source.read(_BLOCK):
        sink.write(data)
        await sink.drain()
    if sink.can_write_eof():
        sink.write_eof()
    else:  # an encrypted connection ends in both directions at once
        sink.close()


def _address_of(listener: socket.socket, *, is_encrypted: bool) -> str:
    if listener.family not in (socket.AF_INET, socket.AF_INET6):
        return ""
    host, port = listener.getsockname()[:2]
    return f"http{'s' if is_encrypted else ''}://{f'[{host}]' if ':' in host else host}:{port}"
