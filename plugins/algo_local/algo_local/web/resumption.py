"""Calls without a response that a process had accepted before it ended: the next server executes them."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from algo_local.callers import CallContext, Caller
from algo_local.execution.payload import Failure, Payload
from algo_local.records.record import Answer
from algo_local.records.resumption import Resumption
from algo_local.refusals import TooManyCalls
from algo_local.web.handlers.invoke import Invocation, parse_json, start_void

if TYPE_CHECKING:
    from algo_local.platform import Platform
    from algo_local.records.live_call import LiveCall
    from algo_local.records.record import Record

AT_ONCE = 1000
"""Calls that are looked at in one turn; the next ones follow in the next."""

QUEUE_SECONDS = 5.0
"""How long the next call waits for one whose environment is made first, to keep their order."""


def take_up(platform: Platform) -> int:
    """Begin to execute the calls that wait for a server, in their order; returns their number.

    Those of accounts with as many calls under way as they may have wait for the next turn.

    Raises:
        StorageUnavailable: if the record cannot be read or written, or the platform is being moved.
    """
    waiting = platform.records.left_over(AT_ONCE)
    if not waiting:
        return 0
    platform.check_writable()
    with ExitStack() as unused:
        slots = {}
        for record in waiting:
            slot = unused.enter_context(ExitStack())
            try:
                slot.enter_context(platform.concurrency.counted(record.account))
            except TooManyCalls:
                continue
            slots[record.id] = slot
        taken = platform.records.take_over([record for record in waiting if record.id in slots])
        for live in taken:
            _resume(platform, live, slots[live.record.id].pop_all())
    if taken:
        platform.webhooks.start()  # they may have notifications, for which nothing was to be done until now
    return len(taken)


def _resume(platform: Platform, live: LiveCall, slot: ExitStack) -> None:
    """Have a call executed, after all that were resumed before it."""
    invocation = _invocation(platform, live)
    if isinstance(invocation, str):
        slot.close()
        live.finished(Answer(None, b"", Failure(invocation, "SystemError", ended="lost"), 0.0, ""))
        return
    start_void(invocation, live, slot)
    ends = time.monotonic() + QUEUE_SECONDS
    while not _is_queued(platform, live.record) and time.monotonic() < ends:
        time.sleep(0.001)


def _is_queued(platform: Platform, record: Record) -> bool:
    """Whether an executor that can tell has a call, or has had it."""
    from algo_local.execution.workers.local_pool import LocalPool

    executor = platform.executor
    is_known = not isinstance(executor, LocalPool) or executor.knows(record.id)
    return is_known or record.started_at is not None or record.is_finished


def _invocation(platform: Platform, live: LiveCall) -> Invocation | str:
    """The call as it was accepted, or why it cannot be executed any more."""
    record = live.record
    try:
        asked = Resumption.of(record.resumption)
    except (ValueError, TypeError):
        return "The platform ended before the call was executed, and this version of it does not know how to"
    algorithm = platform.registry.algorithm(record.algorithm)
    version = platform.registry.resolve(algorithm, record.version, as_owner=True) if algorithm else None
    if not version:
        return "The platform ended before the call was executed, and its version does not exist any more"
    body = platform.records.content(record.input)
    if record.input is None or body is None:
        return "The platform ended before the call was executed, and its input is not kept any more"
    kind = record.input.content_type
    data = parse_json(body) if kind == "json" else body.decode() if kind == "text" else body

    owner, name = version.algorithm.owner, version.algorithm.name
    context = CallContext(asked.account, (owner, name), record.id, record.id, asked.depth, asked.keeps_insights)
    return Invocation(
        platform,
        Caller(record.account),
        version,
        Payload(kind, data),
        body,
        timeout=asked.seconds,
        context=context,
        output="void",
        key=record.key,
        may_repeat=asked.may_repeat,
        webhook=None,
        execute=None,
    )
