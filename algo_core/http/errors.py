"""What goes wrong on a connection, as errors of this project. Imports neither requests nor urllib3 nor ssl."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from algo_core.errors import AlgoError, NetworkError, TimedOut, TlsError


@contextlib.contextmanager
def socket_errors(address: str) -> Iterator[None]:
    """Turn what a socket raises into this project's errors.

    Not for blocks that read files: their errors would be taken for those of the connection.

    Raises:
        TlsError, TimedOut, NetworkError: as the cause demands.
    """
    try:
        yield
    except OSError as error:
        raise translated(error, address) from error


def translated(error: OSError, address: str) -> AlgoError:
    """What to raise in the place of an error of a socket: TlsError, TimedOut or NetworkError."""
    if is_cut_off(error) or isinstance(error, (ConnectionResetError, ConnectionAbortedError, BrokenPipeError)):
        return NetworkError(f"The connection to {address} broke: {said_by(error)}", "Try again")
    if is_tls_error(error):
        return unverified(address, said_by(error))
    if isinstance(error, (TimeoutError, BlockingIOError)):  # the latter of a socket that the system looks after
        return late(address)
    return NetworkError(f"Cannot reach {address}: {said_by(error)}", "Check the address and the network: algo doctor")


def unverified(address: str, why: str) -> TlsError:
    """The error for a server that does not show who it is."""
    return TlsError(
        f"Cannot verify {address}: {why}",
        "If a company's CA signed it, give its file with: algo auth --ca-cert PATH",
    )


def late(address: str) -> TimedOut:
    """The error for a server that is silent for too long."""
    return TimedOut(f"No answer from {address} in time", "Try again, or allow more with the setting 'timeout'")


def is_tls_error(error: BaseException) -> bool:
    """Whether TLS failed; without ssl having been imported it cannot have."""
    ssl = sys.modules.get("ssl")
    return ssl is not None and isinstance(error, ssl.SSLError)


def is_cut_off(error: BaseException) -> bool:
    """Whether TLS only failed because the connection ended."""
    ssl = sys.modules.get("ssl")
    return ssl is not None and isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError))


def said_by(error: BaseException) -> str:
    """What an error says, without what only programmers understand."""
    if reason := getattr(error, "verify_message", ""):  # of a certificate
        return str(reason)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = " ".join(str(error).split())
    return text.rpartition(">: ")[2] or type(error).__name__
