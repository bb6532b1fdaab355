"""Workers on nodes, as the platform's scheduler sees them: each is an actor, reached by a channel of its own."""

from __future__ import annotations

import contextlib
import secrets
import select
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from algo_core.errors import AlgoError
from algo_local.algorithms.build import BuildError
from algo_local.algorithms.configuration import read_configuration
from algo_local.algorithms.worker_resources import taken
from algo_local.execution.payload import Failure, Outcome
from algo_local.execution.protocol import CANNOT_RUN
from algo_local.execution.relay.wire import Gone, Kind, Message, decoded_outcome
from algo_local.execution.workers.contract import NotHandedOver
from algo_local.trees import in_use
from algo_ray.frames import Channel
from algo_ray.lines import KEY_BYTES, Line, line_over
from algo_ray.packing import needed

if TYPE_CHECKING:
    from algo_local.algorithms.build import Build
    from algo_local.execution.executor import Endpoint
    from algo_local.execution.scaling import Scaling
    from algo_ray.connection import Connection

_GRACE = 3.0
"""Seconds after a call's time in which its node still has to say that it has ended it."""

_REASON_SECONDS = 1.0
_RETIRE_SECONDS = 10.0
_SILENT_SECONDS = 300.0
"""How long the driver may say nothing about a start: it packs what nodes need of a build meanwhile."""

_SLOW_SECONDS = 1.0


