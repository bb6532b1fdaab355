"""The contract of a transport: a request goes in, a response comes out.

What stands above it is done once for all of them, in `algo_core.http.client`: credentials, retries, redirects,
decompression.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from algo_core.http.response import Response


OnExchange = Callable[[str, str, "int | None", float], None]
"""Told of each exchange: method, address, status if there was a response, seconds."""


class RequestBody(Protocol):
    """What a request's body is sent from: blocks of `size` bytes in all, from the beginning again after `rewind`."""

    size: int

    def __iter__(self) -> Iterator[bytes | memoryview]: ...

    def rewind(self) -> bool:
        """Go back to the beginning; False if that cannot be done."""


class BytesBody:
    """A small body: bytes in memory."""

    def __init__(self, data: bytes) -> None:
        self.size = len(data)
        self.data = data

    def __iter__(self) -> Iterator[bytes]:
        yield self.data

    def rewind(self) -> bool:
        """Nothing to do."""
        return True


class Request(NamedTuple):
    """What is sent: `headers` without those of the connection and the body's length; `timeout` in seconds.

    The two time limits are for making a connection, and for each wait for the other side.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: RequestBody | None = None
    timeout: tuple[float, float] = (10.0, 60.0)


class Transport(Protocol):
    """Sends requests, each once and to the address that it names."""

    def send(self, request: Request) -> Response:
        """The response, whatever its status, as soon as its headers are there.

        Raises:
            NetworkError and its kinds: if there is none; `nothing_sent` says that the request never left.
            PlatformError: if what came is none.
            AlgoError: whatever the request's body raises while it is read.
        """

    def close(self) -> None:
        """Give up what is kept for further requests."""
