"""`algo local dev`: serves the algorithm in a directory, rebuilt after each change."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from algo_core.errors import AlgoError
from algo_local.algorithms.configuration import identity, read_configuration
from algo_local.algorithms.source_trees.sources import signature
from algo_local.execution.development_executor import DevelopmentExecutor
from algo_local.execution.payload import Failure
from algo_local.records.record import Answer
from algo_local.web.answers import wrapped
from algo_local.web.authorization import authenticate
from algo_local.web.directory_calls import CALLS, DirectoryCalls, algorithm_directory
from algo_local.web.http import ApiError, Request, Response
from algo_local.web.references import Reference

if TYPE_CHECKING:
    from algo_core.plugins.types import DirectoryRun
    from algo_local.platform import Platform

POLL_SECONDS = 0.1
"""Seconds between two looks at the files."""


class Development:
    """Serves the algorithm in a directory under its name; rebuilt by the first call after a change.

    `tell` is called with a text for each build and error. The directory must be that of an algorithm with valid names.
    """

    def __init__(self, platform: Platform, run: DirectoryRun, tell: Callable[[str], None]) -> None:
        """Raises NotFoundError, UsageError or BuildError if the directory is not that of an algorithm."""
        self._platform = platform
        self._run = run
        self._tell = tell
        self.path: Path = algorithm_directory(run.directory, "algo local dev")
        self.names = identity(self.path, read_configuration(self.path), platform.account)
        self._lock = threading.Lock()
        self._signature: object = None
        self._calls: DirectoryCalls | None = None
        self._failure: AlgoError | None = None
        self._ended = threading.Event()
        self._watcher: threading.Thread | None = None

    def answer(self, request: Request) -> Response | None:
        """The response to a call of the algorithm; None for all other requests.

        Raises:
            ApiError: 401 without a valid key, 403 for one that may not call it.
        """
        if request.method != "POST" or not request.path.startswith(CALLS):
            return None
        if Reference(request.path[len(CALLS) :]).names != [name.lower() for name in self.names]:
            return None
        caller = authenticate(request, self._platform, trusted=False)
        if caller.key and not caller.key.permissions.may_call(*self.names):
            raise ApiError(403, "Its key may not call this algorithm")
        found = self.refreshed()
        if isinstance(found, AlgoError):
            return _failed(found)
        response = found.answer(request, caller)
        self._tell_failure(response)
        return response

    def refreshed(self) -> DirectoryCalls | AlgoError:
        """The build of the current files, or the failure."""
        with self._lock:
            seen = signature(self.path)
            if seen != self._signature:
                self._signature = seen
                self._build()
            found = self._failure or self._calls
            assert found
            return found

    def watch(self) -> None:
        """Build as soon as a file changes instead of at the next call."""

        def look() -> None:
            while not self._ended.wait(POLL_SECONDS):
                self.refreshed()

        self._watcher = threading.Thread(target=look, name="algo-watch", daemon=True)
        self._watcher.start()

    def close(self) -> None:
        """Stop watching, and remove the builds."""
        self._ended.set()
        if self._watcher:
            self._watcher.join()
        if self._calls:
            self._calls.close()

    def _build(self) -> None:
        before = self._calls
        try:
            self._calls = DirectoryCalls(self._platform, self._run)
        except AlgoError as error:
            self._failure = error
            self._tell(f"error: {error.message}" + (f"\nhint: {error.hint}" if error.hint else ""))
            return
        self._failure = None
        executor = self._platform.executor
        assert isinstance(executor, DevelopmentExecutor)
        executor.renew(self._calls.version.build)
        self._tell(f"Built {'/'.join(self.names)} ({self._calls.version.build.commit[:12]})")
        if before:
            before.close()

    def _tell_failure(self, response: Response) -> None:
        """Show the trace of a call that failed."""
        if isinstance(response.body, bytes) and response.body.startswith(b'{"error"'):
            error = json.loads(response.body)["error"]
            if isinstance(error, dict):
                self._tell(str(error.get("stacktrace") or f"error: {error.get('message')}").rstrip("\n"))


def _failed(error: AlgoError) -> Response:
    """The response to a call while the directory cannot be built."""
    message = f"{error.message}. {error.hint}" if error.hint else error.message
    return wrapped(Answer(None, b"", Failure(message, "LoadingError"), 0.0, ""), f"req-{uuid.uuid4()}", trace=True)
