"""Usage: counts of recorded calls, and failed calls (API section 3.11)."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from algo_local.error_codes import ErrorCode
from algo_local.records.record import CANCELLED, FAILED, LOST, Record
from algo_local.records.rows import Question, listed_of_owner
from algo_local.records.usage import COLUMNS, Usage, usage
from algo_local.web.http import ApiError, decode_marker, encode_marker
from algo_local.web.times import seconds_of

if TYPE_CHECKING:
    from algo_local.web.authorization import RequestContext

ERROR_SECONDS = 7 * 24 * 3600.0
ERROR_LIMIT = 200
"""Age and number limits of listed failed calls."""

_FAILED = (FAILED, LOST, CANCELLED)
_BY_ALGORITHM = ("algorithm_owner", "algorithm_called", "algorithm_version")


def everything(context: RequestContext) -> dict[str, Any]:
    """`GET /v1/admin/usage`."""
    return _counted(context, tuple(COLUMNS))


def by_algorithm(context: RequestContext) -> dict[str, Any]:
    """`GET /v1/admin/usage/algorithms`."""
    return _counted(context, _BY_ALGORITHM)


def by_caller(context: RequestContext) -> dict[str, Any]:
    """`GET /v1/admin/usage/users`."""
    return _counted(context, ("caller",))


def errors_of_algorithm(context: RequestContext) -> list[dict[str, Any]]:
    """`GET .../errors` of an algorithm, newest first."""
    question = Question(algorithm=context.algorithm.id, states=_FAILED, since=time.time() - ERROR_SECONDS)
    return _errors(context, context.platform.records.listed(question, ERROR_LIMIT))


def errors_of_account(context: RequestContext) -> list[dict[str, Any]]:
    """`GET /v1/users/ID/errors`, `GET /v1/organizations/ORG/errors`: of the algorithms of an account."""
    since = time.time() - ERROR_SECONDS
    found: list[Record] = context.platform.records.read(
        lambda rows: listed_of_owner(rows, context.account, _FAILED, since, ERROR_LIMIT)
    )
    return _errors(context, found)


def _counted(context: RequestContext, by: tuple[str, ...]) -> dict[str, Any]:
    since, until = (_moment(context, name) for name in ("start_date", "end_date"))
    accounts = [value for name, value in parse_qsl(context.request.target.partition("?")[2]) if name == "user"]
    size, start = _page(context)
    found: list[Usage] = context.platform.records.read(lambda rows: usage(rows, by, since, until, accounts or None))
    answer: dict[str, Any] = {"results": [_described(entry) for entry in found[start : start + size]]}
    if start + size < len(found):
        answer["next_marker"] = encode_marker(str(start + size))
    return answer


def _moment(context: RequestContext, name: str) -> float:
    text = context.request.query.get(name, "")
    if not text:
        raise ApiError(400, f"{name} is missing", ErrorCode.START_OR_END_DATE_MISSING)
    return seconds_of(text)


def _page(context: RequestContext) -> tuple[int, int]:
    """The requested number of rows, and the first one."""
    size = context.request.query.get("page_size", "")
    if not (size.isascii() and size.isdigit() and int(size[:9]) > 0):
        raise ApiError(400, "page_size must be a number above 0", ErrorCode.INVALID_LIMIT)
    marker = context.request.query.get("marker")
    start = decode_marker(marker) if marker else "0"
    if not (start.isascii() and start.isdigit() and len(start) < 13):
        raise ApiError(400, f"Not a marker: {str(marker)[:100]!r}", ErrorCode.INVALID_MARKER)
    return int(size[:9]), int(start)


def _described(entry: Usage) -> dict[str, Any]:
    described: dict[str, Any] = {
        **entry.names,
        "total_calls": str(entry.calls),
        "total_errors": entry.errors,
        "total_error_duration": entry.error_duration,
        "total_duration": entry.duration,
    }
    if "algorithm_called" in entry.names:
        described["machine_type"] = entry.machine_type
    return described


def _errors(context: RequestContext, found: Sequence[Record]) -> list[dict[str, Any]]:
    contents = context.platform.records.contents(
        record.input for record in found if record.input and _shows_input(context, record)
    )
    return [_error(record, contents if _shows_input(context, record) else {}) for record in found]


def _shows_input(context: RequestContext, record: Record) -> bool:
    """Whether an entry has the input: it is shown only to the caller of that call, and only as text."""
    caller, given = context.caller, record.input
    is_theirs = caller.administrator or caller.acts_for(record.account)
    return given is not None and given.content_type != "binary" and is_theirs


def _error(record: Record, contents: Mapping[str, bytes]) -> dict[str, Any]:
    """An entry, with the input if that is among these contents."""
    failure = record.failure
    entry: dict[str, Any] = {
        "created_at": int(record.created_at * 1000),
        "request_id": record.id,
        "username": record.owner,
        "algoname": record.name,
        "algoversion": record.version,
        "error": failure.message if failure else "",
        "error_type": failure.error_type if failure else "",
        "billable_to": record.account,
        "worker": record.worker,
    }
    if record.input and (content := contents.get(record.input.digest)) is not None:
        entry["input"] = content.decode("utf-8", "replace")
    return entry
