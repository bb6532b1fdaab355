"""The engine's end of the relay: runs the calls of front ends (`relay/remote.py`) in one executor.

If a front end dies, its running calls continue, and the engine records them; its waiting calls are dropped at their
turn.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from algo_local.algorithms.build import Build
from algo_local.callers import CallContext
from algo_local.execution.executor import Executor, Notice
from algo_local.execution.payload import Outcome
from algo_local.execution.relay import wire
from algo_local.execution.relay.marks import Marks
from algo_local.execution.relay.notices import Notices
from algo_local.execution.relay.wire import Channel, Gone, Kind, Message
from algo_local.execution.workers.local_pool import LocalPool

Question = Callable[[Any, bytes], tuple[Any, bytes]]
"""The answer to the head and body of a question."""

Tell = Callable[[list[Any]], None]

_UNCOUNTED = contextlib.nullcontext()


class Calls(Protocol):
    """Limits, insights and records of calls, which `serving/processes/engine.py` provides."""

    def counted(self, account: str) -> contextlib.AbstractContextManager[None]:
        """Count one more call of an account within the block. TooManyCalls at the limit."""

    def hosted(self, context: CallContext, tell: Tell) -> contextlib.AbstractContextManager[None]:
        """Within the block, pass the insights of a front end's call to `tell`."""

    def ended(self, context: CallContext, build: Build, outcome: Outcome | None, waited: float | None) -> None:
        """Note the end of a call whose front end has the outcome; None if it was refused.

        `waited` is the number of seconds until a worker took it.
        """

    def adopt(self, context: CallContext, build: Build, outcome: Outcome, worker: str) -> None:
        """Record the outcome of a call whose front end has died."""

    def settled(self) -> None:
        """Note that all calls of a dead front end have been adopted."""


