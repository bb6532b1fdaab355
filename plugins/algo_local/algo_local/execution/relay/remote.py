"""The executor of a front end: passes calls to the engine process (`relay/engine.py`) over unnamed sockets.

Each running call has a connection, and a thread at each end that waits for nothing else, so that no message passes from
thread to thread. Connections are reused. When the engine dies, calls that no worker had taken wait for the next engine;
running calls are lost.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from algo_local.algorithms.build import Build
from algo_local.callers import CallContext
from algo_local.execution.executor import Description, Notice, has_to_agree
from algo_local.execution.payload import SHUTTING_DOWN, Failure, Outcome, Payload
from algo_local.execution.protocol import CANNOT_RUN, encode_request
from algo_local.execution.relay import wire
from algo_local.execution.relay.marks import MarksOfFrontEnd
from algo_local.execution.relay.running_call import RunningCall
from algo_local.execution.relay.wire import Channel, Gone, Kind, Message
from algo_local.execution.scheduler import BuildWorkers
from algo_local.refusals import StorageUnavailable

IDLE_CHANNELS = 64
"""Connections that are kept for the next call."""

ENGINE_SECONDS = 20.0
"""How long a question other than a call waits for an engine that is started again, or hangs."""

ENGINE_LOST = Failure(
    "The process that runs algorithms ended while the call ran; how far that got is not known",
    "SystemError",
    ended="lost",
)
_CANCELLED = Failure("The call was cancelled", "SystemError", ended="cancelled")
_SILENT = "The process that runs algorithms does not answer; try again"
_STARTING = "The process that runs algorithms is being started again; try again"
_NOTHING = Description(0, 0, 0, 0)


class EngineUnavailable(StorageUnavailable):
    """The engine is being restarted, and was not ready in time."""


class RemoteExecutor:
    """Executes calls in the engine; see `Executor`. `connect` provides the link to the current engine."""

    def __init__(
        self,
        *,
        account: Callable[[], str] = lambda: "",
        on_insights: Callable[[str, list[Any]], object] = lambda identifier, insights: None,
        marks: MarksOfFrontEnd | None = None,
    ) -> None:
        """Set up the executor; calls wait until `connect` is called.

        Args:
            account: returns the account whose concurrency limit the current call counts for; empty for none.
            on_insights: called with a call's id and the insights that it reports.
            marks: the marks that the engine sets when workers take calls, instead of a message for each.
        """
        self._marks = marks
        self._account = account
        self._on_insights = on_insights
        self._changed = threading.Condition()
        self._link: socket.socket | None = None
        self._idle: list[Channel] = []
        self._running: dict[str, RunningCall] = {}
        self._takes_none = False
        self._is_closed = False
        self._is_silent = False

    def start(self) -> None:
        """Do nothing: calls wait for the engine."""

    def connect(self, link: socket.socket, presence: int | None = None) -> None:
        """Use the engine behind `link` from now on, over which connections are passed.

        The engine keeps a copy of the descriptor `presence` until all calls of this process have ended, even after the
        death of this process.
        """
        if presence is not None:
            with contextlib.suppress(OSError):  # the engine has died already; the parent sends the next link
                socket.send_fds(link, [wire.PRESENCE], [presence])
        with self._changed:
            before, self._link = self._link, link
            self._is_silent = False
            idle, self._idle = self._idle, []
            self._changed.notify_all()
        if before:
            before.close()
        for channel in idle:
            channel.close()

    def doubt(self, *, is_silent: bool) -> None:
        """Set whether the engine is silent, that is, answers no heartbeats; new calls then do not wait for it."""
        with self._changed:
            self._is_silent = is_silent
            self._changed.notify_all()

    def check(self) -> None:
        """Take and release the lock of every call, to show that this process does not hang."""
        with self._changed:
            pass

    # Connections

    def _open(self, deadline: float, running: RunningCall | None = None) -> Channel | None:
        """A connection to the engine; None at the deadline, or if the call or this executor ends.

        Raises:
            EngineUnavailable: if the engine hangs.
        """
        with self._changed:
            while not self._is_closed and not (running and running.ends):
                if self._is_silent:
                    raise EngineUnavailable(_SILENT)
                if self._idle:
                    return self._idle.pop()
                if self._link:
                    try:
                        return _connected(self._link)
                    except OSError:
                        self._link.close()
                        self._link = None
                        continue
                left = deadline - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    return None
        return None

    def _keep(self, channel: Channel) -> None:
        with self._changed:
            if self._link and not self._is_closed and len(self._idle) < IDLE_CHANNELS:
                self._idle.append(channel)
                return
        channel.close()

    # Calls

    def call(
        self,
        build: Build,
        payload: Payload,
        *,
        timeout: float,
        context: CallContext,
        on_start: Callable[[str], None] | None = None,
        on_output: Callable[[bytes], None] | None = None,
    ) -> Outcome:
        """See `Executor.call`."""
        deadline = time.monotonic() + timeout
        line = encode_request(payload)
        with self._changed:
            if self._takes_none:
                return Outcome(None, SHUTTING_DOWN, 0.0, "")
            running = self._running[context.request_id] = RunningCall(context, self._marks)
        try:
            while True:
                channel = self._open(min(deadline, time.monotonic() + ENGINE_SECONDS), running)
                if channel is None:
                    if not (running.ends or self._is_closed) and time.monotonic() < deadline:
                        raise EngineUnavailable(_STARTING)
                    ends = SHUTTING_DOWN if self._is_closed else Failure(CANNOT_RUN, "TimeoutError")
                    return Outcome(None, running.ends or ends, 0.0, "")
                began = time.monotonic()
                head = (
                    *(wire.encoded_context(context), payload.content_type),
                    *(deadline - began, self._account(), has_to_agree(on_start), on_output is not None, running.mark),
                )
                try:
                    found = self._exchange(
                        channel, running, (channel.told_build(build), *head), line, on_start, on_output
                    )
                except Gone:
                    channel.close()
                    if running.ends or running.is_started:
                        failure = running.ends or ENGINE_LOST
                        return Outcome(None, failure, time.monotonic() - began, "")
                    self.doubt(is_silent=False)  # the silent engine is gone; the next one has not been silent
                    continue  # no worker had taken the call
                except BaseException:
                    channel.close()
                    raise
                self._keep(channel)
                if isinstance(found, Message):
                    raise wire.decoded_error(found.head)
                return found
        finally:
            with self._changed:
                del self._running[context.request_id]
                self._changed.notify_all()
            running.give_back()

    def _exchange(
        self,
        channel: Channel,
        running: RunningCall,
        head: Any,
        line: bytes,
        on_start: Callable[[str], None] | None,
        on_output: Callable[[bytes], None] | None,
    ) -> Outcome | Message:
        """Exchange the messages of a call; returns its outcome, or the message that refuses it."""
        with self._changed:
            running.channel = channel
            if running.ends:
                raise Gone
        channel.send(Kind.CALL, head, line)
        while True:
            message = channel.receive()
            if message.kind is Kind.STARTED:
                worker, waits, at = message.head
                try:
                    if isinstance(on_start, Notice):
                        on_start(worker, at)
                    elif on_start:
                        on_start(worker)
                except BaseException:
                    if waits:
                        channel.send(Kind.STOP)
                    raise
                # The worker gets the input only after the answer GO.
                running.was_told = True
                if waits:
                    channel.send(Kind.GO)
            elif message.kind is Kind.PRINTED:
                if on_output:
                    on_output(message.body)
            elif message.kind is Kind.INSIGHTS:
                self._on_insights(running.context.request_id, message.head)
            elif message.kind is Kind.OUTCOME:
                outcome, missing = wire.decoded_outcome(message.head, message.body)
                running.context.missing.extend(missing)
                if running.ends and outcome.failure:
                    return Outcome(None, running.ends, outcome.duration, outcome.stdout)
                return outcome
            elif message.kind is Kind.ERROR:
                return message
            else:
                raise Gone(f"{message.kind} where an outcome belongs")

    # Questions

    def ask(
        self, name: str, head: Any = None, body: bytes = b"", *, seconds: float = ENGINE_SECONDS, again: bool = True
    ) -> Message:
        """Ask the engine a question, and return its answer; with `again`, a new engine is asked if this one dies.

        Raises:
            EngineUnavailable: if no engine answers in time.
            AlgoError: if the engine answers with this error.
        """
        deadline = time.monotonic() + seconds
        while channel := self._open(deadline):
            is_sent = False
            channel.socket.settimeout(ENGINE_SECONDS)
            try:
                channel.send(Kind.ASK, (name, head), body)
                is_sent = True
                message = channel.receive()
                channel.socket.settimeout(None)
            except Gone as error:
                channel.close()
                if isinstance(error.__cause__, TimeoutError):
                    raise EngineUnavailable(_SILENT) from None
                if is_sent and not again:
                    told = "The process that runs algorithms ended; whether it took the request is not known"
                    raise EngineUnavailable(told) from None
                continue
            self._keep(channel)
            if message.kind is Kind.ERROR:
                raise wire.decoded_error(message.head)
            return message
        raise EngineUnavailable(_STARTING)

    def cancel(self, request_id: str) -> bool:
        """See `Executor.cancel`; whichever front end the call came from."""
        if self._is_closed:
            return False
        try:
            if self.ask("cancel", request_id, seconds=0.0).head:
                return True
        except EngineUnavailable:
            pass
        with self._changed:
            running = self._running.get(request_id)
            if not running or running.is_started:
                return False
            running.ends = _CANCELLED  # the call has not reached an engine
            if running.channel:
                running.channel.cut()
            self._changed.notify_all()
        return True

    def context_of(self, token: str) -> CallContext | None:
        """See `Executor.context_of`; whichever front end the call came from."""
        if self._is_closed:
            return None
        found = self.ask("context_of", token).head
        return wire.decoded_context(found) if found else None

    def describe(self) -> Description:
        """See `Executor.describe`: the engine's, for all front ends together."""
        return _NOTHING if self._is_closed else Description(*self.ask("describe").head)

    def builds(self) -> list[BuildWorkers]:
        """The workers of each build that has any."""
        return [] if self._is_closed else [BuildWorkers(*found) for found in self.ask("builds").head]

    # The end of this process; the engine continues for others

    def drain(self, seconds: float) -> bool:
        """See `Executor.drain`; only for calls of this process."""
        with self._changed:
            self._takes_none = True
            waiting = [running for running in self._running.values() if not running.is_started]
        for call in waiting:
            if self._asked_to_end("withdraw", call):
                self._end(call)
        with self._changed:
            return self._changed.wait_for(lambda: not self._running, timeout=seconds)

    def close(self) -> None:
        """See `Executor.close`; ends the calls of this process, and leaves the engine's workers to other front ends."""
        with self._changed:
            self._takes_none = True
            running = list(self._running.values())
        for call in running:
            call.ends = SHUTTING_DOWN
            self._asked_to_end("cancel", call)
        with self._changed:
            self._is_closed = True
            idle, self._idle = self._idle, []
            link, self._link = self._link, None
        for call in running:
            self._end(call)
        for channel in idle:
            channel.close()
        if link:
            link.close()

    def _asked_to_end(self, question: str, call: RunningCall) -> bool:
        """Ask the engine to end a call; True if it does, or if there is no engine."""
        try:
            return bool(self.ask(question, call.context.request_id, seconds=0.0).head)
        except EngineUnavailable:
            return True

    def _end(self, call: RunningCall) -> None:
        """End a call that the engine does not know, as at the end of the platform."""
        with self._changed:
            call.ends = SHUTTING_DOWN
            if call.channel:
                call.channel.cut()
            self._changed.notify_all()


def _connected(link: socket.socket) -> Channel:
    ours, theirs = socket.socketpair()
    try:
        with theirs:
            socket.send_fds(link, [wire.CONNECTION], [theirs.fileno()])
    except BaseException:
        ours.close()
        raise
    return Channel(ours)
