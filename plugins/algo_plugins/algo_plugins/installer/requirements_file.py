"""Reads requirements files, those with hashes included (pip's format: https://pip.pypa.io/en/stable/reference/requirements-file-format/)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from algo_core.errors import NotFoundError, UsageError
from algo_plugins.installer import wanted
from algo_plugins.installer.sources import redacted
from algo_plugins.installer.tools import Locked
from algo_plugins.installer.wanted import Wanted

_COMMENT = re.compile(r"(^|\s)#.*$")
_HASH = re.compile(r"\s--hash(?:=|\s+)(\S+)")
_DIGEST = re.compile(r"(sha256|sha384|sha512):[0-9a-f]{64,128}")
_NESTED = re.compile(r"(?:-r|--requirement)(?:=|\s*)(.+)")
_INDEX = re.compile(
    r"(-i|--index-url|--extra-index-url|-f|--find-links|--no-binary|--only-binary)(=|\s+)(.+)|--no-index"
)


class Contents(NamedTuple):
    """The requirements of some files, and what the tools have to obey for them."""

    requirements: list[Wanted]
    locked: Locked


class _Line(NamedTuple):
    file: Path
    number: int
    text: str

    @property
    def place(self) -> str:
        return f"{self.file}, line {self.number}"


def read(names: Sequence[str], *, require_hashes: bool = False) -> Contents:
    """The contents of requirements files. One hash anywhere requires a hash and an exact version everywhere.

    Raises:
        NotFoundError: if one does not exist.
        UsageError: if a line cannot be understood, or lacks its version or hash; it names the file and the line.
    """
    requirements: dict[str, Wanted] = {}
    hashes: dict[str, tuple[str, ...]] = {}
    options: list[str] = []
    places: dict[str, str] = {}
    for line in (line for name in names for line in _lines(Path(name), ())):
        if line.text == "--require-hashes":
            require_hashes = True
        elif line.text.startswith("-"):
            options.append(_option(line))
        else:
            want, found = _requirement(line)
            key = want.name or want.text
            if want != requirements.setdefault(key, want):
                raise UsageError(f"{line.place}: {key} is required differently in {places[key]}", "Keep one of them")
            places.setdefault(key, line.place)
            hashes[key] = tuple(dict.fromkeys([*hashes.get(key, ()), *found]))
    if require_hashes or any(hashes.values()):
        for key, want in requirements.items():
            _check_locked(want, hashes[key], places[key])
        return Contents([*requirements.values()], Locked(tuple(options), hashes))
    return Contents([*requirements.values()], Locked(tuple(options)))


def _lines(file: Path, within: tuple[Path, ...]) -> Iterator[_Line]:
    """The lines of a file and of those that it names, joined where they are continued, without comments."""
    if file in within:
        raise UsageError(f"{file} includes itself", "Remove its line -r")
    try:
        content = file.read_text("utf-8-sig").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        raise NotFoundError(f"There is no file {file}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"Cannot read {file}: {getattr(error, 'strerror', None) or error}") from None
    pending, start = "", 0
    for number, text in enumerate([*content, ""], 1):
        start = start if pending else number
        is_comment = text.lstrip().startswith("#")
        if text.endswith("\\") and not is_comment:
            pending += text[:-1] + " "
            continue
        joined, pending = _COMMENT.sub("", pending + text).strip(), ""
        nested = _NESTED.fullmatch(joined)
        if nested:
            yield from _lines(file.parent / nested[1].strip(), (*within, file))
        elif joined:
            yield _Line(file, start, joined)


def _option(line: _Line) -> str:
    found = _INDEX.fullmatch(line.text)
    if not found:
        option = line.text.split()[0].partition("=")[0]
        raise UsageError(
            f"{line.place}: {option} is not supported here",
            "Write requirements, --hash, -r and options of package indexes; others belong to pip's or uv's settings",
        )
    beside = line.file.parent / (found[3] or "").strip()
    if found[1] in {"-f", "--find-links"} and "://" not in found[3] and beside.exists():
        return f"--find-links {beside.resolve()}"
    return line.text


def _requirement(line: _Line) -> tuple[Wanted, list[str]]:
    found = _HASH.findall(line.text)
    for value in found:
        if not _DIGEST.fullmatch(value):
            raise UsageError(f"{line.place}: {value} is not a hash", "Write: --hash=sha256:HEXADECIMAL")
    text = _HASH.sub("", line.text)
    try:
        return wanted.read(text), found
    except UsageError as error:
        raise UsageError(f"{line.place}: {error.message}", error.hint) from None
    except NotFoundError as error:
        raise NotFoundError(f"{line.place}: {error.message}", error.hint) from None


def _check_locked(want: Wanted, hashes: Sequence[str], place: str) -> None:
    hint = "A file with hashes needs one for every requirement: pip-compile --generate-hashes, or uv pip compile"
    if want.name is None or not hashes:
        raise UsageError(f"{place}: {redacted(want.text)} has no hash", hint)
    requirement = wanted.parse(want.text)
    pins = [s for s in requirement.specifier if s.operator in {"==", "==="} and not s.version.endswith(".*")]
    if not requirement.url and not pins:
        raise UsageError(f"{place}: {redacted(want.text)} has no exact version (==)", hint)
