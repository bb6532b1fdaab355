"""The input of a call: its option, bytes and content type."""

from __future__ import annotations

import json
import os
import sys
from typing import NamedTuple, NoReturn

from algo_core.errors import UsageError
from algo_core.storage.uri import pasted
from algo_core.text import UTF_8, in_utf_8

INPUT_LIMIT = 10 << 20
"""Maximum input in bytes, counted in base64 as the platform does (API section 3.9, guide)."""

BODY_LIMIT = INPUT_LIMIT // 4 * 3
"""The same limit in sent bytes: base64 turns three into four."""

STDIN = "-"

JSON = "application/json"
TEXT = "text/plain"
BINARY = "application/octet-stream"


class Payload(NamedTuple):
    """The body sent to an algorithm, and its content type (API section 3.4)."""

    content_type: str
    body: bytes


class Given(NamedTuple):
    """An input option as it was typed.

    `kind` is `data`, `text`, `json` or `binary`; `value` is the input itself, or the path of its file.
    """

    option: str
    kind: str
    value: str
    is_file: bool

    def payload(self) -> Payload:
        """Read the input and check it; a file, or standard input for `-`, is read once and never beyond the limit.

        Raises:
            UsageError: if it is too large, or not of the option's type.
            OSError: if the file cannot be read.
        """
        body = self._read() if self.is_file else os.fsencode(self.value)
        if len(body) > BODY_LIMIT:
            self._refuse_size()
        if self.kind == "binary":
            return Payload(BINARY, body)
        body = self._without_mark(body)
        if self.kind == "json":
            self._check_json(body)
            return Payload(JSON, body)
        if self.kind == "text":
            self._check_text(body)
            return Payload(TEXT, body)
        return Payload(self._detected(body), body)

    @property
    def _shown(self) -> str:
        if not self.is_file:
            return f"The value of {self.option}"
        return "Standard input" if self.value == STDIN else self.value

    def _read(self) -> bytes:
        if self.value == STDIN:
            if sys.stdin is None:
                raise UsageError("Standard input is closed", "Name a file, or pipe the input in")
            return sys.stdin.buffer.read(BODY_LIMIT + 1)
        with open(self.value, "rb") as file:
            return file.read(BODY_LIMIT + 1)

    def _refuse_size(self) -> NoReturn:
        named = pasted(self.value) if self.is_file else STDIN
        raise UsageError(
            f"{self._shown} is larger than {BODY_LIMIT / (1 << 20):g} MiB, the most that an algorithm takes as input "
            f"({INPUT_LIMIT >> 20} MiB in base64, which is how the platform counts)",
            f"Upload it with 'algo cp {named} data://.my/COLLECTION/FILE' and pass that data URI as the input",
        )

    def _without_mark(self, body: bytes) -> bytes:
        """The text in UTF-8 without a byte order mark; other bytes are unchanged."""
        if self.kind == "data":
            return body.removeprefix(UTF_8) if _is_text(body) else body
        try:
            return in_utf_8(body)
        except UnicodeDecodeError:
            return body

    def _check_json(self, body: bytes) -> None:
        try:
            parse_json(body)
        except json.JSONDecodeError as error:
            raise UsageError(
                f"{self._shown} is not JSON: {fault_of(error)} at line {error.lineno}, column {error.colno}",
                "Names and strings need double quotes; in a shell, put single quotes around the whole",
            ) from None
        except UnicodeDecodeError as error:
            raise UsageError(f"{self._shown} is not JSON: it is not UTF-8 at byte {error.start}") from None
        except RecursionError:
            self._refuse_depth()
        except ValueError as error:
            raise UsageError(f"{self._shown} is not JSON: {error}") from None

    def _check_text(self, body: bytes) -> None:
        try:
            body.decode("utf-8")
        except UnicodeDecodeError as error:
            raise UsageError(
                f"{self._shown} is not UTF-8 text, from byte {error.start} on",
                "Send bytes as they are with -b or -B",
            ) from None

    def _detected(self, body: bytes) -> str:
        """JSON if it is that, else text if it is UTF-8, else binary (guide, "Complex JSON inputs")."""
        try:
            parse_json(body)
            return JSON
        except UnicodeDecodeError:
            return BINARY
        except RecursionError:
            self._refuse_depth()
        except ValueError:
            return TEXT

    def _refuse_depth(self) -> NoReturn:
        raise UsageError(
            f"{self._shown} is nested too deeply to be checked as JSON",
            "Send it as text with -t or -T if it is text",
        )


def _is_text(body: bytes) -> bool:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def fault_of(error: json.JSONDecodeError) -> str:
    """The fault of text that should be JSON, to be followed by its position."""
    return error.msg.removesuffix(" at")


def parse_json(body: bytes) -> None:
    """Check that a body is standard JSON: UTF-8, without NaN and Infinity. Numbers are not converted.

    Raises:
        ValueError: `json.JSONDecodeError` with line and column, `UnicodeDecodeError`, or a plain one with the reason.
        RecursionError: if it is nested too deeply.
    """
    text = body.decode("utf-8")
    if text.startswith("\ufeff"):
        raise json.JSONDecodeError("Unexpected UTF-8 BOM (decode using utf-8-sig)", text, 0)
    try:
        _decode(text)
    except _Constant as found:
        name = str(found)
        raise json.JSONDecodeError(f"{name} is not a JSON value", text, _position(text, name)) from None


class _Constant(Exception):
    """NaN or an infinity in what is to be standard JSON."""


def _refuse(name: str) -> NoReturn:
    raise _Constant(name)


_decode = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_refuse).decode


def _position(text: str, name: str) -> int:
    """The position of a word outside strings."""
    import re

    found = re.search(rf'(?:"[^"\\]*(?:\\.[^"\\]*)*"|[^"])*?({re.escape(name)})', text, re.DOTALL)
    return found.start(1) if found else 0


def the_one(given: list[Given], *, stdin_is_piped: bool) -> Given:
    """The single input of a call.

    Raises:
        UsageError: if none was given, or more than one.
    """
    if len(given) == 1:
        return given[0]
    if given:
        raise UsageError(
            f"An algorithm takes one input, not {len(given)}: {' '.join(one.option for one in given)}",
            "Give one of them",
        )
    raise UsageError(
        "The algorithm's input is missing",
        "To send standard input: -D -"
        if stdin_is_piped
        else "Give one of: -d TEXT, -j JSON, -t TEXT, -b BYTES, or a FILE with -D, -J, -T, -B ('-' is standard input)",
    )
