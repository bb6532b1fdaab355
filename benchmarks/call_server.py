"""A platform with one algorithm, which answers every call with `{"result": 1}` after a while: what clients cost.

    python benchmarks/call_server.py [MILLISECONDS]

Prints its port, and serves until it is ended.
"""

from __future__ import annotations

import asyncio
import re
import selectors
import sys

BODY = b'{"result":1,"metadata":{"content_type":"json","duration":0.001},"request_id":"req-1"}'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
CALL = HEAD % (len(BODY), BODY)
DESCRIPTION = b'{"name":"Echo","version_info":{"semantic_version":"1.0.0"},"settings":{}}'
DESCRIBED = HEAD % (len(DESCRIPTION), DESCRIPTION)
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Calls(asyncio.Protocol):
    """One connection."""

    seconds = 0.0

    def __init__(self) -> None:
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It has been accepted."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer what is whole."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            found = _LENGTH.search(self._buffer[:end])
            size = end + 4 + (int(found[1]) if found else 0)
            if len(self._buffer) < size:
                return
            is_call, self._buffer = self._buffer.startswith(b"POST"), self._buffer[size:]
            if not is_call:
                self._answer(DESCRIBED)
            elif self.seconds:
                asyncio.get_running_loop().call_later(self.seconds, self._answer, CALL)
            else:
                self._answer(CALL)

    def _answer(self, response: bytes) -> None:
        if self._transport and not self._transport.is_closing():
            self._transport.write(response)


async def serve(milliseconds: float) -> None:
    """Serve for ever."""
    Calls.seconds = milliseconds / 1000
    server = await asyncio.get_running_loop().create_server(Calls, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main(milliseconds: float) -> None:
    """Serve for ever; with a latency by `select`, since `epoll` waits for whole milliseconds."""
    selector = selectors.SelectSelector() if milliseconds else selectors.DefaultSelector()
    asyncio.SelectorEventLoop(selector).run_until_complete(serve(milliseconds))


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 0.0)
