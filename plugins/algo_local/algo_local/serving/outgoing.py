"""The sending side of a connection: heads of responses, bytes, and files, with sendfile where possible."""

from __future__ import annotations

import errno
import os
import select
import socket
from http import HTTPStatus

from algo_local.web.http import FileBody, Response

SMALL_BYTES = 64 << 10
"""Bodies up to this size leave together with their head."""

BLOCK = 256 << 10
_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_SENDFILE_BYTES = 8 << 20
_NO_SENDFILE = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})


def send(connected: socket.socket, data: bytes) -> None:
    """Send all of it. The socket's time limit counts for each part that the client takes, not for the whole."""
    sent = connected.send(data)
    if sent < len(data):
        view = memoryview(data)[sent:]
        while view:
            view = view[connected.send(view) :]


def response_bytes(response: Response, *, ends: bool) -> bytes:
    """The head of a response, and its body unless that is a file; `ends` says that the connection ends with it.

    Raises:
        ValueError: if a field would be more than one line.
    """
    headers = response.all_headers()
    fields = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if fields.count("\n") != len(headers) or fields.count("\r") != len(headers):
        raise ValueError(f"A response header field has a line break: {headers!r}")
    end = "Connection: close\r\n\r\n" if ends else "\r\n"
    head = f"HTTP/1.1 {response.status} {_PHRASES[response.status]}\r\n{fields}{end}".encode("latin-1")
    return head if isinstance(response.body, FileBody) else head + response.body


def send_file(connected: socket.socket, head: bytes, body: FileBody, *, secure: bool) -> None:
    """Send a head and the file that follows it, over TLS if the connection is `secure`.

    Raises:
        OSError: if the connection fails, or the client takes nothing for as long as the socket's time limit.
        EOFError: if the file turns out to be shorter than its head says.
    """
    if body.left <= SMALL_BYTES:
        content = body.read(-1)
        send(connected, head + content)
        if body.left:
            raise EOFError
        return
    send(connected, head)
    descriptor = None if secure else body.descriptor
    if descriptor is None or not _send_descriptor(connected, descriptor, body):
        _send_blocks(connected, body)


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
