"""What is sent on a connection: heads of responses, bytes, and files, by the system itself where it can do that."""

from __future__ import annotations

import errno
import os
import select
import socket
from collections.abc import Iterable, Sequence

from algo_local.web.http import FileBody

SMALL_BYTES = 64 << 10
"""Bodies up to this size leave together with their head."""

BLOCK = 256 << 10
_SENDFILE_BYTES = 8 << 20
_NO_SENDFILE = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})


def send(connected: socket.socket, data: bytes) -> None:
    """Send all of it. The socket's time limit counts for each part that the client takes, not for the whole."""
    sent = connected.send(data)
    if sent < len(data):
        view = memoryview(data)[sent:]
        while view:
            view = view[connected.send(view) :]


def response_head(status: str, headers: Sequence[tuple[str, str]], more: str) -> bytes:
    """The head of a response; `more` is another field with its line end, or nothing.

    Raises:
        ValueError: if a field would be more than one line.
    """
    fields = "".join([f"{name}: {value}\r\n" for name, value in headers])
    if fields.count("\n") != len(headers) or fields.count("\r") != len(headers):
        raise ValueError(f"A response header field has a line break: {headers!r}")
    return f"HTTP/1.1 {status}\r\n{fields}{more}\r\n".encode("latin-1")


def send_response(connected: socket.socket, head: bytes, body: Iterable[bytes], *, secure: bool) -> int:
    """Send a response, over TLS if the connection is `secure`; the number of bytes of its body.

    Raises:
        OSError: if the connection fails, or the client takes nothing for as long as the socket's time limit.
        EOFError: if a file turns out to be shorter than its head says.
    """
    if isinstance(body, FileBody):
        return _send_file(connected, head, body, secure)
    blocks = iter(body)
    first = next(blocks, b"")
    send(connected, head + first)
    size = len(first)
    for block in blocks:
        send(connected, block)
        size += len(block)
    return size


def _send_file(connected: socket.socket, head: bytes, body: FileBody, secure: bool) -> int:
    size = body.left
    if size <= SMALL_BYTES:
        content = body.read(-1)
        send(connected, head + content)
        if len(content) < size:
            raise EOFError
        return size
    send(connected, head)
    descriptor = None if secure else body.descriptor
    if descriptor is None or not _send_descriptor(connected, descriptor, body):
        _send_blocks(connected, body)
    return size


def _send_blocks(connected: socket.socket, body: FileBody) -> None:
    buffer = memoryview(bytearray(min(BLOCK, body.left)))
    while body.left:
        count = body.readinto(buffer)
        if not count:
            raise EOFError
        view = buffer[:count]
        while view:
            view = view[connected.send(view) :]


def _send_descriptor(connected: socket.socket, descriptor: int, body: FileBody) -> bool:
    """Have the system send the file; False, with nothing sent, if it cannot do that with this file."""
    start = offset = os.lseek(descriptor, 0, os.SEEK_CUR)
    end = offset + body.left
    ready: select.poll | None = None
    while offset < end:
        try:
            sent = os.sendfile(connected.fileno(), descriptor, offset, min(end - offset, _SENDFILE_BYTES))
        except BlockingIOError:
            if ready is None:
                ready = select.poll()
                ready.register(connected, select.POLLOUT)
            timeout = connected.gettimeout()
            if not ready.poll(None if timeout is None else timeout * 1000):
                raise TimeoutError("the client takes nothing") from None
            continue
        except OSError as error:
            if offset == start and error.errno in _NO_SENDFILE:
                return False
            raise
        if not sent:
            raise EOFError
        offset += sent
    body.left = 0
    return True
