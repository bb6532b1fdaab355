"""Run algorithms in warm processes: which process takes a call, for whom it acts, and when it is started and ended."""

from __future__ import annotations

import atexit
import os
import secrets
import string
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from algo_local.execution.payload import Build, CallContext, Failure, Outcome, Payload
from algo_local.execution.protocol import encode_request

if TYPE_CHECKING:
    from algo_local.execution.process import AlgorithmProcess

_LETTERS = string.ascii_letters + string.digits
_CA_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_PROXY_VARIABLES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
_LOOPBACK = "127.0.0.1,localhost"

_Key = tuple[Path, Path, str]


def _key(build: Build) -> _Key:
    return build.source, build.python, build.module


class _Replicas:
    """The processes of one build. The executor's lock guards it."""

    def __init__(self) -> None:
        self.idle: list[AlgorithmProcess] = []
        self.count = 0


class Executor:
    """Runs builds, each in up to `replicas_per_build` processes that are kept for `idle_seconds` after their last call.

    A process serves one call at a time; calls beyond the limit wait for one to come free. Calls that algorithms make
    are allowed as many processes again for each level below the client's call, so that an algorithm that calls itself
    never waits for a process that waits for it.

    `endpoint()` gives the address that algorithms call the platform at; asked whenever a process is started.
    All methods may be called from any thread.
    """

    def __init__(
        self, endpoint: Callable[[], str], *, replicas_per_build: int = 4, idle_seconds: float = 300.0
    ) -> None:
        self._endpoint = endpoint
        self._replicas_per_build = replicas_per_build
        self._idle_seconds = idle_seconds
        lock = threading.Lock()
        self._changed = threading.Condition(lock)  # a process came free, or went
        self._closing = threading.Condition(lock)  # apart, so that a call's end does not wake the janitor
        self._builds: dict[_Key, _Replicas] = {}
        self._serving: dict[str, CallContext] = {}
        self._tokens: dict[AlgorithmProcess, str] = {}
        self._janitor: threading.Thread | None = None
        self._closed = False
        atexit.register(self.close)

    def run(self, build: Build, payload: Payload, *, timeout: float, context: CallContext) -> Outcome:
        """Hand `payload` to the algorithm and return what came of it, at the latest when `timeout` seconds are over.

        The time includes waiting for a process and loading. When it is over, the process and its children are killed.
        Nothing that the algorithm does is raised; see `Failure`. Raises TypeError or ValueError if the payload's data
        is not of its content type.
        """
        deadline = time.monotonic() + timeout
        request = encode_request(payload)
        try:
            process = self._acquire(build, context, deadline)
        except _NoProcess as refusal:
            return Outcome(None, Failure(str(refusal), refusal.error_type), 0.0, "")
        try:
            return process.call(request, deadline)
        finally:
            self._release(build, process)

    def context_of(self, token: str) -> CallContext | None:
        """The call that the process with this token (its `ALGORITHMIA_API_KEY`) serves now; None if it serves none."""
        with self._changed:
            return self._serving.get(token)

    def close(self) -> None:
        """End every process: idle ones get 3 seconds to do so by themselves, busy ones are killed. May be repeated."""
        atexit.unregister(self.close)
        with self._changed:
            self._closed = True
            idle = [process for replicas in self._builds.values() for process in replicas.idle]
            for replicas in self._builds.values():
                replicas.idle.clear()
            busy = [process for process in self._tokens if process not in idle]
            for process in idle:
                del self._tokens[process]
            self._changed.notify_all()
            self._closing.notify_all()
        for process in busy:
            process.kill()  # the thread that waits for its answer cleans up behind it
        _stop_all(idle)

    def _acquire(self, build: Build, context: CallContext, deadline: float) -> AlgorithmProcess:
        limit = self._replicas_per_build * (context.depth + 1)
        stale: list[AlgorithmProcess] = []
        try:
            with self._changed:
                while True:
                    if self._closed:
                        raise _NoProcess("The platform is shutting down", "SystemError")
                    replicas = self._builds.setdefault(_key(build), _Replicas())
                    while replicas.idle:
                        process = replicas.idle.pop()
                        if process.reusable:
                            self._serving[self._tokens[process]] = context
                            return process
                        stale.append(process)
                        del self._tokens[process]
                        replicas.count -= 1
                    if replicas.count < limit:
                        replicas.count += 1
                        break
                    if not self._changed.wait(deadline - time.monotonic()):
                        from algo_local.execution.process import CANNOT_RUN

                        raise _NoProcess(CANNOT_RUN, "TimeoutError")
        finally:
            for process in stale:
                process.stop()
        return self._start(build, context)

    def _start(self, build: Build, context: CallContext) -> AlgorithmProcess:
        from algo_local.execution.process import AlgorithmProcess

        token = "sim" + "".join(secrets.choice(_LETTERS) for _ in range(25))
        with self._changed:
            self._serving[token] = context  # loading may already call the platform
        try:
            process = AlgorithmProcess(build, self._environment(build, token))
        except BaseException as error:
            with self._changed:
                del self._serving[token]
                self._forget(build)
            if isinstance(error, OSError):
                raise _NoProcess(_explain(build, error), "SystemError") from error
            raise
        with self._changed:
            self._tokens[process] = token
            closed = self._closed
        if closed:
            process.kill()
        return process

    def _environment(self, build: Build, token: str) -> dict[str, str]:
        environment = base_environment(os.environ)
        environment["PATH"] = f"{build.python.parent}:{environment['PATH']}"
        environment["ALGORITHMIA_API"] = self._endpoint()
        environment["ALGORITHMIA_API_KEY"] = token
        return environment

    def _release(self, build: Build, process: AlgorithmProcess) -> None:
        keep = process.reusable
        with self._changed:
            token = self._tokens[process]
            self._serving.pop(token, None)
            keep = keep and not self._closed
            if keep:
                process.idle_since = time.monotonic()
                self._builds[_key(build)].idle.append(process)
                self._changed.notify_all()
                self._ensure_janitor()
            else:
                del self._tokens[process]
                self._forget(build)
        if not keep:
            process.stop()

    def _forget(self, build: Build) -> None:
        """One process of the build fewer; the lock is held."""
        replicas = self._builds[_key(build)]
        replicas.count -= 1
        if not replicas.count:
            del self._builds[_key(build)]
        self._changed.notify_all()

    def _ensure_janitor(self) -> None:
        if self._janitor is None:
            self._janitor = threading.Thread(target=self._retire_idle, name="algo-idle", daemon=True)
            self._janitor.start()

    def _retire_idle(self) -> None:
        """End processes that nobody called for `idle_seconds`; ends itself when there is none left to watch."""
        from algo_local.execution.process import remove_abandoned

        remove_abandoned()
        while True:
            with self._changed:
                oldest = min(
                    (process.idle_since for replicas in self._builds.values() for process in replicas.idle),
                    default=None,
                )
                if oldest is None or self._closed:
                    self._janitor = None
                    return
                wait = oldest + self._idle_seconds - time.monotonic()
                if wait > 0:
                    self._closing.wait(wait)
                    continue
                retired = self._take_idle_before(time.monotonic() - self._idle_seconds)
            _stop_all(retired)

    def _take_idle_before(self, moment: float) -> list[AlgorithmProcess]:
        retired = []
        for key, replicas in list(self._builds.items()):
            expired = [process for process in replicas.idle if process.idle_since <= moment]
            replicas.idle = [process for process in replicas.idle if process.idle_since > moment]
            replicas.count -= len(expired)
            retired += expired
            if not replicas.count:
                del self._builds[key]
        for process in retired:
            del self._tokens[process]
        return retired


