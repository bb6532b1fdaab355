"""The manifest of a backup: its parts with their digests, and a digest of the whole."""

from __future__ import annotations

import hashlib
import json
import re
import time
from dataclasses import asdict, dataclass, field
from typing import Any

from algo_core.errors import AlgoError, ConfigError

KIND = "algo-local backup"
FORMAT = 1
"""The version of the form of backups."""

HEADER = "algo-local-backup"
"""The name of the first file of an archive, which says what it is."""

MANIFEST = "manifest.json"
LARGEST = 1 << 20
"""Bytes of the largest manifest."""

_DIGEST = re.compile(r"[0-9a-f]{64}")


class Damaged(AlgoError):
    """A backup is incomplete, was modified, or is not a backup."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a backup: a list of lines."""

    lines: int
    sha256: str
    """In hexadecimal digits, of all lines."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """The contents of a backup."""

    schema: int
    """The version of the database's schema."""
    account: str
    """The platform's own account."""
    has_secrets: bool
    tables: dict[str, Part]
    files: Part
    size: int
    """The bytes of all files."""
    digest: str
    """The digest of all rows, and of names, types and contents of all files: equal for platforms with equal content."""
    missing: list[str] = field(default_factory=list)
    """What rows name and the platform did not have."""
    created: float = field(default_factory=time.time)
    """Seconds since the epoch."""

    @property
    def rows(self) -> int:
        """The number of rows."""
        return sum(part.lines for part in self.tables.values())

    def written(self) -> bytes:
        """The manifest as a file."""
        values = {"kind": KIND, "format": FORMAT, **asdict(self)}
        return json.dumps({**values, "sha256": _seal(values)}, indent=2).encode() + b"\n"


def header(schema: int) -> bytes:
    """The first file of an archive."""
    return json.dumps({"kind": KIND, "format": FORMAT, "schema": schema}).encode() + b"\n"


def check_header(text: bytes, known_schema: int) -> dict[str, Any]:
    """The members of a header or manifest.

    Raises:
        Damaged: if it is invalid.
        ConfigError: if a newer algo-local made it.
    """
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        raise Damaged("The manifest of the backup is damaged: it is not JSON") from None
    if not isinstance(values, dict) or values.get("kind") != KIND:
        raise Damaged("This is not a backup of a platform", "Make one with: algo local backup TARGET")
    for name, known in (("format", FORMAT), ("schema", known_schema)):
        number = values.get(name)
        if not isinstance(number, int) or number < 1:
            raise Damaged(f"The manifest of the backup is damaged: {name} is {str(number)[:20]}")
        if number > known:
            raise ConfigError(
                f"The backup was made by a newer algo-local ({name} {number}; this one knows {known})",
                "Upgrade with: pip install --upgrade algo-local",
            )
    return values


def read_manifest(text: bytes, known_schema: int) -> Manifest:
    """Read a manifest.

    Raises:
        Damaged: if it is invalid, or was modified.
        ConfigError: if a newer algo-local made it.
    """
    values = check_header(text, known_schema)
    if values.pop("sha256", None) != _seal(values):
        raise Damaged("The manifest of the backup was modified, or is incomplete")
    try:
        del values["kind"], values["format"]
        tables = {str(name): Part(**part) for name, part in values.pop("tables").items()}
        found = Manifest(tables=tables, files=Part(**values.pop("files")), **values)
    except (TypeError, KeyError, AttributeError):
        raise Damaged("The manifest of the backup lacks members, or has unknown ones") from None
    digests = [found.digest, found.files.sha256, *(part.sha256 for part in found.tables.values())]
    if not all(isinstance(digest, str) and _DIGEST.fullmatch(digest) for digest in digests):
        raise Damaged("The manifest of the backup has an invalid digest")
    return found


def _seal(values: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
