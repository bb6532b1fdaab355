"""The failures that `algo` reports, and their exit codes.

The tree is small on purpose: one class for each exit code that a script may want to tell apart
(`algo help exit-codes` prints the same table), and a few below them that carry more facts.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any


class ExitCode(IntEnum):
    """The exit codes of `algo`, by name."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    CONFIGURATION = 3
    AUTHENTICATION = 4
    NOT_FOUND = 5
    NETWORK = 6
    PLATFORM = 7
    PLUGIN = 8
    HUNG_UP = 129
    INTERRUPTED = 130
    BROKEN_PIPE = 141
    TERMINATED = 143

    __str__ = int.__repr__  # before Python 3.11 it would be the name


EXIT_CODES: dict[int, str] = {
    ExitCode.OK: "success",
    ExitCode.FAILURE: "the algorithm or the operation failed",
    ExitCode.USAGE: "the command line was wrong",
    ExitCode.CONFIGURATION: "the configuration is wrong or incomplete",
    ExitCode.AUTHENTICATION: "not authenticated, or not permitted",
    ExitCode.NOT_FOUND: "something named on the command line does not exist",
    ExitCode.NETWORK: "the network, TLS or a time limit failed",
    ExitCode.PLATFORM: "the platform failed, or answered with something that is not its API",
    ExitCode.PLUGIN: "a plugin failed",
    ExitCode.INTERRUPTED: "interrupted (Ctrl-C)",
    ExitCode.BROKEN_PIPE: "the reader of the output went away (closed pipe)",
    ExitCode.TERMINATED: "asked to end (SIGTERM; 129 for SIGHUP)",
}
"""Exit codes and their meaning, as `algo help exit-codes` prints them."""


OWN_EXIT_CODES = range(64, 114)
"""Exit codes that plugins may give to failures of their own: 64 to 113.

Those below are for `algo` itself, which has 0 to 8 so far; those above are the shell's, of commands that cannot be run
(126, 127) and of signals (128 and more).
"""


def is_exit_code(code: object) -> bool:
    """Whether a failure may end with this exit code: one of `algo`'s own for failures, or of `OWN_EXIT_CODES`."""
    is_number = isinstance(code, int) and not isinstance(code, bool)
    return is_number and (ExitCode.OK < code <= ExitCode.PLUGIN or code in OWN_EXIT_CODES)  # type: ignore[operator]


class AlgoError(Exception):
    """A failure to report to the user: one message, and a hint.

    `message` is a sentence without a full stop at its end; `hint` ends in the command or the change that fixes it.
    `exit_code` ends the command: 1 to 8 of `ExitCode`, or one of `OWN_EXIT_CODES` with a meaning of your own. Another
    one is reported as the plugin's fault, with exit code 8. `json_members` adds to the JSON object of the error.

        class QuotaExceeded(AlgoError):
            exit_code = 65

            def __init__(self, used: int, quota: int) -> None:
                super().__init__(f"{used} of {quota} bytes are used", "Remove files that are not needed")
                self.used, self.quota = used, quota

            def json_members(self) -> dict[str, Any]:
                return {"used": self.used, "quota": self.quota}
    """

    exit_code: int = ExitCode.FAILURE
    status: int | None = None
    """The status of the HTTP response that caused it, if any."""
    retry_after: float | None = None
    """Seconds to wait before the next try, as requested by the platform."""
    after_lost_answer = False
    """True if an earlier attempt was sent and its response was lost: it may have taken effect."""

    message = ""
    hint: str | None = None

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def json_members(self) -> dict[str, Any]:
        """Further members of the `--json` report: texts, numbers, lists and mappings, as JSON has them.

        None values are left out, and so are `type`, `message` and `hint`, which are the report's own. Where this raises
        or returns what is no JSON, `json_members_error` says so in their place.
        """
        return {}

    def as_dict(self) -> dict[str, Any]:
        """The `error` object that `--json` prints on stderr."""
        members = {**self._checked_members(), "type": type(self).__name__, "message": self.message, "hint": self.hint}
        first = {name: members[name] for name in ("type", "message", "hint")}
        return {"error": {name: value for name, value in {**first, **members}.items() if value is not None}}

    def _checked_members(self) -> dict[str, Any]:
        import json

        try:
            written: dict[str, Any] = json.loads(json.dumps(dict(self._given_members()), allow_nan=False))
            return written
        except (Exception, SystemExit) as error:  # it must never hide the error itself
            return {"json_members_error": cause(error)}

    def _given_members(self) -> dict[str, Any]:
        former = getattr(self, "facts", None)
        if former is None:
            return self.json_members()
        import warnings

        told = f"{type(self).__name__}.facts is called json_members since algo-core 1.1"
        warnings.warn(told, DeprecationWarning, stacklevel=2)
        return {**self.json_members(), **former()}


