"""Translates errors of the store packages into this project's errors."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from algo_connectors.common.codes import of_code
from algo_core.errors import (
    AlgoError,
    AlreadyExists,
    AuthError,
    ConfigError,
    NetworkError,
    NotFoundError,
    PermissionDenied,
    PlatformError,
    RequestRefused,
    TimedOut,
    TlsError,
)
from algo_core.storage.contract import IsADirectory, NotADirectory, VersionChanged
from algo_core.storage.uri import DataUri

MESSAGE_LIMIT = 500
"""Characters of a store's message that are shown."""

_NO_CREDENTIALS = {
    "NoCredentialsError",
    "PartialCredentialsError",
    "CredentialRetrievalError",
    "TokenRetrievalError",
    "UnauthorizedSSOTokenError",
    "SSOTokenLoadError",
    "DefaultCredentialsError",
    "RefreshError",
    "CredentialUnavailableError",
}
_NOT_TRUSTED = {"SSLError", "ClientConnectorCertificateError", "ClientConnectorSSLError", "ClientSSLError"}
_TOO_LATE = {"ConnectTimeoutError", "ReadTimeoutError", "ServerTimeoutError", "ConnectTimeout", "ReadTimeout"}
_BROKEN = {
    "HTTPClientError",
    "ResponseStreamingError",
    "IncompleteReadError",
    "ClientError",  # of aiohttp: that of botocore has a response, and is looked at before
    "ServiceRequestError",
    "ServiceResponseError",
    "TransportError",
    "RequestException",
    "ConnectionError",
    "SSHException",
}
_WRONG = {"ParamValidationError", "ProfileNotFound", "InvalidRegionError", "NoRegionError", "UnknownEndpointError"}


class Changed(VersionChanged):
    """The file is no longer the requested version, or the condition of a write does not hold."""


class Unsatisfiable(AlgoError):
    """A range begins beyond the end of a file."""


def is_unknown_request(error: Exception) -> bool:
    """Whether a store does not have this kind of request."""
    return _status(error) in {405, 501}


@contextmanager
def store_errors(uri: DataUri) -> Iterator[None]:
    """Translate exceptions of a store's package inside the block into an AlgoError with the URI."""
    try:
        yield
    except AlgoError:
        raise
    except Exception as error:
        raise error_of(uri, error) from error


def error_of(uri: DataUri, error: Exception) -> AlgoError:
    """This project's error for an exception of a store's package."""
    status, message = _status(error), _message(error)
    if (code := _code(error)) and (meant := of_code(uri, code, message)):
        return meant
    if status is not None:
        return of_status(uri, status, message)
    names = {kind.__name__ for kind in type(error).__mro__}
    if names & _NO_CREDENTIALS:
        return AuthError(
            f"No credential for {uri.connector}://: {message}",
            f"Log in with the tool of that cloud, or set the options of [connectors.{_key(uri)}] in config.toml",
        )
    if names & _NOT_TRUSTED:
        return TlsError(f"The certificate of {uri.connector}:// is not trusted: {message}")
    if isinstance(error, (TimeoutError, asyncio.TimeoutError)) or names & _TOO_LATE:
        return TimedOut(f"{uri.connector}:// did not answer in time: {message}", "Try again")
    return _of_system(uri, error, message) or _of_name(uri, error, names, message)


def of_status(uri: DataUri, status: int, message: str) -> AlgoError:
    """The error for an HTTP status."""
    said = f"{uri}: {message}" if message else f"{uri}: the store answered {status}"
    if status == 404:
        return NotFoundError(f"{uri} does not exist")
    if status == 401:
        return AuthError(said, f"Check the credential of {uri.connector}://")
    if status == 403:
        return PermissionDenied(said, f"The credential of {uri.connector}:// must be allowed to do this")
    if status == 409:
        return AlreadyExists(said)
    if status == 412:
        return Changed(f"{uri} was changed", "Copy it again when no other program writes to it")
    if status == 416:
        return Unsatisfiable(said)
    if status in {408, 504}:
        return TimedOut(said, "Try again")
    if status == 429 or status >= 500:
        return PlatformError(said, "The store is busy or has failed: try again later")
    return RequestRefused(said)


def _of_system(uri: DataUri, error: Exception, message: str) -> AlgoError | None:
    if isinstance(error, FileNotFoundError):
        return NotFoundError(f"{uri} does not exist")
    if isinstance(error, PermissionError):
        return PermissionDenied(f"{uri}: {message}", f"The credential of {uri.connector}:// must be allowed to do this")
    if isinstance(error, FileExistsError):
        return AlreadyExists(f"{uri} exists already")
    if isinstance(error, IsADirectoryError):
        return IsADirectory(f"{uri} is a directory")
    if isinstance(error, NotADirectoryError):
        return NotADirectory(f"{uri}: there is a file in place of a directory")
    if isinstance(error, (ConnectionError, EOFError)):
        return NetworkError(f"The connection to {uri.connector}:// failed: {message}", "Try again")
    if isinstance(error, NotImplementedError):
        return RequestRefused(f"{uri.connector}:// cannot do this with {uri}")
    return None


def _of_name(uri: DataUri, error: Exception, names: set[str], message: str) -> AlgoError:
    """By class name, so that no package needs to be imported for its exceptions."""
    if names & _BROKEN:
        return NetworkError(f"The connection to {uri.connector}:// failed: {message}", "Try again")
    if names & _WRONG or isinstance(error, (ValueError, TypeError)):
        return ConfigError(
            f"{uri.connector}:// rejected the request: {message}",
            f"Check the options of [connectors.{_key(uri)}] in config.toml, or of the platform's connector",
        )
    return AlgoError(f"{uri}: {message}")


def _key(uri: DataUri) -> str:
    return f'"{uri.connector}"' if uri.label else uri.scheme


def _status(error: Exception) -> int | None:
    """The HTTP status that an exception stems from, if one does."""
    for found in (error, error.__cause__):
        response = getattr(found, "response", None)
        if isinstance(response, dict):  # botocore
            status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        else:
            status = (
                getattr(found, "status_code", None) or getattr(found, "code", None) or getattr(found, "status", None)
            )
        if isinstance(status, str) and status.isdecimal():
            status = int(status)
        if isinstance(status, int) and status >= 400:
            return status
    return None


def _code(error: Exception) -> str:
    """The store's own word for an error."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore
        return str(response.get("Error", {}).get("Code", ""))
    return str(getattr(error, "error_code", None) or "")


def _message(error: Exception) -> str:
    """The store's message in one line; for Azure without request ids."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    return " ".join(text.partition("\nRequestId:")[0].split())[:MESSAGE_LIMIT]
