"""The parent of a platform that is served by several processes: front ends that accept, and one engine that executes.

It owns the listening socket, and starts again what dies or hangs. It has no threads and opens nothing of the platform,
so that each process is a fork of it, at once and with all modules loaded.
"""

from __future__ import annotations

import contextlib
import gc
import os
import selectors
import signal
import socket
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from algo_core.errors import AlgoError
from algo_local.serving.control import (
    BEAT,
    CUT,
    DRAIN,
    FAILED,
    HEARD,
    LINK,
    READY,
    SERVING,
    SILENT,
    STOP,
    Control,
    StartFailed,
    receive_failure,
)
from algo_local.serving.heartbeat import BEATS, DOUBTED, Heartbeat

Run = Callable[[Control], None]
"""What a process does, until `Control.orders` ends."""

START_SECONDS = 120.0
"""Within which a process is ready: a first start makes the platform's state."""

END_SECONDS = 25.0
"""Within which a process ends that was told to; it bounds that by itself, unless it hangs."""

LAST_SECONDS = 5.0
"""Within which it ends if others have used up that time, as those that hang do."""

DRAIN_SECONDS = 0.05
"""Between the last accepted request and the end of calls."""

LONGEST_PAUSE = 5.0
"""Seconds until a process is started again that dies at once, however often."""

STEADY_SECONDS = 1.0
"""Who was ready, and has lived for so long, is started again at once."""

_PR_SET_PDEATHSIG = 1
_NUMBERS = (signal.SIGINT, signal.SIGTERM)


@dataclass(eq=False)
class _Process:
    """A process that is to run."""

    name: str
    title: str
    """Its name in the system's list of processes."""
    run: Run
    is_engine: bool = False
    pid: int = 0
    """0 while it does not run."""
    control: socket.socket | None = None
    started: float = 0.0
    pause: float = 0.0
    """Seconds that its next start waits after its death."""
    due: float = 0.0
    """When it is to be started again."""
    is_ready: bool = False
    was_ready: bool = False
    """Whether the one that runs, or ran last, ever was."""
    missed: int = 0
    """Beats since its last answer, or its start."""


