"""A front-end process of a platform with `--processes`: answers requests, and has the engine execute calls."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from algo_core.errors import AlgoError
from algo_local.execution.concurrency import ConcurrencyLimit
from algo_local.execution.relay.marks import MarksOfFrontEnd
from algo_local.execution.relay.remote import RemoteExecutor
from algo_local.serving.http.connection_balance import Share
from algo_local.serving.http.server import Server
from algo_local.serving.log import Log
from algo_local.serving.monitoring import METRICS, Monitoring
from algo_local.serving.processes.control import DRAIN, HEARD, LINK, SILENT, Control
from algo_local.serving.processes.shutdown_limit import limit_shutdown
from algo_local.web.app import Application
from algo_local.web.forwarding import Forwarding
from algo_local.web.http import Request, Response

if TYPE_CHECKING:
    import ssl

    from algo_local.platform import Platform
    from algo_local.records.record import Record
    from algo_local.serving.request_log import LoggedRequest


class _Counted(ConcurrencyLimit):
    """Remembers the account of each thread's call; the engine limits the calls of all front ends together.

    The limit of this process bounds the inputs held in memory.
    """

    def __init__(self) -> None:
        super().__init__()
        self._noted = threading.local()

    def begin(self, account: str) -> None:
        """See `ConcurrencyLimit.begin`."""
        super().begin(account)
        self._noted.account = account

    def end(self, account: str) -> None:
        """See `ConcurrencyLimit.end`."""
        self._noted.account = ""
        super().end(account)

    def account(self) -> str:
        """The account that the call of this thread counts for; empty for none."""
        return getattr(self._noted, "account", "")


def run_front_end(
    control: Control,
    make: Callable[[RemoteExecutor], Platform],
    listener: socket.socket,
    share: Share,
    marks: MarksOfFrontEnd,
    *,
    tls: ssl.SSLContext | None,
    is_public: bool,
    say: Callable[[str], None],
    on_answer: Callable[[LoggedRequest], None] | None,
    on_call: Callable[[Record], None] | None,
) -> None:
    """Run a front end until the parent ends it, or until its connections have ended after SIGTERM.

    `make` returns a platform that uses the given executor.

    Raises:
        AlgoError: if the platform's state cannot be used.
    """
    log, counted = Log(say), _Counted()
    remote = RemoteExecutor(
        account=counted.account,
        on_insights=lambda identifier, found: _note(platform, identifier, found),
        marks=marks,
    )
    platform = make(remote)
    platform.is_public = is_public
    platform.parts["concurrency"] = counted
    platform.executor  # noqa: B018 - so that tokens of algorithms are known from the first request on
    platform.forwarding = forwarding = Forwarding(remote)
    presence = platform.records.shared_presence()
    platform.records.observers += [lambda record: _notify(remote, platform, record), *([on_call] if on_call else [])]
    platform.records.tell = log

    def interceptor(request: Request) -> Response | None:
        return forwarding.answer(request, has_body=False) if request.path == METRICS else monitoring.answer(request)

    monitoring = Monitoring(platform)
    application = Application(platform, scheme="https" if tls else "http", on_failure=log, interceptor=interceptor)
    server = Server(application, listener, tls=tls, on_failure=log, on_answer=on_answer, share=share)
    server.run()

    def check() -> None:
        server.check()
        remote.check()

    control.check = check
    signal.signal(signal.SIGTERM, lambda *_: server.leave(control.end))
    try:
        control.ready()
        for order in control.orders():
            if order.name == LINK and order.link:
                remote.connect(order.link, presence)
            elif order.name in (SILENT, HEARD):
                remote.doubt(is_silent=order.name == SILENT)
            elif order.name == DRAIN:
                server.drain()
    finally:
        limit_shutdown()
        server.drain()
        server.stop()
        remote.close()
        platform.end_background()
        platform.close()


def _note(platform: Platform, identifier: str, found: list[tuple[str, object]]) -> None:
    with suppress(AlgoError):
        platform.records.report(identifier, found)


def _notify(remote: RemoteExecutor, platform: Platform, record: Record) -> None:
    """Have the engine deliver notifications of a call's insights, as soon as these are on record."""
    if record.insights:
        platform.records.flush()
        with suppress(AlgoError):
            remote.ask("notify")
