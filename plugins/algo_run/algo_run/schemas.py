"""The schema of an algorithm's input for completion: from the platform, kept in the cache, or from a directory."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from typing import Any

from algo_core.context import App
from algo_core.files import replacing
from algo_core.settings import paths
from algo_core.storage.uri import parse_algorithm_of
from algo_run.target import is_directory

FRESH_SECONDS = 60.0
"""How long a kept schema is used without asking again: as long as a person types one command."""

LOCAL = "input.schema.json"
MOST = 1 << 20
"""Bytes of a schema that is kept, or read from a directory."""

_VERSION = re.compile(r"\d+\.\d+\.\d+")


def input_schema(app: App, algorithm: str) -> Any:
    """The schema of the input of what `algo run` calls so; None if it has none, or it cannot be found out.

    Without a platform that answers, the kept schema counts, however old.
    """
    if is_directory(algorithm):
        return _read(os.path.join(os.path.expanduser(algorithm), LOCAL))
    ref = parse_algorithm_of(algorithm, app.api.username)
    path = f"algorithms/{ref.owner}/{ref.name}" + (f"/versions/{ref.version}" if ref.version else "")
    file = _kept(app, path)
    kept = _read(file)
    if isinstance(kept, dict) and (_VERSION.fullmatch(ref.version or "") or _is_fresh(file)):
        return kept.get("schema")
    try:
        described = app.api.get_json(path)
    except Exception:  # offline, or not allowed any more: what was known helps
        return kept.get("schema") if isinstance(kept, dict) else None
    schemas = described.get("schemas") if isinstance(described, dict) else None
    schema = schemas.get("input") if isinstance(schemas, dict) else None
    _keep(file, schema)
    return schema


def _kept(app: App, path: str) -> str:
    """The file in which a schema is kept, which is the caller's own: another may see another algorithm."""
    profile = app.profile
    whose = json.dumps([profile.address, profile.name, path])
    name = hashlib.sha256(whose.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    return os.path.join(paths.cache_dir(app.environ), "schemas", f"{name}.json")


def _is_fresh(file: str) -> bool:
    return 0 <= time.time() - os.stat(file).st_mtime < FRESH_SECONDS


def _read(file: str) -> Any:
    try:
        with open(file, "rb") as content:
            return json.loads(content.read(MOST).decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return None


def _keep(file: str, schema: Any) -> None:
    content = json.dumps({"schema": schema}).encode()
    if len(content) > MOST:
        return
    try:
        os.makedirs(os.path.dirname(file), mode=0o700, exist_ok=True)
        with replacing(file, mode=0o600) as new:
            new.write(content)
    except OSError:
        pass
