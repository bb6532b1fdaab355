"""Creates, updates, unpublishes and deletes algorithms (API section 6.3)."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from algo_local.algorithms import worker_resources as placement
from algo_local.error_codes import ErrorCode
from algo_local.metadata.scms import Scms
from algo_local.names import check_name
from algo_local.refusals import Invalid, Missing, Taken

if TYPE_CHECKING:
    from algo_local.algorithms.registry import Algorithm, Registry, Version
    from algo_local.metadata.database import Rows

DESCRIPTION = (
    *("network_access", "label", "summary", "tagline", "tags", "sample_input", "callability", "source_visibility"),
    *("license", "language", "environment", "package_set", "algorithm_environment", "pipeline_enabled"),
    *("royalty_microcredits", "default_collection", "request_records", "min_workers", "max_workers", "resources"),
)
"""What can be said about an algorithm: attributes of `Algorithm`."""

OPEN_ONLY = ("apache2", "gpl3", "mit")
"""Licences whose algorithms cannot keep their source to themselves."""


def create(
    registry: Registry,
    owner: str,
    name: str,
    description: Mapping[str, Any],
    source: tuple[str, str] | None = None,
) -> Algorithm:
    """Create an algorithm without builds and versions for an existing account.

    `source` names a source host, by its id, and the repository there; without it, that is the platform itself.

    Raises:
        Taken: if the account has an algorithm of this name.
        Invalid: if the description contradicts itself.
        RequestRefused: if an algorithm cannot have this name.
    """
    check_name(name, "an algorithm")
    values = _values({"source_visibility": "closed", "license": "apl", "label": name, **description})
    if "resources" in values:
        values["resources"] = _resources("", values["resources"])
    identifier = str(uuid.uuid4())
    with registry.database.write() as rows:
        if rows.execute("SELECT 1 FROM algorithms WHERE owner = ? AND name = ?", (owner, name)).fetchone():
            raise Taken(f"{owner} has an algorithm {name} already", ErrorCode.ALGORITHM_NAME_HAS_BEEN_TAKEN)
        columns = {"id": identifier, "owner": owner, "name": name, "created_at": time.time(), **values}
        rows.execute(
            f"INSERT INTO algorithms ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})",
            list(columns.values()),
        )
        if source:
            Scms.place(rows, identifier, *source)
    return current(registry, identifier)


def update(registry: Registry, algorithm: Algorithm, description: Mapping[str, Any]) -> Algorithm:
    """Change an algorithm's texts and settings; omitted ones stay. Raises Invalid for contradictions."""
    with registry.database.write() as rows:
        update_in(rows, algorithm, description)
    return current(registry, algorithm.id)


def update_in(rows: Rows, algorithm: Algorithm, description: Mapping[str, Any]) -> None:
    """`update` inside a transaction."""
    checked = ("source_visibility", "license", "min_workers", "max_workers")
    values = _values({**{name: getattr(algorithm, name) for name in checked}, **description})
    if "resources" in description:
        before = rows.execute("SELECT resources FROM algorithms WHERE id = ?", (algorithm.id,)).fetchone()
        values["resources"] = _resources(before[0] if before else "", description["resources"])
    assignments = ", ".join(f"{column} = ?" for column in values)
    rows.execute(f"UPDATE algorithms SET {assignments} WHERE id = ?", [*values.values(), algorithm.id])


def unpublish(registry: Registry, version: Version) -> None:
    """Withdraw a version: it can no longer be called, and its number is never reused. Its build stays."""
    with registry.database.write() as rows:
        rows.execute("UPDATE versions SET unpublished_at = ? WHERE id = ?", (time.time(), version.id))


def delete(registry: Registry, algorithm: Algorithm) -> None:
    """Delete an algorithm with its versions, builds, secrets and reservations."""
    with registry.database.write() as rows:
        for table in ("versions", "builds", "secrets", "reservations", "algorithm_sources"):
            rows.execute(f"DELETE FROM {table} WHERE algorithm = ?", (algorithm.id,))
        rows.execute("DELETE FROM algorithms WHERE id = ?", (algorithm.id,))


def _values(description: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a description."""
    if description["license"] in OPEN_ONLY and description["source_visibility"] == "closed":
        message = f"The licence {description['license']} goes with open source only: source_visibility must be open"
        raise Invalid(message, ErrorCode.INPUT_VALIDATION_ERROR)
    least, most = description.get("min_workers", 0), description.get("max_workers", 0)
    if most and least > most:
        message = f"min_workers is {least}, more than max_workers, which is {most}"
        raise Invalid(message, ErrorCode.INPUT_VALIDATION_ERROR)
    values = {column: description[column] for column in DESCRIPTION if column in description}
    if "tags" in values:
        values["tags"] = json.dumps(list(values["tags"]))
    return values


def _resources(before: str, members: Mapping[str, Any]) -> str:
    try:
        return placement.changed(before, members)
    except placement.Unfit as unfit:
        message = f"settings: {unfit}; {json.dumps(placement.DEFAULT)} is as algorithmia.conf says"
        raise Invalid(message, ErrorCode.INPUT_VALIDATION_ERROR) from None


def current(registry: Registry, identifier: str) -> Algorithm:
    """An algorithm as it is now, by its id. Missing if it is gone."""
    found = registry.algorithm(identifier)
    if not found:
        raise Missing("The algorithm was deleted in the meantime", ErrorCode.ALGORITHM_ID_DOES_NOT_EXIST)
    return found
