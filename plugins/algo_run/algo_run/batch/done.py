"""The set of inputs with a recorded result, at eight bytes each."""

from __future__ import annotations

from array import array

GAP = 1 << 20
"""Numbers that may be missing below one; a damaged line must not cost memory for all numbers below its own."""


class DoneInputs:
    """The digests of inputs, 16 hexadecimal digits, by the numbers of the inputs."""

    def __init__(self) -> None:
        self._digests = array("Q")  # zero is none
        self._far: dict[int, int] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, number: int, digest: str) -> None:
        """Note an input. ValueError if that is no digest or no number."""
        value = _value(digest)
        if number < 0:
            raise ValueError(number)
        if number > len(self._digests) + GAP:
            self._count += number not in self._far
            self._far[number] = value
            return
        if number >= len(self._digests):
            self._digests.extend([0] * (number + 1 - len(self._digests)))
        self._count += not self._digests[number]
        self._digests[number] = value

    def has(self, number: int) -> bool:
        """Whether the input of that number is noted."""
        return number in self._far or (number < len(self._digests) and self._digests[number] != 0)

    def matches(self, number: int, digest: str) -> bool:
        """Whether the input noted under that number is this one."""
        value = _value(digest)
        return self._far.get(number) == value or (number < len(self._digests) and self._digests[number] == value)


def _value(digest: str) -> int:
    value = int(digest, 16)
    if not 0 <= value < 1 << 64:
        raise ValueError(digest)
    return value or 1
