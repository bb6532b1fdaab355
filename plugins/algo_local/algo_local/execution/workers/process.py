"""The process of a running algorithm: serves one request at a time, and ends with all its descendants.

The protocol is that of the platform's language server (API section 8.4). The calling thread does all the work: it waits
in `poll` for output, an answer, the end of the process, or the deadline. It therefore never spins, never outlasts the
deadline, and a misbehaving process harms only its own call.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from algo_local.execution.payload import NOT_BEGUN, SHUTTING_DOWN, Failure, Outcome, Payload
from algo_local.execution.protocol import CANNOT_RUN, decode_answer
from algo_local.execution.workers.launch import AdoptedProcess, Launch, Started, leave, start
from algo_local.execution.workers.output import MAX_OUTPUT, CapturedOutput
from algo_local.execution.workers.process_tree import (
    children,
    children_and_zombies,
    kill_marked,
    newest_pid,
    resident_bytes,
)

MAX_ANSWER = 96 << 20
"""Bytes of one answer line. Well above the platform's 15 MB of result, which escapes in JSON may multiply by six."""

STOP_GRACE = 3.0
"""Seconds that a process has to end by itself once its input is closed (API section 8.4, item 7)."""

_CHUNK = 1 << 18
_PIPE_SIZE = 1 << 20  # bytes; no system's pipes hold more
_SLICE = 0.05  # seconds between checks for the end of the process on systems without pidfd
_KILL_SECONDS = 5.0
"""Seconds that the supervisor gets to end its descendants before it is killed."""

PROCESS_DESCRIPTORS = 5
"""Descriptors that are handed over."""

_KEPT_LOADING = 16 << 10
"""Bytes of output while loading up to which a process can be handed over."""

_EXIT_CODE = re.compile(rb"E(-?\d{1,3})\n")
"""The supervisor's report of the algorithm's end."""

_HEAP_EXHAUSTED = b" - JavaScript heap out of memory"
"""What Node.js says before it ends itself for want of memory."""

_RENEWED = frozenset({"SystemExit", "LoadingError", "OutOfMemoryError"})
"""Failures after which a fresh process may do better."""


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # the real-time signals have no names
        return f"signal {number}"


