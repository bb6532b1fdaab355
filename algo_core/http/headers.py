"""Headers: those that every request carries, and what those of an answer say."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from algo_core.errors import ConfigError
from algo_core.version import __version__

if TYPE_CHECKING:
    from algo_core.settings.credentials import Credential
    from algo_core.settings.profile import Profile

UNUSABLE_CREDENTIAL = "The credential holds characters that no header can carry"
_VALUE = r"\S[\t\x20-\x7e\x80-\xff]*"


def user_agent() -> str:
    """How this program introduces itself."""
    return f"algo/{__version__} (python/{'.'.join(map(str, sys.version_info[:3]))}; {sys.platform})"


def request_headers(profile: Profile) -> dict[str, str]:
    """What every request of a profile carries, as the requests session of it would send it.

    Raises:
        ConfigError: if the credential cannot be sent.
    """
    headers = {
        "User-Agent": user_agent(),
        "Accept-Encoding": "identity",
        "Accept": "*/*",
        "Connection": "keep-alive",
    }
    if profile.credential:
        headers["Authorization"] = authorization(profile.credential)
    return headers


def authorization(credential: Credential) -> str:
    """The header that sends a credential (API section 1.2).

    Raises:
        ConfigError: if it cannot be sent; in a header a line's end would begin another one.
    """
    import re

    value = credential.header()
    if not re.fullmatch(_VALUE, value):
        raise ConfigError(UNUSABLE_CREDENTIAL)
    return value


def is_encoded(headers: Mapping[str, str]) -> bool:
    """Whether a body is compressed, although that is never asked for: its length says nothing about what is in it."""
    text = headers.get("Content-Encoding")
    return text is not None and text.strip().lower() not in {"", "identity"}


class Headers(Mapping[str, str]):
    """Headers of an answer, looked up without regard to case; repeated ones are joined with a comma."""

    __slots__ = ("_values",)

    def __init__(self, values: dict[str, str]) -> None:
        self._values = values

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
