"""Requested plugins: requirements by name, files and directories."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from algo_core.errors import NotFoundError, UsageError
from algo_core.plugins.policy import normalized
from algo_plugins.installer.sources import redacted
from algo_plugins.installer.tools import Change

if TYPE_CHECKING:
    from packaging.requirements import Requirement

ARCHIVES = (".whl", ".tar.gz", ".zip")


class Wanted(NamedTuple):
    """A requirement as a tool takes it; the name is None for a directory until it has been built."""

    text: str
    name: str | None

    def named(self, changes: list[Change]) -> Wanted:
        """The same with its name, which a directory's `changes` tell.

        Raises:
            NotFoundError: if they do not.
        """
        if self.name:
            return self
        url = Path(self.text).as_uri()
        names = [change.name for change in changes if change.url and change.url.rstrip("/") == url]
        names = names or _installed_from(url)
        if not names:
            raise NotFoundError(f"{self.text} has no name", "Write: 'NAME @ file://...'")
        return Wanted(f"{names[0]} @ {url}", names[0])


def read(text: str) -> Wanted:
    """Understand one requirement.

    Raises:
        UsageError: if it is not one.
        NotFoundError: if it is a path at which there is nothing.
    """
    text = text.strip()
    if _is_path(text):
        return _from_path(text)
    try:
        requirement = parse(text)
    except ValueError as error:
        hint = "Write: NAME, 'NAME>=1,<2', 'NAME @ URL', or the path of a wheel or a directory"
        raise UsageError(f"{redacted(text)!r} is not a requirement: {str(error).splitlines()[0]}", hint) from None
    return Wanted(text, normalized(requirement.name))


def parse(text: str) -> Requirement:
    """A requirement's parts. Raises ValueError if it is not one."""
    from packaging.requirements import Requirement

    return Requirement(text)


def _is_path(text: str) -> bool:
    if "@" in text.partition("/")[0] or "://" in text:
        return False
    return text.startswith((".", "~", os.sep)) or os.sep in text or text.endswith(ARCHIVES)


def _from_path(text: str) -> Wanted:
    from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, parse_sdist_filename, parse_wheel_filename

    path = Path(text).expanduser().resolve()
    if not path.exists():
        raise NotFoundError(f"There is no file or directory {text}")
    if path.is_dir():
        return Wanted(str(path), None)
    try:
        name = (parse_wheel_filename if path.suffix == ".whl" else parse_sdist_filename)(path.name)[0]
    except (InvalidWheelFilename, InvalidSdistFilename) as error:
        raise UsageError(f"{text} is neither a wheel nor a source distribution: {error}") from None
    return Wanted(f"{name} @ {path.as_uri()}", str(name))


def _installed_from(url: str) -> list[str]:
    """The names of distributions that were installed from a URL."""
    import json

    from algo_plugins.installer.present import distributions

    found = []
    for name, distribution in distributions().items():
        try:
            kept = json.loads(distribution.read_text("direct_url.json") or "{}")
        except ValueError:
            continue
        if str(kept.get("url", "")).rstrip("/") == url:
            found.append(name)
    return found
