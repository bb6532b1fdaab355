"""Suggestions for misspelt names of algorithms and versions."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from algo_core.errors import AlgoError, NotFoundError, PlatformError, RequestRefused, UsageError
from algo_core.storage.uri import parse_algorithm_ref

if TYPE_CHECKING:
    from collections.abc import Iterator

    from algo_core.http.api import ApiClient
    from algo_core.storage.uri import AlgorithmRef

PAGE = 1000
"""Entries that are asked for at once; a platform may give fewer."""

_MOST = 3
_CUTOFF = 0.7


def known_algorithms(api: ApiClient, owner: str = "") -> list[str]:
    """`OWNER/NAME` of the algorithms that can be listed: all that the caller may see, or where a platform cannot tell
    them, those of one account."""
    try:
        found = _pages(api, "algorithms", owner=owner or None)
        return [f"{entry['owner']}/{entry['name']}" for entry in found if entry.get("owner")]
    except (NotFoundError, RequestRefused, PlatformError):  # listing all is no part of the published API
        name = owner or api.username()
        return [
            f"{name}/{str(entry.get('name', '')).rpartition('/')[2]}"
            for entry in _pages(api, f"users/{name}/algorithms")
        ]


def similar(api: ApiClient, reference: AlgorithmRef) -> list[str]:
    """Existing references that resemble an unknown one: algorithms, or versions of the algorithm."""
    if not reference.name:
        return []
    try:
        by_lower = {name.lower(): name for name in known_algorithms(api)}
        wanted = f"{reference.owner}/{reference.name}".lower()
        if wanted in by_lower:
            return _versions(api, by_lower[wanted], reference.version) if reference.version else []
    except AlgoError:  # the first failure is the one to report
        return []
    same_name = [name for name in by_lower if name.partition("/")[2] == reference.name.lower()]
    close = get_close_matches(wanted, by_lower, n=_MOST, cutoff=_CUTOFF)
    return [by_lower[name] for name in dict.fromkeys([*close, *same_name])][:_MOST]


def suggest(api: ApiClient, error: NotFoundError) -> None:
    """Add similar names to the error for an unknown algorithm, unless it has a hint."""
    match = re.fullmatch(r"algorithm algo://(\S+) not found", error.message)
    if not match or error.hint:
        return
    try:
        reference = parse_algorithm_ref(match[1])
    except UsageError:
        return
    if found := similar(api, reference):
        error.hint = f"Did you mean {' or '.join(found)}?"


def _versions(api: ApiClient, algorithm: str, version: str) -> list[str]:
    """The published versions similar to an unknown one, else the newest."""
    found = [entry.get("version_info") for entry in _pages(api, f"algorithms/{algorithm}/versions")]
    numbers = [
        str(info["semantic_version"]) for info in found if isinstance(info, dict) and info.get("semantic_version")
    ]
    newest = sorted(set(numbers), key=_order, reverse=True)
    close = get_close_matches(version, newest, n=_MOST, cutoff=_CUTOFF)
    return [f"{algorithm}/{number}" for number in (close or newest[:_MOST])]


def _order(number: str) -> list[int]:
    return [int(part) if part.isdecimal() else -1 for part in number.split(".")]


def _pages(api: ApiClient, path: str, **query: str | None) -> Iterator[dict[str, Any]]:
    """The entries of a collection, in whichever of its forms a platform gives it (API section 1.6)."""
    marker: str | None = None
    while True:
        page = api.get_json(path, query={"limit": PAGE, **query, "marker": marker})
        found = page.get("results") if isinstance(page, dict) else page
        if not isinstance(found, list):
            raise PlatformError(f"The platform did not return a list for /v1/{path}")
        yield from (entry for entry in found if isinstance(entry, dict))
        following = page.get("marker") if isinstance(page, dict) else None
        if not isinstance(following, str) or following == marker:
            return
        marker = following
