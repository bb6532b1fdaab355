"""Delivers notifications: a bounded number of attempts with growing delays, across restarts of the platform."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from algo_core.errors import AlgoError
from algo_local.records.insights import described_insights
from algo_local.times import iso, iso_or_none
from algo_local.webhooks import rows as table
from algo_local.webhooks.sending import Undelivered, send
from algo_local.webhooks.target import parse

if TYPE_CHECKING:
    from algo_local.metadata.database import Rows
    from algo_local.records.record import Record
    from algo_local.records.recorder import Recorder
    from algo_local.webhooks.rows import Webhook

DELAYS = (5.0, 30.0, 120.0, 600.0, 3600.0, 10800.0, 21600.0)
"""Seconds between attempts: eight of them, over ten hours."""

LEASE_SECONDS = 60.0
"""Time after which an attempt is made again whose process ended meanwhile."""

POLL_SECONDS = 30.0
AT_ONCE = 8
MOST_WAITING = 1000
"""Notifications of one account that may wait."""

OUTPUT_LIMIT = 64 << 10
"""Largest result in bytes that a notification contains."""

Send = Callable[..., None]


class Deliverer:
    """The notifications of one platform. A thread delivers them, from the first one on, until none waits."""

    def __init__(
        self,
        records: Recorder,
        secret_of: Callable[[str], str],
        *,
        allow_private: Callable[[], bool],
        send: Send = send,
    ) -> None:
        """`secret_of` returns the secret of an account; `allow_private` whether private addresses are allowed."""
        self._records = records
        self._secret_of = secret_of
        self._allow_private = allow_private
        self._send = send
        self._lock = threading.Lock()
        self._woken = threading.Event()
        self._thread: threading.Thread | None = None
        self._is_closing = False
        records.observers.append(lambda record: self._woken.set())

    def is_full(self, account: str) -> bool:
        """Whether an account has reached its limit of waiting notifications."""
        waiting: int = self._records.read(lambda rows: table.count_waiting(rows, account))
        return waiting >= MOST_WAITING

    def accept(self, webhook: Webhook) -> Callable[[Rows], None]:
        """The change that puts a notification on record, together with its call."""
        return lambda rows: table.add(rows, webhook)

    def tell_insights(self, request: str, url: str, topic: str, account: str) -> None:
        """Queue the insights of a running call for an address, to send when it ends; ignored if too many wait."""
        if not self.is_full(account):
            webhook = table.Webhook(request, account, url, topic, with_output=False, kind=table.INSIGHTS)
            self._records.change(self.accept(webhook))
            self.start()

    def find(self, request: str) -> Webhook | None:
        """The notification about a call."""
        found: Webhook | None = self._records.read(lambda rows: table.find(rows, request))
        return found

    def start(self) -> None:
        """Start delivering; may be repeated."""
        with self._lock:
            self._is_closing = False
            self._woken.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="algo-notify", daemon=True)
                self._thread.start()

    def close(self, seconds: float = 2.0) -> None:
        """Stop after one attempt for all due notifications, for at most `seconds`; the others stay queued."""
        with self._lock:
            self._is_closing = True
            self._woken.set()
            thread = self._thread
        if thread:
            thread.join(seconds)

    def _run(self) -> None:
        while True:
            self._woken.clear()
            is_last = self._is_closing
            pause = POLL_SECONDS
            with contextlib.suppress(
                AlgoError
            ):  # the database is locked or the disk is full: the next turn tries again
                while self._deliver():
                    pass
                due = self._records.read(table.next_due)
                if due is not None:
                    pause = min(pause, max(0.0, due - self._records.now()))
                is_last = is_last or not self._records.read(table.is_any_waiting)
            if is_last and self._may_end():
                return
            self._woken.wait(pause)

    def _may_end(self) -> bool:
        """End this thread, unless it was woken in the meantime."""
        with self._lock:
            if self._woken.is_set():
                return False
            self._thread = None
            return True

    def _deliver(self) -> bool:
        """Make an attempt for each notification that is due; whether there were any."""
        due, now = self._records.read(table.next_due), self._records.now()
        if due is None or due > now:
            return False
        # Guarded: a platform that has been moved delivers them at its new place.
        found: list[Webhook] = self._records.change(
            lambda rows: table.claim(rows, now, LEASE_SECONDS, AT_ONCE), is_guarded=True
        )
        results: list[Webhook] = []
        threads = [
            threading.Thread(target=lambda each=each: results.append(self._attempt(each, now)), daemon=True)
            for each in found
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self._records.change(lambda rows: table.settle(rows, results))
        return bool(found)

    def _attempt(self, webhook: Webhook, now: float) -> Webhook:
        begun = time.monotonic()
        try:
            record = self._records.find(webhook.request)
            if record is None:
                return webhook._replace(state=table.FAILED, problem="the call is no longer on record")
            body = json.dumps(self._body(webhook, record)).encode()
            secret, allow = self._secret_of(webhook.account), self._allow_private()
            self._send(parse(webhook.url), body, secret, allow_private=allow)
        except Undelivered as error:
            is_last = error.is_final or webhook.attempts > len(DELAYS)
            due = webhook.due_at if is_last else now + DELAYS[webhook.attempts - 1]
            return webhook._replace(state=table.FAILED if is_last else table.WAITING, due_at=due, problem=str(error))
        except Exception as error:  # any failure: other notifications must still be delivered
            return webhook._replace(state=table.FAILED, problem=f"{type(error).__name__}: {error}"[:300])
        return webhook._replace(state=table.DELIVERED, problem="", delivered_at=now + time.monotonic() - begun)

    def _body(self, webhook: Webhook, record: Record) -> dict[str, Any]:
        if webhook.kind == table.INSIGHTS:
            return {"topic": webhook.link, **described_insights(record)}
        failure = record.failure
        body: dict[str, Any] = {
            "request_id": record.id,
            "state": record.state,
            "algorithm": f"{record.owner}/{record.name}",
            "version": record.version,
            "created_at": iso(record.created_at),
            "started_at": iso_or_none(record.started_at),
            "finished_at": iso_or_none(record.finished_at),
            "duration": record.duration,
            "failure": {"message": failure.message, "error_type": failure.error_type} if failure else None,
            "link": webhook.link,
        }
        if webhook.with_output and record.output and record.output.size <= OUTPUT_LIMIT:
            encoded = self._records.content(record.output)
            if encoded is not None:
                body["output"] = {"content_type": record.output.content_type, "result": json.loads(encoded)}
        return body
