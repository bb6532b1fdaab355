"""One running algorithm: a process that is started, asked one thing at a time, and ended with all its children.

The protocol is that of the platform's language server (API section 8.4). Everything happens in the calling thread,
which waits in `poll` for whatever comes first: output, an answer, the end of the process, or the deadline. So nothing
here spins, nothing outlasts the deadline, and a process that misbehaves harms its own call only.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from algo_local.algorithms.environments import command_prefix
from algo_local.execution.payload import Build, Failure, Outcome, Payload
from algo_local.execution.protocol import INIT_MARKER, decode_answer

CANNOT_RUN = "Failed to run algorithm - may have timed-out or hit out-of-memory error"
"""The platform's words for a call that was cut short; clients compare with them (API section 2.3)."""

MAX_OUTPUT = 1 << 20
"""Bytes of printed output kept for each call; the rest is read and dropped, so that printing never blocks."""

MAX_ANSWER = 96 << 20
"""Bytes of one answer line. Well above the platform's 15 MB of result, which escapes in JSON may multiply by six."""

STOP_GRACE = 3.0
"""Seconds that a process has to end by itself once its input is closed (API section 8.4, item 7)."""

_RUNNER = str(Path(__file__).with_name("runner.py"))
_PREFIX = "algo-process-"
_FIFO = "algoout"
_CHUNK = 1 << 18
_PIPE_SIZE = 1 << 20  # bytes; no system's pipes hold more
_LONGEST_LINE = 1 << 16
_ABANDONED = 60.0  # seconds; a younger directory may be one whose FIFO is about to be opened
_SLICE = 0.05  # seconds between looks at the process where its end cannot be polled for (systems without pidfd)


class _Output:
    """What was printed, up to a limit, and a count of what was dropped beyond it."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._dropped = 0

    def add(self, data: bytes) -> None:
        """Keep what still fits."""
        room = MAX_OUTPUT - len(self._kept)
        self._kept += data[:room]
        self._dropped += max(0, len(data) - room)

    def take(self) -> str:
        """All of it as text; starts afresh."""
        text = self._kept.decode("utf-8", "replace")
        if self._dropped:
            text += f"\n[{self._dropped} more bytes of output dropped]\n"
        self._kept, self._dropped = bytearray(), 0
        return text


def _open_pidfd(pid: int) -> int | None:
    """A descriptor that becomes readable when the process ends; None where the system has no such thing."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


def _kill_marked(mark: bytes) -> None:
    """End every process whose environment holds `mark`: descendants that left the group of the one that was killed.

    Does nothing where the system does not show environments (no /proc).
    """
    with contextlib.suppress(FileNotFoundError):
        for pid in os.listdir("/proc"):
            with contextlib.suppress(OSError, ValueError):
                if mark in Path("/proc", pid, "environ").read_bytes():
                    os.kill(int(pid), signal.SIGKILL)


