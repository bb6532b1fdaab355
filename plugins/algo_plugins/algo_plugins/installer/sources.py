"""Which package index did not answer, or refused, as pip and uv say it.

Both go on without it where they can, so that "nothing to upgrade" may only mean that no index answered.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from algo_core.errors import NetworkError

_PIP = re.compile(r"Could not fetch URL (?P<url>\S+?):? (?P<why>.*)")
_UV_REFUSAL = re.compile(r"[Aa]n index(?: URL)? \((?P<url>\S+?)\) (?P<why>.*)")
_UV_PASSED_OVER = re.compile(
    r"GET request for: (?P<url>\S+)(?:(?!GET request for:).)*?status code failure: (?P<why>.*?)$",
    re.DOTALL | re.MULTILINE,
)
_UV_FAILURE = re.compile(r"Failed to fetch: `?(?P<url>[^\s`]+)`?(?P<why>(?:\n.*){0,6})")
_STATUS = re.compile(r"\b([45]\d\d) (?:Client|Server) Error|too many (5\d\d) error|\b([45]\d\d) [A-Z][a-z]")
_NO_NETWORK = re.compile(
    r"NewConnectionError|Failed to establish a new connection|Max retries exceeded|ConnectTimeoutError|ReadTimeoutError"
    r"|name resolution|Name or service not known|dns error|[Cc]onnection (?:refused|reset|broken|error)|timed out"
    r"|received fatal alert"
    r"|ProxyError|CERTIFICATE_VERIFY_FAILED|SSLError|invalid peer certificate|error sending request"
    r"|network was disabled"
)
_REASON = re.compile(
    r"Connection refused|Connection reset by peer|Name or service not known|Temporary failure in name resolution"
    r"|dns error|timed out|certificate verify failed|CERTIFICATE_VERIFY_FAILED|invalid peer certificate"
    r"|network was disabled",
    re.IGNORECASE,
)
_ANSWERS = (
    (re.compile(r"CERTIFICATE_VERIFY_FAILED|certificate verify failed|invalid peer certificate|UnknownIssuer"),
     "To trust the company's CA, set ca_cert in the profile or under [enforce], or SSL_CERT_FILE"),
    (re.compile(r"certificate.?required|handshake.?failure|EOF occurred in violation of protocol", re.IGNORECASE),
     "The index may want a client certificate: set client_cert, and client_key for its key"),
    (re.compile(r"\b407\b|Proxy Authentication Required|proxy authorization required", re.IGNORECASE),
     "Write a user name and a password into the proxy's address, in the setting 'proxy' or in HTTPS_PROXY"),
)  # fmt: skip
"""What mends a refusal at the way to an index, by what tools print then."""

_UNKNOWN_PROJECT = 404
"""Responses of an index without the project; other indexes may have it."""


class Trouble(NamedTuple):
    """An index (empty if the tool does not say which), what it said, and whether it said anything at all."""

    url: str
    why: str
    has_refused: bool
    answer: str | None = None

    def __str__(self) -> str:
        index = "the package index" + (f" {self.url}" if self.url else "")
        if self.has_refused:
            return f"{index} refused: {self.why}"
        return f"{index} could not be reached" + (f": {self.why}" if self.why else "")

    def error(self, tool: str, message: str) -> NetworkError:
        """The error for it."""
        if self.answer:
            return NetworkError(message, self.answer)
        if self.has_refused:
            return NetworkError(message, f"Check {tool}'s index settings, and the credentials in them")
        return NetworkError(message, f"Check the network, the proxy, and {tool}'s index settings")


def trouble_in(said: str) -> Trouble | None:
    """The first failed index in a tool's output, and what mends that, if it is clear."""
    trouble = _first_trouble(said)
    answer = next((answer for pattern, answer in _ANSWERS if pattern.search(said)), None)
    return trouble._replace(answer=answer) if trouble else None


def _first_trouble(said: str) -> Trouble | None:
    for pattern in (_PIP, _UV_REFUSAL, _UV_PASSED_OVER, _UV_FAILURE):
        for found in pattern.finditer(said):
            trouble = _judged(redacted(found["url"]).rstrip(":"), redacted(found["why"]))
            if trouble:
                return trouble
    if _NO_NETWORK.search(said):
        reason = _REASON.search(said)
        return Trouble("", reason.group() if reason else "", False)
    return None


def _judged(url: str, why: str) -> Trouble | None:
    if status := _STATUS.search(why):
        code = int(next(group for group in status.groups() if group))
        return None if code == _UNKNOWN_PROJECT else Trouble(url, f"{code} {_phrase(code)}", True)
    reason = _REASON.search(why)
    return Trouble(url, reason.group() if reason else "", False)


def _phrase(code: int) -> str:
    from http import HTTPStatus

    try:
        return HTTPStatus(code).phrase
    except ValueError:
        return "for a reason of its own"


def redacted(text: str) -> str:
    """Text without the user names, passwords and query values of the URLs in it."""
    text = re.sub(r"(?<=://)[^/\s@'\"]+@", "****@", text)
    return re.sub(r"\?[\w.~%-]+=[^\s'\"#]+", "?****", text)