class UsageError(AlgoError):
    """The command line is invalid; nothing was done."""

    exit_code = ExitCode.USAGE


class ConfigError(AlgoError):
    """A configuration file, an environment variable or a profile is missing or wrong."""

    exit_code = ExitCode.CONFIGURATION


class AuthError(AlgoError):
    """Missing or invalid credential (API section 2.2: 401)."""

    exit_code = ExitCode.AUTHENTICATION


class PermissionDenied(AuthError):
    """The caller is known but may not do this (API section 2.2: 403)."""


class NotFoundError(AlgoError):
    """An algorithm, version, file, directory, profile or path does not exist (API section 2.2: 404)."""

    exit_code = ExitCode.NOT_FOUND


class NetworkError(AlgoError):
    """No connection, a broken one, or a name that does not resolve."""

    exit_code = ExitCode.NETWORK
    nothing_sent = False
    """True if nothing of the request was sent, so that a retry cannot repeat an effect."""
    was_stale = False
    """True if it was sent on a reused connection, which the server may have closed in the meantime."""
    concerns_address = False
    """True if the address may be wrong."""
    concerns_proxy = False
    """Whether it is the proxy that failed."""
    scheme: str | None = None
    """The scheme that the address should probably have, if it has the wrong one."""


class TlsError(NetworkError):
    """The server's certificate could not be verified, or the server rejects the client certificate."""

    concerns_certificate = False
    """True if the client certificate is missing or rejected."""


class TimedOut(NetworkError):
    """The server did not respond in time."""


class PlatformError(AlgoError):
    """The platform returned a server error or an invalid response."""

    exit_code = ExitCode.PLATFORM


class PluginError(AlgoError):
    """A plugin could not be loaded, or failed in a hook; `details` is for `--debug`."""

    exit_code = ExitCode.PLUGIN

    def __init__(self, message: str, hint: str | None = None, *, details: str | None = None) -> None:
        super().__init__(message, hint)
        self.details = details


class RequestRefused(AlgoError):
    """The platform refused a request for another reason than those above (400, 409, 415, 429, ...)."""


class AlreadyExists(RequestRefused):
    """The thing to create exists already (API section 2.2: 409)."""


class AlgorithmFailed(AlgoError):
    """The algorithm ran and failed: HTTP 200 with an `error` object (API sections 2.1 E4, 2.5)."""

    def __init__(
        self,
        message: str,
        *,
        error_type: str | None = None,
        stacktrace: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint)
        self.error_type = error_type
        self.stacktrace = stacktrace

    def json_members(self) -> dict[str, Any]:
        """The platform's error type and, if the caller may see it, the stack trace."""
        return {"error_type": self.error_type, "stacktrace": self.stacktrace}


def is_reportable(error: AlgoError) -> bool:
    """Whether an error has a message and an exit code as they are meant to be."""
    try:
        is_text = isinstance(error.message, str) and isinstance(error.hint, str | None)
        return is_text and is_exit_code(error.exit_code)
    except Exception:  # they may be properties
        return False


def cause(error: BaseException) -> str:
    """An exception as one line of text."""
    if isinstance(error, SystemExit):
        return f"it called sys.exit({error.code!r})"
    if isinstance(error, PluginError):
        return error.message
    text = " ".join(str(error).split())
    return type(error).__name__ + (f": {text[:300]}" if text else "")
