"""Tables for a terminal: columns whose cells are wrapped between words, or a block for each row where that is too wide.

Words are never broken: a name, a hash or an id can be copied from the screen as it is.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

GAP = 2
"""Blanks between two columns."""

NARROWEST = 12
"""Columns that the text of a cell has at least: below that, wrapped text is unreadable."""

Row = Sequence[str]


def width_of(text: str) -> int:
    """Columns that a terminal needs for a text."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in {"W", "F"} else 1 for c in text
    )


def fitted(headers: Row, rows: Sequence[Row], columns: int) -> Iterator[str]:
    """The lines of a table on a terminal of so many columns; no spaces at the ends of lines."""
    table = [headers, *rows]
    natural = [max(map(width_of, column)) for column in zip(*table, strict=True)]
    # Columns beyond those that a narrow terminal has room for even when every cell is wrapped.
    least = [
        min(whole, max(NARROWEST, *(width_of(word) for cell in column for word in cell.split(" "))))
        for whole, column in zip(natural, zip(*table, strict=True), strict=True)
    ]
    space = columns - GAP * (len(headers) - 1)
    if sum(least) > space:
        yield from _blocks(headers, rows, columns)
        return
    widths = _shared(natural, least, space)
    for row in table:
        yield from _lines(row, widths)


def _shared(natural: Sequence[int], least: Sequence[int], space: int) -> list[int]:
    """The width of each column: its own, if that is below a common limit, which is as high as the space allows."""

    def at(limit: int) -> list[int]:
        return [min(whole, max(limit, few)) for whole, few in zip(natural, least, strict=True)]

    low, high = 0, max(natural)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if sum(at(middle)) <= space else (low, middle - 1)
    return at(low)


def _lines(row: Row, widths: Sequence[int]) -> Iterator[str]:
    cells = [wrapped(cell, width) for cell, width in zip(row, widths, strict=True)]
    for number in range(max(map(len, cells))):
        parts = [cell[number] if number < len(cell) else "" for cell in cells]
        yield (" " * GAP).join(map(_padded, parts, widths)).rstrip()


def _padded(text: str, width: int) -> str:
    return text + " " * (width - width_of(text))


def _blocks(headers: Row, rows: Sequence[Row], columns: int) -> Iterator[str]:
    """Each row as lines of a name and a value, without those that are empty."""
    names = max(map(width_of, headers)) + 1 + GAP
    for index, row in enumerate(rows):
        if index:
            yield ""
        for header, cell in zip(headers, row, strict=True):
            if not cell.strip():
                continue
            if names + max(map(width_of, cell.split(" "))) > columns:  # beside the header a word would not fit
                yield f"{header}:"
                yield from (f"  {line}".rstrip() for line in wrapped(cell, columns - 2))
            else:
                first, *others = wrapped(cell, max(NARROWEST, columns - names))
                yield (_padded(f"{header}:", names) + first).rstrip()
                yield from ((" " * names + line).rstrip() for line in others)


def wrapped(text: str, width: int) -> list[str]:
    """The lines of a text, broken between words only: a longer word has a line of its own."""
    lines, line = [], ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if line and width_of(longer) > width:
            lines.append(line)
            line = word
        else:
            line = longer
    return [*lines, line]
