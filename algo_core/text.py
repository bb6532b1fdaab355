"""Text that a person wrote, from a file or standard input: UTF-8, or UTF-16 with a byte order mark as Windows has it.

The mark is not part of the text. All code that reads such text uses these functions.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BufferedReader, TextIOWrapper
from typing import BinaryIO

UTF_8 = b"\xef\xbb\xbf"
_UTF_16 = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}


def decoded(content: bytes, errors: str = "strict") -> str:
    """A whole text. Raises UnicodeDecodeError unless `errors` says otherwise."""
    if encoding := _UTF_16.get(content[:2]):
        return content[2:].decode(encoding, errors)
    return content.removeprefix(UTF_8).decode("utf-8", errors)


def in_utf_8(content: bytes) -> bytes:
    """A whole text in UTF-8, whether it is valid or not. Raises UnicodeDecodeError if it is UTF-16 and not valid."""
    return decoded(content).encode("utf-8") if content[:2] in _UTF_16 else content.removeprefix(UTF_8)


def as_text(file: BufferedReader, errors: str = "strict", newline: str | None = None) -> TextIOWrapper:
    """A text of any length, to be read from an opened file; closing it closes the file."""
    encoding = "utf-16" if file.peek(2)[:2] in _UTF_16 else "utf-8-sig"
    return TextIOWrapper(file, encoding, errors, newline)


def lines_in_utf_8(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a UTF-8 text, with their ends, as they arrive. Raises UnicodeDecodeError as `in_utf_8`."""
    first = file.readline()
    if first[:2] in _UTF_16:
        yield from in_utf_8(first + file.read()).splitlines(keepends=True)
    elif first:
        yield first.removeprefix(UTF_8)
        yield from file


def first_line(file: BinaryIO) -> str:
    """The first line of a text, without its end; the rest is left where it is. What is no text is replaced."""
    line = file.readline()
    if line[:2] in _UTF_16:
        line += file.read()
    return decoded(line, "replace").partition("\n")[0].removesuffix("\r")
