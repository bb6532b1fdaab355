"""Results to stdout, everything else to stderr; text for people, JSON for programs.

With `--json` each line of stderr is an object too, named after what it is: `{"error": {...}}`, `{"warning": {...}}`.

Only `Outlet` writes to standard output and standard error. A terminal interprets control characters, so other people's
text is escaped there (`sanitize.py`); pipes and files get it unchanged.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TextIO

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from algo_core.terminal.progress import Progress

CLOSED = "Standard output is closed"
AT_ONCE = 4096
"""Bytes that a pipe takes atomically (PIPE_BUF)."""

LABELS = ("error:", "warning:", "hint:")
"""Prefixes of our own messages; no other line may begin with one."""


class Nowhere(io.RawIOBase):
    """Replaces a standard output that the shell closed (`>&-`); remembers whether anything was written.

    `descriptor` keeps its number from being that of another file.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self.has_lost = False

    def writable(self) -> bool:  # noqa: D102
        return True

    def fileno(self) -> int:
        """A stream that discards its input."""
        return self._descriptor

    def write(self, data: Any, /) -> int:  # noqa: D102
        self.has_lost = self.has_lost or len(data) > 0
        return len(data)

    @staticmethod
    def behind(stream: TextIO) -> Nowhere | None:
        """The underlying stream of an outlet."""
        raw = getattr(getattr(stream, "buffer", None), "raw", None)
        return raw if isinstance(raw, Nowhere) else None


class Markup(str):
    """Our own text for a terminal, written unescaped, including control sequences.

    `+` escapes the added text, unless it is `Markup` as well.
    """

    def __add__(self, other: str) -> Markup:
        return Markup(str.__add__(self, _harmless(other)))

    def __radd__(self, other: str) -> Markup:
        return Markup(str.__add__(_harmless(other), self))


class Outlet:
    """Standard output or standard error: text is escaped for a terminal, and written unchanged otherwise."""

    def __init__(self, name: Literal["stdout", "stderr"], stream: TextIO | None = None) -> None:
        self._name = name
        self.given = stream
        """The stream, where it is not that of the process."""
        self.before_write: Callable[[str], None] | None = None
        """Makes room for a text: erases a line of progress."""
        self._binary: Any = None
        self._held = 0

    @property
    def stream(self) -> TextIO:
        """The stream of the process, for everything but writing."""
        return self.given or (sys.stdout if self._name == "stdout" else sys.stderr)

    def isatty(self) -> bool:
        """Whether this is a terminal."""
        return self.stream.isatty()

    def write(self, text: str, escape: Callable[[str], str] | None = None) -> int:
        """Write text; on a terminal it is escaped with `escape` (default: `sanitize`).

        Several processes may write to one pipe: a text that ends with a newline is written atomically, if a pipe can
        take it at once.
        """
        if self.before_write:
            self.before_write(text)
        if self._binary is not None:
            self._binary.end()
        if not self.isatty():
            return self._write_unchanged(text)
        harmless = escape(text) if escape else _harmless(text)
        try:
            return self.stream.write(harmless)
        except UnicodeEncodeError:  # the terminal's encoding lacks a character
            encoding = self.stream.encoding
            return self.stream.write(harmless.encode(encoding, "backslashreplace").decode(encoding))

    def draw(self, text: str) -> int:
        """Write text that holds control sequences of ours, and is harmless otherwise."""
        return self.write(Markup(text))

    def _write_unchanged(self, text: str) -> int:
        size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
        if self._held + size > AT_ONCE:
            self.stream.flush()
            self._held = 0
        self._held += size
        try:
            return self.stream.write(text)
        except UnicodeEncodeError:  # the encoding of the locale lacks a character
            from algo_core.names import in_bytes

            self.stream.flush()
            return self.stream.buffer.write(in_bytes(text))

    def flush(self) -> None:
        """Flush the buffer."""
        if self._binary is not None:
            self._binary.end()
        self.stream.flush()

    @property
    def buffer(self) -> BinaryIO:
        """Write bytes, after all earlier text. On a terminal they are decoded and escaped."""
        if not self.isatty():
            self.stream.flush()
            return self.stream.buffer
        if self._binary is None:
            from algo_core.terminal.binary import TerminalBytes

            plain = Outlet(self._name, self.given)

            def write(text: str) -> int:
                if self.before_write:
                    self.before_write(text)
                return plain.write(text)

            self._binary = TerminalBytes(write, plain.flush)
        return self._binary  # type: ignore[no-any-return]  # it is as much of one as anybody needs


