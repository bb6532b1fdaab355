"""Headers of an answer, and what they say of its body."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


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