class _NoProcess(Exception):
    """No process can take the call; the message and type of the failure to report."""

    def __init__(self, message: str, error_type: str) -> None:
        super().__init__(message)
        self.error_type = error_type


def base_environment(ours: Mapping[str, str]) -> dict[str, str]:
    """What algorithms may see of our environment: how to reach the network, and nothing that could be a secret.

    Proxies whose address holds a password are left out; the platform itself is never reached through a proxy.
    """
    environment = {"PATH": ours.get("PATH", os.defpath), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
    environment.update({name: ours[name] for name in _CA_VARIABLES if os.path.exists(ours.get(name, ""))})
    proxies = {name: ours[name] for name in _PROXY_VARIABLES if name in ours and "@" not in ours[name]}
    if proxies:
        exempt = ours.get("no_proxy") or ours.get("NO_PROXY") or ""
        exempt = f"{exempt},{_LOOPBACK}" if exempt else _LOOPBACK
        environment.update(proxies, no_proxy=exempt, NO_PROXY=exempt)
    return environment


def _explain(build: Build, error: OSError) -> str:
    for path in (build.source, build.python):
        if not path.exists():
            return f"The build of this version is no longer whole ({path} is gone); publish the algorithm again"
    return f"The algorithm's process could not be started: {error}"


def _stop_all(processes: list[AlgorithmProcess]) -> None:
    """End processes that serve no call: all at once, so that together they take no longer than the slowest."""
    if not processes:
        return
    from algo_local.execution.process import STOP_GRACE

    deadline = time.monotonic() + STOP_GRACE
    for process in processes:
        process.end_input()
    for process in processes:
        process.stop(grace=deadline - time.monotonic())
