"""The management API, as the commands need it: pages, JSON requests, and names that are suggested when misspelt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from algo_core.context import App
from algo_core.errors import NotFoundError, PlatformError
from algo_core.http.api import decode_json
from algo_core.storage.uri import AlgorithmRef, parse_algorithm_of

PAGE = 1000
"""Entries that are asked for at once; a platform may give fewer."""

UNKNOWN = "No such algorithm"
"""The platform's message for a missing algorithm (API section 2.3)."""

BUILD_SECONDS = 3600.0
"""How long an answer may take that comes when something has been built."""


def named(app: App, text: str) -> AlgorithmRef:
    """The reference of a typed algorithm, with the account's name for `.my`. UsageError if it is invalid."""
    return parse_algorithm_of(text, app.api.username)


def path_of(ref: AlgorithmRef, rest: str = "") -> str:
    """A path of the API below an algorithm; its version is left out."""
    base = "/".join(part for part in (ref.owner, ref.name) if part)
    return f"algorithms/{base}/{rest}" if rest else f"algorithms/{base}"


def send(app: App, method: str, path: str, body: Any = None, *, read_timeout: float | None = None) -> Any:
    """The platform's response to a JSON body, or to no body; None for an empty response."""
    if body is None:
        response = app.api.request(method, path, read_timeout=read_timeout)
    else:
        response = app.api.send_json(method, path, body, read_timeout=read_timeout)
    with response:
        if response.status == 204:
            return None
        return decode_json(response, app.api.profile)


def pages(app: App, path: str, query: Mapping[str, Any] | None = None) -> Iterator[Any]:
    """The entries of a collection, whichever of its forms a platform gives it (API section 1.6)."""
    marker: str | None = None
    while True:
        answer = app.api.get_json(path, query={"limit": PAGE, **(query or {}), "marker": marker})
        if isinstance(answer, list):
            yield from answer
            return
        if not isinstance(answer, dict) or not isinstance(answer.get("results"), list):
            raise PlatformError(f"The platform did not return a list for /v1/{path}")
        yield from answer["results"]
        following = answer.get("marker")
        if not isinstance(following, str) or following == marker:
            return
        marker = following


def member(value: Any, *names: str) -> Any:
    """A member of members of a JSON object; an empty text if any of them is missing."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return "" if value is None else value


def entries(value: Any) -> list[Any]:
    """A list that the platform gave, alone or as `results`."""
    found = value.get("results", value.get("secrets")) if isinstance(value, dict) else value
    return found if isinstance(found, list) else []


def tell_if_private(app: App, ref: AlgorithmRef, published: Any) -> None:
    """Say so if a version that was published can be called by its owner alone, and how it is called then."""
    if member(published, "settings", "algorithm_callability") == "private" and not app.output.is_json:
        version = member(published, "version_info", "semantic_version")
        app.output.info(f"Only {ref.owner} may call it, by its number: algo run {ref}/{version} -d INPUT")


def known_algorithms(app: App, owner: str = "") -> list[str]:
    """`OWNER/NAME` of the algorithms that can be listed."""
    from algo_core.suggestions import known_algorithms

    return known_algorithms(app.api, owner)


@contextmanager
def suggesting(app: App, ref: AlgorithmRef) -> Iterator[None]:
    """Suggest similar names for a missing algorithm."""
    try:
        yield
    except NotFoundError as error:
        if error.message == UNKNOWN:
            from algo_core.suggestions import similar

            error.message = f"Algorithm {ref._replace(version=None)} does not exist, or you may not see it"
            if not error.hint and ref.name and (close := similar(app.api, ref._replace(version=None))):
                error.hint = f"Did you mean {' or '.join(close)}?"
        else:
            from algo_core.suggestions import suggest

            suggest(app.api, error)
        raise
