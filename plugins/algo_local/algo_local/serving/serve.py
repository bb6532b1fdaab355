"""Serves a platform until SIGINT or SIGTERM, in one process or several; `algo local serve` and `dev` call this."""

from __future__ import annotations

import contextlib
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from algo_local.platform import Platform
from algo_local.serving.http.listener import listen
from algo_local.serving.http.server import Server
from algo_local.serving.log import Log
from algo_local.serving.monitoring import Monitoring
from algo_local.serving.processes.shutdown_limit import limit_shutdown
from algo_local.serving.request_log import LoggedRequest
from algo_local.serving.schedules import Clock
from algo_local.web.app import Application

if TYPE_CHECKING:
    import ssl

    from algo_local.execution.factories import Opener
    from algo_local.records.record import Record
    from algo_local.serving.processes.control import Control
    from algo_local.web.http import Request, Response


def serve_until_signal(
    platform: Platform,
    host: str,
    port: int,
    *,
    tls: tuple[Path, Path | None] | None,
    say: Callable[[str], None],
    on_answer: Callable[[LoggedRequest], None] | None = None,
    on_call: Callable[[Record], None] | None = None,
    interceptor: Callable[[Request], Response | None] | None = None,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM, then end all running algorithms and return.

    `say` is called with the address once connections are accepted, `on_answer` for each request, `on_call` for each
    algorithm call that has ended. `interceptor` may answer requests before the API does. `on_ready`, if given, is
    called with the address instead of `say`. Must be called in the main thread of a process that `prepare_process` has
    prepared, and that ends afterwards.

    Raises:
        UsageError: if the address cannot be listened on.
        ConfigError: if the certificate cannot be used, or the platform's state.
    """
    log = Log(say)
    listener = listen(host, port)
    try:
        platform.is_public = not ip_address(listener.getsockname()[0]).is_loopback
        platform.is_served = True
        account = platform.account  # an unusable state is an error before the first connection
        platform.ensure_key()
        if told := platform.unshared():
            say(told)
        monitoring = Monitoring(platform)
        platform.records.observers += [monitoring.observe, *([on_call] if on_call else [])]
        platform.records.tell = log
        scheme = "https" if tls else "http"
        application = Application(
            platform, scheme=scheme, on_failure=log, interceptor=_first(monitoring.answer, interceptor)
        )
        server = Server(application, listener, tls=_context(tls), on_failure=log, on_answer=on_answer)
    except BaseException:
        listener.close()
        raise
    schedules = Clock(platform, on_failure=log)
    try:
        with _signals() as wait_for_signal:
            server.run()
            platform.webhooks.start()
            schedules.start()
            address = _address(listener.getsockname(), host, secure=bool(tls))
            if on_ready:
                on_ready(address)
            else:
                say(f"Serving on {address}")
            if account and not platform.keys.all():
                say("There are no keys yet; make one with: algo local key new OWNER")
            wait_for_signal()
    finally:
        limit_shutdown()
        schedules.stop()
        server.drain()
        # Running calls are ended first: the server waits for the requests that wait for them.
        platform.executor.close()
        server.stop()
        platform.end_background()
        platform.close()


def serve_in_processes(
    count: int,
    make: Callable[[Opener | None], Platform],
    host: str,
    port: int,
    *,
    tls: tuple[Path, Path | None] | None,
    say: Callable[[str], None],
    on_answer: Callable[[LoggedRequest], None] | None = None,
    on_call: Callable[[Record], None] | None = None,
) -> None:
    """Serve as `serve_until_signal`, with `count` front-end processes and one engine process that executes calls.

    `make` returns the platform of one process, with the given executor or its own.

    Raises:
        UsageError: if the address cannot be listened on.
        AlgoError: if the certificate, the platform's state or the executor cannot be used, or a variable is wrong.
    """
    from algo_local.execution.relay.marks import Marks
    from algo_local.serving.http.connection_balance import ConnectionBalance
    from algo_local.serving.processes.engine import run_engine
    from algo_local.serving.processes.front_end import run_front_end
    from algo_local.serving.processes.heartbeat import hang_seconds
    from algo_local.serving.processes.parent import ParentProcess

    longest_hang = hang_seconds()
    listener = listen(host, port)
    with contextlib.closing(listener):
        is_public = not ip_address(listener.getsockname()[0]).is_loopback
        context = _context(tls)
        address = _address(listener.getsockname(), host, secure=bool(tls))

        def engine(control: Control) -> None:
            scheme = "https" if tls else "http"
            run_engine(control, make(None), marks, scheme=scheme, is_public=is_public, say=say, on_call=on_call)

        def front_end(number: int, control: Control) -> None:
            run_front_end(
                control,
                lambda remote: make(lambda endpoint, directory: remote),
                listener,
                *(balance.share(number), marks.share(number)),
                tls=context,
                is_public=is_public,
                say=say,
                on_answer=on_answer,
                on_call=on_call,
            )

        balance, marks = ConnectionBalance(count), Marks(count)
        front_ends = [partial(front_end, number) for number in range(count)]
        parent = ParentProcess(
            engine, front_ends, listener, Log(say), on_death=balance.forget, hang_seconds=longest_hang
        )
        parent.serve(lambda: say(f"Serving on {address}"))


def _first(*answers: Callable[[Request], Response | None] | None) -> Callable[[Request], Response | None]:
    """A function that returns the first response of these functions."""

    asked = [each for each in answers if each]

    def answer(request: Request) -> Response | None:
        for each in asked:
            if (response := each(request)) is not None:
                return response
        return None

    return answer


@contextmanager
def _signals() -> Iterator[Callable[[], None]]:
    """A function that waits for SIGINT or SIGTERM; both have no other effect in the block.

    The signal writes a byte into a socket (`signal.set_wakeup_fd`). A lock, an event or a queue would not do: a wait
    that begins just after the signal misses it, and a handler that runs while its thread holds the event's lock hangs.
    """
    numbers = (signal.SIGINT, signal.SIGTERM)
    reader, writer = socket.socketpair()
    writer.setblocking(False)

    def wait() -> None:
        while reader.recv(1)[0] not in numbers:
            pass

    with reader, writer:
        previous = {number: signal.signal(number, lambda *_: None) for number in numbers}
        previous_descriptor = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        try:
            yield wait
        finally:
            signal.set_wakeup_fd(previous_descriptor)
            for number, handler in previous.items():
                signal.signal(number, handler)


def _context(tls: tuple[Path, Path | None] | None) -> ssl.SSLContext | None:
    if not tls:
        return None
    from algo_local.serving.http.tls import tls_context

    return tls_context(*tls)


def _address(bound: tuple[str, int], host: str, *, secure: bool) -> str:
    name = f"[{host}]" if ":" in host else host
    return f"{'https' if secure else 'http'}://{name}:{bound[1]}"
