"""A child process of a served platform, as its parent sees it: started by a fork, told what to do, and reaped."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from algo_core.errors import AlgoError
from algo_local.serving.processes.control import BEAT, FAILED, READY, Control, receive_failure

Run = Callable[[Control], None]
"""What a child does, until `Control.orders` ends."""

LONGEST_PAUSE = 5.0
"""Maximum seconds before the restart of a child that keeps dying."""

STEADY_SECONDS = 1.0
"""A child that was ready and has lived for this many seconds is restarted at once."""

_PR_SET_PDEATHSIG = 1


@dataclass(eq=False)
class ChildProcess:
    """The engine or a front end: the running process if there is one, and when to start the next one."""

    name: str
    title: str
    """Its name in the system's list of processes."""
    run: Run
    is_engine: bool = False
    pid: int = 0
    """0 while it does not run."""
    control: socket.socket | None = None
    """The parent's end of the socket pair."""
    started: float = 0.0
    pause: float = 0.0
    """Seconds between its last death and its restart."""
    due: float = 0.0
    """When to start it again, on the monotonic clock."""
    is_ready: bool = False
    was_ready: bool = False
    """Whether the process that runs, or ran last, was ever ready."""
    missed: int = 0
    """Unanswered heartbeats since its last answer, or its start."""

    def fork(self, inherited: Callable[[], Iterable[socket.socket | None]], report: Callable[[str], None]) -> None:
        """Start the process.

        Args:
            inherited: closes the parent's selector and returns its sockets, which the child closes.
            report: called with a text for failures that the parent cannot be told.

        Raises:
            OSError: if the system grants no further process.
        """
        ours, theirs = socket.socketpair()
        try:
            pid = os.fork()
        except OSError:
            ours.close()
            theirs.close()
            raise
        if not pid:
            self._run_in_child(ours, theirs, inherited, report)
        theirs.close()
        self.pid, self.control, self.started = pid, ours, time.monotonic()
        self.is_ready, self.was_ready, self.missed = False, False, 0

    def _run_in_child(
        self,
        ours: socket.socket,
        theirs: socket.socket,
        inherited: Callable[[], Iterable[socket.socket | None]],
        report: Callable[[str], None],
    ) -> None:
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for end in (ours, *inherited()):
                if end:
                    end.close()
            _continue_when_parent_dies()
            with contextlib.suppress(OSError), open("/proc/self/comm", "w") as shown:  # for ps and top
                shown.write(self.title)
            control = Control(theirs)
            try:
                self.run(control)
                code = 0
            except AlgoError as error:
                control.failed(error)
        except BaseException:
            report(traceback.format_exc())
        finally:
            os._exit(code)  # the parent's cleanup is not the child's to run

    def send(self, order: bytes) -> None:
        """Send an order without waiting: a child that hangs must not stop the parent as well."""
        if self.control:
            with contextlib.suppress(OSError):
                self.control.send(order, socket.MSG_DONTWAIT)

    def receive(self) -> bool:
        """Receive READY or the answer to a heartbeat; False if the child has ended, or is silent beyond the timeout.

        Raises:
            AlgoError: the error with which the child could not start.
        """
        assert self.control
        try:
            data = self.control.recv(1)
            if data in (READY, BEAT):
                self.is_ready = self.was_ready = True
                return True
            error = receive_failure(self.control) if data == FAILED else None
        except OSError:
            return False
        if error:
            raise error
        return False

    def reap(self) -> str:
        """Kill the process if it still runs, and wait for its end; returns its exit code or signal as a text."""
        assert self.control
        self.control.close()
        self.control = None
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)  # a process that has closed its control socket is of no further use
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self.pid, self.is_ready = 0, False
        return f"exit code {code}" if code >= 0 else f"signal {-code}"

    def schedule_restart(self) -> None:
        """Set the time of the next start: at once after a steady run, otherwise with a growing delay."""
        is_steady = self.was_ready and time.monotonic() - self.started >= STEADY_SECONDS
        self.pause = 0.0 if is_steady else min(LONGEST_PAUSE, max(0.1, self.pause * 2))
        self.due = time.monotonic() + self.pause


def _continue_when_parent_dies() -> None:
    """On Linux, have a stopped process continue when its parent dies, so that it can notice and exit."""
    import ctypes

    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGCONT, 0, 0, 0)
