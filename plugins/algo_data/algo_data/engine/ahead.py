"""Small questions to a storage, several at a time, so that the way to it is waited for once and not for each."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

QUESTIONS = 16
"""How many are asked at once."""

_Item = TypeVar("_Item")
_Answer = TypeVar("_Answer")


def answered(
    ask: Callable[[_Item], _Answer], items: Iterable[_Item], at_once: int = QUESTIONS
) -> Iterator[tuple[_Item, _Answer]]:
    """Each item with its answer, in their order; a few items are taken in advance. What `ask` raises is raised here."""
    if at_once <= 1:
        for item in items:
            yield item, ask(item)
        return
    from concurrent.futures import Future, ThreadPoolExecutor

    pool = ThreadPoolExecutor(at_once, "algo-question")
    waiting: deque[tuple[_Item, Future[_Answer]]] = deque()
    try:
        for item in items:
            waiting.append((item, pool.submit(ask, item)))
            if len(waiting) >= 2 * at_once:
                first, answer = waiting.popleft()
                yield first, answer.result()
        while waiting:
            first, answer = waiting.popleft()
            yield first, answer.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
