"""A worker on this machine: an algorithm's process for one account, with its files; and the factory that starts it."""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from algo_core.errors import AlgoError
from algo_local.algorithms.build import Build, BuildError
from algo_local.algorithms.configuration import read_configuration
from algo_local.algorithms.installation.environments import interpreter_of
from algo_local.algorithms.source_trees.published import Node, whole
from algo_local.execution.executor import Endpoint
from algo_local.execution.limits import Limits
from algo_local.execution.payload import Failure, Outcome
from algo_local.execution.scaling import UNLIMITED, Scaling
from algo_local.execution.workers.launch import Launch, StartFailed
from algo_local.execution.workers.process import PROCESS_DESCRIPTORS, AlgorithmProcess
from algo_local.execution.workers.sandbox import Protection, protection
from algo_local.execution.workers.workspace import Workspace, Workspaces
from algo_local.trees import in_use

if TYPE_CHECKING:
    from algo_local.execution.workers.handover import Message
    from algo_local.execution.workers.keeper import Keeper
    from algo_local.execution.workers.templates import Templates

_BACKLOG = 128

_LOOK = 8
"""Calls between two looks at how much memory a worker has."""

_FIRST_USER, _USERS = 61184, 4096
"""Users without a name, of which each worker gets one where the platform is root: the system limits by user."""


class Worker:
    """A process that serves one account. For one thread at a time, except for `kill`."""

    def __init__(
        self,
        launch: Launch,
        account: str,
        endpoint: Endpoint,
        *,
        key: str = "",
        listener: socket.socket | None = None,
        taken: Message | None = None,
        forked: AlgorithmProcess | None = None,
        on_end: Callable[[], None] | None = None,
    ) -> None:
        """Start a worker, or continue with one from the keeper.

        Args:
            launch: the parameters of its process.
            account: the account that it serves.
            endpoint: where it calls the platform.
            key: its key at the keeper.
            listener: the socket at which it calls the platform, if its network is isolated.
            taken: the keeper's message, for a worker from the keeper.
            forked: its process, if that runs already: a replica, or a template that cannot be forked.
            on_end: called when it has ended.

        Raises:
            OSError: if it cannot be started; only its workspace is left then.
        """
        self.account = account
        self.token = launch.token
        """The token with which it calls the platform, instead of an API key."""
        self.idle_since = 0.0
        self._key = key
        self._began: float = taken.content["began"] if taken else time.monotonic()
        self._calls: int = taken.content["calls"] if taken else 0
        self._launch = launch
        self._endpoint = endpoint
        self._listener: socket.socket | None = None
        self._stop_serving: list[Callable[[], None]] = []
        self._build = contextlib.ExitStack()
        self._trees: Sequence[int] = ()
        self._on_end = on_end
        if forked:
            self._process = forked
        elif taken:
            self._process = AlgorithmProcess.adopt(launch, taken.content, taken.descriptors[:PROCESS_DESCRIPTORS])
        else:
            self._process = AlgorithmProcess(launch, self._serve)
        if listener:
            self._serve(listener)

    def _serve(self, listener: socket.socket) -> None:
        self._listener = listener.dup()
        self._stop_serving.append(self._endpoint.serve_also(listener))

    def hold(self, build: contextlib.ExitStack, trees: Sequence[int]) -> None:
        """Keep the locks of its build's trees, the descriptors `trees`, until it has ended."""
        self._build.push(build)
        self._trees = trees

    def hand_over(self, give: Callable[[dict[str, Any], list[int]], bool]) -> bool:
        """Hand it to another process by `give`; if False, the caller still has to stop it."""
        found = self._process.hand_over()
        if not found or not self._listener:
            return False
        self._end_serving()
        workspace = self._launch.workspace
        content = {
            **found[0],
            "key": self._key,
            "label": self._launch.label,
            "build": self._launch.build.commit,
            "token": self.token,
            "path": str(workspace.path),
            "owner": workspace.owner,
            "kept": sorted(workspace.kept),
            "began": self._began,
            "calls": self._calls,
            "is_sandboxed": self._launch.sandbox is not None,
        }
        if not give(content, [*found[1], workspace.held, self._listener.fileno(), *self._trees]):
            return False
        self._process.leave()
        workspace.leave()
        self._listener.close()
        self._build.close()
        return True

    @property
    def name(self) -> str:
        """Its name in records: its process id."""
        return str(self._process.pid)

    def call(self, request: bytes, deadline: float, on_output: Callable[[bytes], None] | None = None) -> Outcome:
        """Load the algorithm if need be, and have it answer a request; see `AlgorithmProcess.call`."""
        return self._process.call(request, deadline, on_output)

    def load(self, deadline: float) -> Failure | None:
        """Load the algorithm before the first call; see `AlgorithmProcess.load`."""
        return self._process.load(deadline)

    def await_loaded(self, deadline: float, on_output: Callable[[bytes], None] | None = None) -> None:
        """Wait until loading has ended; see `AlgorithmProcess.await_loaded`."""
        self._process.await_loaded(deadline, on_output)

    def settle(self) -> bool:
        """Clean up after a call; return whether the worker can take another one."""
        return self._process.settle()

    @property
    def is_loaded(self) -> bool:
        """Whether the algorithm has been loaded."""
        return self._process.is_loaded

    def memory(self) -> int:
        """Memory of its processes in bytes."""
        return self._process.memory()

    def is_fresh(self, scaling: Scaling) -> bool:
        """Whether it is young and small enough for another call; checked after each call."""
        self._calls += 1
        if self._calls >= scaling.calls or time.monotonic() - self._began >= scaling.age:
            return False
        is_looked_at = scaling.memory < UNLIMITED and self._calls % _LOOK == 0
        return not is_looked_at or self._process.memory() <= scaling.memory

    @property
    def is_reusable(self) -> bool:
        """Whether it can take another call."""
        return self._process.is_reusable

    def kill(self) -> None:
        """End it now; the caller still has to call `stop`. Safe from any thread, more than once."""
        self._process.kill()

    def end_input(self) -> None:
        """Ask it to end."""
        self._process.end_input()

    def stop(self, grace: float = 0.0) -> None:
        """Stop it, with `grace` seconds to end by itself after `end_input`, and remove its files."""
        try:
            self._process.stop(grace)
        finally:
            self._end_serving()
            if self._listener:
                self._listener.close()
            self._launch.workspace.remove()
            if self._on_end:
                self._on_end()
            self._build.close()

    def _end_serving(self) -> None:
        while self._stop_serving:
            self._stop_serving.pop()()