class _CutShort(Exception):
    """The call was cut short; carries the failure to report."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class AlgorithmProcess:
    """A process with one algorithm loaded, or about to be. For one thread at a time, except for `kill`.

    Its descendants end with it. A descendant that a call leaves behind makes the process unfit for another call.
    """

    def __init__(
        self,
        launch: Launch,
        on_listener: Callable[[socket.socket], None] | None = None,
        started: Started | None = None,
    ) -> None:
        """Start the process.

        `on_listener` is called with the socket at which a process with an isolated network calls the platform.
        `started` is a process that runs already; see `adopt`.

        Raises:
            OSError: if it cannot be started; no process or descriptor is left then.
        """
        self.launch = launch
        self.idle_since = 0.0
        self._on_listener = on_listener
        self._in_step = True
        self._killed = False
        self._output = CapturedOutput()
        self._answer = bytearray()
        self._answered = False
        self._unsent = memoryview(b"")
        self._exit_code: int | None = None
        self._family: set[int] = set()
        self._newest = b""
        self._printed_loading: bytes | None = b""
        self._is_adopted = started is not None
        started = started or start(launch)
        self._process, self._control, self._answers = started.process, started.control, started.answers
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin.fileno(), self._process.stdout.fileno()
        self._pidfd = started.pidfd
        self._poll, self._surprise = select.poll(), select.poll()
        self._poll.register(self._stdout, select.POLLIN)
        for poll in (self._poll, self._surprise):
            poll.register(self._answers, select.POLLIN)
            poll.register(self._control, select.POLLIN)
            if self._pidfd is not None:
                poll.register(self._pidfd, select.POLLIN)
        for fd in (self._stdin, self._stdout):
            os.set_blocking(fd, False)

    @classmethod
    def adopt(cls, launch: Launch, content: Mapping[str, Any], descriptors: Sequence[int]) -> AlgorithmProcess:
        """Continue with a process that another `algo` has handed over."""
        control, stdin, stdout, answers, pidfd = descriptors
        process = AdoptedProcess(content["pid"], pidfd, stdin, stdout)
        found = cls(launch, None, Started(process, pidfd, socket.socket(fileno=control), answers))
        found._output.is_ready = True
        found._family = set(content["family"])
        found._printed_loading = content["printed"].encode("latin-1")
        return found

    def hand_over(self) -> tuple[dict[str, Any], list[int]] | None:
        """The content and descriptors for `adopt` in another process; None if it cannot be handed over.

        After the other process has taken it, call `leave` here.
        """
        printed = self._printed_loading
        if self._pidfd is None or not self.is_reusable or printed is None or len(printed) > _KEPT_LOADING:
            return None
        content = {"pid": self.pid, "family": sorted(self._family), "printed": printed.decode("latin-1")}
        return content, [self._control.fileno(), self._stdin, self._stdout, self._answers, self._pidfd]

    def leave(self) -> None:
        """Close this process's pipes and sockets to it, without ending it."""
        self._close()
        if isinstance(self._process, subprocess.Popen):
            leave(self._process)

    @property
    def pid(self) -> int:
        """The started process: the supervisor, or the sandbox around it."""
        return self._process.pid

    @property
    def is_reusable(self) -> bool:
        """Whether it is ready for another request: alive, and without unexpected output."""
        if not self._is_waiting or self._surprise.poll(0):
            return False
        return self._pidfd is not None or self._process.poll() is None

    @property
    def _is_waiting(self) -> bool:
        """Whether it waits for a request, as far as is known without asking the system."""
        return self._output.is_ready and self._in_step and not self._killed

    @property
    def is_loaded(self) -> bool:
        """Whether the algorithm has been loaded."""
        return self._output.is_ready

    def memory(self) -> int:
        """Memory of the process and its children in bytes, without grandchildren; 0 if unknown."""
        return sum(map(resident_bytes, self._relatives()))

    def call(self, request: bytes, deadline: float, on_output: Callable[[bytes], None] | None = None) -> Outcome:
        """Load the algorithm if necessary, send it one request line, and wait for the answer.

        `deadline` is a time of `time.monotonic`; `on_output` is called with printed output. Returns by the deadline and
        raises no error, whatever the algorithm does. After an interrupt (KeyboardInterrupt) it is not `is_reusable`.
        """
        started, is_sent = time.monotonic(), False
        self._in_step = False
        self._output.listener = on_output
        try:
            if not self._output.is_ready:
                self._pump(lambda: self._output.is_ready or self._answered, deadline)
                self._remember_loaded()
                started = time.monotonic() if self._output.is_ready else started
            self._repeat_loading()
            if not self._answered:
                is_sent = True
                self._send(request)
                self._pump(lambda: self._answered, deadline)
            answer, in_step = self._take_answer()
        except _CutShort as cut:
            answer, in_step = cut.failure, False
            if answer == SHUTTING_DOWN and not is_sent:
                answer = NOT_BEGUN
        duration = time.monotonic() - started
        self._read_output(_PIPE_SIZE)
        printed = self._output.take()
        self._output.listener = None
        self._in_step = in_step
        if isinstance(answer, Payload):
            return Outcome(answer, None, duration, printed)
        return Outcome(None, answer, duration, printed)

    def load(self, deadline: float) -> Failure | None:
        """Load the algorithm before the first call, which gets the output of loading; returns the failure, if any."""
        try:
            self._pump(lambda: self._output.is_ready or self._answered, deadline)
        except _CutShort as cut:
            return cut.failure
        if self._answered:
            answer, _ = self._take_answer()
            return answer if isinstance(answer, Failure) else Failure(CANNOT_RUN, "LoadingError")
        self._remember_loaded()
        self._is_adopted = False
        return None

    def await_loaded(self, deadline: float, on_output: Callable[[bytes], None] | None = None) -> None:
        """Wait until loading has ended, well or not; the next `call` returns a failure, and the output."""
        self._output.listener = on_output
        with contextlib.suppress(_CutShort):
            if not self._output.is_ready:
                self._pump(lambda: self._output.is_ready or self._answered, deadline)
                self._remember_loaded()

    def loaded_by(self, other: AlgorithmProcess) -> None:
        """Give the first call of this replica the output of loading in the original process."""
        self._printed_loading, self._is_adopted = other._printed_loading, True

    def settle(self) -> bool:
        """Clean up after a call; False if the process has to be ended.

        Whether it has ended by itself meanwhile is found out before the next call, by `is_reusable`.
        """
        if not self._is_waiting:
            return False
        try:
            self.launch.workspace.empty_temporary()
        except OSError:
            self._in_step = False
        newest = newest_pid()
        if newest != self._newest:
            self._newest = newest
            is_alone = self._relatives(children_and_zombies) <= self._family or self._relatives() <= self._family
            self._in_step = self._in_step and is_alone
        return self._in_step

    def _remember_loaded(self) -> None:
        """Remember the processes, files and output of loading, which belong to the algorithm, not to a call."""
        self._printed_loading = self._output.so_far(MAX_OUTPUT)
        self._newest = newest_pid()
        self._family = self._relatives()
        with contextlib.suppress(OSError):
            self.launch.workspace.remember_temporary()

    def _repeat_loading(self) -> None:
        """Repeat the output of loading in the first call of an adopted process."""
        if self._is_adopted and self._printed_loading:
            self._output.add(self._printed_loading)
        self._is_adopted = False

    def _relatives(self, children_of: Callable[[int], set[int]] = children) -> set[int]:
        """The algorithm's process, its children, and those of its descendants whose own parent has ended."""
        supervisors = children_of(self._process.pid) if self.launch.sandbox else {self._process.pid}
        adopted = {child for supervisor in supervisors for child in children_of(supervisor)}
        return adopted | {child for one in adopted for child in children_of(one)}

    def _take_answer(self) -> tuple[Payload | Failure, bool]:
        """The answer, and whether the process has read all input and written exactly one line."""
        line, _, rest = bytes(self._answer).partition(b"\n")
        in_step = not rest and not self._unsent
        self._answer, self._answered = bytearray(), False
        answer = decode_answer(line)
        if isinstance(answer, Failure) and answer.error_type in _RENEWED:
            in_step = False
        return answer, in_step

    def _pump(self, done: Callable[[], bool], deadline: float) -> None:
        """Move bytes until `done()`; raises _CutShort at the deadline or when the process has ended."""
        while not done():
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise _CutShort(Failure(CANNOT_RUN, "TimeoutError"))
            wait = remaining if self._pidfd is not None else min(remaining, _SLICE)
            ended = self._pidfd is None and self._process.poll() is not None
            for fd, _ in [] if ended else self._poll.poll(wait * 1000):
                if fd == self._answers:
                    self._read_answer()
                elif fd == self._stdout:
                    self._read_output(_CHUNK)
                elif fd == self._stdin:
                    if self._write():
                        self._poll.unregister(self._stdin)
                elif fd == self._control.fileno():
                    self._read_control()
                else:
                    ended = True
            if ended:
                self._read_output(_PIPE_SIZE)
                while self._read_answer():
                    pass
                if not done():
                    raise _CutShort(self._last_words())

    def _read_control(self) -> None:
        """Read a message of the supervisor: the algorithm's exit code, or its listening socket."""
        try:
            data, descriptors, _, _ = socket.recv_fds(self._control, 4096, 1)
        except OSError:
            data, descriptors = b"", []
        for descriptor in descriptors:
            self._take_listener(descriptor)
        if not data:
            with contextlib.suppress(KeyError):
                self._poll.unregister(self._control)
        elif match := _EXIT_CODE.search(data):
            self._exit_code = int(match[1])

    def _take_listener(self, descriptor: int) -> None:
        """Accept the socket of a process with an isolated network: only one, from its supervisor, while it loads."""
        os.set_inheritable(descriptor, False)
        if self._on_listener is None or not self.launch.is_isolated or self._output.is_ready:
            os.close(descriptor)
            return
        on_listener, self._on_listener = self._on_listener, None
        on_listener(socket.socket(fileno=descriptor))

    def _last_words(self) -> Failure:
        """The failure of a process that ended without a response."""
        self._read_control()
        if self._killed:
            return SHUTTING_DOWN
        code = self._exit_code
        if code is None:
            return Failure("The algorithm's process was ended from outside", "SystemError")
        if code == -signal.SIGKILL:
            return Failure(CANNOT_RUN, "OutOfMemoryError")
        if code == -signal.SIGABRT and _HEAP_EXHAUSTED in (self._output.so_far(MAX_OUTPUT) or b""):
            return Failure(CANNOT_RUN, "OutOfMemoryError")
        if code < 0:
            return Failure(f"exited with code -99 ({_signal_name(-code)})", "SystemExit")
        return Failure(f"exited with code {code}", "SystemExit")

    def _send(self, request: bytes) -> None:
        self._unsent = memoryview(request)
        if not self._write():
            self._poll.register(self._stdin, select.POLLOUT)

    def _write(self) -> bool:
        """Write as much of the request as the pipe accepts; True if all is written."""
        try:
            while self._unsent:
                self._unsent = self._unsent[os.write(self._stdin, self._unsent) :]
        except BlockingIOError:
            return False
        except BrokenPipeError:
            pass  # the process reads no more input: its end or the deadline decides
        return True

    def _read_answer(self) -> bool:
        """Read the FIFO; False if it is empty."""
        try:
            data = os.read(self._answers, _PIPE_SIZE)
        except BlockingIOError:
            return False
        self._answer += data
        self._answered = self._answered or b"\n" in data
        if len(self._answer) > MAX_ANSWER:
            raise _CutShort(Failure(f"The result is larger than {MAX_ANSWER} bytes", "TooLargeError"))
        return bool(data)

    def _read_output(self, limit: int) -> None:
        """Read up to about `limit` bytes of output: a process may print faster than it can be read."""
        while limit > 0:
            try:
                data = os.read(self._stdout, _CHUNK)
            except BlockingIOError:
                return
            if not data:
                with contextlib.suppress(KeyError):
                    self._poll.unregister(self._stdout)
                return
            limit -= len(data)
            self._output.add(data)

    def kill(self) -> None:
        """End it and all its descendants, now. Safe from any thread, more than once."""
        self._killed = True
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)

    def end_input(self) -> None:
        """Ask it to end, by closing its input."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def _ends_within(self, seconds: float) -> bool:
        if self._pidfd is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
            return self._process.returncode is not None
        end = select.poll()
        end.register(self._pidfd, select.POLLIN)
        return bool(end.poll(seconds * 1000))

    def stop(self, grace: float = 0.0) -> None:
        """Stop it, `grace` seconds after `end_input`, and release its resources."""
        if grace > 0:
            with contextlib.suppress(_CutShort):
                self._pump(lambda: False, time.monotonic() + grace)
        self.kill()
        if not self._ends_within(_KILL_SECONDS):
            self._process.kill()  # for an algorithm that has stopped its supervisor
        if self._process.wait() != 0:
            kill_marked(f"HOME={self.launch.workspace.home}")
        self._close()

    def _close(self) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()
        self._control.close()
        for fd in (self._answers, *([] if self._pidfd is None else [self._pidfd])):
            os.close(fd)