class RayWorker:
    """A worker on a node. For one thread at a time, except for `kill`."""

    def __init__(self, channel: Channel, line: Line, account: str, token: str, name: str) -> None:
        """Calls take the `line`; what ends it, and the news of its end, the `channel`."""
        self.account = account
        self.token = token
        self.idle_since = 0.0
        self.name = name
        """Its name in records: its process and its node."""
        self.is_loaded = False
        """Whether the algorithm has been loaded."""
        self._channel = channel
        self._line = line
        self._poll = select.poll()
        for end in (line.socket, channel.connection):
            self._poll.register(end, select.POLLIN)
        self._began = time.monotonic()
        self._calls = 0
        self._memory = 0
        self._is_fit = True
        self._is_lost = False

    def call(self, request: bytes, deadline: float, on_output: Callable[[bytes], None] | None = None) -> Outcome:
        """Load the algorithm if need be, and have it answer a request.

        Raises:
            NotHandedOver: if the node was lost before the algorithm got the request.
        """
        printed = bytearray()

        def told(data: bytes) -> None:
            printed.extend(data)
            if on_output:
                on_output(data)

        is_fit, self._is_fit = self._is_fit, False
        if not is_fit:
            raise NotHandedOver("its worker has ended")
        began = time.monotonic()
        try:
            if not self.is_loaded:
                self.is_loaded = self._ask(Kind.ASK, b"", deadline, told).head
                began = time.monotonic() if self.is_loaded else began
        except _Lost as lost:
            raise NotHandedOver(str(lost)) from lost
        except TimeoutError:
            return self._cut_short(Failure(CANNOT_RUN, "TimeoutError"), began, printed)
        try:
            answer = self._ask(Kind.CALL, request, deadline, told)
        except _Lost as lost:
            failure = Failure(f"The node that ran the call was lost: {lost}", "SystemError", ended="lost")
            return self._cut_short(failure, began, printed)
        except TimeoutError:
            return self._cut_short(Failure(CANNOT_RUN, "TimeoutError"), began, printed)
        if answer.kind is Kind.STOP:
            raise NotHandedOver("its worker had ended", was_idle=True)
        head, self._is_fit, self.is_loaded, memory = answer.head
        self._memory = self._memory if memory is None else memory
        return decoded_outcome(head, answer.body)[0]

    def _cut_short(self, failure: Failure, began: float, printed: bytearray) -> Outcome:
        return Outcome(None, failure, time.monotonic() - began, printed.decode("utf-8", "replace"))

    def _ask(self, kind: Kind, request: bytes, deadline: float, told: Callable[[bytes], None]) -> Message:
        """Have the actor do something, and pass on what is printed meanwhile.

        Raises:
            _Lost: if it is lost.
            TimeoutError: if its node does not answer in time.
        """
        try:
            self._line.socket.settimeout(max(0.0, deadline - time.monotonic()) + _GRACE)
            self._line.send(kind, max(0.0, deadline - time.monotonic()), request)
            while True:
                self._wait(deadline + _GRACE)
                message = self._line.receive()
                if message.kind is not Kind.PRINTED:
                    return message
                told(message.body)
        except TimeoutError:
            self._is_lost = True
            raise
        except Gone as gone:
            self._is_lost = True
            if isinstance(gone.__cause__, TimeoutError):
                raise TimeoutError from gone
            raise _Lost(self._reason()) from gone

    def _wait(self, deadline: float) -> None:
        """Wait for the line; raises what `_ask` does."""
        if self._line.has_begun():
            return
        ready = [number for number, _ in self._poll.poll(max(0.0, deadline - time.monotonic()) * 1000)]
        if not ready:
            raise TimeoutError
        if self._line.socket.fileno() not in ready:
            self._is_lost = True
            raise _Lost(self._reason())

    def _reason(self) -> str:
        """Why the actor is gone, which Ray says a little later than its line."""
        try:
            told = self._channel.receive(_REASON_SECONDS)
        except TimeoutError:
            return "the connection to its actor ended"
        return str(told[1] or "its actor died") if told else "the driver is gone"

    def settle(self) -> bool:
        """Whether the worker can take another call: its node has cleaned up behind the last one."""
        return self._is_fit

    def is_fresh(self, scaling: Scaling) -> bool:
        """Whether it has not become too old or too large for another call; asked after each."""
        self._calls += 1
        is_young = self._calls < scaling.calls and time.monotonic() - self._began < scaling.age
        return is_young and self._memory <= scaling.memory

    @property
    def is_reusable(self) -> bool:
        """Whether it can take another call, as far as is known here."""
        return self._is_fit and not self._line.has_begun() and not self._poll.poll(0)

    def memory(self) -> int:
        """Bytes that its processes had in memory when that was last looked at."""
        return self._memory

    def kill(self) -> None:
        """End its process now; `stop` is still to be called. Safe from any thread, more than once."""
        try:
            self._channel.send("end")
        except OSError:
            pass

    def end_input(self) -> None:
        """Nothing is to be asked of it: `stop` ends it."""

    def await_loaded(self, deadline: float, on_output: Callable[[bytes], None] | None = None) -> None:
        """Load the algorithm before the first call is handed over; what came of that, `call` tells.

        Raises:
            NotHandedOver: if the node was lost.
        """
        if self.is_loaded or not self._is_fit:
            return
        with contextlib.suppress(TimeoutError):
            try:
                self.is_loaded = bool(self._ask(Kind.ASK, b"", deadline, on_output or _unheard).head)
            except _Lost as lost:
                self._is_fit = False
                raise NotHandedOver(str(lost)) from lost

    def load(self, deadline: float) -> Failure | None:
        """Load the algorithm ahead of the first call; why that was impossible."""
        try:
            self.is_loaded = bool(self._ask(Kind.ASK, b"", deadline, lambda data: None).head)
        except (_Lost, TimeoutError) as error:
            return Failure(f"The algorithm could not be loaded: {error}", "SystemError")
        return None if self.is_loaded else Failure(CANNOT_RUN, "LoadingError")

    def hand_over(self, give: Callable[[dict[str, Any], list[int]], bool]) -> bool:
        """Workers on nodes end with the platform: none is handed to another process."""
        return False

    def stop(self, grace: float = 0.0) -> None:
        """End it, and all that it had; its actor can serve another one."""
        try:
            self._line.close()
            if not self._is_lost:
                self._channel.send("retire")
                end = time.monotonic() + _RETIRE_SECONDS
                while (reply := self._channel.receive(end - time.monotonic())) and reply[0] != "retired":
                    pass
        except OSError:  # also when it takes too long
            pass
        finally:
            self._channel.close()


