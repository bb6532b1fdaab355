"""The contract of a transport: a request goes in, a response comes out.

Credentials, retries, redirects and decompression are done once for all transports, in `algo_core.http.client`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from algo_core.http.response import Response


OnExchange = Callable[[str, str, "int | None", float], None]
"""Called for each exchange with method, address, status (if there was a response) and seconds."""


class RequestBody(Protocol):
    """The body of a request: blocks of `size` bytes in total, from the beginning again after `rewind`."""

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

    def rewind(self) -> bool:  # noqa: D102
        return True


class Request(NamedTuple):
    """A request: `headers` without those of the connection and the body's length; `timeout` in seconds.

    The two time limits apply to making a connection, and to each wait for the server.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: RequestBody | None = None
    timeout: tuple[float, float] = (10.0, 60.0)


class Transport(Protocol):
    """Sends requests, each once."""

    def send(self, request: Request) -> Response:
        """Return the response, whatever its status, as soon as its headers have arrived.

        Raises:
            NetworkError and its kinds: if there is no response; `nothing_sent` says that nothing was sent.
            PlatformError: if the response is invalid.
            AlgoError: whatever the request's body raises while it is read.
        """

    def close(self) -> None:
        """Close the connections that are kept for reuse."""