class Processes:
    """The engine and the front ends."""

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
        """`say` is told what dies and is started again, `on_death` the place of a front end in their list.

        What does not answer for `hang_seconds` is ended; 0 for never.
        """
        self._engine = _Process("The engine", "algo-engine", engine, is_engine=True)
        self._front_ends = [
            _Process(f"Front end {number}", f"algo-front-{number}", run) for number, run in enumerate(front_ends, 1)
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
    def _all(self) -> list[_Process]:
        return [self._engine, *self._front_ends]

    def serve(self, on_ready: Callable[[], None]) -> None:
        """Start all, call `on_ready`, and keep them running until SIGINT or SIGTERM; then end them in order.

        Raises:
            AlgoError: if one cannot start.
        """
        gc.collect()
        gc.freeze()  # what all processes have in common stays in common
        with self._signals():
            try:
                for process in self._all:
                    self._start(process)
                    if not self._await_ready(process):
                        return
                on_ready()
                self._tell(self._engine, SERVING)
                self._watch()
            finally:
                self._end()

    # Signals and deaths arrive as bytes and ends of sockets

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

    def _await_ready(self, process: _Process) -> bool:
        """Wait until a process is ready; False if a signal comes before. AlgoError if it cannot start."""
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
                if key.data is process and (error := self._heard(process)):
                    raise error
                if key.data is not process and key.data:
                    self._tell_death(key.data, self._heard(key.data))
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
                    self._tell_death(key.data, self._heard(key.data))
            if self._heartbeat.is_due():
                self._beat()
            now = time.monotonic()
            for process in self._all:
                if not process.pid and process.due <= now:
                    self._start(process)

    def _heard(self, process: _Process) -> AlgoError | None:
        """Take in what a process says; why it has ended, if it has."""
        assert process.control
        try:
            data = process.control.recv(1)
            if data in (READY, BEAT):
                process.is_ready = process.was_ready = True
                self._note_answer(process)
                return None
            error = receive_failure(process.control) if data == FAILED else None
        except OSError:
            error = None
        status = self._buried(process)
        return error or StartFailed(f"{process.name} of the platform ended ({status})")

    # Hangs

    def _beat(self) -> None:
        """Ask each process for an answer, and end those that have given none for too long."""
        for process in self._all:
            if not process.pid:
                continue
            seconds = self._heartbeat.seconds if process.is_ready else START_SECONDS
            if process.missed >= (BEATS if process.is_ready else self._heartbeat.beats_in(START_SECONDS)):
                self._buried(process)
                told = f"{process.name} of the platform has not answered for {seconds:.0f} s and was ended"
                self._tell_death(process, StartFailed(told))
                continue
            if process.is_ready and not process.missed:
                self._tell(process, BEAT)
            process.missed += 1
            if process.is_engine and process.missed > DOUBTED:
                self._tell_front_ends(SILENT)

    def _note_answer(self, process: _Process) -> None:
        if process.is_engine and process.missed > DOUBTED:
            self._tell_front_ends(HEARD)
        process.missed = 0

    def _tell_front_ends(self, order: bytes) -> None:
        for front_end in self._front_ends:
            self._tell(front_end, order)

    def _buried(self, process: _Process) -> str:
        assert process.control
        self._selector.unregister(process.control)
        process.control.close()
        process.control = None
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)  # one that closes its end is over, whatever it still does
        code = os.waitstatus_to_exitcode(os.waitpid(process.pid, 0)[1])
        process.pid, process.is_ready = 0, False
        if not process.is_engine:
            self._on_death(self._front_ends.index(process))
        return f"exit code {code}" if code >= 0 else f"signal {-code}"

    def _tell_death(self, process: _Process, error: AlgoError | None) -> None:
        if error is None:
            return
        is_steady = process.was_ready and time.monotonic() - process.started >= STEADY_SECONDS
        process.pause = 0.0 if is_steady else min(LONGEST_PAUSE, max(0.1, process.pause * 2))
        process.due = time.monotonic() + process.pause
        self._say(f"{error.message}; it is started again")

    # Processes

    def _start(self, process: _Process) -> None:
        ours, theirs = socket.socketpair()
        try:
            pid = os.fork()
        except OSError as error:
            ours.close()
            theirs.close()
            process.due = time.monotonic() + LONGEST_PAUSE
            self._say(f"{process.name} cannot be started: {error.strerror}")
            return
        if not pid:
            self._become(process, ours, theirs)
        theirs.close()
        process.pid, process.control, process.started, process.is_ready = pid, ours, time.monotonic(), False
        process.was_ready, process.missed = False, 0
        self._selector.register(ours, selectors.EVENT_READ, process)
        others = self._front_ends if process.is_engine else [self._engine]
        for other in others:
            if other.pid:
                self._link(process, other)

    def _become(self, process: _Process, ours: socket.socket, theirs: socket.socket) -> None:
        """In the new process: do what it is for, and end."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            self._selector.close()
            for end in (ours, self._reader, self._writer, *(other.control for other in self._all)):
                if end:
                    end.close()
            if process.is_engine:
                self._listener.close()
            _continue_when_parent_dies()
            with contextlib.suppress(OSError), open("/proc/self/comm", "w") as shown:  # for ps and top
                shown.write(process.title)
            control = Control(theirs)
            try:
                process.run(control)
                code = 0
            except AlgoError as error:
                control.failed(error)
        except BaseException:
            self._say(traceback.format_exc())
        finally:
            os._exit(code)  # what the parent has begun is the parent's to end

    def _link(self, one: _Process, other: _Process) -> None:
        """Give two processes a socket between them; one that dies meanwhile is heard of later."""
        for process, end in zip((one, other), socket.socketpair(), strict=True):
            with end, contextlib.suppress(OSError):
                assert process.control
                socket.send_fds(process.control, [LINK], [end.fileno()])

    # The end: no request is taken, calls end, front ends say what came of them, and the engine is last

    def _end(self) -> None:
        self._listener.close()
        ends = time.monotonic() + END_SECONDS
        running = [process for process in self._front_ends if process.pid]
        for process in running:
            self._tell(process, DRAIN)
        if running and self._engine.pid:
            time.sleep(DRAIN_SECONDS)
        if self._engine.pid:
            self._tell(self._engine, CUT)
            self._await_end([self._engine], ends, until_ready=True)
        for process in running:
            self._tell(process, STOP)
        self._await_end(running, ends)
        if self._engine.pid:
            self._tell(self._engine, STOP)
            self._await_end([self._engine], ends)

    def _tell(self, process: _Process, order: bytes) -> None:
        if process.control:
            with contextlib.suppress(OSError):
                process.control.send(order, socket.MSG_DONTWAIT)  # one that hangs must not stop this process, too

    def _await_end(self, processes: list[_Process], ends: float, *, until_ready: bool = False) -> None:
        """Wait until processes have ended, or are ready again; those that take too long are killed."""
        ends = max(ends, time.monotonic() + LAST_SECONDS)
        for process in processes:
            process.is_ready = False
            while process.control and not (until_ready and process.is_ready):
                process.control.settimeout(max(0.01, ends - time.monotonic()))
                self._heard(process)  # which buries what does not answer in time


def _continue_when_parent_dies() -> None:
    """Have a process that is stopped go on by then, to see that it is to end; it takes Linux."""
    import ctypes

    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGCONT, 0, 0, 0)
