"""Sources go to the platform's repository of an algorithm as an archive (`PUT algorithms/OWNER/NAME/source`)."""

from __future__ import annotations

import os
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from algo_core.context import App
from algo_core.errors import AlgoError, UsageError
from algo_core.http.api import decode_json
from algo_core.storage.uri import AlgorithmRef
from algo_manage import api

BLOCK = 1 << 20
IGNORED = frozenset(
    {".git", ".hg", ".svn", ".tox", ".nox", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".DS_Store", "__pycache__"}
)
"""Files next to sources that are not part of them."""


class FileContent:
    """A request's body from a file that is open for reading."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = file.seek(0, os.SEEK_END)

    def __iter__(self) -> Iterator[bytes]:
        self._file.seek(0)
        return iter(lambda: self._file.read(BLOCK), b"")

    def rewind(self) -> bool:
        """Another iteration begins at the start."""
        return True


def upload(app: App, ref: AlgorithmRef, source: Path, message: str | None) -> str:
    """Make the files of a directory, or of an archive, the newest commit, and give its hash.

    Raises:
        UsageError: if the directory holds nothing.
        AlgoError: if it cannot be read.
    """
    with tempfile.TemporaryFile() as file:
        try:
            if source.is_dir():
                _pack(source, file)
            else:
                file.write(source.read_bytes())
        except OSError as error:
            raise AlgoError(f"Cannot read {error.filename or source}: {error.strerror}") from error
        return upload_archive(app, ref, file, message)


def upload_archive(app: App, ref: AlgorithmRef, file: BinaryIO, message: str | None) -> str:
    """Make the files of an archive that is open for reading the newest commit, and give its hash."""
    response = app.api.request(
        "PUT",
        api.path_of(ref, "source"),
        query={"message": message},
        headers={"Content-Type": "application/octet-stream"},
        body=FileContent(file),
    )
    with response:
        return str(api.member(decode_json(response, app.api.profile), "id"))


def _pack(directory: Path, file: BinaryIO) -> None:
    with tarfile.open(fileobj=file, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
        count = 0
        for parent, directories, names in os.walk(directory):
            # Virtual environments hold what requirements name, not sources.
            directories[:] = sorted(
                name
                for name in directories
                if name not in IGNORED and not os.path.exists(os.path.join(parent, name, "pyvenv.cfg"))
            )
            linked = [name for name in directories if os.path.islink(os.path.join(parent, name))]
            for name in sorted([*names, *linked]):
                if name not in IGNORED and not name.endswith((".pyc", ".pyo")):
                    path = os.path.join(parent, name)
                    archive.add(path, os.path.relpath(path, directory), recursive=False)
                    count += 1
    if not count:
        raise UsageError(f"{directory} holds no files", "Name the directory that holds the algorithm's src/")
