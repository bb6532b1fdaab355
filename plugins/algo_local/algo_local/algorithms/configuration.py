"""`algorithmia.conf`: the configuration in an algorithm's directory (API section 5.3)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

from algo_core.errors import RequestRefused
from algo_core.text import decoded
from algo_local.algorithms import worker_resources as placement
from algo_local.algorithms.build import BuildError
from algo_local.names import check_name, check_owner

NAME = "algorithmia.conf"
"""The file's name."""

LIKE = '{"username": "me", "algoname": "Hello", "language": "python3"}'
"""What such a file looks like, for hints."""

MEMBERS = (
    "username",
    "algoname",
    "language",
    "entry_point",
    "python",
    "dependencies",
    "sample_input",
    "min_workers",
    "max_workers",
    "replicas",
    *placement.MEMBERS,
    "idempotent",
)
"""The members that mean something here."""

MOST_WORKERS = 1000
"""The largest number of workers that can be asked for."""

_SPELLED_WRONGLY = "langauge"
"""The misspelling of `language` in the published Python 3 template (API section 5.3)."""

_CLOSE = 0.7
"""How similar an unknown member must be to a known one to be a mistake for it."""

_PLACEHOLDER = re.compile(r"__[A-Z]+__")
_MODULE = re.compile(r"(?:src[./])?([A-Za-z_]\w*(?:[./][A-Za-z_]\w*)*?)(?:\.py)?", re.ASCII)
_SCRIPT = re.compile(r"(?:\./)?([\w-][\w.-]*(?:/[\w-][\w.-]*)*\.(?:js|mjs|cjs|[Rr]))", re.ASCII)
_PYTHON = re.compile(r"(?:python)?(\d+)(?:\.(\d+))?(?:\.(?:\d+|x|\*))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Configuration:
    """The members of the file, checked; empty where they are missing, or placeholders of a template."""

    path: Path
    is_there: bool = False
    username: str = ""
    algoname: str = ""
    language: str = ""
    module: str = ""
    """The dotted name of the module with the entry point, below `src`; in other languages its path, with a `/`."""
    python: tuple[int, ...] = ()
    """The version of Python that it asks for: major, or major and minor."""
    dependencies: tuple[str, ...] | None = None
    """Lines of requirements that take the place of `requirements.txt`."""
    sample_input: str | None = None
    """An input to try it with, as JSON."""
    min_workers: int | None = None
    """Workers that are kept ready; None if the file does not say."""
    max_workers: int | None = None
    """Workers at most, 0 for any number; None if the file does not say."""

    forks: bool = False
    """Whether its workers may be forked from one that has loaded."""
    resources: placement.Resources = ()
    """What a worker takes of a node of a cluster: `cpus`, `gpus`, `memory` in bytes, and what nodes declare."""
    idempotent: bool = False
    """Whether a call may run twice: it is repeated if its worker was lost."""

    @property
    def workers(self) -> dict[str, int]:
        """Its settings for workers, by the names of the algorithm's settings."""
        said = {"min_workers": self.min_workers, "max_workers": self.max_workers}
        return {name: value for name, value in said.items() if value is not None}


def read_configuration(directory: Path) -> Configuration:
    """Read the directory's `algorithmia.conf`; empty if the file does not exist.

    Raises:
        BuildError: if it cannot be read, is not a JSON object, or has a misspelt or invalid member.
    """
    path = directory / NAME
    try:
        members = json.loads(decoded(path.read_bytes()))
    except FileNotFoundError:
        return Configuration(path)
    except OSError as error:
        raise BuildError(f"Cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise BuildError(f"{path} is not JSON: {error}", f"It looks like {LIKE}") from error
    if not isinstance(members, dict):
        raise BuildError(f"{path} does not hold a JSON object", f"It looks like {LIKE}")
    _check_spelling(path, members)
    least, most = (_count(path, members, name) for name in ("min_workers", "max_workers"))
    if most and least and least > most:
        _refuse(path, "min_workers", f"at most max_workers, which is {most}", least)
    return Configuration(
        path,
        is_there=True,
        username=_text(path, members, "username"),
        algoname=_text(path, members, "algoname"),
        language=_text(path, members, "language") or _text(path, members, _SPELLED_WRONGLY),
        module=_module(path, _text(path, members, "entry_point")),
        python=_python(path, _text(path, members, "python")),
        dependencies=_dependencies(path, members.get("dependencies")),
        sample_input=json.dumps(members["sample_input"], ensure_ascii=False) if "sample_input" in members else None,
        forks=_word(path, members, "replicas", ("spawn", "fork")) == "fork",
        min_workers=least,
        max_workers=most,
        resources=_resources(path, members),
        idempotent=_flag(path, members, "idempotent"),
    )


def identity(directory: Path, configuration: Configuration, account: str) -> tuple[str, str]:
    """Owner and name of the algorithm in a directory: `account` and the directory's name where the file names none.

    Raises:
        BuildError: if one of them cannot be a name.
    """
    owner, name = configuration.username or account, configuration.algoname or directory.resolve().name
    try:
        check_owner(owner)
    except RequestRefused as error:
        raise BuildError(f"{configuration.path}: {error.message}", "Correct 'username' there") from None
    try:
        check_name(name, "an algorithm")
    except RequestRefused as error:
        do = "Correct" if configuration.algoname else "Add"
        raise BuildError(f"{configuration.path}: {error.message}", f"{do} 'algoname' there") from None
    return owner, name


def meant(word: str, known: Iterable[str], cutoff: float = _CLOSE) -> str | None:
    """The known word closest to a misspelt one; None if none is similar."""
    by_lower = {each.lower(): each for each in known}
    found = get_close_matches(word.lower(), by_lower, n=1, cutoff=cutoff)
    return by_lower[found[0]] if found else None


def _check_spelling(path: Path, members: dict[str, Any]) -> None:
    """Raise BuildError for unknown members that resemble a known one; others may belong to other tools."""
    for name in members:
        if name in MEMBERS or name == _SPELLED_WRONGLY:
            continue
        if close := meant(name, MEMBERS):
            raise BuildError(f"{path} has an unknown member {name!r}", f"Did you mean {close!r}?")


def _text(path: Path, members: dict[str, Any], name: str) -> str:
    value = members.get(name, "")
    if not isinstance(value, str):
        _refuse(path, name, "a text", value)
    return "" if _PLACEHOLDER.fullmatch(value) else value.strip()


def _module(path: Path, text: str) -> str:
    if not text:
        return ""
    if script := _SCRIPT.fullmatch(text):
        return script[1] if "/" in script[1] else f"./{script[1]}"
    match = _MODULE.fullmatch(text)
    if not match:
        _refuse(path, "entry_point", "a module below src, such as src/Hello.py", text)
    return match[1].replace("/", ".")


def _python(path: Path, text: str) -> tuple[int, ...]:
    if not text:
        return ()
    match = _PYTHON.fullmatch(text)
    if not match:
        _refuse(path, "python", "a version, such as 3.11", text)
    return tuple(int(part) for part in match.groups() if part)


def _dependencies(path: Path, value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(line, str) and "\n" not in line for line in value):
        _refuse(path, "dependencies", 'a list of requirements, such as ["numpy>=2"]', value)
    return tuple(line.strip() for line in value if line.strip())


def _word(path: Path, members: dict[str, Any], name: str, words: tuple[str, ...]) -> str:
    value = members.get(name, words[0])
    if value not in words:
        _refuse(path, name, " or ".join(words), value)
    return str(value)


def _count(path: Path, members: dict[str, Any], name: str) -> int | None:
    value = members.get(name)
    if value is not None and (type(value) is not int or not 0 <= value <= MOST_WORKERS):
        _refuse(path, name, f"a number from 0 to {MOST_WORKERS}", value)
    return value


def _flag(path: Path, members: dict[str, Any], name: str) -> bool:
    value = members.get(name, False)
    if not isinstance(value, bool):
        _refuse(path, name, "true or false", value)
    return value


def _resources(path: Path, members: dict[str, Any]) -> placement.Resources:
    try:
        return placement.taken(tuple(placement.amounts(members).items()))
    except placement.Unfit as unfit:
        _refuse(path, unfit.name, unfit.wanted, unfit.value)


def _refuse(path: Path, name: str, wanted: str, value: Any) -> NoReturn:
    shown = json.dumps(value, ensure_ascii=False)
    raise BuildError(f"{path}: {name!r} must be {wanted}, not {shown[:100]}", f"Correct {name!r} in {path}")


def is_idempotent(directory: Path) -> bool:
    """Whether the file in a directory declares that calls of the algorithm may run twice."""
    try:
        return read_configuration(directory).idempotent
    except BuildError:  # published before this member was checked
        return False
