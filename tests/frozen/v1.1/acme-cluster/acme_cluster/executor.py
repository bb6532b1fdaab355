"""An executor that runs each call of an algorithm in a process of its own.

Replace the process of `Job` by a job of your cluster. The tests, `ExecutorContract`, say what a platform relies on.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from algo_core import App
from algo_local.execution.executor import (
    CANNOT_RUN,
    INIT_MARKER,
    RUNNER,
    SHUTTING_DOWN,
    Build,
    CallContext,
    Description,
    Endpoint,
    Failure,
    Outcome,
    Payload,
    decode_answer,
    encode_request,
)

CANCELLED = Failure("The call was cancelled", "SystemError", ended="cancelled")
TIMED_OUT = Failure(CANNOT_RUN, "TimeoutError")
NO_ANSWER = Failure(CANNOT_RUN, "SystemError")


def open_executor(app: App, endpoint: Callable[[], Endpoint], directory: Path) -> ProcessExecutor:
    """The executor for `algo local serve`; `app.setting(...)` reads settings, if the plugin declares some."""
    return ProcessExecutor(endpoint, directory)


class ProcessExecutor:
    """Keeps the contract `algo_local.execution.executor.Executor`, which says what each method does."""

    def __init__(self, endpoint: Callable[[], Endpoint], directory: Path) -> None:
        self._endpoint = endpoint
        self._directory = directory
        self._jobs: dict[str, Job] = {}
        self._changed = threading.Condition()
        self._closed = False

    def start(self) -> None:
        """Make the directory of the jobs: here an executor would connect to its cluster."""
        self._directory.mkdir(parents=True, exist_ok=True)

    def call(
        self,
        build: Build,
        payload: Payload,
        *,
        timeout: float,
        context: CallContext,
        on_start: Callable[[str], None] | None = None,
        on_output: Callable[[bytes], None] | None = None,
    ) -> Outcome:
        """Run one job; it is known by its request until it has ended."""
        request = encode_request(payload)
        job = Job(context)
        with self._changed:
            if self._closed:
                return Outcome(None, SHUTTING_DOWN, 0.0, "")
            self._jobs[context.request_id] = job
        timer = threading.Timer(timeout, job.end, [TIMED_OUT])
        timer.daemon = True
        timer.start()
        try:
            with tempfile.TemporaryDirectory(dir=self._directory) as place:
                return job.run(build, request, Path(place), self._endpoint().address, on_start, on_output)
        finally:
            timer.cancel()
            with self._changed:
                del self._jobs[context.request_id]
                self._changed.notify_all()

    def cancel(self, request_id: str) -> bool:
        """End the job of a request."""
        job = self._jobs.get(request_id)
        return bool(job and job.end(CANCELLED))

    def context_of(self, token: str) -> CallContext | None:
        """The call whose job has this token."""
        found = [job for job in list(self._jobs.values()) if secrets.compare_digest(job.token, token)]
        return found[0].context if found else None

    def describe(self) -> Description:
        """Every job is a worker that is busy."""
        return Description(workers=len(self._jobs), busy=len(self._jobs), waiting=0, memory=0)

    def drain(self, seconds: float) -> bool:
        """Refuse calls from now on, and wait for the jobs."""
        with self._changed:
            self._closed = True
            return self._changed.wait_for(lambda: not self._jobs, timeout=seconds)

    def close(self) -> None:
        """End all jobs."""
        self._closed = True
        for job in list(self._jobs.values()):
            job.end(SHUTTING_DOWN)
        self.drain(10)


class Job:
    """One call in a process of its own, with the algorithm's files copied for it."""

    def __init__(self, context: CallContext) -> None:
        self.context = context
        self.token = secrets.token_hex(16)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._failure: Failure | None = None

    def run(
        self,
        build: Build,
        request: bytes,
        place: Path,
        address: str,
        on_start: Callable[[str], None] | None,
        on_output: Callable[[bytes], None] | None,
    ) -> Outcome:
        """Start the process, pass on what it prints, and return what came of it."""
        tree, requests, answers = place / "tree", place / "requests", place / "answers"
        shutil.copytree(build.source, tree)
        requests.write_bytes(request)
        answers.touch()
        began, printed = time.monotonic(), []
        environ = {"ALGORITHMIA_API": address, "ALGORITHMIA_API_KEY": self.token, **dict(build.secrets)}
        with requests.open("rb") as source, self._start(build, tree, answers, source.fileno(), environ) as process:
            if on_start:
                on_start(str(process.pid))
            assert process.stdout
            for line in process.stdout:
                if INIT_MARKER in line:  # the algorithm is loaded
                    continue
                printed.append(line)
                if on_output:
                    on_output(line)
        stdout = b"".join(printed).decode("utf-8", "replace")
        with self._lock:
            self._process = None
            failure = self._failure
        answer = failure or decode_answer(answers.read_bytes()) if failure or answers.stat().st_size else NO_ANSWER
        result, failure = (None, answer) if isinstance(answer, Failure) else (answer, None)
        return Outcome(result, failure, time.monotonic() - began, stdout)

    def _start(
        self, build: Build, tree: Path, answers: Path, source: int, environ: dict[str, str]
    ) -> subprocess.Popen[bytes]:
        with self._lock:
            self._process = subprocess.Popen(
                [build.python, "-I", "-B", RUNNER, tree, build.module, answers],
                stdin=source,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=tree,
                env={"PATH": os.environ.get("PATH", os.defpath), **environ},
                start_new_session=True,
            )
            if self._failure:  # ended before it began
                self._kill()
            return self._process

    def end(self, failure: Failure) -> bool:
        """End the process and its children; whether nobody had ended it before."""
        with self._lock:
            if self._failure:
                return False
            self._failure = failure
            self._kill()
            return True

    def _kill(self) -> None:
        if self._process:
            os.killpg(self._process.pid, signal.SIGKILL)
