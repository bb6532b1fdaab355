"""Many concurrent calls of a batch in one thread, where the connection to the platform allows that."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from algo_core.http.transport import BytesBody, Request
from algo_run.batch.pool import Finished, Row, Task

if TYPE_CHECKING:
    from algo_core.http.api import ApiClient
    from algo_core.http.multiplexer import Multiplexer
    from algo_core.http.response import Response
    from algo_core.storage.uri import AlgorithmRef
    from algo_run.batch.caller import Caller, Timed
    from algo_run.batch.inputs import Item
    from algo_run.call import Call


def multiplexed(
    api: ApiClient, caller: Caller, reference: AlgorithmRef, row: Callable[[Item, Timed], Row]
) -> MultiplexedCalls | None:
    """A lane for one call for each input; None through proxies or plugins, and while calls are traced."""
    url = api.url(f"algo/{reference.path}", caller.query)
    multiplexer = api.client.multiplexer(url)
    return MultiplexedCalls(api, multiplexer, caller, reference, url, row) if multiplexer else None


class MultiplexedCalls:
    """A lane of calls (`algo_run.batch.pool.Lane`); `row` makes the row of an input from its outcome."""

    def __init__(
        self,
        api: ApiClient,
        multiplexer: Multiplexer,
        caller: Caller,
        reference: AlgorithmRef,
        url: str,
        row: Callable[[Item, Timed], Row],
    ) -> None:
        self._connect_timeout = api.client.timeout[0]
        self._multiplexer = multiplexer
        self._caller = caller
        self._reference = reference
        self._url = url
        self._row = row
        self.wake = multiplexer.wake
        self.close = multiplexer.close

    def begin(self, task: Task[Item]) -> bool:
        """Send the call of an input; False if that needs a thread."""
        item = task.item
        if item.problem:
            return False
        call = self._caller.prepared(item.number, self._reference, item.payload)
        timeout = (self._connect_timeout, call.read_timeout)
        request = Request("POST", self._url, call.headers, BytesBody(item.payload.body), timeout)
        return self._multiplexer.begin((task, call, time.perf_counter()), request)

    def wait(self, seconds: float) -> list[Finished]:
        """The calls that end next; none after so many seconds, or if woken."""
        return [
            Finished(task, partial(self._finished, task.item, call, began, response_of), may_wait)
            for (task, call, began), response_of, may_wait in self._multiplexer.wait(seconds)
        ]

    def _finished(self, item: Item, call: Call, began: float, response_of: Callable[[], Response]) -> Row:
        return self._row(item, self._caller.timed(item.head, call, began, response_of))
