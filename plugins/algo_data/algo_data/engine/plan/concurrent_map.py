"""Concurrent small requests to a storage, to hide its latency."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from queue import SimpleQueue
from typing import TypeVar

QUESTIONS = 16
"""Number of concurrent requests."""

_Item = TypeVar("_Item")
_Answer = TypeVar("_Answer")


def concurrent_map(
    ask: Callable[[_Item], _Answer], items: Iterable[_Item], at_once: int = QUESTIONS
) -> Iterator[tuple[_Item, _Answer]]:
    """Each item with its result, in order; a few items are taken in advance. Exceptions of `ask` are raised here.

    Neither an early end nor the end of the process waits for pending results.
    """
    if at_once <= 1:
        for item in items:
            yield item, ask(item)
        return
    from concurrent.futures import Future

    questions: SimpleQueue[tuple[_Item, Future[_Answer]] | None] = SimpleQueue()
    is_over = False

    def work() -> None:
        while (question := questions.get()) and not is_over:
            asked, future = question
            try:
                future.set_result(ask(asked))
            except BaseException as error:
                future.set_exception(error)

    threads = 0
    waiting: deque[tuple[_Item, Future[_Answer]]] = deque()
    try:
        for item in items:
            waiting.append((item, Future()))
            questions.put(waiting[-1])
            if threads < at_once:
                threads += 1
                # The threads of a pool would be waited for when the process ends, and a request can take long.
                threading.Thread(target=work, name="algo-question", daemon=True).start()
            if len(waiting) >= 2 * at_once:
                first, answer = waiting.popleft()
                yield first, answer.result()
        while waiting:
            first, answer = waiting.popleft()
            yield first, answer.result()
    finally:
        is_over = True
        for _ in range(threads):
            questions.put(None)
