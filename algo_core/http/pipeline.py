"""Small exchanges by the thousand, each sent once, with others sent before its answer is awaited.

What a small file takes is mostly steps of ours and waiting for the other side. So here is neither: the request is one
piece of bytes, the answer is read whole, and while the server answers the next request is already made. Nothing is
tried again and nothing is explained: what does not go well at once is left to `algo_core.http.direct`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from algo_core.errors import NetworkError
from algo_core.http.errors import translated
from algo_core.http.response import HEAD_LIMIT, NO_BODY, Head, Lease

if TYPE_CHECKING:
    from algo_core.http.direct import Route

RECEIVED = 1 << 14
"""Bytes that are taken from a connection at first: most answers are smaller, and room for more has to be made."""


class SmallAnswer(NamedTuple):
    """An answer with all of its body."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class Lane:
    """Small exchanges with one host; `timeout` is (connect, read) in seconds, `limit` the most bytes of an answer."""

    def __init__(self, route: Route, timeout: tuple[float, float], limit: int) -> None:
        self._route = route
        self._timeout = timeout
        self._limit = limit
        self._ends = b" HTTP/1.1\r\n" + route.common

    def get(self, target: str) -> Asked:
        """Ask for a path. Raises NetworkError and its kinds."""
        return self._sent(b"GET " + target.encode("ascii") + self._ends + b"\r\n")

    def put(self, target: str, content: bytes) -> Asked:
        """Send what a path is to hold. Raises NetworkError and its kinds."""
        head = b"PUT %b%bContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n"
        return self._sent(head % (target.encode("ascii"), self._ends, len(content)) + content)

    def _sent(self, request: bytes) -> Asked:
        connect, read = self._timeout
        lease = self._route.take(connect, read, is_repeatable=True)
        try:
            lease.sock.sendall(request)
        except BaseException as error:
            lease.give_back(is_reusable=False)
            if isinstance(error, OSError):
                raise translated(error, lease.address) from error
            raise
        return Asked(lease, self._limit)


class Asked:
    """A request that is on its way."""

    __slots__ = ("_lease", "_limit")

    def __init__(self, lease: Lease, limit: int) -> None:
        self._lease = lease
        self._limit = limit

    def answer(self) -> SmallAnswer | None:
        """Wait for the answer; None if it is not plain: larger, packed, of unknown length, or with a cookie.

        Raises:
            NetworkError and its kinds: if it breaks off, or does not come in time.
        """
        lease, is_reusable = self._lease, False
        try:
            head = self._head()
            headers = head.headers
            length = 0 if head.status in NO_BODY else head.length
            if length is None or length > self._limit or head.is_chunked:
                return None
            if "content-encoding" in headers or "set-cookie" in headers:
                return None
            content = head.rest
            if len(content) < length:
                content = self._whole(content, length)
            is_reusable = head.keeps_open and len(content) == length
            return SmallAnswer(head.status, headers, content[:length])
        finally:
            lease.give_back(is_reusable=is_reusable)

    def _head(self) -> Head:
        received = self._received(RECEIVED)
        while (end := received.find(b"\r\n\r\n")) < 0:
            if len(received) > HEAD_LIMIT:
                raise NetworkError(f"{self._lease.address} sends headers without end")
            received += self._received(RECEIVED)
        return Head(received, end)

    def _whole(self, content: bytes, length: int) -> bytes:
        parts = [content]
        missing = length - len(content)
        while missing > 0:
            parts.append(self._received(missing))
            missing -= len(parts[-1])
        return b"".join(parts)

    def _received(self, most: int) -> bytes:
        try:
            data: bytes = self._lease.sock.recv(most)
        except OSError as error:
            raise translated(error, self._lease.address) from error
        if not data:
            raise NetworkError(f"{self._lease.address} closed the connection before its answer was whole", "Try again")
        return data

    def forget(self) -> None:
        """Do without the answer."""
        self._lease.give_back(is_reusable=False)
