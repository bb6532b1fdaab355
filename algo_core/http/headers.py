"""Headers: the common ones of all requests, checks before sending, and reading those of responses."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from algo_core.errors import ConfigError
from algo_core.version import __version__

if TYPE_CHECKING:
    from algo_core.settings.credentials import Credential
    from algo_core.settings.profile import Profile

UNUSABLE_CREDENTIAL = "The credential contains characters that are not allowed in a header"

OF_CONNECTION = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "te", "trailer", "upgrade", "expect", "keep-alive"}
)
"""Headers that only a transport sets: they frame the message and name its host."""

LENGTH_DIGITS = 18
"""Digits that a number of bytes may have."""

_VALUE = frozenset(map(chr, (9, *range(0x20, 0x7F), *range(0x80, 0x100))))
_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


def user_agent() -> str:
    """The User-Agent header."""
    return f"algo/{__version__} (python/{'.'.join(map(str, sys.version_info[:3]))}; {sys.platform})"


def request_headers(profile: Profile) -> dict[str, str]:
    """The headers that every request of a profile carries.

    Raises:
        ConfigError: if the credential cannot be sent.
    """
    headers = {
        "User-Agent": user_agent(),
        "Accept-Encoding": "identity",
        "Accept": "*/*",
    }
    if profile.credential:
        headers["Authorization"] = authorization(profile.credential)
    return headers


def authorization(credential: Credential) -> str:
    """The header that sends a credential (API section 1.2).

    Raises:
        ConfigError: if it cannot be sent; in a header a line's end would begin another one.
    """
    value = credential.header()
    if not value.strip() or not _is_value(value):
        raise ConfigError(UNUSABLE_CREDENTIAL)
    return value


def header_lines(headers: Mapping[str, str]) -> str:
    """Headers as a request's head has them.

    Raises:
        ConfigError: if a name or a value cannot be sent, or belongs to the transport; the message names the header.
    """
    return _lines(tuple(headers.items()))


@functools.lru_cache(maxsize=64)
def _lines(headers: tuple[tuple[str, str], ...]) -> str:
    for name, value in headers:
        check_header(name, value)
        if name.lower() in OF_CONNECTION:
            raise ConfigError(f"The header {name} is set by the connection and cannot be overridden")
    return "".join([f"{name}: {value}\r\n" for name, value in headers])


def check_header(name: str, value: str) -> None:
    """Raise ConfigError if a header cannot be sent; in it a line's end would begin another one."""
    if not is_token(name):
        raise ConfigError(f"Not a header name: {name!r:.80}")
    if not _is_value(value):
        raise ConfigError(f"The header {name} contains characters that are not allowed in a header")


def is_token(name: str) -> bool:
    """Whether it can be a header's name."""
    return bool(name) and _TOKEN.issuperset(name)


def _is_value(value: str) -> bool:
    return _VALUE.issuperset(value)


def is_encoded(headers: Mapping[str, str]) -> bool:
    """Whether a body is compressed although that was not requested: then its length is not that of the content."""
    text = headers.get("Content-Encoding")
    return text is not None and text.strip().lower() not in {"", "identity"}


def content_length(headers: Mapping[str, str]) -> int | None:
    """Length of the body as sent, in bytes; None if the header is missing, repeated or malformed."""
    text = headers.get("Content-Length", "")
    return int(text) if is_length(text) and "Transfer-Encoding" not in headers else None


def is_length(text: str) -> bool:
    """Whether it is a number of bytes."""
    return text.isascii() and text.isdecimal() and len(text) <= LENGTH_DIGITS


class Headers(Mapping[str, str]):
    """Headers of a response, looked up without regard to case; repeated ones are joined with a comma."""

    __slots__ = ("_values",)

    def __init__(self, values: dict[str, str]) -> None:
        self._values = values

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]]) -> Headers:
        """The headers with these names and values, in any case and maybe repeated."""
        values: dict[str, str] = {}
        for name, value in pairs:
            name = name.lower()
            values[name] = f"{values[name]}, {value}" if name in values else value
        return cls(values)

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    # Mapping's own would take several times as long.

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a header, or the default."""
        return self._values.get(name.lower(), default)

    def __contains__(self, name: object) -> bool:
        return str(name).lower() in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)