class Workers:
    """Starts workers on this machine; their files are below `directory`, in the platform's state."""

    def __init__(self, endpoint: Callable[[], Endpoint], directory: Path, keeper: Keeper | None = None) -> None:
        """`endpoint` is first called at the first start of a worker; `keeper` may have loaded workers."""
        self._endpoint = endpoint
        self._directory = directory
        self._keeper = keeper
        self._workspaces = Workspaces(directory)
        self._lock = threading.Lock()
        self._templates: Templates | None = None
        self._is_closed = False
        self._users = itertools.count(secrets.randbelow(_USERS))

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
    ) -> Worker:
        """Start a worker, whose first call loads the algorithm, or take one from the keeper.

        `label` is the build's name for people; `depth` is the level of the call that it is started for, unused on one
        machine; `on_load` is called before waiting for an algorithm to load; `on_wait` is called with the reason while
        no node of a cluster has room, which never happens on one machine.

        Raises:
            AlgoError: if the build was modified, or a setting is invalid.
            OSError: if the build is missing, or the process cannot be started.
        """
        with contextlib.ExitStack() as stack:
            environment = interpreter_of(build.python).environment
            trees = stack.enter_context(in_use(build.source, *([environment] if environment else [])))
            worker = self._start_protected(build, account, token, label, on_load)
            worker.hold(stack.pop_all(), trees)
        return worker

    def close(self) -> None:
        """Abandon loading, and refuse further loads."""
        with self._lock:
            self._is_closed = True
            if self._templates:
                self._templates.close()

    def _start_protected(
        self, build: Build, account: str, token: str, label: str, on_load: Callable[[], None]
    ) -> Worker:
        found = whole(build.source)
        endpoint = self._endpoint()
        try:
            return self._start(build, account, token, label, found, endpoint, on_load)
        except StartFailed:
            # Bubblewrap is assumed to work until it fails, which saves a trial before the first algorithm.
            if not self._protection.sandbox or not self._protection.fails_here():
                raise
        return self._start(build, account, token, label, found, endpoint, on_load)

    def _start(
        self,
        build: Build,
        account: str,
        token: str,
        label: str,
        found: list[Node],
        endpoint: Endpoint,
        on_load: Callable[[], None],
    ) -> Worker:
        sandbox = self._protection.sandbox
        if not sandbox and (self._protection.required or build.network_access == "isolated"):
            isolated = "This algorithm may not use the network, and does not run"
            what = "No algorithm may run" if self._protection.required else isolated
            raise AlgoError(f"{what} without a sandbox, and none is available: {self._protection.reason}")
        if (
            not self._keeper
            and _forks(build)
            and (worker := self._forked(build, account, token, label, found, endpoint, on_load))
        ):
            return worker
        key = self._key(build, account)
        if self._keeper and (taken := self._keeper.take(key)):
            return self._adopted(build, account, key, label, endpoint, taken)
        with contextlib.ExitStack() as undo:
            workspace = self._workspaces.create(found, self._next_user() if sandbox else None)
            undo.callback(workspace.remove)
            address, listener = endpoint.address, None
            if self._keeper and build.network_access != "isolated":
                listener = socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG)
                undo.callback(listener.close)
                address = f"http://127.0.0.1:{listener.getsockname()[1]}"
            launch = Launch(build, workspace, self._limits, sandbox, address, token, label)
            worker = Worker(launch, account, endpoint, key=key, listener=listener)
            undo.pop_all()
        return worker

    def _forked(
        self,
        build: Build,
        account: str,
        token: str,
        label: str,
        found: list[Node],
        endpoint: Endpoint,
        on_load: Callable[[], None],
    ) -> Worker | None:
        """A worker forked from a template; None if the algorithm cannot be forked."""
        from algo_local.execution.workers.templates import Template, Templates

        with self._lock:
            templates = self._templates = self._templates or Templates()
            if self._is_closed:
                templates.close()

        def start() -> Template:
            # The platform does not know its token: clients made while loading must not act for other replicas' callers.
            workspace = self._workspaces.create(found, self._next_user() if self._protection.sandbox else None)
            address, sandbox = endpoint.address, self._protection.sandbox
            try:
                return Template(
                    Launch(build, workspace, self._limits, sandbox, address, secrets.token_hex(16), label), endpoint
                )
            except BaseException:
                workspace.remove()
                raise

        key = (build.source, build.python, build.module, build.network_access, build.secrets, account)
        try:
            made = templates.forked(key, token, start, on_load)
        except OSError:
            return None  # a worker that loads it for a call reports the failure
        if made is None:
            return None
        if isinstance(made, Template):
            return Worker(made.launch, account, endpoint, forked=made.process, on_end=made.end_serving)
        launch, process, on_end = made
        return Worker(launch, account, endpoint, forked=process, on_end=on_end)

    def _adopted(self, build: Build, account: str, key: str, label: str, endpoint: Endpoint, taken: Message) -> Worker:
        content, (held, listener, *trees) = taken.content, taken.descriptors[PROCESS_DESCRIPTORS:]
        for tree in trees:
            os.close(tree)  # this process holds these locks already
        workspace = Workspace(Path(content["path"]), content["owner"], held, content["kept"])
        launch = Launch(build, workspace, self._limits, self._protection.sandbox, "", content["token"], label)
        return Worker(launch, account, endpoint, key=key, listener=socket.socket(fileno=listener), taken=taken)

    def _key(self, build: Build, account: str) -> str:
        if not self._keeper:
            return ""
        from algo_local.execution.workers.keeper import key_of

        return key_of(build, account, self._limits, self._protection.sandbox)

    @cached_property
    def _protection(self) -> Protection:
        return protection(self._directory.parent, try_it=False)

    @cached_property
    def _limits(self) -> Limits:
        return Limits.of()

    def _next_user(self) -> int | None:
        """A different user for each worker if the platform runs as root; None where root may not change users."""
        if os.geteuid() != 0 or not _has_user(_FIRST_USER + _USERS - 1):
            return None
        return _FIRST_USER + next(self._users) % _USERS


def _forks(build: Build) -> bool:
    """Whether its `algorithmia.conf` allows forking workers, which only Python supports."""
    try:
        return build.language == "python3" and read_configuration(build.source).forks
    except BuildError:  # published before this setting was checked
        return False


def _has_user(user: int) -> bool:
    """Whether this user id exists in the user namespace of this process."""
    try:
        with open("/proc/self/uid_map") as ranges, open("/proc/self/gid_map") as groups:
            return all(
                any(int(first) <= user < int(first) + int(count) for first, _, count in map(str.split, file))
                for file in (ranges, groups)
            )
    except (OSError, ValueError):
        return False
