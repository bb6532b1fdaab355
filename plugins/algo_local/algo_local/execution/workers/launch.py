"""Starts a process of an algorithm: its command line, its environment, and its connection to the platform."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from algo_local.algorithms.build import Build
from algo_local.algorithms.installation.environments import interpreter_of
from algo_local.execution.limits import Limits
from algo_local.execution.workers import sandbox as inside
from algo_local.execution.workers.process_tree import tasks_of
from algo_local.execution.workers.sandbox import Sandbox
from algo_local.execution.workers.workspace import Workspace

_OPTIONS = ("-S", "-I", "-B", "-X", "utf8")
"""No packages before the supervisor allows them; none of our PYTHON* variables, user site and working directory."""

START_SECONDS = 30.0
"""Time limit in seconds for starting a process, before the algorithm runs."""

_SAID = 1 << 16
_SUPERVISOR = str(Path(__file__).parents[1] / "inside" / "supervisor.py")
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PROXY_VARIABLES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
_LOOPBACK = "127.0.0.1,localhost"
_left: list[subprocess.Popen[bytes]] = []


@dataclass(frozen=True, slots=True)
class Launch:
    """The parameters of a process."""

    build: Build
    workspace: Workspace
    limits: Limits
    sandbox: Sandbox | None
    address: str
    """The platform's address; a process with an isolated network has a different one."""
    token: str
    label: str = ""
    """What people know the build by."""

    @property
    def is_isolated(self) -> bool:
        """Whether its network is isolated."""
        return self.build.network_access == "isolated"


