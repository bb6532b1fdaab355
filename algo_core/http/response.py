"""The answer to an exchange, whichever way it came; `algo_core.http.direct` makes them."""

from __future__ import annotations

import abc
import io
import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from algo_core.errors import NetworkError, PlatformError
from algo_core.http.errors import socket_errors
from algo_core.http.headers import Headers, is_encoded

if TYPE_CHECKING:
    from algo_core.http.connections import Connection


HEAD_LIMIT = 1 << 16
"""Bytes that the headers of an answer may have."""

NO_BODY = frozenset({204, 304})
"""Statuses of answers without a body, whatever their headers say."""


AT_ONCE = 16 << 20
"""Bytes up to which room for a whole body is made before it comes."""


class Reply(abc.ABC):
    """The answer to an exchange: status, headers, and a body that is read as it arrives.

    It has what `error_from` and `decode_json` need of an answer. Use it as a context manager, or close it:
    the connection goes back to the pool when the body was read to its end.
    """

    url: str
    status_code: int
    reason: str
    headers: Mapping[str, str]
    redirected: bool = False
    after_lost_answer: bool = False
    """Whether the same request had been sent before, and its answer was lost."""
    has_body: bool = True
    """Whether a body follows; the answer to a HEAD has the length of one, and none."""
    as_stored: bool = False
    """Whether a body that is compressed is left so."""

    @abc.abstractmethod
    def readinto(self, buffer: Any, /) -> int:
        """Fill the buffer; 0 at the end, also at one that came too early: compare with Content-Length."""

    @abc.abstractmethod
    def close(self) -> None:
        """Let go of the connection."""

    @property
    def ok(self) -> bool:
        """Whether the status is one of success."""
        return 200 <= self.status_code < 300

    @property
    def content(self) -> bytes:
        """The whole body, read once. Raises NetworkError if it ends too early."""
        if not hasattr(self, "_content"):
            self._content = b"".join(self.blocks(1 << 16))
        return self._content

    @property
    def text(self) -> str:
        """The whole body as text."""
        return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """The whole body as JSON. Raises ValueError if it is none."""
        return json.loads(self.content)

    def blocks(self, size: int) -> Iterator[bytes]:
        """The body in blocks of at most so many bytes. Raises NetworkError if it ends too early."""
        buffer = memoryview(bytearray(size))
        expected = self._announced()
        seen = 0
        while count := self.readinto(buffer):
            seen += count
            yield bytes(buffer[:count])
        if expected is not None and seen < expected:
            raise self._broken()

    def _broken(self) -> NetworkError:
        self.close()
        return NetworkError(f"The connection to {self.url.partition('?')[0]} broke", "Try again")

    def _announced(self) -> int | None:
        """How many bytes the body has, where headers tell."""
        length = self.headers.get("Content-Length", "")
        is_of_body = self.has_body and (self.as_stored or not is_encoded(self.headers))
        return int(length) if is_of_body and length.isascii() and length.isdecimal() else None

    def __enter__(self) -> Reply:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class DirectReply(Reply):
    """An answer that is read from the connection itself."""

    def __init__(self, url: str, head: Head, lease: Lease, has_body: bool) -> None:
        self.url = url
        self.status_code = head.status
        self.reason = head.reason
        self.headers = head.headers
        self.has_body = has_body
        self._lease: Lease | None = lease
        self._early = memoryview(head.rest)
        self._left = head.length if has_body else 0
        self._keep = head.keeps_open
        self._receive = lease.sock.recv_into
        if not self._left:
            self._done()

    def readinto(self, buffer: Any, /) -> int:
        """The next bytes of the body; 0 at its end."""
        if not self._left or self._lease is None:
            return 0
        view = memoryview(buffer)[: self._left]
        if self._early:
            count = min(len(view), len(self._early))
            view[:count] = self._early[:count]
            self._early = self._early[count:]
        else:
            try:
                count = self._receive(view)
            except OSError:
                with self._lease.errors():
                    raise
        self._left -= count
        if not count:
            self.close()
        elif not self._left:
            self._done()
        return count

    @property
    def content(self) -> bytes:
        """The whole body, read once: what came with the headers is often all of it."""
        if not self._left:
            return getattr(self, "_content", b"")
        if self._left == len(self._early):
            self._content = bytes(self._early)
            self._early, self._left = memoryview(b""), 0
            self._done()
            return self._content
        if self._left <= AT_ONCE:
            self._content = self._rest()
            return self._content
        return super().content

    def _rest(self) -> bytes:
        buffer = memoryview(bytearray(self._left or 0))
        filled = 0
        while count := self.readinto(buffer[filled:]):
            filled += count
        if filled < len(buffer):
            raise self._broken()
        return bytes(buffer)

    def _done(self) -> None:
        lease, self._lease = self._lease, None
        if lease:
            lease.give_back(is_reusable=self._keep and not self._early)

    def close(self) -> None:
        """Let go of the connection."""
        lease, self._lease = self._lease, None
        if lease:
            lease.give_back(is_reusable=False)


