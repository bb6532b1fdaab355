"""Templates: processes with a loaded algorithm, from which workers are forked instead of loading it again."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import replace

from algo_local.execution.executor import Endpoint
from algo_local.execution.workers import sandbox as inside
from algo_local.execution.workers.launch import START_SECONDS, AdoptedProcess, Launch, Started, StartFailed, start
from algo_local.execution.workers.process import AlgorithmProcess
from algo_local.execution.workers.workspace import Workspace
from algo_local.trees import remove_tree

LOAD_SECONDS = 3000.0
"""Seconds that loading may take; a call's own time limit ends its waiting earlier."""

_CREDENTIALS = struct.Struct("3i")


class Template:
    """A process that has an algorithm loaded and serves no calls; `fork` may be called from any thread.

    `impediment` is the reason if it cannot be forked; the process then serves calls itself.
    """

    def __init__(self, launch: Launch, endpoint: Endpoint) -> None:
        """Start it; call `load` next. OSError if it cannot be started."""
        self.launch = launch
        self.stop_serving: list[Callable[[], None]] = []
        """What ends its own way to call the platform."""
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with contextlib.ExitStack() as undo:
            undo.callback(self._channel.close)
            undo.callback(self.end_serving)

            def serve(listener: socket.socket) -> None:
                self.stop_serving.append(endpoint.serve_also(listener))

            with theirs:
                self.process = AlgorithmProcess(launch, serve, start(launch, theirs))
            undo.pop_all()
        self.impediment = ""

    def load(self) -> None:
        """Wait until it has loaded.

        Raises:
            OSError: if it does not load; it is stopped then.
        """
        if failure := self.process.load(time.monotonic() + LOAD_SECONDS):
            self.stop()
            raise StartFailed(failure.message)
        self._channel.setblocking(False)
        self.impediment = self._announced()
        self._channel.settimeout(START_SECONDS)

    def _announced(self) -> str:
        try:
            return str(json.loads(self._channel.recv(1 << 16))["impediment"])
        except (BlockingIOError, ValueError):
            return "it serves itself, or could not be loaded"

    def fork(self, token: str) -> tuple[Launch, AlgorithmProcess]:
        """Fork a replica, with its own temporary directory and answer stream.

        Raises:
            OSError: if that fails.
        """
        if not self.process.is_reusable:
            raise StartFailed("the process that has loaded it has ended")
        workspace = ReplicaWorkspace(self.launch.workspace, next(self._numbers))
        with contextlib.ExitStack() as undo:
            undo.callback(workspace.remove)
            process = self._forked(workspace, token)
            undo.callback(process.stop)
            if failure := process.load(time.monotonic() + START_SECONDS):
                raise StartFailed(failure.message)
            process.loaded_by(self.process)
            undo.pop_all()
        return process.launch, process

    def _forked(self, workspace: ReplicaWorkspace, token: str) -> AlgorithmProcess:
        with contextlib.ExitStack() as undo:
            answers = os.open(workspace.answers, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            undo.callback(os.close, answers)
            ours, theirs = socket.socketpair()
            undo.callback(ours.close)
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            ours.settimeout(START_SECONDS)
            stdin, write_end = os.pipe()
            read_end, stdout = os.pipe()
            try:
                asked = json.dumps(workspace.seen_inside(self.launch, token)).encode()
                with self._lock:
                    socket.send_fds(self._channel, [asked], [stdin, stdout, theirs.fileno()])
            finally:
                theirs.close()
                os.close(stdin)
                os.close(stdout)
                undo.callback(os.close, write_end)
                undo.callback(os.close, read_end)
            pid = _sender(ours)
            pidfd = os.pidfd_open(pid)
            undo.pop_all()
        ours.setblocking(False)
        # For the platform the replica's supervisor is the process itself, not a process around it.
        launch = replace(self.launch, workspace=workspace, token=token, sandbox=None)
        process = AdoptedProcess(pid, pidfd, write_end, read_end)
        return AlgorithmProcess(launch, None, Started(process, pidfd, ours, answers))

    def stop(self) -> None:
        """Stop it, with all remaining processes of its replicas."""
        self._channel.close()
        try:
            self.process.stop()
        finally:
            self.end_serving()
            self.launch.workspace.remove()

    def end_serving(self) -> None:
        """Stop serving its callback socket."""
        while self.stop_serving:
            self.stop_serving.pop()()


def _sender(control: socket.socket) -> int:
    """The process id, outside the sandbox, of the process that reports its start."""
    said, ancillary, _, _ = control.recvmsg(1, socket.CMSG_SPACE(_CREDENTIALS.size))
    for _, kind, data in ancillary:
        if said and kind == socket.SCM_CREDENTIALS:
            return int(_CREDENTIALS.unpack(data)[0])
    raise StartFailed("the replica did not start")


class ReplicaWorkspace(Workspace):
    """A replica's own part of its template's workspace."""

    def __init__(self, template: Workspace, number: int) -> None:
        """OSError if it cannot be made."""
        super().__init__(template.path, template.owner, -1)
        self.name = f"r-{number}"
        self.temporary = template.temporary / self.name
        self._temporary = str(self.temporary)
        self.home = (
            template.path / f"home-{self.name}"
        )  # no process has it in its environment: replicas are found by their supervisor
        self.answers = template.answers.with_name(f"answers-{self.name}")
        os.mkfifo(self.answers, 0o600)
        self.temporary.mkdir()
        self.temporary.chmod(0o755)
        if self.owner is not None:
            os.chown(self.answers, self.owner, self.owner)
            os.chown(self.temporary, self.owner, self.owner)

    def seen_inside(self, launch: Launch, token: str) -> dict[str, object]:
        """The replica's settings: its paths as seen inside the sandbox, and its key."""
        directory, run = str(self.temporary.parent), str(self.answers.parent)
        if launch.sandbox:
            directory, run = inside.TEMPORARY, inside.RUN
        environment = {"TMPDIR": f"{directory}/{self.name}", "ALGORITHMIA_API_KEY": token}
        return {"environment": environment, "answers": f"{run}/{self.answers.name}"}

    def remove(self) -> None:
        """Remove it, as far as possible."""
        with contextlib.suppress(OSError):
            remove_tree(self.temporary)
        with contextlib.suppress(OSError):
            self.answers.unlink()


class _Slot:
    """The template of one build for one account."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.template: Template | None = None
        self.replicas = 0
        self.is_refused = False
        """Whether it cannot be forked."""


class Templates:
    """The templates of a platform; each lives as long as it has replicas."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._slots: dict[Hashable, _Slot] = {}
        self._loading: set[Template] = set()
        self._is_closed = False

    def forked(
        self, key: Hashable, token: str, start: Callable[[], Template], on_load: Callable[[], None]
    ) -> tuple[Launch, AlgorithmProcess, Callable[[], None]] | Template | None:
        """A replica, and a function to call when it has ended; `start` starts a template if there is none.

        `on_load` is called before waiting for a template to load.

        Returns None if the algorithm cannot be forked; to the caller that finds this out, the template, to be used as a
        worker's process.

        Raises:
            OSError: if it cannot be loaded or forked.
        """
        with self._lock:
            slot = self._slots.setdefault(key, _Slot())
        if not slot.is_refused and slot.template is None:
            on_load()
        with slot.lock:
            if slot.is_refused:
                return None
            if slot.template is None:
                template = self._loaded(start())
                if template.impediment:
                    slot.is_refused = True
                    return template
                slot.template = template
            try:
                launch, process = slot.template.fork(token)
            except OSError:
                self._drop(slot)
                raise
            slot.replicas += 1
        return launch, process, lambda: self._ended(slot)

    def _loaded(self, template: Template) -> Template:
        with self._lock:
            self._loading.add(template)
            if self._is_closed:
                template.process.kill()
        try:
            template.load()
        finally:
            with self._lock:
                self._loading.discard(template)
        return template

    def close(self) -> None:
        """Abandon loading, and refuse further loads."""
        with self._lock:
            self._is_closed = True
            for template in self._loading:
                template.process.kill()

    def _ended(self, slot: _Slot) -> None:
        with slot.lock:
            slot.replicas -= 1
            self._drop(slot)

    def _drop(self, slot: _Slot) -> None:
        if not slot.replicas and slot.template:
            template, slot.template = slot.template, None
            template.stop()