class AdoptedProcess:
    """A process started by another `algo`, with the needed part of the interface of `subprocess.Popen`."""

    def __init__(self, pid: int, pidfd: int, stdin: int, stdout: int) -> None:
        """The caller closes `pidfd`."""
        self.pid = pid
        self.stdin: IO[bytes] | None = open(stdin, "wb", buffering=0)  # noqa: SIM115 - open while it is in use
        self.stdout: IO[bytes] | None = open(stdout, "rb", buffering=0)  # noqa: SIM115 - the same
        self.returncode: int | None = None
        self._pidfd = pidfd

    def poll(self) -> int | None:
        """1 if it has ended, else None: only its parent learns the real exit code."""
        return self._wait(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended. Raises TimeoutExpired after `timeout` seconds."""
        code = self._wait(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
        return code

    def _wait(self, timeout: float | None) -> int | None:
        if self.returncode is None:
            end = select.poll()
            end.register(self._pidfd, select.POLLIN)
            self.returncode = 1 if end.poll(None if timeout is None else timeout * 1000) else None
        return self.returncode

    def kill(self) -> None:
        """End it."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class Started:
    """A started process, and the platform's ends of its pipes and sockets."""

    process: subprocess.Popen[bytes] | AdoptedProcess
    pidfd: int | None
    """A descriptor that becomes readable when the process ends; None where the system has no such thing."""
    control: socket.socket
    """The process and all its descendants end when this is closed or shut down, however that happens."""
    answers: int
    """The FIFO's descriptor: read-write, so that neither side waits for the other to open it."""


class StartFailed(OSError):
    """The process ended before the algorithm started; the text is the last line of its output."""


def start(launch: Launch, forks: socket.socket | None = None) -> Started:
    """Start a process, and wait until its supervisor runs.

    `forks` is the process's end of a socket for requests of replicas once it has loaded.

    Raises:
        OSError: if it cannot be started, for example without its interpreter; StartFailed if bubblewrap or the
            interpreter ended by itself. No descriptor is left open then.
    """
    interpreter = interpreter_of(launch.build.python)
    os.stat(interpreter.runtime or interpreter.program)
    with contextlib.ExitStack() as undo:
        answers = os.open(launch.workspace.answers, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        undo.callback(os.close, answers)
        ours, theirs = socket.socketpair()
        undo.callback(ours.close)
        with theirs:
            process = subprocess.Popen(
                [*_command(launch, theirs.fileno()), *([str(forks.fileno())] if forks else [])],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,  # one pipe for both keeps their lines in the order they were printed in
                bufsize=0,
                cwd=launch.workspace.tree,
                env=_environment(launch),
                pass_fds=[theirs.fileno(), *([forks.fileno()] if forks else [])],
                start_new_session=True,
            )
        undo.callback(_end, process, ours)
        _await_start(process, ours)
        undo.pop_all()
    ours.setblocking(False)
    return Started(process, _open_pidfd(process.pid), ours, answers)


def _open_pidfd(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


def leave(process: subprocess.Popen[bytes]) -> None:
    """Detach from a process that outlives this one."""
    _left[:] = [left for left in (*_left, process) if left.poll() is None]


def _await_start(process: subprocess.Popen[bytes], control: socket.socket) -> None:
    control.settimeout(START_SECONDS)
    try:
        started = control.recv(1)
    except TimeoutError:
        raise StartFailed("it did not start in time") from None
    if not started:
        assert process.stdout is not None
        said = process.stdout.read(_SAID).decode("utf-8", "replace").strip()
        raise StartFailed(said.rpartition("\n")[2] or f"exit code {process.wait()}")


def _end(process: subprocess.Popen[bytes], control: socket.socket) -> None:
    control.close()  # processes in a sandbox do not end with the process that created it
    process.kill()
    for stream in (process.stdin, process.stdout):
        assert stream is not None
        stream.close()
    process.wait()


def _command(launch: Launch, control: int) -> list[str]:
    interpreter = interpreter_of(launch.build.python)
    workspace, sandbox = launch.workspace, launch.sandbox
    if sandbox:
        runtime = os.path.realpath(interpreter.runtime) if interpreter.runtime else None
        prefix = sandbox.command(workspace, interpreter.environment, isolated=launch.is_isolated, runtime=runtime)
        supervisor, tree = f"{inside.CODE}/supervisor.py", inside.TREE
        answers = f"{inside.RUN}/{workspace.answers.name}"
    else:
        prefix, supervisor, tree, answers = [], _SUPERVISOR, str(workspace.tree), str(workspace.answers)
    return [
        *prefix,
        *(interpreter.program, *_OPTIONS, supervisor),
        str(control),
        _limits(launch),
        str(workspace.owner or ""),
        str(inside.PORT) if launch.is_isolated else "",
        interpreter.runtime or ("site" if interpreter.environment else ""),
        *(tree, launch.build.module, answers),
    ]


def _limits(launch: Launch) -> str:
    limits, user = launch.limits, launch.workspace.owner
    # The system counts all processes of a user, whichever algorithm they belong to.
    processes = limits.processes + (tasks_of(os.getuid()) if user is None else 0)
    return f"{limits.memory},{processes},{limits.open_files},{limits.file_size}"


def _environment(launch: Launch) -> dict[str, str]:
    interpreter, workspace = interpreter_of(launch.build.python), launch.workspace
    environment = base_environment(os.environ)
    if launch.sandbox:
        places = {"HOME": inside.HOME, "TMPDIR": inside.TEMPORARY, "PATH": _SYSTEM_PATH}
    else:
        places = {"HOME": str(workspace.home), "TMPDIR": str(workspace.temporary), "PATH": environment["PATH"]}
    places["PATH"] = f"{os.path.dirname(interpreter.runtime or interpreter.program)}:{places['PATH']}"
    address = f"http://127.0.0.1:{inside.PORT}" if launch.is_isolated else launch.address
    ours = {**environment, **places, "ALGORITHMIA_API": address, "ALGORITHMIA_API_KEY": launch.token}
    if launch.build.language == "javascript":  # as the later client for Node.js names them
        ours |= {"ALGORITHMIA_API_ADDRESS": address, "ALGORITHMIA_DEFAULT_API_KEY": launch.token}
    return {**dict(launch.build.secrets), **ours}


def base_environment(ours: Mapping[str, str]) -> dict[str, str]:
    """The environment variables passed to algorithms: network settings, and no possible secrets.

    Proxies whose address holds a password are left out; the platform itself is never reached through a proxy.
    """
    environment = {"PATH": ours.get("PATH", os.defpath), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
    environment.update({name: ours[name] for name in inside.CA_VARIABLES if os.path.exists(ours.get(name, ""))})
    proxies = {name: ours[name] for name in _PROXY_VARIABLES if name in ours and "@" not in ours[name]}
    if proxies:
        exempt = ours.get("no_proxy") or ours.get("NO_PROXY") or ""
        exempt = f"{exempt},{_LOOPBACK}" if exempt else _LOOPBACK
        environment.update(proxies, no_proxy=exempt, NO_PROXY=exempt)
    return environment
