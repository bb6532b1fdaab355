"""The parent process of a platform with `--processes`: starts, watches and restarts one engine and the front ends.

It owns the listening socket. It has no threads and opens nothing of the platform, so that each child is a fork of it,
ready at once and with all modules loaded. `serve.py` runs it.
"""

from __future__ import annotations

import contextlib
import gc
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence

from algo_core.errors import AlgoError
from algo_local.serving.processes.child import LONGEST_PAUSE, ChildProcess, Run
from algo_local.serving.processes.control import BEAT, CUT, DRAIN, HEARD, LINK, SERVING, SILENT, STOP, StartFailed
from algo_local.serving.processes.heartbeat import BEATS, DOUBTED, Heartbeat

START_SECONDS = 120.0
"""Seconds within which a child must be ready: the first start creates the platform's state."""

END_SECONDS = 25.0
"""Seconds within which all children must end; they limit this themselves (`shutdown_limit.py`) unless they hang."""

LAST_SECONDS = 5.0
"""Minimum seconds for a child to end, even if another one that hung has used up `END_SECONDS`."""

DRAIN_SECONDS = 0.05
"""Seconds between the last accepted request and the end of calls."""

_NUMBERS = (signal.SIGINT, signal.SIGTERM)


class ParentProcess:
    """Starts and watches the engine and the front ends; runs in the main thread of the process."""

    def __init__(
        self,
        engine: Run,
        front_ends: Sequence[Run],
        listener: socket.socket,
        say: Callable[[str], None],
        *,
        on_death: Callable[[int], None],
        hang_seconds: float,
    ) -> None:
        """Set up the children; `serve` starts them.

        Args:
            engine: what the engine process does.
            front_ends: what each front end does.
            listener: the socket that front ends accept from.
            say: called with a text for each death and restart.
            on_death: called with the index of a front end that has ended.
            hang_seconds: seconds without an answer after which a child is killed; 0 for never.
        """
        self._engine = ChildProcess("The engine", "algo-engine", engine, is_engine=True)
        self._front_ends = [
            ChildProcess(f"Front end {number}", f"algo-front-{number}", run) for number, run in enumerate(front_ends, 1)
        ]
        self._listener = listener
        self._say = say
        self._on_death = on_death
        self._heartbeat = Heartbeat(hang_seconds)
        self._selector = selectors.DefaultSelector()
        self._reader, self._writer = socket.socketpair()
        for end in (self._reader, self._writer):
            end.setblocking(False)

    @property
    def _all(self) -> list[ChildProcess]:
        return [self._engine, *self._front_ends]

    def serve(self, on_ready: Callable[[], None]) -> None:
        """Start all, call `on_ready`, and keep them running until SIGINT or SIGTERM; then end them in order.

        Raises:
            AlgoError: if one cannot start.
        """
        gc.collect()
        gc.freeze()  # memory that the children share with the parent stays shared
        with self._signals():
            try:
                for process in self._all:
                    self._start(process)
                    if not self._await_ready(process):
                        return
                on_ready()
                self._engine.send(SERVING)
                self._watch()
            finally:
                self._end()

    # Signals arrive as bytes on a socket, deaths as the end of a control socket

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        self._selector.register(self._reader, selectors.EVENT_READ)
        previous = {number: signal.signal(number, lambda *_: None) for number in _NUMBERS}
        previous_descriptor = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(previous_descriptor)
            for number, handler in previous.items():
                signal.signal(number, handler)
            self._selector.close()
            self._reader.close()
            self._writer.close()

    def _is_told_to_end(self) -> bool:
        with contextlib.suppress(BlockingIOError):
            return any(number in _NUMBERS for number in self._reader.recv(1 << 12))
        return False

    def _await_ready(self, process: ChildProcess) -> bool:
        """Wait until a child is ready; False if a signal arrives first. AlgoError if it cannot start."""
        ends = time.monotonic() + START_SECONDS
        while not process.is_ready:
            if not process.pid:
                raise StartFailed(f"{process.name} of the platform cannot be started: there are too many processes")
            left = ends - time.monotonic()
            events = self._selector.select(max(0.0, left))
            if not events and left <= 0:
                raise StartFailed(f"{process.name} of the platform did not start within {START_SECONDS:.0f} s")
            if any(key.fileobj is self._reader for key, _ in events) and self._is_told_to_end():
                return False
            for key, _ in events:
                if key.data is process and (error := self._receive(process)):
                    raise error
                if key.data is not process and key.data:
                    self._schedule_restart(key.data, self._receive(key.data))
        return True

    def _watch(self) -> None:
        while True:
            due = [*(process.due for process in self._all if not process.pid), *self._heartbeat.next_due()]
            timeout = max(0.0, min(due) - time.monotonic()) if due else None
            for key, _ in self._selector.select(timeout):
                if key.fileobj is self._reader:
                    if self._is_told_to_end():
                        return
                else:
                    self._schedule_restart(key.data, self._receive(key.data))
            if self._heartbeat.is_due():
                self._beat()
            now = time.monotonic()
            for process in self._all:
                if not process.pid and process.due <= now:
                    self._start(process)

    def _receive(self, process: ChildProcess) -> AlgoError | None:
        """Receive a message of a child; if it has ended, reap it and return the reason."""
        error: AlgoError | None = None
        try:
            if process.receive():
                self._note_answer(process)
                return None
        except AlgoError as failure:
            error = failure
        ended = self._reap(process)
        return error or StartFailed(f"{process.name} of the platform ended ({ended})")

    # Hangs

    def _beat(self) -> None:
        """Send each child a heartbeat, and kill those that have missed too many."""
        for process in self._all:
            if not process.pid:
                continue
            seconds = self._heartbeat.seconds if process.is_ready else START_SECONDS
            if process.missed >= (BEATS if process.is_ready else self._heartbeat.beats_in(START_SECONDS)):
                self._reap(process)
                message = f"{process.name} of the platform has not answered for {seconds:.0f} s and was ended"
                self._schedule_restart(process, StartFailed(message))
                continue
            if process.is_ready and not process.missed:
                process.send(BEAT)
            process.missed += 1
            if process.is_engine and process.missed > DOUBTED:
                self._tell_front_ends(SILENT)

    def _note_answer(self, process: ChildProcess) -> None:
        if process.is_engine and process.missed > DOUBTED:
            self._tell_front_ends(HEARD)
        process.missed = 0

    def _tell_front_ends(self, order: bytes) -> None:
        for front_end in self._front_ends:
            front_end.send(order)

    def _reap(self, process: ChildProcess) -> str:
        assert process.control
        self._selector.unregister(process.control)
        ended = process.reap()
        if not process.is_engine:
            self._on_death(self._front_ends.index(process))
        return ended

    def _schedule_restart(self, process: ChildProcess, error: AlgoError | None) -> None:
        if error:
            process.schedule_restart()
            self._say(f"{error.message}; it is started again")

    # Starting

    def _start(self, process: ChildProcess) -> None:
        try:
            process.fork(lambda: self._inherited(process), self._say)
        except OSError as error:
            process.due = time.monotonic() + LONGEST_PAUSE
            self._say(f"{process.name} cannot be started: {error.strerror}")
            return
        assert process.control
        self._selector.register(process.control, selectors.EVENT_READ, process)
        others = self._front_ends if process.is_engine else [self._engine]
        for other in others:
            if other.pid:
                self._link(process, other)

    def _inherited(self, process: ChildProcess) -> list[socket.socket | None]:
        """In a new child: close the selector, and return the parent's sockets that the child has no use for."""
        self._selector.close()
        controls = (other.control for other in self._all)
        return [self._reader, self._writer, *controls, *([self._listener] if process.is_engine else [])]

    def _link(self, one: ChildProcess, other: ChildProcess) -> None:
        """Connect two children by a socket pair; the death of one of them shows at its control socket."""
        for process, end in zip((one, other), socket.socketpair(), strict=True):
            with end, contextlib.suppress(OSError):
                assert process.control
                socket.send_fds(process.control, [LINK], [end.fileno()])

    # Shutdown: front ends stop accepting, calls end, front ends send their last responses, and the engine ends last

    def _end(self) -> None:
        self._listener.close()
        ends = time.monotonic() + END_SECONDS
        running = [process for process in self._front_ends if process.pid]
        for process in running:
            process.send(DRAIN)
        if running and self._engine.pid:
            time.sleep(DRAIN_SECONDS)
        if self._engine.pid:
            self._engine.send(CUT)
            self._await_end([self._engine], ends, until_ready=True)
        for process in running:
            process.send(STOP)
        self._await_end(running, ends)
        if self._engine.pid:
            self._engine.send(STOP)
            self._await_end([self._engine], ends)

    def _await_end(self, processes: list[ChildProcess], ends: float, *, until_ready: bool = False) -> None:
        """Wait until children have ended, or are ready again; those that take too long are killed."""
        ends = max(ends, time.monotonic() + LAST_SECONDS)
        for process in processes:
            process.is_ready = False
            while process.control and not (until_ready and process.is_ready):
                process.control.settimeout(max(0.01, ends - time.monotonic()))
                self._receive(process)  # reaps a child that does not answer in time
