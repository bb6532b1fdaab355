"""Makes the scheduled calls of accounts of a served platform, and takes up calls and builds of ended servers."""

from __future__ import annotations

import contextlib
import io
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from algo_core.errors import AlgoError
from algo_local.metadata.write_stop import write_stop
from algo_local.refusals import StorageUnavailable
from algo_local.web.handlers.account_calls import begin_call
from algo_local.web.http import ApiError
from algo_local.web.resumption import take_up

if TYPE_CHECKING:
    from algo_local.metadata.schedules import Schedule
    from algo_local.platform import Platform

POLL_SECONDS = 5.0
"""Time after which a schedule is seen that another process has made."""

_TYPES = {"text": "text/plain", "json": "application/json"}


class Clock:
    """A thread that makes due calls. In several processes, each call is made by only one of them."""

    def __init__(self, platform: Platform, *, on_failure: Callable[[str], None] | None = None) -> None:
        self._platform = platform
        self._on_failure = on_failure
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="algo-schedules", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Make no further calls; running ones continue."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        pause = 0.0
        while not self._ended.wait(pause):
            pause = POLL_SECONDS
            with contextlib.suppress(AlgoError):  # the database may be busy or full; the next turn tries again
                take_up(self._platform)
            with contextlib.suppress(AlgoError):
                self._platform.pending_builds.begin_all()
            with contextlib.suppress(AlgoError):
                call_due(self._platform, self._on_failure)
                if moment := self._platform.schedules.next_moment():
                    pause = min(POLL_SECONDS, max(0.0, moment - self._platform.database.now()))


def call_due(platform: Platform, on_failure: Callable[[str], None] | None = None) -> int:
    """Begin all due calls; returns their number."""
    due = platform.schedules.claim()
    for schedule in due:
        request, problem = "", ""
        try:
            request = _call(platform, schedule)
        except (AlgoError, ApiError) as error:
            if isinstance(error, StorageUnavailable) and write_stop(platform.database):
                platform.schedules.give_back(schedule)
                continue
            problem = error.message
        except BaseException as error:  # a schedule must not end the thread of all others
            problem = f"The platform failed: {type(error).__name__}"
            if on_failure:
                on_failure(f"The schedule {schedule.id} failed: {error!r}")
        platform.schedules.ran(schedule, request, problem)
    return len(due)


def _call(platform: Platform, schedule: Schedule) -> str:
    """Call as the account of the schedule, without waiting for the end; returns the id of the call."""
    body = schedule.input.encode()
    headers = {"content-type": _TYPES[schedule.content_type]}
    where = (schedule.owner, schedule.algorithm, schedule.version)
    return begin_call(platform, *where, headers, io.BytesIO(body), len(body))