class EngineServer:
    """Serves front ends. Each passes sockets over a link; every socket is a connection with a thread of its own."""

    def __init__(
        self,
        executor: Executor,
        calls: Calls,
        questions: Mapping[str, Question] | None = None,
        marks: Marks | None = None,
    ) -> None:
        """`questions` are answered besides those about the executor. `marks` are set when workers take calls."""
        self._marks = marks
        self._notices = Notices()
        self._executor = executor
        self._calls = calls
        self._questions: dict[str, Question] = {
            "cancel": lambda head, body: (executor.cancel(head), b""),
            "withdraw": lambda head, body: (self._withdraw(head), b""),
            "context_of": lambda head, body: (_context(executor.context_of(head)), b""),
            "describe": lambda head, body: (tuple(executor.describe()), b""),
            "builds": lambda head, body: (list(map(tuple, getattr(executor, "builds", list)())), b""),
            **(questions or {}),
        }
        self._lock = threading.Lock()
        self._links: set[socket.socket] = set()
        self._channels: set[Channel] = set()
        self._waiting: set[str] = set()
        """Calls that no worker has taken."""
        self._is_closed = False

    def serve(self, link: socket.socket) -> threading.Thread:
        """Serve a front end until it and all of its calls have ended, in the returned thread."""
        thread = threading.Thread(target=self._serve_link, args=(link,), name="algo-link", daemon=True)
        with self._lock:
            self._links.add(link)
        thread.start()
        return thread

    def close(self) -> None:
        """Close all connections; running calls are not ended."""
        self._notices.close()
        with self._lock:
            self._is_closed = True
            for link in self._links:
                with contextlib.suppress(OSError):
                    link.shutdown(socket.SHUT_RDWR)
            for channel in self._channels:
                channel.cut()

    def check(self) -> None:
        """Take and release the locks of every call, to show that the engine does not hang."""
        with self._lock:
            pass
        if isinstance(self._executor, LocalPool):
            self._executor.queues()

    def _serve_link(self, link: socket.socket) -> None:
        threads: list[threading.Thread] = []
        shared: list[int] = []
        try:
            while not self._is_closed:
                data, descriptors, _, _ = socket.recv_fds(link, 1, 1)
                if not data:
                    break
                if data == wire.PRESENCE:
                    shared += descriptors
                    continue
                for descriptor in descriptors:
                    channel = Channel(socket.socket(fileno=descriptor))
                    thread = threading.Thread(target=self._serve, args=(channel,), name="algo-engine", daemon=True)
                    thread.start()
                    threads = [one for one in threads if one.is_alive()] + [thread]
        except OSError:
            pass
        finally:
            with self._lock:
                self._links.discard(link)
            link.close()
        for thread in threads:
            thread.join()
        self._calls.settled()
        for descriptor in shared:  # closing them marks the front end's unfinished calls as lost
            os.close(descriptor)

    def _serve(self, channel: Channel) -> None:
        with self._lock:
            self._channels.add(channel)
        try:
            while not self._is_closed:
                message = channel.receive()
                if message.kind is Kind.CALL:
                    self._call(channel, message)
                elif message.kind is Kind.ASK:
                    self._answer(channel, message)
                else:
                    break
        except Gone:
            pass  # the front end has ended, or has closed this connection
        finally:
            with self._lock:
                self._channels.discard(channel)
            channel.cut()
            channel.close()

    def _answer(self, channel: Channel, message: Message) -> None:
        name, head = message.head
        try:
            answer = self._questions[name](head, message.body)
        except Exception as error:
            channel.send(Kind.ERROR, wire.encoded_error(error))
        else:
            channel.send(Kind.ANSWER, *answer)

    def _withdraw(self, identifier: str) -> bool:
        """End a waiting call; False if it runs."""
        if isinstance(self._executor, LocalPool):  # it knows that a worker has the call before the worker does
            return self._executor.withdraw(identifier)
        return identifier in self._waiting and self._executor.cancel(identifier)

    def _call(self, channel: Channel, message: Message) -> None:
        told_build, told_context, content_type, timeout, account, waits, streams, mark = message.head
        build, context = channel.heard_build(*told_build), wire.decoded_context(told_context)
        arrived, taken, worker = time.monotonic(), None, ""

        def on_start(name: str) -> None:
            nonlocal taken, worker
            try:
                goes_on = self._told_of_start(channel, name, mark, waits=waits)
            except Gone:
                goes_on = False
            if not goes_on:
                raise _Unwanted
            taken, worker = time.monotonic(), name
            self._waiting.discard(context.request_id)

        def on_output(data: bytes) -> None:
            with contextlib.suppress(Gone):
                channel.send(Kind.PRINTED, None, data)

        def on_insights(found: list[Any]) -> None:
            with contextlib.suppress(Gone):
                channel.send(Kind.INSIGHTS, found)

        self._waiting.add(context.request_id)
        try:
            counted = self._calls.counted(account) if account else _UNCOUNTED
            with counted, self._calls.hosted(context, on_insights):
                outcome = self._executor.call(
                    build,
                    wire.decoded_payload(content_type, message.body),
                    timeout=timeout,
                    context=context,
                    on_start=on_start if waits else Notice(on_start),
                    on_output=on_output if streams else None,
                )
        except _Unwanted:
            raise Gone from None
        except BaseException as error:  # executors may raise anything; the front end handles it
            self._calls.ended(context, build, None, None)
            channel.send(Kind.ERROR, wire.encoded_error(error))
            return
        finally:
            self._waiting.discard(context.request_id)
        told = wire.encoded_outcome(outcome, context.missing)
        try:
            channel.send(Kind.OUTCOME, *told)
        except Gone:
            self._calls.adopt(context, build, outcome, worker)
            raise
        self._calls.ended(context, build, outcome, None if taken is None else taken - arrived)

    def _told_of_start(self, channel: Channel, worker: str, mark: int | None, *, waits: bool) -> bool:
        """Tell a front end that a worker is about to take a call; False if the front end refuses."""
        told = worker, waits, time.time()
        if waits or mark is None or self._marks is None:
            channel.send(Kind.STARTED, told)
            return not waits or channel.receive().kind is Kind.GO
        channel.hold_back(Kind.STARTED, told)
        self._marks.set(mark)
        self._notices.add(channel)
        return True


class _Unwanted(Exception):
    """The front end of a call has died, or refuses the start: the call is not executed."""


def _context(found: CallContext | None) -> list[Any] | None:
    return wire.encoded_context(found) if found else None