def remove_abandoned() -> None:
    """Remove the directories of processes whose platform was killed: nobody reads their FIFOs any more."""
    for directory in Path(tempfile.gettempdir()).glob(_PREFIX + "*"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - directory.stat().st_mtime < _ABANDONED:
                continue
            try:
                os.close(os.open(directory / _FIFO, os.O_WRONLY | os.O_NONBLOCK))
            except OSError as error:
                if error.errno == errno.ENXIO:
                    shutil.rmtree(directory, ignore_errors=True)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # the real-time signals have no names
        return f"signal {number}"


class _CutShort(Exception):
    """There will be no answer; carries what to report instead."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class AlgorithmProcess:
    """A process with one algorithm loaded, or about to be. For one thread at a time, except for `kill`."""

    def __init__(self, build: Build, environment: Mapping[str, str]) -> None:
        """Start it; `environment` is all that it sees besides its own home and temporary directory.

        Raises OSError if it cannot be started; nothing is left behind then.
        """
        self.idle_since = 0.0
        self._ready = False
        self._in_step = True
        self._killed = False
        self._output = _Output()
        self._held = b""
        self._answer = bytearray()
        self._answered = False
        self._unsent = memoryview(b"")
        self._directory = Path(tempfile.mkdtemp(prefix=_PREFIX))
        with contextlib.ExitStack() as undo:
            undo.callback(shutil.rmtree, self._directory, ignore_errors=True)
            fifo = self._furnish(build.source)
            # Read-write, so that the algorithm's open never waits for ours, nor our reading ends with its close.
            self._fifo = os.open(fifo, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            undo.callback(os.close, self._fifo)
            alive, self._liveness = os.pipe()
            undo.callback(os.close, self._liveness)
            try:
                self._process = self._start(build, fifo, alive, environment)
            finally:
                os.close(alive)
            undo.pop_all()
        self._watch()

    def _furnish(self, source: Path) -> str:
        """Make the process's own working directory, the source tree by links, so that what it writes stays its own."""
        for name in ("algorithm", "home", "tmp"):
            (self._directory / name).mkdir()
        with os.scandir(source) as entries:
            for entry in entries:
                os.symlink(entry.path, self._directory / "algorithm" / entry.name)
        fifo = str(self._directory / _FIFO)
        os.mkfifo(fifo, 0o600)
        return fifo

    def _start(self, build: Build, fifo: str, alive: int, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*command_prefix(build.python), _RUNNER, str(build.source), build.module, fifo, str(alive)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,  # one pipe for both keeps their lines in the order they were printed in
            bufsize=0,
            cwd=self._directory / "algorithm",
            env={**environment, "HOME": f"{self._directory}/home", "TMPDIR": f"{self._directory}/tmp"},
            pass_fds=[alive],
            start_new_session=True,
        )

    def _watch(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin.fileno(), self._process.stdout.fileno()
        self._pidfd = _open_pidfd(self._process.pid)
        self._poll, self._surprise = select.poll(), select.poll()
        self._poll.register(self._stdout, select.POLLIN)
        for poll in (self._poll, self._surprise):
            poll.register(self._fifo, select.POLLIN)
            if self._pidfd is not None:
                poll.register(self._pidfd, select.POLLIN)
        for fd in (self._stdin, self._stdout):
            os.set_blocking(fd, False)

    @property
    def reusable(self) -> bool:
        """Whether it is ready for another request: it lives, and has said nothing that it was not asked for."""
        if not self._ready or not self._in_step or self._killed or self._surprise.poll(0):
            return False
        return self._pidfd is not None or self._process.poll() is None

    def call(self, request: bytes, deadline: float) -> Outcome:
        """Load the algorithm if that is still to be done, hand it one request line, and wait for the answer.

        `deadline` is a time of `time.monotonic`. Whatever the algorithm does, this returns by then and raises nothing;
        what it raises (KeyboardInterrupt) leaves the process not `reusable`.
        """
        started = time.monotonic()
        self._in_step = False
        try:
            if not self._ready:
                self._pump(lambda: self._ready or self._answered, deadline)
                started = time.monotonic() if self._ready else started
            if not self._answered:
                self._send(request)
                self._pump(lambda: self._answered, deadline)
            answer, in_step = self._take_answer()
        except _CutShort as cut:
            answer, in_step = cut.failure, False
        duration = time.monotonic() - started
        self._read_output(_PIPE_SIZE)
        self._output.add(self._held)
        self._held, self._in_step = b"", in_step
        if isinstance(answer, Payload):
            return Outcome(answer, None, duration, self._output.take())
        return Outcome(None, answer, duration, self._output.take())

    def _take_answer(self) -> tuple[Payload | Failure, bool]:
        """The answer, and whether the process is in step: it read all that it was sent and wrote one line, no more."""
        line, _, rest = bytes(self._answer).partition(b"\n")
        in_step = not rest and not self._unsent
        self._answer, self._answered = bytearray(), False
        answer = decode_answer(line)
        if isinstance(answer, Failure) and answer.error_type == "LoadingError":
            in_step = False  # what it missed while loading may be there for a fresh process
        return answer, in_step

    def _pump(self, done: Callable[[], bool], deadline: float) -> None:
        """Move bytes until `done()`; raises _CutShort at the deadline or when the process has ended."""
        while not done():
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise _CutShort(Failure(CANNOT_RUN, "TimeoutError"))
            wait = remaining if self._pidfd is not None else min(remaining, _SLICE)
            ended = self._pidfd is None and self._process.poll() is not None
            if ended:
                self._signal_group()  # its number is free to be used again since the line above: now or never
            for fd, _ in [] if ended else self._poll.poll(wait * 1000):
                if fd == self._fifo:
                    self._read_answer()
                elif fd == self._stdout:
                    self._read_output(_CHUNK)
                elif fd == self._stdin:
                    self._write()
                else:
                    ended = True
            if ended:
                self._read_output(_PIPE_SIZE)
                while self._read_answer():
                    pass
                if not done():
                    raise _CutShort(self._last_words())

    def _last_words(self) -> Failure:
        """What to report of a process that ended without an answer."""
        was_killed = self._killed
        self.kill()
        code = self._process.wait()
        if was_killed:
            return Failure("The platform is shutting down", "SystemError")
        if code == -signal.SIGKILL:
            return Failure(CANNOT_RUN, "OutOfMemoryError")
        if code < 0:
            return Failure(f"exited with code -99 ({_signal_name(-code)})", "SystemExit")
        return Failure(f"exited with code {code}", "SystemExit")

    def _send(self, request: bytes) -> None:
        self._unsent = memoryview(request)
        self._write()
        if self._unsent:
            self._poll.register(self._stdin, select.POLLOUT)

    def _write(self) -> None:
        try:
            while self._unsent:
                self._unsent = self._unsent[os.write(self._stdin, self._unsent) :]
        except BlockingIOError:
            return
        except BrokenPipeError:
            pass  # it reads no more: its end or the deadline says what came of that
        with contextlib.suppress(KeyError):
            self._poll.unregister(self._stdin)

    def _read_answer(self) -> bool:
        """Take what the FIFO holds; whether there was anything."""
        try:
            data = os.read(self._fifo, _PIPE_SIZE)
        except BlockingIOError:
            return False
        self._answer += data
        self._answered = self._answered or b"\n" in data
        if len(self._answer) > MAX_ANSWER:
            raise _CutShort(Failure(f"The result is larger than {MAX_ANSWER} bytes", "TooLargeError"))
        return bool(data)

    def _read_output(self, limit: int) -> None:
        """Take what was printed, up to about `limit` bytes: a process may print faster than we can read."""
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
            if not self._ready:
                data = self._look_for_marker(data)
            self._output.add(data)

    def _look_for_marker(self, data: bytes) -> bytes:
        """Hold back the last, unfinished line while loading; drop the line that says that loading is done."""
        data = self._held + data
        at = data.find(INIT_MARKER)
        if at < 0 or (end := data.find(b"\n", at)) < 0:
            # Of a line without end, no more than could be the beginning of the marker.
            keep = max(data.rfind(b"\n") + 1, len(data) - _LONGEST_LINE)
            self._held = data[keep:]
            return data[:keep]
        self._ready, self._held = True, b""
        return data[: data.rfind(b"\n", 0, at) + 1] + data[end + 1 :]

    def kill(self) -> None:
        """End it and every process of its group, now. Safe from any thread, more than once."""
        self._killed = True
        if self._process.returncode is None:  # not reaped, so the number of the group is still its own
            self._signal_group()

    def _signal_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def end_input(self) -> None:
        """Ask it to end, by closing its input."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def stop(self, grace: float = 0.0) -> None:
        """End it, leaving it `grace` seconds to do so by itself after `end_input`, and remove all that it had here."""
        if grace > 0:
            with contextlib.suppress(_CutShort):
                self._pump(lambda: False, time.monotonic() + grace)
        self.kill()
        if self._process.wait() != 0:
            _kill_marked(str(self._directory).encode())
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()
        for fd in (self._fifo, self._liveness, *([] if self._pidfd is None else [self._pidfd])):
            os.close(fd)
        shutil.rmtree(self._directory, ignore_errors=True)
