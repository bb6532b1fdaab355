"""Where a result goes: standard output or a file, and in which form."""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, NamedTuple

from algo_core.errors import PlatformError, UsageError
from algo_core.files import replacing
from algo_core.terminal.output import Output
from algo_core.terminal.sanitize import sanitize_json
from algo_run.call import Answer


class Sink(NamedTuple):
    """An opened destination. On a terminal JSON is indented, and binary results are kept off it."""

    file: BinaryIO
    is_terminal: bool = False

    def write(self, blocks: Iterable[bytes], *, is_binary: bool = False) -> None:
        """Write bytes.

        Raises:
            UsageError: if they are binary and this is a terminal; they are saved first, and the hint says where.
        """
        if not (is_binary and self.is_terminal):
            for block in blocks:
                _write_all(self.file, block)
            return
        import tempfile

        descriptor, path = tempfile.mkstemp(prefix="algo-result-", suffix=".bin")
        try:
            with open(descriptor, "wb") as saved:
                saved.writelines(blocks)
        except BaseException:
            os.unlink(path)
            raise
        raise UsageError(
            "The result is binary and was kept off the terminal",
            f"It was saved as {path}; next time choose the place with -o FILE, or pipe it on",
        )

    def write_answer(self, answer: Answer) -> None:
        """Write an algorithm's result: text and JSON with a newline, binary as bytes, void as nothing.

        Raises:
            PlatformError: if a binary result is not base64.
            UsageError: as `write` does.
        """
        if answer.kind == "binary":
            self.write([_decoded(answer.result)], is_binary=True)
        elif answer.kind == "text" and isinstance(answer.result, str):
            self.write([answer.result.encode("utf-8", "replace"), b"\n"])
        elif answer.kind != "void":
            self.write_json(answer.result, indent=2 if self.is_terminal else None)

    def write_json(self, value: Any, *, indent: int | None) -> None:
        """Write a JSON value and a newline; what UTF-8 cannot express is escaped."""
        text = json.dumps(value, indent=indent, ensure_ascii=False)
        if self.is_terminal:
            text = sanitize_json(text)
        try:
            encoded = text.encode("utf-8")
        except UnicodeEncodeError:
            encoded = json.dumps(value, indent=indent).encode("ascii")
        self.write([encoded, b"\n"])


@contextmanager
def open_sink(output: Output, path: str | None) -> Iterator[Sink]:
    """Standard output, or the file that replaces `path` when the block ends without an error (`-` is standard output).

    Open it before the call: a place that cannot be written to is then found out before the result exists.

    Raises:
        OSError: if the file cannot be made.
    """
    if path is None or path == "-":
        yield Sink(output.binary, output.is_terminal)
    else:
        with replacing(path) as file:
            yield Sink(file)


def _write_all(file: BinaryIO, block: bytes) -> None:
    """Write a whole block: an unbuffered file may take less than it was given."""
    rest = memoryview(block)
    while rest:
        rest = rest[file.write(rest) :]


def _decoded(result: Any) -> bytes:
    try:
        return base64.b64decode("".join(result.split()), validate=True)
    except (AttributeError, ValueError, binascii.Error):
        raise PlatformError(
            "The platform sent a binary result that is not base64", "See the whole response with --json"
        ) from None
