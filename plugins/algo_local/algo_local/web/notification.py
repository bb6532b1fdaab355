"""The notification that a call asks for: `notify=URL` (API section 3.11)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from algo_local.callers import DENIED
from algo_local.error_codes import ErrorCode
from algo_local.records.record import NONE
from algo_local.web.http import ApiError
from algo_local.webhooks.rows import Webhook
from algo_local.webhooks.target import parse

if TYPE_CHECKING:
    from algo_local.algorithms.registry import Version
    from algo_local.callers import Caller
    from algo_local.platform import Platform
    from algo_local.web.http import Request


def notification_of(platform: Platform, caller: Caller, request: Request, version: Version, link: str) -> Webhook:
    """The notification that a request asks for; `link` is the address of the call's record, which ends in its id.

    Raises:
        ApiError: 400 if the call is not `output=void` or not recorded, 403 from within an algorithm, which might have
            no access to the network itself, and 429 if too many wait.
        RequestRefused: if the address is none.
    """
    url = request.query["notify"]
    if caller.inside:
        raise ApiError(403, f"{DENIED}: algorithms cannot ask for notifications", ErrorCode.NOT_AUTHORIZED)
    if request.query.get("output", "").lower() != "void":
        raise ApiError(400, "A notification is for calls with output=void", ErrorCode.INVALID_REQUEST)
    if version.algorithm.request_records == NONE:
        raise ApiError(400, "A call that is not recorded has no notification", ErrorCode.INVALID_REQUEST)
    parse(url)
    if platform.webhooks.is_full(caller.account):
        raise ApiError(429, "Too many notifications of the account are waiting", headers={"Retry-After": "60"})
    return Webhook(link.rpartition("/")[2], caller.account, url, link, request.flag("notify_output"))
