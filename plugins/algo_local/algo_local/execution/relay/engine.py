"""The engine's end of what `algo_local.execution.relay.remote` speaks: runs the calls of front ends in one executor.

A front end that dies takes nothing with it: a call that runs goes on, and is recorded here in its place; one that
waits is dropped when its turn comes.
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
from algo_local.execution.executor import Executor
from algo_local.execution.payload import Outcome
from algo_local.execution.relay import wire
from algo_local.execution.relay.marks import Marks
from algo_local.execution.relay.notices import Notices
from algo_local.execution.relay.wire import Channel, Gone, Kind, Message
from algo_local.execution.workers.local_pool import LocalPool

Question = Callable[[Any, bytes], tuple[Any, bytes]]
"""The answer to the head and body of a question."""

Tell = Callable[[list[Any]], None]


class Calls(Protocol):
    """What becomes of calls beside their execution."""

    def counted(self, account: str) -> contextlib.AbstractContextManager[None]:
        """Count one more call of an account within the block. TooManyCalls at the limit."""

    def hosted(self, context: CallContext, tell: Tell) -> contextlib.AbstractContextManager[None]:
        """Take in within the block what an algorithm reports about a call of another process, which `tell` tells."""

    def ended(self, context: CallContext, build: Build, outcome: Outcome | None, waited: float | None) -> None:
        """A call has ended, and its front end knows; without an outcome if it was refused.

        `waited` are seconds until a worker took it.
        """

    def adopt(self, context: CallContext, build: Build, outcome: Outcome, worker: str) -> None:
        """Record the outcome of a call whose front end is gone."""

    def settled(self) -> None:
        """All calls of a front end that is gone have been adopted."""


class EngineServer:
    """Serves front ends. Each has a link, on which it gives the ends of connections, with a thread for each."""

    def __init__(
        self,
        executor: Executor,
        calls: Calls,
        questions: Mapping[str, Question] | None = None,
        marks: Marks | None = None,
    ) -> None:
        """`questions` are answered beside those about the executor. `marks` are set of calls that workers take."""
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
        """Serve a front end, until it ends and all of its calls have ended, in the thread that is returned."""
        thread = threading.Thread(target=self._serve_link, args=(link,), name="algo-link", daemon=True)
        with self._lock:
            self._links.add(link)
        thread.start()
        return thread

    def close(self) -> None:
        """Cut all connections; calls that run are not ended."""
        self._notices.close()
        with self._lock:
            self._is_closed = True
            for link in self._links:
                with contextlib.suppress(OSError):
                    link.shutdown(socket.SHUT_RDWR)
            for channel in self._channels:
                channel.cut()

    def check(self) -> None:
        """Wait until nobody holds the locks that every call has to take."""
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
        for descriptor in shared:  # from here on, calls of which nothing came are lost
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
            pass  # the front end is gone, or needs this connection no more
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
        """Have a call end that waits; False for one that runs."""
        if isinstance(self._executor, LocalPool):  # which knows when a worker has it, before the worker does
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
            with contextlib.ExitStack() as during:
                if account:
                    during.enter_context(self._calls.counted(account))
                during.enter_context(self._calls.hosted(context, on_insights))
                outcome = self._executor.call(
                    build,
                    wire.decoded_payload(content_type, message.body),
                    timeout=timeout,
                    context=context,
                    on_start=on_start,
                    on_output=on_output if streams else None,
                )
        except _Unwanted:
            raise Gone from None
        except BaseException as error:  # of an executor it may be any, and it is the front end's to handle
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
        """Tell a front end that a worker is about to take a call; whether it is to."""
        told = worker, waits, time.time()
        if waits or mark is None or self._marks is None:
            channel.send(Kind.STARTED, told)
            return not waits or channel.receive().kind is Kind.GO
        channel.hold_back(Kind.STARTED, told)
        self._marks.set(mark)
        self._notices.add(channel)
        return True


class _Unwanted(Exception):
    """The front end of a call is gone, or does not want it to start: it is not executed."""


def _context(found: CallContext | None) -> list[Any] | None:
    return wire.encoded_context(found) if found else None
