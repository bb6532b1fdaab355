"""A worker: a process that serves one account, with its private files."""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import socket
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from algo_core.errors import AlgoError
from algo_local.algorithms.build import Build
from algo_local.algorithms.environments import interpreter_of
from algo_local.algorithms.published import Node, whole
from algo_local.execution.executor import Endpoint
from algo_local.execution.launch import Launch, StartFailed
from algo_local.execution.limits import Limits
from algo_local.execution.payload import Outcome
from algo_local.execution.process import AlgorithmProcess
from algo_local.execution.sandbox import Protection, protection
from algo_local.execution.scaling import Scaling
from algo_local.execution.workspace import Workspace, Workspaces
from algo_local.trees import in_use

_LOOK = 8
"""Calls between two looks at how much memory a worker has."""

_FIRST_USER, _USERS = 61184, 4096
"""Users without a name, of which each worker gets one where the platform is root: the system limits by user."""


class Worker:
    """A process that serves one account. For one thread at a time, except for `kill`."""

    def __init__(self, launch: Launch, account: str, workspaces: Workspaces, endpoint: Endpoint) -> None:
        """Start it. OSError if that fails; then nothing is left behind."""
        self.account = account
        self.token = launch.token
        """The token with which it calls the platform, instead of an API key."""
        self.idle_since = 0.0
        self._started = time.monotonic()
        self._calls = 0
        self._endpoint = endpoint
        self._workspaces = workspaces
        self._workspace: Workspace = launch.workspace
        self._stop_serving: list[Callable[[], None]] = []
        self._build = contextlib.ExitStack()
        self._process = AlgorithmProcess(launch, self._serve)

    def _serve(self, listener: socket.socket) -> None:
        self._stop_serving.append(self._endpoint.serve_also(listener))

    def hold(self, build: contextlib.ExitStack) -> None:
        """Keep its build in use until it has ended."""
        self._build.push(build)

    @property
    def name(self) -> str:
        """Its name in records: the number of its process."""
        return str(self._process.pid)

    def call(self, request: bytes, deadline: float, on_output: Callable[[bytes], None] | None = None) -> Outcome:
        """Load the algorithm if need be, and have it answer a request; see `AlgorithmProcess.call`."""
        return self._process.call(request, deadline, on_output)

    def settle(self) -> bool:
        """Clean up after a call; return whether the worker can take another one."""
        return self._process.settle()

    @property
    def is_loaded(self) -> bool:
        """Whether the algorithm has been loaded."""
        return self._process.is_loaded

    def memory(self) -> int:
        """Bytes that its processes have in memory."""
        return self._process.memory()

    def is_fresh(self, scaling: Scaling) -> bool:
        """Whether it has not become too old or too large for another call; asked after each."""
        self._calls += 1
        if self._calls >= scaling.calls or time.monotonic() - self._started >= scaling.age:
            return False
        return self._calls % _LOOK != 0 or self._process.memory() <= scaling.memory

    @property
    def is_reusable(self) -> bool:
        """Whether it can take another call."""
        return self._process.is_reusable

    def kill(self) -> None:
        """End it now; `stop` is still to be called. Safe from any thread, more than once."""
        self._process.kill()

    def end_input(self) -> None:
        """Ask it to end."""
        self._process.end_input()

    def stop(self, grace: float = 0.0) -> None:
        """End it, leaving it `grace` seconds to do so by itself after `end_input`, and remove all that it had."""
        try:
            self._process.stop(grace)
        finally:
            for stop in self._stop_serving:
                stop()
            self._workspaces.remove(self._workspace)
            self._build.close()


class Workers:
    """Starts workers; what they have of their own lies below `directory`, part of the platform's state."""

    def __init__(self, endpoint: Callable[[], Endpoint], directory: Path) -> None:
        """`endpoint()` is asked when a worker is started, not before."""
        self._endpoint = endpoint
        self._directory = directory
        self._workspaces = Workspaces(directory)
        self._users = itertools.count(secrets.randbelow(_USERS))

    def start(self, build: Build, account: str, token: str) -> Worker:
        """Start a worker; its algorithm is loaded by its first call.

        Raises:
            AlgoError: if the build has been changed, or a setting makes this impossible.
            OSError: if the build is gone, or the process cannot be started.
        """
        with contextlib.ExitStack() as stack:
            environment = interpreter_of(build.python).environment
            stack.enter_context(in_use(build.source, *([environment] if environment else [])))
            worker = self._start_protected(build, account, token)
            worker.hold(stack.pop_all())
        return worker

    def _start_protected(self, build: Build, account: str, token: str) -> Worker:
        found = whole(build.source)
        endpoint = self._endpoint()
        try:
            return self._start(build, account, token, found, endpoint)
        except StartFailed:
            # Bubblewrap is taken to work until it does not, which saves a trial before the first algorithm.
            if not self._protection.sandbox or not self._protection.fails_here():
                raise
        return self._start(build, account, token, found, endpoint)

    def _start(self, build: Build, account: str, token: str, found: list[Node], endpoint: Endpoint) -> Worker:
        sandbox = self._protection.sandbox
        if not sandbox and (self._protection.required or build.network_access == "isolated"):
            isolated = "This algorithm may not use the network, and does not run"
            what = "No algorithm may run" if self._protection.required else isolated
            raise AlgoError(f"{what} without a sandbox, and none is available: {self._protection.reason}")
        workspace = self._workspaces.create(found, self._next_user() if sandbox else None)
        try:
            launch = Launch(build, workspace, self._limits, sandbox, endpoint.address, token)
            return Worker(launch, account, self._workspaces, endpoint)
        except BaseException:
            self._workspaces.remove(workspace)
            raise

    def close(self) -> None:
        """Remove what lies in the directory, once the last worker is gone."""
        self._workspaces.close()

    @cached_property
    def _protection(self) -> Protection:
        return protection(self._directory.parent, try_it=False)

    @cached_property
    def _limits(self) -> Limits:
        return Limits.of()

    def _next_user(self) -> int | None:
        """Another user for each worker if we are root and can name them: in some containers root cannot."""
        if os.geteuid() != 0 or not _has_user(_FIRST_USER + _USERS - 1):
            return None
        return _FIRST_USER + next(self._users) % _USERS


def _has_user(user: int) -> bool:
    """Whether this number means a user to the user namespace that we are in."""
    try:
        with open("/proc/self/uid_map") as ranges, open("/proc/self/gid_map") as groups:
            return all(
                any(int(first) <= user < int(first) + int(count) for first, _, count in map(str.split, file))
                for file in (ranges, groups)
            )
    except (OSError, ValueError):
        return False
