"""Results to stdout, everything else to stderr; text for people, JSON for programs.

With `--json` each line of stderr is an object too, named after what it is: `{"error": {...}}`, `{"warning": {...}}`.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, BinaryIO, TextIO

CLOSED = "Standard output is closed"


class Nowhere(io.RawIOBase):
    """In the place of a standard output that the shell has closed (`>&-`): remembers whether anything was written.

    `descriptor` keeps its number from being that of another file.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self.has_lost = False

    def writable(self) -> bool:
        """Yes, for what that is worth."""
        return True

    def fileno(self) -> int:
        """Where nothing comes of what is written."""
        return self._descriptor

    def write(self, data: Any, /) -> int:
        """Lose it."""
        self.has_lost = self.has_lost or len(data) > 0
        return len(data)

    @staticmethod
    def behind(stream: TextIO) -> Nowhere | None:
        """The one that a stream writes to."""
        raw = getattr(getattr(stream, "buffer", None), "raw", None)
        return raw if isinstance(raw, Nowhere) else None


class Output:
    """Where a command says things.

    `is_json` and `quiet` are the person's `--json` and `--quiet`. Nothing but results goes to stdout.
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
        self._stdout = stdout
        self._stderr = stderr
        self._environ = environ

    @property
    def stdout(self) -> TextIO:
        """The stream for results."""
        return self._stdout or sys.stdout

    @property
    def stderr(self) -> TextIO:
        """The stream for everything else."""
        return self._stderr or sys.stderr

    @property
    def binary(self) -> BinaryIO:
        """The stream for results that are bytes; text written before comes out before."""
        self.stdout.flush()
        return self.stdout.buffer

    @property
    def is_closed(self) -> bool:
        """Whether there is no stream for results, so that a command which has some fails at its end."""
        return Nowhere.behind(self.stdout) is not None

    @property
    def is_terminal(self) -> bool:
        """Whether results go to a person's terminal."""
        return self.stdout.isatty()

    @property
    def shows_progress(self) -> bool:
        """Whether a progress display is wanted: stderr is a terminal that can move its cursor, and not `--quiet`."""
        return self.stderr.isatty() and not self.quiet and not self.is_json and self._environ.get("TERM") != "dumb"

    @property
    def colour(self) -> bool:
        """Whether stderr may be coloured (`NO_COLOR`, `TERM=dumb` and pipes forbid it)."""
        return self.stderr.isatty() and not self._environ.get("NO_COLOR") and self._environ.get("TERM") != "dumb"

    def print(self, text: str) -> None:
        """One result as text, with a newline."""
        self.stdout.write(text + "\n")

    def json(self, value: Any, *, indent: int | None = 2) -> None:
        """One result as JSON; `indent=None` writes it on a single line."""
        import json

        text = json.dumps(value, indent=indent, ensure_ascii=False)
        try:
            text.encode(self.stdout.encoding or "utf-8")
        except UnicodeEncodeError:  # a terminal that cannot show it, or half of a surrogate pair
            text = json.dumps(value, indent=indent)
        self.stdout.write(text + "\n")

    def table(self, headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Rows in columns as wide as their widest cell; no spaces at the ends of lines."""
        cells = [list(headers), *([str(cell) for cell in row] for row in rows)]
        widths = [max(len(row[column]) for row in cells) for column in range(len(headers))]
        for row in cells:
            padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            self.print("  ".join(padded).rstrip())

    def info(self, text: str) -> None:
        """A remark for the person at the terminal; `--quiet` drops it, and so does `--json`."""
        if not self.quiet and not self.is_json:
            self._say(text)

    def warn(self, text: str) -> None:
        """Something that is wrong but does not end the command."""
        if self.is_json:
            self.tell(warning={"message": text})
        else:
            self._say(self.styled("warning: ", "33") + text)

    def error(self, text: str) -> None:
        """Why the command failed."""
        if self.is_json:
            self.tell(error={"type": "AlgoError", "message": text})
        else:
            self._say(self.styled("error: ", "31;1") + text)

    def hint(self, text: str) -> None:
        """What to do about it."""
        if self.is_json:
            self.tell(hint={"message": text})
        else:
            self._say(self.styled("hint: ", "36") + text)

    def tell(self, **members: Any) -> None:
        """An object on a line of stderr: what `--json` has in the place of text for people."""
        import json

        self._write(json.dumps(members))

    def styled(self, text: str, codes: str) -> str:
        """The text with terminal codes around it, where colour is allowed on stderr."""
        return f"\x1b[{codes}m{text}\x1b[0m" if self.colour else text

    def _say(self, text: str) -> None:
        if self.stderr.isatty():
            head, escape, rest = text.rpartition("\x1b[0m")
            text = head + escape + "\n".join(shown(line) for line in rest.split("\n"))
        self._write(text)

    def _write(self, text: str) -> None:
        try:
            self.stdout.flush()  # where both go to one place, what was said first comes first
        except (OSError, ValueError):
            pass  # told when the command ends
        try:
            self.stderr.write(text + "\n")
            self.stderr.flush()
        except (OSError, ValueError):
            pass  # nobody reads stderr any more, and there is nowhere else to say so


def shown(text: str) -> str:
    """The text without characters that a terminal could take for commands, or cannot show.

    Names and messages come from other people; a terminal obeys what it is sent.
    """
    if text.isprintable():
        return text
    import unicodedata

    return "".join("?" if unicodedata.category(c) in {"Cc", "Cs", "Cf", "Zl", "Zp"} else c for c in text)
