"""Sealed bundles: a version of an algorithm in one file, to be published on another platform.

A bundle is a tar file of three members: `bundle.json` says what the algorithm is, `source.tar` has its files, and
`seal` is the SHA-256 of both. Equal versions have equal bundles, byte for byte. No secret is in it, only the names of
those that the algorithm expects.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from algo_core.errors import AlgoError

FORMAT = 1
MANIFEST, SOURCE, SEAL = "bundle.json", "source.tar", "seal"
MOST_BYTES = 256 << 20
"""Largest bundle that is read."""

_DETAILS = ("label", "tagline", "summary", "tags")
_SETTINGS = ("source_visibility", "license", "network_access", "pipeline_enabled", "algorithm_environment")
_TEXTS = ("release_notes", "sample_input", "sample_output")

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")

_CHANGED = AlgoError("The bundle has been changed since it was exported", "Export it again")


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a bundle holds."""

    algorithm: str
    version: str
    details: Mapping[str, Any]
    settings: Mapping[str, Any]
    texts: Mapping[str, str]
    """Release notes, sample input and sample output."""
    secrets: tuple[str, ...]
    """The names of the variables that it finds its secrets in."""
    source: bytes
    """A tar file."""

    @classmethod
    def of(cls, name: str, described: Mapping[str, Any], secrets: tuple[str, ...], archive: bytes) -> Bundle:
        """From the platform's object of a version, and an archive of its files.

        Raises:
            AlgoError: if the archive cannot be read.
        """
        details, settings, info = (described.get(part) or {} for part in ("details", "settings", "version_info"))
        return cls(
            name,
            str(info.get("semantic_version", "")),
            {key: details[key] for key in _DETAILS if details.get(key)},
            {key: settings[key] for key in _SETTINGS if settings.get(key) is not None},
            {key: info[key] for key in _TEXTS if info.get(key)},
            secrets,
            _repacked(archive),
        )

    def write(self, file: BinaryIO) -> str:
        """Write it; returns its digest."""
        manifest = json.dumps(self._manifest(), indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"
        members = {MANIFEST: manifest, SOURCE: self.source, SEAL: _seal(manifest, self.source)}
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for name, content in members.items():
                _add(archive, tarfile.TarInfo(name), content)
        file.write(packed.getbuffer())
        return hashlib.sha256(packed.getbuffer()).hexdigest()

    def _manifest(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "algorithm": self.algorithm,
            "version": self.version,
            "details": dict(self.details),
            "settings": dict(self.settings),
            "version_info": dict(self.texts),
            "secrets": list(self.secrets),
        }


def read_bundle(file: BinaryIO, digest: str | None = None) -> Bundle:
    """Read a bundle that is as it was written; `digest` is what `Bundle.write` gave, if that is known.

    Raises:
        AlgoError: if it is no bundle, is incomplete, or has been changed.
    """
    content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise AlgoError(f"The bundle is larger than {MOST_BYTES >> 20} MiB")
    found = hashlib.sha256(content).hexdigest()
    if digest and found != digest.lower().removeprefix("sha256:"):
        raise AlgoError(f"The bundle is not the expected one: its digest is {found}", "Get it again from its source")
    try:
        return _parsed(content)
    except (tarfile.TarError, ValueError, KeyError, TypeError, AttributeError, EOFError, RecursionError) as error:
        raise AlgoError("This is not a bundle of an algorithm, or it is incomplete", "Export it again") from error


def _parsed(content: bytes) -> Bundle:
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
        members = archive.getmembers()
        if [member.name for member in members] != [MANIFEST, SOURCE, SEAL] or not all(one.isfile() for one in members):
            raise ValueError("other members")
        manifest, source, seal = (_content(archive, member) for member in members)
    if seal != _seal(manifest, source):
        raise _CHANGED
    said = json.loads(manifest)
    if said["format"] != FORMAT:
        raise AlgoError(
            f"The bundle has the format {said['format']!r}; this version of algo reads {FORMAT}", "Upgrade algo"
        )
    bundle = Bundle(
        str(said["algorithm"]),
        str(said["version"]),
        {key: value for key, value in said["details"].items() if key in _DETAILS},
        {key: value for key, value in said["settings"].items() if key in _SETTINGS},
        {key: str(value) for key, value in said["version_info"].items() if key in _TEXTS},
        tuple(str(name) for name in said["secrets"]),
        source,
    )
    # They stand in a command that people copy.
    if not all(_VARIABLE.fullmatch(name) for name in bundle.secrets):
        raise ValueError("no names of variables")
    # Whatever is in the file besides, such as another manifest, would not be written again.
    again = io.BytesIO()
    bundle.write(again)
    if again.getvalue() != content:
        raise _CHANGED
    return bundle


def _seal(manifest: bytes, source: bytes) -> bytes:
    return hashlib.sha256(b"%d\n%b%b" % (len(manifest), manifest, source)).hexdigest().encode()


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    assert file is not None
    return file.read()


def _repacked(archive: bytes) -> bytes:
    """The files of an archive in the order of their names, without times and owners, nor the directory around them."""
    packed = io.BytesIO()
    try:
        with (
            tarfile.open(fileobj=io.BytesIO(archive), mode="r:*") as given,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as out,
        ):
            for member in sorted(given.getmembers(), key=lambda member: member.name):
                name = "/".join(PurePosixPath(member.name).parts[1:])
                if not name or member.isdir():
                    continue
                entry = tarfile.TarInfo(name)
                entry.mode = 0o755 if member.mode & 0o111 else 0o644
                if member.issym():
                    entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, member.linkname, 0o777
                _add(out, entry, b"" if member.issym() else _content(given, member))
    except (tarfile.TarError, EOFError, OSError, AssertionError) as error:
        raise AlgoError("The platform sent sources that cannot be read") from error
    return packed.getvalue()


def _add(archive: tarfile.TarFile, entry: tarfile.TarInfo, content: bytes) -> None:
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))
