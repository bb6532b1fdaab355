"""The media types of files: what came with them, or what their names say (API section 4.7)."""

from __future__ import annotations

import re

GENERIC = "application/octet-stream"
"""What is said of a file that nothing is known of."""

_SAYS_NOTHING = frozenset({"", GENERIC, "application/x-www-form-urlencoded", "multipart/form-data"})
"""Media types that clients send by default, whatever they upload."""

_TYPE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,60}/[a-z0-9][a-z0-9.+-]{0,60}(; ?charset=[a-z0-9-]{1,30})?", re.IGNORECASE)
_BY_SUFFIX = {
    "txt": "text/plain",
    "log": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
    "html": "text/html",
    "htm": "text/html",
    "css": "text/css",
    "xml": "application/xml",
    "json": "application/json",
    "pdf": "application/pdf",
    "zip": "application/zip",
    "gz": "application/gzip",
    "tar": "application/x-tar",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "gif": "image/gif",
    "webp": "image/webp",
    "svg": "image/svg+xml",
    "bmp": "image/bmp",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "ogg": "audio/ogg",
    "flac": "audio/flac",
    "mp4": "video/mp4",
    "webm": "video/webm",
    "mov": "video/quicktime",
}


def announced(content_type: str) -> str:
    """The media type that an upload's `Content-Type` says; empty if that says nothing."""
    text = content_type.strip()
    said = text.partition(";")[0].strip().lower()
    return "" if said in _SAYS_NOTHING or not _TYPE.fullmatch(text) else text


def by_name(name: str) -> str:
    """The media type that a file's name says."""
    return _BY_SUFFIX.get(name.rpartition(".")[2].lower(), GENERIC) if "." in name else GENERIC


def accepted(media_type: str, accept: str) -> str:
    """What to call a file of a type for a client that accepts one type only: text and bytes are all files."""
    wanted = accept.partition(";")[0].strip().lower()
    if wanted == GENERIC or (wanted == "text/plain" and media_type == GENERIC):
        return wanted
    return media_type
