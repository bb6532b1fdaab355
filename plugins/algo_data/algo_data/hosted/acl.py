"""Reads and changes the ACLs of collections (API section 4.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from algo_core.errors import PlatformError, UsageError
from algo_core.storage.uri import HOSTED, DataUri
from algo_data.hosted.api_path import api_path, components

if TYPE_CHECKING:
    from algo_core.http.api import ApiClient

READERS: dict[str, tuple[str, ...]] = {
    "private": (),
    "my-algos": ("algo://.my/*",),
    "public": ("user://*",),
}
"""Names of the platform's reader lists: the owner; also the owner's algorithms, whoever calls them (the default);
everybody."""

NAMES = tuple(READERS)


def read_acl(api: ApiClient, uri: DataUri) -> list[str]:
    """The readers of a collection, as the platform lists them; one GET.

    Raises:
        UsageError: if the path is not a collection of hosted data, or has no ACL, such as `.algo/...`.
    """
    check_has_acl(uri)
    page = api.get_json(api_path(uri), query={"acl": "true"})
    acl = page.get("acl") if isinstance(page, dict) else None
    readers = acl.get("read") if isinstance(acl, dict) else None
    if readers is None:
        raise UsageError(f"{uri} has no ACL", "Only collections have one: .my/COLLECTION")
    if not isinstance(readers, list):
        raise PlatformError(f"The platform returned an invalid ACL for {uri}")
    return [str(reader) for reader in readers]


def write_acl(api: ApiClient, uri: DataUri, name: str) -> None:
    """Set the readers of a collection by a name of `READERS`; one PATCH.

    Raises:
        UsageError: if the path is not a collection of hosted data.
    """
    check_has_acl(uri)
    body: dict[str, Any] = {"acl": {"read": list(READERS[name])}}
    api.send_json("PATCH", api_path(uri), body)


def name_of(readers: list[str]) -> str:
    """The name of a list of readers; the list itself if it has none."""
    for name, known in READERS.items():
        if list(known) == readers:
            return name
    return ", ".join(readers)


def check_has_acl(uri: DataUri) -> None:
    """Raise UsageError if a path is no collection of hosted data."""
    if uri.scheme != HOSTED or len(components(uri)) != 2:
        raise UsageError(f"{uri} has no ACL", "Only collections of hosted data have one: .my/COLLECTION")
