"""Tar archives with the members that a test gives them, also those that no honest program writes."""

from __future__ import annotations

import io
import tarfile
from typing import Any, Literal


def archive(mode: Literal["w", "w:gz"], **members: Any) -> bytes:
    """An archive of members by their names: the content of a file, or another type and what it links to."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as made:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                member.size = len(content)
                made.addfile(member, io.BytesIO(content))
            else:
                member.type, member.linkname = content
                made.addfile(member)
    return file.getvalue()
