"""Translates errors of connections into this project's errors. Imports neither requests nor urllib3 nor ssl."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from algo_core.errors import AlgoError, NetworkError, TimedOut, TlsError


@contextlib.contextmanager
def socket_errors(address: str) -> Iterator[None]:
    """Translate the errors of a socket into this project's errors.

    Not for blocks that read files: their errors would be taken for those of the connection.

    Raises:
        TlsError, TimedOut, NetworkError: as the cause demands.
    """
    try:
        yield
    except OSError as error:
        raise translated(error, address) from error


def translated(error: OSError, address: str) -> AlgoError:
    """The error to raise for an error of a socket: TlsError, TimedOut or NetworkError."""
    if is_cut_off(error) or isinstance(error, (ConnectionResetError, ConnectionAbortedError, BrokenPipeError)):
        return NetworkError(f"The connection to {address} broke: {said_by(error)}", "Try again")
    if is_tls_error(error):
        return tls_failure(address, error)
    if isinstance(error, (TimeoutError, BlockingIOError)):  # the latter of a socket that the system looks after
        return late(address)
    return unreached(address, said_by(error))


def unreached(address: str, why: str) -> NetworkError:
    """The error for a server that cannot be reached."""
    error = NetworkError(f"Cannot reach {address}: {why}", "Check the network, and the address")
    error.concerns_address = True
    return error


def tls_failure(address: str, cause: BaseException) -> TlsError:
    """The error for a server whose certificate cannot be verified, or that does not speak TLS."""
    reason = getattr(cause, "reason", None)
    if what := _about_certificates(cause):
        error = TlsError(f"{address} {what}", "Set client_cert, and client_key for its key")
        error.concerns_certificate = True
        return error
    if reason not in _NO_TLS:
        return TlsError(
            f"Cannot verify {address}: {said_by(cause)}",
            "If a company's CA signed it, give its file with: algo auth --ca-cert PATH",
        )
    error = TlsError(f"{address} does not speak TLS", "Give the address with http://")
    error.scheme = "http"
    return error


def _about_certificates(cause: BaseException) -> str | None:
    """What a server says of the certificate that it was shown, or not."""
    reason = getattr(cause, "reason", None)
    if reason in _NO_CERTIFICATE:
        return "asks for a client certificate"
    if reason in _NOT_ACCEPTED:
        return f"does not accept the client certificate ({said_by(cause)})"
    if reason == "SSLV3_ALERT_HANDSHAKE_FAILURE":  # in TLS 1.2 all that a server says that was shown none
        return "ended the TLS handshake; it may ask for a client certificate"
    return None


_NO_TLS = frozenset(
    {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG", "UNKNOWN_PROTOCOL", "HTTP_REQUEST",
     "UNSUPPORTED_PROTOCOL", "BAD_RECORD_TYPE"}
)  # fmt: skip
"""OpenSSL's errors for a response that is not TLS."""

_NO_CERTIFICATE = frozenset({"TLSV13_ALERT_CERTIFICATE_REQUIRED", "TLSV1_ALERT_CERTIFICATE_REQUIRED"})
"""What OpenSSL calls the alert of a server that was shown no certificate, in TLS 1.3."""

_NOT_ACCEPTED = frozenset(
    {"SSLV3_ALERT_BAD_CERTIFICATE", "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE", "SSLV3_ALERT_CERTIFICATE_REVOKED",
     "SSLV3_ALERT_CERTIFICATE_EXPIRED", "SSLV3_ALERT_CERTIFICATE_UNKNOWN", "TLSV1_ALERT_UNKNOWN_CA",
     "TLSV1_ALERT_ACCESS_DENIED", "SSLV3_ALERT_NO_CERTIFICATE"}
)  # fmt: skip
"""What OpenSSL calls the alerts of servers that look at the certificate that they are shown."""

TLS_ALERT = b"\x15\x03"
"""The beginning of a TLS server's response to plain text: an alert."""


def tls_ended(address: str) -> NetworkError:
    """The error for a server that closes the connection during the TLS handshake."""
    error = NetworkError(
        f"{address} ended the connection while TLS was agreed on",
        "Try again; if it serves plain http, give the address with http://",
    )
    error.scheme = "http"
    return error


def silent(address: str, *, in_clear: bool) -> NetworkError:
    """The error for a server that closes the connection without a response."""
    error = NetworkError(f"{address} closed the connection without a response", "Try again")
    if in_clear:
        error.hint = "Try again; if it serves TLS, give the address with https://"
        error.scheme = "https"
    return error


def speaks_tls(address: str) -> NetworkError:
    """The error for a TLS server that was sent plain HTTP."""
    error = NetworkError(f"{address} speaks TLS, not plain http", "Give the address with https://")
    error.scheme = "https"
    return error


def late(address: str) -> TimedOut:
    """The error for a server that does not respond in time."""
    return TimedOut(f"No answer from {address} in time", "Try again, or allow more with the setting 'timeout'")


def would_block(error: OSError) -> bool:
    """Whether a socket that does not wait has nothing to receive, or no room to send."""
    ssl = sys.modules.get("ssl")
    return isinstance(error, BlockingIOError) or (
        ssl is not None and isinstance(error, (ssl.SSLWantReadError, ssl.SSLWantWriteError))
    )


def is_tls_error(error: BaseException) -> bool:
    """Whether TLS failed; without ssl having been imported it cannot have."""
    ssl = sys.modules.get("ssl")
    return ssl is not None and isinstance(error, ssl.SSLError)


def is_cut_off(error: BaseException) -> bool:
    """Whether TLS only failed because the connection ended."""
    ssl = sys.modules.get("ssl")
    return ssl is not None and isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError))


def said_by(error: BaseException) -> str:
    """The text of an error, without technical details."""
    if reason := getattr(error, "verify_message", ""):  # of a certificate
        return str(reason)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = " ".join(str(error).split())
    return text.rpartition(">: ")[2] or type(error).__name__
