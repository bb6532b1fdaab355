"""The destination of a result: standard output or a file, and its form."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, NamedTuple

from algo_core.errors import PlatformError
from algo_core.files import replacing
from algo_core.terminal.output import Output
from algo_run.call import Answer


class Sink(NamedTuple):
    """An open destination; on a terminal (that of `output`), JSON is indented and binary results are not printed."""

    file: BinaryIO
    output: Output | None = None

    @property
    def is_terminal(self) -> bool:
        """Whether the destination is a terminal."""
        return self.output is not None and self.output.is_terminal

    def write(self, blocks: Iterable[bytes], *, is_binary: bool = False) -> None:
        """Write bytes; on a terminal, binary data is saved to a file, whose name is printed."""
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
        assert self.output
        self.output.log(f"The result is binary: it was saved as {path}; name a file with -o FILE, or pipe it")

    def write_answer(self, answer: Answer) -> None:
        """Write an algorithm's result: text and JSON with a newline, binary as bytes, void as nothing.

        Raises:
            PlatformError: if a binary result is not base64.
        """
        if answer.kind == "binary":
            self.write([decoded_binary(answer.result)], is_binary=True)
        elif answer.kind == "text" and isinstance(answer.result, str):
            self.write_line(answer.result)
        elif answer.kind != "void":
            self.write_json(answer.result_text, is_indented=self.is_terminal)

    def write_line(self, text: str) -> None:
        """Write text and a newline in one write."""
        self.write([text.encode("utf-8", "replace") + b"\n"])

    def write_json(self, text: str, *, is_indented: bool) -> None:
        """Write JSON, in which only the space between its parts is another, and a newline."""
        from algo_run.json_text import indented, on_one_line

        text = indented(text) if is_indented else on_one_line(text)
        if self.is_terminal:
            from algo_core.terminal.sanitize import sanitize_json

            text = sanitize_json(text)
        self.write_line(text)


@contextmanager
def open_sink(output: Output, path: str | None) -> Iterator[Sink]:
    """Standard output, or the file that replaces `path` when the block ends without an error (`-` is standard output).

    Open it before the call, so that an unwritable path is reported before the result exists.

    Raises:
        OSError: if the file cannot be made.
    """
    if path is None or path == "-":
        yield Sink(output.binary, output)
    else:
        with replacing(path) as file:
            yield Sink(file)


def _write_all(file: BinaryIO, block: bytes) -> None:
    """Write a whole block: an unbuffered file may take less than it was given."""
    rest = memoryview(block)
    while rest:
        rest = rest[file.write(rest) :]


def decoded_binary(result: Any) -> bytes:
    """The bytes of a binary result.

    Raises:
        PlatformError: if it is not base64.
    """
    import base64

    try:
        return base64.b64decode("".join(result.split()), validate=True)
    except (AttributeError, ValueError):
        raise PlatformError(
            "The platform sent a binary result that is not base64", "See the whole response with --json"
        ) from None
