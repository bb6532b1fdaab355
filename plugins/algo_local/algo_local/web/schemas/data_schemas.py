"""JSON schemas of bodies about hosted data (API section 4)."""

from __future__ import annotations

from algo_local.names import COLLECTION_LIMIT
from algo_local.web.schemas.types import NAME, TEXT, TIME, WHOLE, Schema, many, record, ref, word

DATA: dict[str, Schema] = {
    # Data
    "Directory": record(
        "folders files",
        folders=many(record("name", name=TEXT)),
        files=many(record("filename last_modified size", filename=TEXT, last_modified=TIME, size=WHOLE)),
        marker=TEXT,
        acl=ref("DirectoryAcl"),
    ),
    "DirectoryAcl": record(read=many(word("user://*", "algo://.my/*"))),
    "CreateDirectoryRequest": record("name", name={**NAME, "maxLength": COLLECTION_LIMIT}, acl=ref("DirectoryAcl")),
    "DirectoryAclUpdateRequest": record("acl", acl=record("read", read=many(word("user://*", "algo://.my/*")))),
    "Created": record("result", result=TEXT),
    "Deleted": record("result", result=record("deleted", deleted=WHOLE)),
}
"""The schemas by name."""