def _harmless(text: str) -> str:
    if isinstance(text, Markup) or (text.isascii() and text.replace("\n", "").isprintable()):
        return text
    from algo_core.terminal.sanitize import sanitize

    return sanitize(text)


class Output:
    """The output of a command.

    `is_json` and `quiet` are the options `--json` and `--quiet`. Only results go to stdout.
    """

    def __init__(
        self,
        *,
        is_json: bool = False,
        quiet: bool = False,
        stdout: TextIO | None = None,
        stderr: TextIO | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self.is_json = is_json
        self.quiet = quiet
        self.stdout = Outlet("stdout", stdout)
        """For results."""
        self.stderr = Outlet("stderr", stderr)
        """For everything else."""
        self._environ = environ

    @property
    def binary(self) -> BinaryIO:
        """For results that are bytes; text written before comes out before."""
        return self.stdout.buffer

    @property
    def is_closed(self) -> bool:
        """Whether stdout is closed, so that a command with results fails at its end."""
        return Nowhere.behind(self.stdout.stream) is not None

    @property
    def is_terminal(self) -> bool:
        """Whether results go to a terminal."""
        return self.stdout.isatty()

    @property
    def shows_progress(self) -> bool:
        """Whether to show progress: on a terminal that can move its cursor, without `--quiet`, if none is shown yet."""
        can_move = self.stderr.isatty() and self._environ.get("TERM") != "dumb"
        return can_move and not self.quiet and not self.is_json and self.stderr.before_write is None

    @property
    def colour(self) -> bool:
        """Whether stderr may be coloured (`NO_COLOR`, `TERM=dumb` and pipes forbid it)."""
        return self.stderr.isatty() and not self._environ.get("NO_COLOR") and self._environ.get("TERM") != "dumb"

    def print(self, text: str) -> None:
        """One result as text, with a newline."""
        self.stdout.write(text + "\n")

    def line(self, *fields: str) -> None:
        """One result on one line, its fields separated by tabs, even if names contain newlines.

        A terminal gets it escaped, everything else byte for byte: names of this machine need not be valid Unicode.
        """
        text = "\t".join(map(self._on_one_line, fields))
        if self.is_terminal or text.isascii():
            self.stdout.write(text + "\n")
        else:
            from algo_core.names import in_bytes

            self.binary.write(in_bytes(text) + b"\n")

    def lines(self, texts: Sequence[str]) -> None:
        """Results on lines of their own, in few writes that keep each line whole."""
        if self.is_terminal:
            for text in texts:
                self.line(text)
            return
        joined = "\n".join(texts)
        most = AT_ONCE - 1 if joined.isascii() else AT_ONCE // 4 - 1
        start = 0
        while len(joined) - start > most:
            end = joined.rfind("\n", start, start + most + 1)
            if end < 0 and (end := joined.find("\n", start)) < 0:
                break
            self.line(joined[start:end])
            start = end + 1
        self.line(joined[start:])

    def json(self, value: Any, *, indent: int | None = 2) -> None:
        """One result as JSON; `indent=None` writes it on a single line."""
        import json

        text = json.dumps(value, indent=indent, ensure_ascii=False)
        try:
            text.encode(self.stdout.stream.encoding or "utf-8")
        except UnicodeEncodeError:  # a terminal that cannot show it, or half of a surrogate pair
            text = json.dumps(value, indent=indent)
        self.json_text(text + "\n")

    def json_text(self, text: str) -> None:
        """A result that is JSON already, or a part of one: on a terminal JSON's own escapes make it harmless."""
        self.stdout.write(text, _harmless_json)

    def table(self, headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Rows in columns as wide as their widest cell; no spaces at the ends of lines.

        On a terminal they fit its width: cells are wrapped between words. Where even that is too wide, each row is a
        block of lines with a header and a value.
        """
        cells = [list(headers), *([self._on_one_line(str(cell)) for cell in row] for row in rows)]
        if self.is_terminal and (columns := self._columns):
            from algo_core.terminal.tables import fitted

            for line in fitted(cells[0], cells[1:], columns):
                self.print(line)
            return
        widths = [max(len(row[column]) for row in cells) for column in range(len(headers))]
        for row in cells:
            padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            self.print("  ".join(padded).rstrip())

    @property
    def _columns(self) -> int:
        """The width of the terminal that stdout is; 0 if that is unknown."""
        said = self._environ.get("COLUMNS", "")
        if said.isascii() and said.isdecimal():
            return int(said)
        try:
            return os.get_terminal_size(self.stdout.stream.fileno()).columns
        except (OSError, ValueError):
            return 0

    def _on_one_line(self, text: str) -> str:
        if (text.isascii() and text.isprintable()) or not self.is_terminal:
            return text
        from algo_core.terminal.sanitize import on_one_line

        return on_one_line(text)

    def info(self, text: str) -> None:
        """A remark for the user; `--quiet` and `--json` drop it."""
        if not self.quiet and not self.is_json:
            self._say(text)

    def log(self, text: str) -> None:
        """Print requested lines on stderr: requests, tracebacks, an algorithm's output."""
        self._say(text)

    def prompt(self, text: str) -> None:
        """Ask on stderr, without a newline."""
        self._say(text, end="")

    def warn(self, text: str) -> None:
        """A problem that does not end the command."""
        if self.is_json:
            self.tell(warning={"message": text})
        else:
            self._say(text, "warning: ", "33")

    def error(self, text: str) -> None:
        """The error that ends the command."""
        if self.is_json:
            self.tell(error={"type": "AlgoError", "message": text})
        else:
            self._say(text, "error: ", "31;1")

    def hint(self, text: str) -> None:
        """Print the hint of an error."""
        if self.is_json:
            self.tell(hint={"message": text})
        else:
            self._say(text, "hint: ", "36")

    def tell(self, **members: Any) -> None:
        """A JSON object on one line of stderr: the `--json` form of a message."""
        import json

        self._write(json.dumps(members), escape=_harmless_json)

    def progress(
        self, label: str, total: int | None = None, *, unit: Literal["steps", "bytes"] = "steps"
    ) -> AbstractContextManager[Progress]:
        """A line that shows how far a piece of work is, on a terminal (`shows_progress`), and nothing elsewhere.

        `total` is the number of steps, or of bytes with `unit="bytes"`, if it is known. The line appears after 0.4
        seconds, makes room for whatever else is written, and is erased at the end of the block. In another block that
        is open, nothing is shown.

            with app.output.progress("Reading reports", total=len(files)) as progress:
                for file in files:
                    read(file)
                    progress.advance()
        """
        from contextlib import nullcontext

        from algo_core.terminal.progress import Progress, shown

        if not self.shows_progress:
            return nullcontext(Progress(None))
        return shown(self.drawing, self.on_terminal, label, total, unit)

    @property
    def drawing(self) -> Outlet:
        """Stderr for a line that is drawn and erased, and for which nothing makes room."""
        return Outlet("stderr", self.stderr.given)

    @property
    def on_terminal(self) -> list[Outlet]:
        """The outlets of stdout and stderr that are terminals."""
        return [outlet for outlet in (self.stderr, self.stdout) if outlet.isatty()]

    def styled(self, text: str, codes: str) -> str:
        """The text with terminal codes around it (`31;1`), where colour is allowed on stderr; made harmless before.

        Add other text to it with `+`: an f-string forgets that the codes are ours, and they are then shown.
        """
        return Markup(f"\x1b[{codes}m") + text + Markup("\x1b[0m") if self.colour else text

    def _say(self, text: str, label: str = "", codes: str = "", *, end: str = "\n") -> None:
        """A message whose further lines are indented, so that they cannot pass for another message."""
        lines = (text.rstrip("\n") if label else text).split("\n")
        if label:
            self._write(self.styled(label, codes) + f"\n{' ' * len(label)}".join(lines))
        else:
            self._write("\n".join(map(_unlabelled, lines)) if self.stderr.isatty() else text, end=end)

    def _write(self, text: str, *, end: str = "\n", escape: Callable[[str], str] | None = None) -> None:
        try:
            self.stdout.flush()  # where both go to one place, what was said first comes first
        except (OSError, ValueError):
            pass  # told when the command ends
        try:
            self.stderr.write(text + end, escape)
            self.stderr.flush()
        except (OSError, ValueError):
            pass  # stderr is closed, and there is no other place to report it


def _unlabelled(line: str) -> str:
    return f"  {line}" if line.startswith(LABELS) else line


def _harmless_json(text: str) -> str:
    from algo_core.terminal.sanitize import sanitize_json

    return sanitize_json(text)
