"""Client of the record of calls, an extension of the API: `/v1/requests`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from algo_core.errors import AlgoError, NotFoundError, PlatformError, RequestRefused, UsageError

if TYPE_CHECKING:
    from algo_core.http.api import ApiClient
    from algo_core.http.response import Response

WAIT_SECONDS = 30
"""Seconds that one request waits for a call to end."""

UNFINISHED = ("queued", "running")
PAGE_SIZE = 100

Entry = dict[str, Any]


def path_of(identifier: str, part: str = "") -> str:
    """The path of a call on record, or of a part of it.

    Raises:
        UsageError: if that is no id.
    """
    if not identifier or "/" in identifier or identifier in {".", ".."}:
        raise UsageError(f"Not the id of a request: {identifier!r}", "See: algo requests list")
    return f"requests/{identifier}" + (f"/{part}" if part else "")


@contextmanager
def of_record(api: ApiClient) -> Iterator[None]:
    """Requests for the record; distinguishes a platform without a record from a missing call or a misspelt name.

    Raises:
        PlatformError: if the platform keeps no record.
    """
    try:
        yield
    except (NotFoundError, PlatformError, RequestRefused) as error:
        if _keeps_record(api, error):
            if isinstance(error, NotFoundError):
                from algo_core.suggestions import suggest

                suggest(api, error)
                if not error.hint and error.message.startswith("No request"):
                    error.hint = "List calls with: algo requests list"
            raise
        raise PlatformError(f"{api.address} keeps no record of calls") from None


def _keeps_record(api: ApiClient, error: AlgoError) -> bool:
    if getattr(error, "status", None) not in {404, 405, 501} and not isinstance(error, PlatformError):
        return True
    try:
        page = api.get_json("requests", query={"limit": 1})
    except (NotFoundError, PlatformError, RequestRefused):
        return False
    return isinstance(page, dict) and isinstance(page.get("results"), list)


def entries(api: ApiClient, limit: int, **filters: str | None) -> Iterator[Entry]:
    """Calls on record, newest first, `limit` at most."""
    marker: str | None = None
    while limit > 0:
        query = {**filters, "limit": min(limit, PAGE_SIZE), "marker": marker}
        page = api.get_json("requests", query=query)
        if not isinstance(page, dict) or not isinstance(page.get("results"), list):
            raise PlatformError(f"{api.address} did not return a list of calls")
        found = [entry for entry in page["results"] if isinstance(entry, dict)][:limit]
        yield from found
        limit -= len(found)
        marker = page.get("marker")
        if not marker:
            return


def fetch(api: ApiClient, identifier: str, *, wait: bool, **query: str | None) -> Response | None:
    """The response that a call has had; None if it has not ended. With `wait`, waits for that, however long."""
    while True:
        response = api.request(
            "GET",
            path_of(identifier, "result"),
            query={**query, "wait": WAIT_SECONDS if wait else None},
            read_timeout=WAIT_SECONDS + 30,
        )
        if response.status != 202:
            return response
        with response:
            response.read(1 << 16)
        if not wait:
            return None