class OddReply(Reply):
    """An answer whose body has no length, or is encoded: http.client takes it apart, and urllib3 unpacks it.

    With `as_stored` it is left packed.
    """

    def __init__(self, url: str, head: Head, lease: Lease, method: str, *, as_stored: bool) -> None:
        import http.client

        self.url = url
        self.status_code = head.status
        self.reason = head.reason
        self.headers = head.headers
        self.as_stored = as_stored
        self._lease: Lease | None = lease
        self._address = lease.address
        again = io.BufferedReader(_Replayed(head.whole, lease.sock))
        self._response = http.client.HTTPResponse(_Stream(again), method=method)  # type: ignore[arg-type]  # all it needs
        with lease.errors():
            self._response.begin()
        self._packed: Any = None
        if is_encoded(head.headers) and not as_stored:
            from algo_core.http.lean import urllib3

            self._packed = urllib3.HTTPResponse(self._response, dict(head.headers), head.status, preload_content=False)

    def readinto(self, buffer: Any, /) -> int:
        """The next bytes of the body; 0 at its end."""
        if self._lease is None:
            return 0
        if self._packed is not None:
            return self._unpacked(buffer)
        with self._errors(), self._lease.errors():
            data = self._response.read1(len(buffer))  # `readinto` would lose what came of a broken chunk
        buffer[: len(data)] = data
        return len(data)

    def _unpacked(self, buffer: Any) -> int:
        from algo_core.http.requests_transport import network_errors

        assert self._lease
        with self._errors(), network_errors(self._lease.address), self._lease.errors():
            data = self._packed.read(len(buffer), decode_content=True)
        buffer[: len(data)] = data
        return len(data)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        import http.client

        try:
            yield
        except http.client.HTTPException as error:
            raise NetworkError(f"The connection to {self._address} broke: {error!r}", "Try again") from error

    def close(self) -> None:
        """Let go of the connection."""
        lease, self._lease = self._lease, None
        if lease:
            lease.give_back(is_reusable=False)


class _Replayed(io.RawIOBase):
    """Bytes that were read already, then the connection."""

    def __init__(self, early: bytes, sock: Any) -> None:
        self._early = early
        self._sock = sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        """The next bytes of the body; 0 at its end."""
        if self._early:
            part, self._early = self._early[: len(buffer)], self._early[len(buffer) :]
            buffer[: len(part)] = part
            return len(part)
        return int(self._sock.recv_into(buffer))


class _Stream:
    """What http.client takes for a socket."""

    def __init__(self, file: io.BufferedReader) -> None:
        self._file = file

    def makefile(self, mode: str) -> io.BufferedReader:
        return self._file


class Head:
    """Status and headers of an answer, and what came with them of its body."""

    def __init__(self, whole: bytes, end: int) -> None:
        self.whole = whole
        self.rest = whole[end + 4 :]
        lines = whole[:end].decode("latin-1").split("\r\n")
        protocol, _, status = lines[0].partition(" ")
        code, _, self.reason = status.partition(" ")
        if not protocol.startswith("HTTP/1.") or len(code) != 3 or not code.isdecimal():
            raise NetworkError(f"What answered does not speak HTTP: {lines[0]!r:.60}")
        self.status = int(code)
        del lines[0]
        values: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(":")
            name, value = name.lower(), value.strip()
            values[name] = f"{values[name]}, {value}" if name in values else value
        self.headers = Headers(values)
        length = values.get("content-length", "")
        self.length = int(length) if length.isascii() and length.isdecimal() else None
        if "," in length and len({part.strip() for part in length.split(",")}) > 1:
            raise PlatformError(f"The platform sent headers that contradict each other: Content-Length {length}")
        self.is_chunked = "transfer-encoding" in values
        connection = values.get("connection", "").lower()
        self.keeps_open = "close" not in connection and (protocol != "HTTP/1.0" or "keep-alive" in connection)


class Lender(Protocol):
    """Where connections come from."""

    address: str
    """What they lead to, as a person knows it."""

    def give_back(self, connection: Connection, *, is_reusable: bool) -> None:
        """Take one back."""


class Lease:
    """A connection on loan."""

    __slots__ = ("_connection", "_lender", "is_fresh", "sock")

    def __init__(self, lender: Lender, connection: Connection, *, is_fresh: bool) -> None:
        self._lender = lender
        self._connection = connection
        self.sock: Any = connection.sock
        """The socket, in TLS where it is used."""
        self.is_fresh = is_fresh
        """Whether it was opened for this exchange, so that it cannot have been closed while nobody used it."""

    @property
    def address(self) -> str:
        """What it leads to."""
        return self._lender.address

    def errors(self) -> AbstractContextManager[None]:
        """Turns what goes wrong on the connection into this project's errors."""
        return socket_errors(self.address)

    def give_back(self, *, is_reusable: bool) -> None:
        """Return it, to be closed if an answer on it was not read to its end."""
        self._lender.give_back(self._connection, is_reusable=is_reusable)