def _unheard(data: bytes) -> None:
    """Nobody listens to what loading prints."""


class _Lost(Exception):
    """The actor will not answer; the text says why, as a part of a sentence."""


class RayWorkers:
    """Starts workers on nodes."""

    def __init__(
        self, endpoint: Callable[[], Endpoint], connection: Connection, make_room: Callable[[str, Build], None]
    ) -> None:
        """`make_room(account, build)` ends another worker in favour of one of a build for an account."""
        self._endpoint = endpoint
        self._connection = connection
        self._make_room = make_room
        self._lock = threading.Lock()
        self._starting: set[Channel] = set()
        self._is_closed = False

    def start(
        self,
        build: Build,
        account: str,
        token: str,
        label: str = "",
        depth: int = 0,
        *,
        on_load: Callable[[], None] = lambda: None,
        on_wait: Callable[[str], None] = lambda reason: None,
    ) -> RayWorker:
        """Start a worker where the cluster has room; `on_load` is called if that takes a while.

        `on_wait` is told why no node has room, in a sentence, and nothing when one has.

        Raises:
            AlgoError: if no node can run it.
            OSError: if the build is gone.
        """
        need = needed(build)
        trees = [build.source, *([Path(need.environment)] if need.environment else [])]
        with in_use(*trees):
            channel = self._connection.channel()
            with self._lock:
                if self._is_closed:
                    channel.close()
                    raise AlgoError("The platform is shutting down")
                self._starting.add(channel)
            try:
                address = self._endpoint().address
                key = secrets.token_bytes(KEY_BYTES)
                channel.send("start", tuple(need), account, token, label, address, _resources(build), depth > 0, key)
                name = self._started(channel, account, build, on_load, on_wait)
                line = self._line(channel)
            except BaseException:
                channel.close()
                raise
            finally:
                with self._lock:
                    self._starting.discard(channel)
        return RayWorker(channel, line, account, token, name)

    def _started(
        self,
        channel: Channel,
        account: str,
        build: Build,
        on_load: Callable[[], None],
        on_wait: Callable[[str], None],
    ) -> str:
        slow = time.monotonic() + _SLOW_SECONDS
        while reply := self._reply(channel):
            if reply[0] == "started":
                return f"{reply[1]}@{reply[2][:12]}"
            if reply[0] == "refused":
                raise AlgoError(reply[1], reply[2])
            on_wait(reply[1])
            if time.monotonic() >= slow:
                slow = time.monotonic() + _SLOW_SECONDS
                on_load()
                if reply[1]:
                    self._make_room(account, build)
        raise AlgoError("The connection to the Ray cluster was lost")

    def _reply(self, channel: Channel) -> tuple[Any, ...] | None:
        try:
            return channel.receive(_SILENT_SECONDS)
        except TimeoutError:
            silent = f"said nothing for {_SILENT_SECONDS:.0f} seconds"
            raise AlgoError(f"The process that is joined to the Ray cluster {silent}") from None

    def _line(self, channel: Channel) -> Line:
        _, descriptors, _, _ = socket.recv_fds(channel.connection, 1, 1)
        if not descriptors:
            raise AlgoError("The connection to the Ray cluster was lost")
        connected = socket.socket(fileno=descriptors[0])
        try:
            return line_over(connected, self._connection.environ, is_platform=True)
        except OSError as error:
            connected.close()
            raise AlgoError(f"The connection to the node cannot be encrypted: {error}") from error

    def close(self) -> None:
        """Give up what is being started, and start nothing any more."""
        with self._lock:
            self._is_closed = True
            starting = list(self._starting)
        for channel in starting:
            channel.end()


def _resources(build: Build) -> tuple[tuple[str, float], ...]:
    """What a worker takes of a node, as the settings of its algorithm say, or its `algorithmia.conf`."""
    try:
        return taken(read_configuration(build.source).resources, build.resources)
    except BuildError:  # published before that was checked
        return taken(build.resources)
