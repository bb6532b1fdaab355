"""Meanings of object stores' error codes, with hints."""

from __future__ import annotations

from typing import NamedTuple

from algo_core.errors import (
    AlgoError,
    AuthError,
    ConfigError,
    NetworkError,
    NotFoundError,
    PermissionDenied,
    PlatformError,
    RequestRefused,
    TimedOut,
)
from algo_core.storage.uri import DataUri


class MissingBucket(NotFoundError):
    """There is not even the bucket, or container."""


class Meaning(NamedTuple):
    """The kind of error, and its hint, in which `{table}` is the connector's table in config.toml."""

    kind: type[AlgoError]
    hint: str


_EXPIRED = Meaning(AuthError, "Log in again with the tool that gave the credential")
_DAMAGED = Meaning(NetworkError, "It was damaged on its way: copy it again")
_BUSY = Meaning(PlatformError, "The store wants fewer requests: try again later, or with --max-transfers 4")
_AGAIN = Meaning(PlatformError, "Something else is changing it: try again")
_REGION = Meaning(ConfigError, "Set region and endpoint_url in {table} to those of the bucket")
_DENIED = Meaning(PermissionDenied, "The owner of the store must allow this to the credential of {table}")
_NAME = Meaning(RequestRefused, "Choose another name: at most 1,024 bytes in UTF-8")

CODES = {
    "InvalidAccessKeyId": Meaning(AuthError, "Check access_key_id in {table}, or AWS_ACCESS_KEY_ID"),
    "SignatureDoesNotMatch": Meaning(
        AuthError, "Check secret_access_key in {table}, or AWS_SECRET_ACCESS_KEY, and region and endpoint_url"
    ),
    "AuthenticationFailed": Meaning(AuthError, "Check the options of {table}, and this machine's clock"),
    "RequestTimeTooSkewed": Meaning(AuthError, "Set this machine's clock: it differs from the store's by 15 minutes"),
    "RequestExpired": Meaning(AuthError, "Set this machine's clock: it differs from the store's by 15 minutes"),
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "TokenRefreshRequired": _EXPIRED,
    "InvalidToken": _EXPIRED,
    "AccessDenied": _DENIED,
    "AllAccessDisabled": _DENIED,
    "AuthorizationFailure": Meaning(
        PermissionDenied, "Check account_key or sas_token in {table}, and the network rules of the account"
    ),
    "AuthorizationPermissionMismatch": _DENIED,
    "PermanentRedirect": _REGION,
    "TemporaryRedirect": _REGION,
    "AuthorizationHeaderMalformed": _REGION,
    "IllegalLocationConstraintException": _REGION,
    "InvalidObjectState": Meaning(RequestRefused, "It is archived: restore it with the store's own tools first"),
    "BlobArchived": Meaning(RequestRefused, "It is archived: restore it with the store's own tools first"),
    "KeyTooLongError": _NAME,
    "InvalidBucketName": Meaning(RequestRefused, "Names of buckets are 3 to 63 lower-case letters, digits, hyphens"),
    "EntityTooLarge": Meaning(RequestRefused, "The store does not take files of this size"),
    "QuotaExceeded": Meaning(RequestRefused, "The store is full: remove something"),
    "XMinioStorageFull": Meaning(RequestRefused, "The store is full: remove something"),
    "BadDigest": _DAMAGED,
    "InvalidDigest": _DAMAGED,
    "XAmzContentSHA256Mismatch": _DAMAGED,
    "Md5Mismatch": _DAMAGED,
    "IncompleteBody": _DAMAGED,
    "NoSuchUpload": Meaning(NetworkError, "Something has aborted this upload: copy it again"),
    "RequestTimeout": Meaning(TimedOut, "Try again"),
    "OperationAborted": _AGAIN,
    "ConditionalRequestConflict": _AGAIN,
    "SlowDown": _BUSY,
    "ServiceUnavailable": _BUSY,
    "ServerBusy": _BUSY,
    "TooManyRequests": _BUSY,
    "RequestLimitExceeded": _BUSY,
    "NoSuchBucket": Meaning(MissingBucket, "List the buckets: algo ls {scheme}://"),
    "ContainerNotFound": Meaning(MissingBucket, "List the containers: algo ls {scheme}://"),
}
"""By code; those of S3, and of Azure."""


def of_code(uri: DataUri, code: str, message: str) -> AlgoError | None:
    """The error for a store's code; None if it says no more than the status."""
    meaning = CODES.get(code)
    if meaning is None:
        return None
    table = f'[connectors."{uri.connector}"]' if uri.label else f"[connectors.{uri.scheme}]"
    hint = meaning.hint.format(table=table, scheme=uri.connector)
    if meaning.kind is MissingBucket:
        return MissingBucket(f"{uri} does not exist: the store has no such {_word(code)}", hint)
    return meaning.kind(f"{uri}: {message or code}", hint)


def _word(code: str) -> str:
    return "container" if code == "ContainerNotFound" else "bucket"
