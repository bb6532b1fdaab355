"""JSON schemas of the bodies of requests and responses, by the names that `operations.py` uses."""

from __future__ import annotations

from algo_local.web.schemas.account_schemas import ACCOUNTS
from algo_local.web.schemas.administration_schemas import ADMINISTRATION
from algo_local.web.schemas.algorithm_schemas import ALGORITHMS
from algo_local.web.schemas.call_schemas import CALLS
from algo_local.web.schemas.connector_schemas import CONNECTORS
from algo_local.web.schemas.data_schemas import DATA
from algo_local.web.schemas.types import ANYTHING, BINARY, TEXT, Schema, ref

SCHEMAS: dict[str, Schema] = {
    **CALLS,
    **DATA,
    **ALGORITHMS,
    **CONNECTORS,
    **ACCOUNTS,
    **ADMINISTRATION,
}
"""The schemas of all JSON bodies."""

CONTENT: dict[str, dict[str, Schema]] = {
    "Input": {"application/json": ANYTHING, "text/plain": TEXT, "application/octet-stream": BINARY},
    "RequestResult": {"application/json": ref("CallResult"), "text/plain": TEXT, "application/octet-stream": BINARY},
    "File": {"application/octet-stream": BINARY},
    "FileOrDirectory": {"application/json": {"anyOf": [ref("Directory"), ANYTHING]}, "*/*": BINARY},
    "Archive": {"application/gzip": BINARY},
    "SourceArchive": {"application/octet-stream": BINARY},
    "Image": {"image/*": BINARY},
    "Text": {"text/plain": TEXT},
}
"""Bodies that are not, or not only, JSON: their schemas by media type."""
